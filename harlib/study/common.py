"""What all notebooks' parameters share: their types, their folders, their error."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Size = Count | tuple[Count, Count]


class OneLine(Exception):
    """An error that says all there is to say: a notebook shows its message and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class ParamsError(OneLine, ValueError):
    """A parameter that cannot be used; the message names where it was set, the key and a remedy."""


class Common(BaseModel):
    """What every notebook takes, so what a study's ``common.yaml`` may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: Name
    run: Name
    seed: Annotated[int, Field(ge=0)] = 0
    data_root: str = ""  # folder with one's own videos; relative to the project
    store: str = ""  # clip store; empty = data/<study>/store
    threads: Count = 2  # reading threads of the loader

    @property
    def root(self) -> Path:
        """The folder that holds params/, data/, runs/ and reports/."""
        return project_root()

    @property
    def run_dir(self) -> Path:
        return self.root / "runs" / self.study / self.run

    @property
    def data_dir(self) -> Path:
        return self.root / "data" / self.study

    @property
    def reads(self) -> tuple[Path, ...]:
        """Files beside the study's own that decide what the run leaves."""
        return ()

    @property
    def store_dir(self) -> Path:
        return self.root / self.store if self.store else self.data_dir / "store"

    @field_validator("data_root")
    @classmethod
    def _exists(cls, value: str) -> str:
        if value and not (project_root() / value).is_dir():
            raise ValueError(f"no folder {value!r} (relative paths start at the project's folder)")
        return value


def project_root() -> Path:
    """``HARLIB_ROOT``, else the nearest folder upwards with ``params/``, else the current one."""
    if os.environ.get("HARLIB_ROOT"):
        return Path(os.environ["HARLIB_ROOT"]).resolve()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "params").is_dir()), here)
