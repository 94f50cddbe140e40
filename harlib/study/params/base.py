"""What all notebooks' parameters share: their types, their folders, their error."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)

from harlib import HarlibError
from harlib.run_folder import RunFolder
from harlib.text import quoted

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Share = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[float, Field(gt=0, le=16)]  # a network's filters, beside the published ones
# What no video and no memory holds is a slip of the hand, better said now than by the network.
Frames = Annotated[int, Field(ge=1, le=10_000)]
Processes = Annotated[int, Field(ge=1, le=1024)]
SIDE = 8192  # pixels


def _pixels(value: Any) -> Any:
    sides = value if isinstance(value, (list, tuple)) else [value]
    whole = [int(side) if isinstance(side, float) and side.is_integer() else side for side in sides]
    fits = all(type(side) is int and 1 <= side <= SIDE for side in whole)
    if not fits or not 1 <= len(whole) <= 2:
        raise ValueError(
            f"is {quoted(value)}; it is 1 to {SIDE} pixels, or [height, width] of that"
        )
    return whole[0] if len(whole) == 1 else tuple(whole)


Size = Annotated[int | tuple[int, int], BeforeValidator(_pixels)]


class ParamsError(HarlibError):
    """A parameter that cannot be used; the message names where it was set, the key and a remedy."""


class Common(BaseModel):
    """What every notebook takes, so what a study's ``common.yaml`` may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    study: Name
    run: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data_root: str = ""  # folder with one's own videos; relative to the project
    store: str = ""  # clip store; empty = data/<study>/store
    threads: Processes = 2  # reading threads of the loader

    _folder: Path | None = PrivateAttr(None)
    _store: Path | None = PrivateAttr(None)

    @property
    def root(self) -> Path:
        """The folder that holds params/, data/, runs/ and reports/."""
        return project_root()

    @property
    def run_dir(self) -> Path:
        """The run's folder: `runs/<study>/<run>`, or where a copied one lies."""
        return self._folder or self.root / "runs" / self.study / self.run

    @property
    def folder(self) -> RunFolder:
        """The run's folder, which knows its files."""
        return RunFolder(self.run_dir)

    def at(self, folder: Path, store: Path | None = None) -> Self:
        """The same run with its files in another folder, such as a moved or renamed one.

        store: its clip store, by default the one that the parameters name.
        """
        own = self.model_copy()
        own._folder, own._store = folder, store or self._store
        return own

    @property
    def data_dir(self) -> Path:
        """The folder of what the study makes of its videos."""
        return self.root / "data" / self.study

    @classmethod
    def implied(cls, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Values that follow from those that were stated, where nothing else is stated."""
        return {}

    @property
    def reads(self) -> tuple[Path, ...]:
        """Files beside the study's own that decide what the run leaves."""
        return ()

    @property
    def content(self) -> bytes:
        """What these files say, as far as it decides what the run leaves."""
        return b"".join(path.read_bytes() for path in self.reads)

    @property
    def store_asked(self) -> Path:
        """Where the clip store goes, unless another store lies there."""
        return self.root / self.store if self.store else self.data_dir / "store"

    @property
    def store_dir(self) -> Path:
        """Where the clip store is."""
        return self._store or self.made(self.store_asked)

    def made(self, asked: Path) -> Path:
        """Where a folder is that the study's run 01 was asked for: beside it, or itself."""
        for file in sorted((self.root / "runs" / self.study).glob("01_*/run.json")):
            for name, folder in RunFolder(file.parent).read_state().get("made", {}).items():
                if asked.is_relative_to(self.root / name):
                    return self.root / folder / asked.relative_to(self.root / name)
        return asked

    @field_validator("data_root")
    @classmethod
    def _exists(cls, value: str, info: ValidationInfo) -> str:
        if value and on_disk(info) and not (project_root() / value).is_dir():
            raise ValueError(f"no folder {value!r} (relative paths start at the project's folder)")
        return value


def on_disk(info: ValidationInfo) -> bool:
    """Whether the files and folders that a parameter names must be there: not to score again."""
    return (info.context or {}).get("on_disk", True)


def project_root() -> Path:
    """``HARLIB_ROOT``, else the nearest folder upwards with ``params/``, else the current one."""
    if os.environ.get("HARLIB_ROOT"):
        return Path(os.environ["HARLIB_ROOT"]).resolve()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "params").is_dir()), here)
