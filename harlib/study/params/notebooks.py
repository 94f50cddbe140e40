"""The parameters of a notebook: one pydantic model per notebook, one error line per mistake."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from harlib.study.params import errors
from harlib.study.params.base import (
    SIDE,
    Common,
    Count,
    Frames,
    Name,
    ParamsError,
    Processes,
    Size,
    Width,
    on_disk,
    project_root,
)
from harlib.study.params.errors import nearest
from harlib.study.params.trained import C3D, Ablations, FrameCNN, ResNeXt101, Transfer


class DataPrep(Common):
    """Notebook 01: which videos, and the clip store made of them."""

    source: Literal["demo", "kinetics", "ucf101", "folder", "table"] = "demo"
    videos: str = "videos"  # folder of videos inside data_root; table: the table's file
    lists: str = "."  # UCF101: folder of its lists inside data_root
    lists_split: Literal[1, 2, 3] = 1  # UCF101: which of its three splits
    annotations: list[str] = []  # Kinetics: CSV files inside data_root
    categories: list[str] = []  # empty = all
    train_videos: Count = 60  # demo: training videos per category
    val_videos: Count = 15  # demo: val videos per category
    still_images: Annotated[int, Field(ge=0, le=1_000_000)] = 40  # demo: still images per category
    difficulty: Literal[1, 2, 3] = 1  # demo: 2 and 3 add clutter, shake, occlusion
    people: Literal[1, 2] = 1  # demo: 2 = up to two in a video, which has the labels of both
    codec: Literal["raw", "jpeg", "h264"] = "jpeg"
    store_size: Size = 64  # short side in pixels, or [height, width] to stretch
    fps: Annotated[float, Field(gt=0, le=1000)] | None = 10.0  # None = as recorded
    quality: Annotated[int, Field(ge=1, le=100)] = 90  # JPEG quality
    workers: Processes | None = None  # processes; None = one a core
    samples: Count = 8  # videos in the contact sheet
    # regular expression whose first (…), in a file's name, is the group; empty = found in the names
    group: str = ""
    held_out: list[str] = []  # the groups (actors) that are val; empty = by val_share
    val_share: Annotated[float, Field(gt=0, le=0.5)] = 0.2  # of the groups
    # of folders of numbered images; None = as fps.txt in each says, or 25
    frame_fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    # demo: train_videos and val_videos of two minutes and all actions, as many test as val ones
    untrimmed: bool = False
    # unlabelled time as the category background, so many times the largest; 0 = none
    background: Annotated[float, Field(ge=0, le=100)] = 0.0
    corrections: str = ""  # table of wrong labels and what is right

    @property
    def reads(self) -> tuple[Path, ...]:
        """The table of corrections, where there is one."""
        return (self.root / self.corrections,) if self.corrections else ()

    @property
    def content(self) -> bytes:
        """What the corrections say, without their order and notes."""
        from harlib.data.catalog.corrections import Corrections

        return b"".join(Corrections(path).content for path in self.reads)

    @field_validator("corrections")
    @classmethod
    def _are_there(cls, value: str, info: ValidationInfo) -> str:
        if value and on_disk(info) and not (project_root() / value).is_file():
            raise ValueError(f"names {value!r}, which is no file (paths start at the project's)")
        return value

    @field_validator("source")
    @classmethod
    def _has_data(cls, value: str, info: ValidationInfo) -> str:
        if value == "demo" and info.data.get("data_root"):
            raise ValueError(
                f"is 'demo', which draws its own videos, but data_root is "
                f"{info.data['data_root']!r}: give source (folder, table, kinetics or ucf101) for "
                "your "
                "videos, or leave data_root empty"
            )
        if value != "demo" and info.data.get("data_root") == "":
            raise ValueError(
                f"{value!r} needs data_root, the folder of your videos: --set data_root=FOLDER"
            )
        return value

    @field_validator("videos", "lists", "annotations")
    @classmethod
    def _lies_in_data_root(cls, value: str | list[str], info: ValidationInfo) -> str | list[str]:
        users = {"videos": ("kinetics", "ucf101", "folder", "table"), "lists": ("ucf101",)}
        asked = on_disk(info) and "data_root" in info.data  # else that is the mistake
        if asked and info.data.get("source") in users.get(info.field_name or "", ("kinetics",)):
            for name in [value] if isinstance(value, str) else value or ["?.csv"]:
                path = project_root() / info.data["data_root"] / name
                if not path.exists():
                    raise ValueError(f"names {name!r}, which is not in data_root")
                is_file = info.field_name == "annotations" or info.data["source"] == "table"
                if path.is_dir() == is_file:
                    wanted = "a folder" if path.is_file() else "a file"
                    raise ValueError(f"names {name!r}, which must be {wanted}")
        return value

    @field_validator("annotations", "group", "held_out", "frame_fps")
    @classmethod
    def _is_used(
        cls, value: str | list[str] | float | None, info: ValidationInfo
    ) -> str | list[str] | float | None:
        users = {
            "annotations": ("kinetics",),
            "frame_fps": ("folder", "table", "ucf101", "kinetics"),
        }.get(info.field_name or "", ("folder", "table"))
        source = info.data.get("source", users[0])
        if value and source not in users:
            raise ValueError(
                f"is for source: {' or '.join(users)}, and source is {source!r}: leave it empty"
            )
        return value

    @field_validator("people")
    @classmethod
    def _are_drawn(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("source", "demo") != "demo":
            raise ValueError("is for source: demo; a table whose label is a|b lists one's own")
        return value

    @field_validator("untrimmed")
    @classmethod
    def _is_drawn(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("source", "demo") != "demo":
            raise ValueError("is for source: demo; a table with start and end lists one's own")
        if value and info.data.get("categories"):
            raise ValueError("draws all categories: leave categories empty")
        if value and info.data.get("people", 1) > 1:
            raise ValueError("draws one person per video: leave people at 1")
        return value

    @field_validator("background")
    @classmethod
    def _has_segments(cls, value: float, info: ValidationInfo) -> float:
        source = info.data.get("source", "table")
        if value and source != "table" and not info.data.get("untrimmed"):
            raise ValueError(f"is of a table with start and end, and source is {source!r}")
        return value

    @field_validator("group")
    @classmethod
    def _finds_a_group(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}; received {value!r}") from None
        if value and not groups:
            raise ValueError(f"has no (…), whose part of a file's name is the group: {value!r}")
        return value


class Evaluation(Common):
    """Notebook 05: compares what the study's runs left."""

    runs: list[Name] = []  # empty = every scored run of the study
    confused: Count = 8  # how many confused pairs to list
    # whose maps show where the best 3D network looked; empty = the last that can point
    layer: str = ""


class Performance(Common):
    """Notebook 06: what `har bench` measured, beside the study's own figures."""

    results: list[str] = []  # JSON files of `har bench`; what they lack is measured here, small
    models: Annotated[list[Name], Field(min_length=1)] = ["r3d_18"]  # to measure here
    frames: Frames = 8
    size: Annotated[int, Field(ge=1, le=SIDE)] = 48
    batch: Count = 4
    most: Count = 16  # batch at which the search for the largest one stops
    seconds: Annotated[float, Field(gt=0)] = 0.3  # of one measurement of reading

    @property
    def reads(self) -> tuple[Path, ...]:
        """The files of measurements that the notebook shows."""
        return tuple(self.root / name for name in self.results)

    @field_validator("results")
    @classmethod
    def _results_exist(cls, value: list[str], info: ValidationInfo) -> list[str]:
        for name in value:
            if on_disk(info) and not (project_root() / name).is_file():
                raise ValueError(f"names {name!r}, which is not there (har bench … --json {name})")
        return value


class FromScratch(Common):
    """Notebook 08: the C3D and the training that its cells write out; the defaults fit the demo."""

    width: Width = 0.25
    dense: Count = 256
    frames: Annotated[int, Field(ge=2, le=10_000)] = 16  # it looks at what changes between them
    size: Annotated[int, Field(ge=1, le=SIDE)] = 48
    epochs: Count = 8
    batch: Count = 16
    rate: Annotated[float, Field(gt=0)] = 1.5e-3
    clips: Frames = 4
    crop_scale: Annotated[float, Field(gt=0, le=1)] | None = 0.857  # 48 of 56 pixels


@dataclass(frozen=True)
class Notebook:
    """What is known of a notebook before it runs; all that a new one has to say.

    params: the class of its parameters.
    needs: beginnings of the names of the runs that it builds on.
    stages: those of `results_version` that it goes through itself.
    code: modules and packages, below `harlib/`, that decide what its run leaves behind.
    purpose: of a run without metrics of its own, for the study's index.
    written_out: its cells hold the computation itself, so their code is part of what it computes.
    """

    params: type[Common]
    needs: tuple[str, ...] = ("01",)
    stages: tuple[str, ...] = ("clips", "models", "training", "scoring")
    code: tuple[str, ...] = ()
    purpose: str = ""
    written_out: bool = False


# Of the study, whatever the notebook.
_STEPS = (
    "study/params/base.py", "study/params/notebooks.py", "study/params/trained.py",
    "study/steps/data_prep.py",
    "study/steps/inputs.py", "study/steps/model_run.py", "study/steps/results.py",
)  # fmt: skip
# Of the evaluation only what scores and metrics depend on.
_SCORES = tuple(f"evaluation/{name}.py" for name in (
    "scores", "scoring", "predict", "resume", "metrics", "multi_label", "hits", "intervals",
    "calibration",
))  # fmt: skip
_MODEL = ("data", "models", "training", *_SCORES, *_STEPS)

NOTEBOOKS: dict[str, Notebook] = {
    "01_data_prep": Notebook(DataPrep, needs=(), stages=("store",), code=("data", *_STEPS)),
    "02_frame_cnn": Notebook(FrameCNN, code=_MODEL),
    "03_c3d": Notebook(C3D, code=_MODEL),
    "04_resnext101": Notebook(ResNeXt101, code=_MODEL),
    "05_evaluation": Notebook(
        Evaluation,
        needs=("01", "02", "03", "04", "09"),
        stages=("evaluation",),
        code=("data", "evaluation", *_STEPS),
        purpose="compares the runs, in figures",
    ),
    "06_performance": Notebook(
        Performance,
        needs=(),
        stages=("bench",),
        code=("bench", "data", "models", "training", "evaluation", "study/steps/measurements.py",
              "study/steps/performance.py", *_STEPS),
        purpose="how fast this machine reads and computes, and what Kinetics-600 would take",
    ),
    "07_ablations": Notebook(
        Ablations,
        code=(*_MODEL, "study/steps/ablations.py"),
        purpose="what one change is worth, over several seeds",
    ),
    "08_from_scratch": Notebook(
        FromScratch,
        needs=("01", "03"),
        stages=("clips", "scoring"),
        code=("data", *_SCORES, *_STEPS, "study/steps/from_scratch.py"),
        purpose="C3D and its training written out in plain Keras, beside run 03",
        written_out=True,
    ),
    "09_pretrained": Notebook(Transfer, code=(*_MODEL, "study/steps/transfer.py")),
}  # fmt: skip


def validate(
    notebook: str,
    values: Mapping[str, Any],
    origins: Mapping[str, str] | None = None,
    *,
    on_disk: bool = True,
) -> Common:
    """Returns the notebook's parameters as its model.

    ``origins`` tells for a key the file (or option) that set it, for the message; ``on_disk``
    whether the files and folders that it names must be there.

    Raises:
        ParamsError: values that are wrong, one line per mistake.
    """
    if notebook not in NOTEBOOKS:
        raise ParamsError(
            f"{(origins or {}).get('', 'parameters')}: no notebook {notebook!r}"
            f"{nearest(notebook, NOTEBOOKS)}; there are {', '.join(NOTEBOOKS)}"
        )
    model = NOTEBOOKS[notebook].params
    try:
        return model.model_validate(dict(values), context={"on_disk": on_disk})
    except ValidationError as error:
        lines = dict.fromkeys(
            errors.line(item, model, notebook, origins or {}) for item in error.errors()
        )
        raise ParamsError("\n".join(lines)) from None
