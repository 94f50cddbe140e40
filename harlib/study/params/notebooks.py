"""The parameters of a notebook: one pydantic model per notebook, one error line per mistake."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator

from harlib import pretrained
from harlib.pretrained import Pretrained
from harlib.run_folder import RunFolder
from harlib.study.params import errors
from harlib.study.params.base import (
    SIDE,
    Common,
    Count,
    Frames,
    Name,
    ParamsError,
    Processes,
    Share,
    Size,
    on_disk,
    project_root,
)
from harlib.study.params.errors import nearest

Split = Literal["train", "val", "test"]
# Bytes of a clip of whole numbers; a network's arithmetic takes four times that and more.
_CLIP = 2**31
_Width = Annotated[float, Field(gt=0, le=16)]  # a network's filters, beside the published ones
# YAML 1.1 reads `1e-3` (no point) as text; people mean a number.
_NUMBER = re.compile(r"^[+-]?\d+(\.\d*)?[eE][+-]?\d+$")


class DataPrep(Common):
    """Notebook 01: which videos, and the clip store made of them."""

    source: Literal["demo", "kinetics", "ucf101", "folder"] = "demo"
    videos: str = "videos"  # folder of videos inside data_root
    lists: str = "."  # UCF101: folder of its lists inside data_root
    lists_split: Literal[1, 2, 3] = 1  # UCF101: which of its three splits
    annotations: list[str] = []  # Kinetics: CSV files inside data_root
    categories: list[str] = []  # empty = all
    train_videos: Count = 60  # demo: training videos a category
    val_videos: Count = 15  # demo: val videos a category
    still_images: Annotated[int, Field(ge=0, le=1_000_000)] = 40  # demo: still images a category
    difficulty: Literal[1, 2, 3] = 1  # demo: 2 and 3 add clutter, shake, occlusion
    codec: Literal["raw", "jpeg", "h264"] = "jpeg"
    store_size: Size = 64  # short side in pixels, or [height, width] to stretch
    fps: Annotated[float, Field(gt=0, le=1000)] | None = 10.0  # None = as recorded
    quality: Annotated[int, Field(ge=1, le=100)] = 90  # JPEG quality
    workers: Processes | None = None  # processes; None = one a core
    samples: Count = 8  # videos in the contact sheet
    group: str = ""  # folder: regular expression whose first group, in a file's name, is the actor
    held_out: list[str] = []  # folder: the groups (actors) that are val; empty = a fifth of them

    @field_validator("source")
    @classmethod
    def _has_data(cls, value: str, info: ValidationInfo) -> str:
        if value == "demo" and info.data.get("data_root"):
            raise ValueError(
                f"is 'demo', which draws its own videos, but data_root is "
                f"{info.data['data_root']!r}: give source (folder, kinetics or ucf101) for your "
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
        users = {"videos": ("kinetics", "ucf101", "folder"), "lists": ("ucf101",)}
        if on_disk(info) and info.data.get("source") in users.get(
            info.field_name or "", ("kinetics",)
        ):
            for name in [value] if isinstance(value, str) else value or ["?.csv"]:
                path = project_root() / info.data.get("data_root", "") / name
                if not path.exists():
                    raise ValueError(f"names {name!r}, which is not in data_root")
                if path.is_dir() == (info.field_name == "annotations"):
                    wanted = "a folder" if path.is_file() else "a file"
                    raise ValueError(f"names {name!r}, which must be {wanted}")
        return value

    @field_validator("annotations", "group", "held_out")
    @classmethod
    def _is_used(cls, value: str | list[str], info: ValidationInfo) -> str | list[str]:
        user = "kinetics" if info.field_name == "annotations" else "folder"
        source = info.data.get("source", user)
        if value and source != user:
            raise ValueError(f"is for source: {user}, and source is {source!r}: leave it empty")
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


# Before training: stop at a failed check; YAML 1.1 reads off as false.
Preflight = Annotated[
    Literal["stop", "show", "off"],
    BeforeValidator(lambda value: "off" if value is False else value),
]


class Trained(Common):
    """What the three model notebooks share: clip, training, and the protocol of scoring."""

    if TYPE_CHECKING:  # each class below has its own
        model: str
        width: float
        dropout: float
        weights: str | None

    frames: Frames = 16
    stride: Frames = 1
    # of a clip, in place of the stride
    clip_fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    size: Size = 48  # pixels of the square the network sees, or [height, width]
    batch: Count = 32
    epochs: Count = 25
    recipe: Literal["study-adam", "study-sgd", "hara-sgd", "tran-sgd", "modern"] = "modern"
    recipe_options: dict[str, Any] = {}  # overrides of the recipe's own numbers
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    crop: Literal["hara", "resized", "random", "center"] = "hara"
    flip: bool = True
    color: Share = 0.0
    grey: Share = 0.0  # of the training clips lose their colours
    reverse: Share = 0.0  # of the training clips run backwards
    # training strides: stride / (1 + j) to * (1 + j)
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    shuffle_labels: bool = False  # a check: the result must then be chance
    train_split: Split = "train"
    validate_split: Split | Literal[""] = "val"  # scored after each epoch; empty = not at all
    split: Split = "val"  # scored at the end
    clips: Frames | Literal["windows"] = 4  # of a video; windows: all that fit, side by side
    crops: Literal[1, 3, 5] = 1
    crop_scale: Annotated[float, Field(gt=0, le=1)] | None = None
    score_batch: Count = 32
    checkpoint: Literal["last", "best"] = "last"
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 2.0  # from one of the training to the next
    checkpoint_steps: Annotated[int, Field(ge=0)] = 0  # and after this number of steps; 0 = never
    checkpoints_kept: Count = 2  # the newest ones
    balanced: bool = False  # show every category equally often
    mix: Literal["", "none", "mixup", "cutmix"] = (
        ""  # of a batch's clips; empty = as the recipe says
    )
    mix_share: Annotated[float, Field(gt=0, le=1)] = 1.0  # of the batches that are blended
    class_weights: Literal["", "balanced"] = ""  # rare categories weigh more in the loss
    tensorboard: bool = False  # logs for TensorBoard in the run's folder
    devices: Processes = 1  # of one machine, which share each batch
    preflight: Preflight = "stop"
    freeze_below: str = ""  # a stage or layer; what lies below it is not trained; empty = all is
    freeze_bn: bool = False  # keep every batch norm as it is
    lr_multipliers: dict[str, Annotated[float, Field(gt=0)]] = {}  # by stage; 1 where none is given

    @property
    def most_devices(self) -> int:
        """The largest number of devices that share a batch in this run."""
        return self.devices

    def network_options(self) -> dict[str, Any]:
        """The options of the run's network, for `models.build`."""
        raise NotImplementedError

    @field_validator("checkpoint")
    @classmethod
    def _has_a_best(cls, value: str, info: ValidationInfo) -> str:
        if value == "best" and info.data.get("validate_split") == "":
            raise ValueError("is 'best', by the split after each epoch: set validate_split")
        return value

    @field_validator("size")
    @classmethod
    def _can_be_held(cls, value: int | tuple, info: ValidationInfo) -> int | tuple:
        frames = info.data.get("frames", 1)
        height, width = (value, value) if isinstance(value, int) else value
        if (held := 3 * frames * height * width) > _CLIP:
            raise ValueError(
                f"is {height} × {width} pixels, {held / 1e9:,.1f} GB a clip with frames: {frames}; "
                f"a clip is at most {_CLIP / 1e9:.1f} GB"
            )
        return value

    @field_validator("class_weights")
    @classmethod
    def _one_balance(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("balanced"):
            raise ValueError("and balanced: true both even out the categories: give one")
        return value

    @field_validator("devices")
    @classmethod
    def _divides(cls, value: int, info: ValidationInfo) -> int:
        batch = info.data.get("batch", value)
        if batch % value:
            raise ValueError(f"is {value}, which does not divide batch ({batch} clips in all)")
        return value

    @field_validator("recipe_options")
    @classmethod
    def _numbers(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "mix" in value:
            raise ValueError("holds 'mix', a parameter of its own: mix: mixup, cutmix or none")
        return {key: _number(item) for key, item in value.items()}


class FrameCNN(Trained):
    """Notebook 02: a 2D network on single frames, stills first when there are any."""

    frames: Frames = 1
    size: Size = 80
    epochs: Count = 30
    clips: Frames | Literal["windows"] = 10
    model: Literal["frame_cnn"] = "frame_cnn"
    backbone: str = "small"
    weights: str | None = None  # None, "imagenet" or a file
    width: _Width = 1.0  # of the backbone "small"
    dropout: Share = 0.2
    stills: str = ""  # a folder in Stanford-40's layout; empty = no stills stage
    stills_epochs: Count = 10

    def network_options(self) -> dict[str, Any]:
        return {"backbone": self.backbone, "weights": self.weights, "width": self.width,
                "dropout": self.dropout}  # fmt: skip

    @field_validator("stills")
    @classmethod
    def _stills_exist(cls, value: str, info: ValidationInfo) -> str:
        # What lies under data/ is made by notebook 01, so it need not be there yet.
        made_here = value == "" or value.startswith("data/")
        if on_disk(info) and not (made_here or (project_root() / value).is_dir()):
            raise ValueError(f"no folder {value!r} (leave it empty to go without stills)")
        return value


class Network3D(Trained):
    """What the notebooks of 3D networks share."""

    width: _Width = 0.25
    dropout: Share = 0.5
    weights: str = ""  # published ones by name, a file, or a run; empty = from scratch
    pixels: Literal["rgb", "residual"] = "rgb"  # residual: what changes from frame to frame
    model: str

    @property
    def published(self) -> Pretrained | None:
        """The published weights that `weights` names; None for a file, a run, or none."""
        return _published(self.weights, self.model)

    @property
    def reads(self) -> tuple[Path, ...]:
        file = RunFolder(self.root / self.weights).model if self.weights else None
        return (file,) if file and file.is_file() else ()

    def network_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"width": self.width, "dropout": self.dropout}
        if self.pixels == "residual":
            options["preprocessing"] = "residual"
        return options | (self.published.options if self.published else {})

    @classmethod
    def implied(cls, stated: Mapping[str, Any]) -> dict[str, Any]:
        """What published weights expect: their own clip and width where nothing else is stated."""
        model = stated.get("model", cls.model_fields["model"].default)
        found = _published(stated.get("weights", cls.model_fields["weights"].default), model)
        if found is None:
            return {}
        return {"frames": found.frames, "clip_fps": found.fps, "size": found.size,
                "crop_scale": found.crop_scale, "width": 1.0}  # fmt: skip

    @field_validator("weights")
    @classmethod
    def _is_file(cls, value: str, info: ValidationInfo) -> str:
        if value == "imagenet":
            raise ValueError(
                "is 'imagenet', which the frame CNN alone has (--only 02_frame_cnn, or a line in "
                "its file); here it names a file of published PyTorch weights"
            )
        if value and on_disk(info) and not _is_name(value):
            path = project_root() / value
            if not (path.is_file() or RunFolder(path).model.is_file()):
                raise ValueError(
                    f"is {value!r}: no published weights (har weights list), no file and no run's "
                    "folder with a model.keras (relative paths start at the project's folder)"
                )
        return value

    @field_validator("pixels")
    @classmethod
    def _as_trained(cls, value: str, info: ValidationInfo) -> str:
        if value == "residual" and info.data.get("weights"):
            raise ValueError("is 'residual', but the published weights know frames: give 'rgb'")
        return value


class C3D(Network3D):
    """Notebook 03."""

    model: Literal["c3d", "c3d_bn"] = "c3d_bn"
    dense: Count = 256

    def network_options(self) -> dict[str, Any]:
        options = {"dense": self.dense} | super().network_options()
        if self.weights and not RunFolder(project_root() / self.weights).model.is_file():
            options["preprocessing"] = "c3d_port"  # trained on differently scaled pixels
        return options


class Ablations(C3D):
    """Notebook 07: the C3D of notebook 03, and variants of it that change a few parameters."""

    preflight: Preflight = "off"
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)] = [0, 1, 2]
    # the parameters that each changes; at least one
    variants: dict[Name, dict[str, Any]] = {"base": {}}

    @property
    def most_devices(self) -> int:
        """The most devices that one of the variants trains on."""
        return max([self.devices, *(v.get("devices", 1) for v in self.variants.values())])

    @field_validator("variants")
    @classmethod
    def _known(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if not value:
            raise ValueError("names no variant; give {name: {parameter: value}}")
        for name, changes in value.items():
            for key in changes:
                if key not in C3D.model_fields or key in Common.model_fields:
                    near = nearest(key, C3D.model_fields)
                    raise ValueError(f"{name} changes {key!r}, no parameter of a C3D's run{near}")
        return value


class ResNeXt101(Network3D):
    """Notebook 04."""

    width: _Width = 0.5
    dropout: Share = 0.0
    model: Literal["resnext3d_26", "resnext3d_50", "resnext3d_101"] = "resnext3d_26"
    cardinality: Annotated[int, Field(ge=1, le=1024)] = 16

    @classmethod
    def implied(cls, stated: Mapping[str, Any]) -> dict[str, Any]:
        found = super().implied(stated)
        return found | {"cardinality": 32} if found else {}

    def network_options(self) -> dict[str, Any]:
        return {"cardinality": self.cardinality} | super().network_options()


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

    width: _Width = 0.25
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
    "study/params/base.py", "study/params/notebooks.py", "study/steps/data_prep.py",
    "study/steps/inputs.py", "study/steps/model_run.py", "study/steps/results.py",
)  # fmt: skip
# Of the evaluation only what scores and metrics depend on.
_SCORES = tuple(f"evaluation/{name}.py" for name in (
    "scores", "scoring", "predict", "resume", "metrics", "hits", "intervals", "calibration",
))  # fmt: skip
_MODEL = ("data", "models", "training", *_SCORES, *_STEPS)

NOTEBOOKS: dict[str, Notebook] = {
    "01_data_prep": Notebook(DataPrep, needs=(), stages=("store",), code=("data", *_STEPS)),
    "02_frame_cnn": Notebook(FrameCNN, code=_MODEL),
    "03_c3d": Notebook(C3D, code=_MODEL),
    "04_resnext101": Notebook(ResNeXt101, code=_MODEL),
    "05_evaluation": Notebook(
        Evaluation,
        needs=("01", "02", "03", "04"),
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
        ParamsError: values that are wrong, one line a mistake.
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


def _is_name(weights: Any) -> bool:
    """Whether it may name published weights: "x3d_s/kinetics400", or "kinetics400" alone."""
    return isinstance(weights, str) and weights in {
        part for name in pretrained.names() for part in (name, name.partition("/")[2])
    }


def _published(weights: Any, network: str) -> Pretrained | None:
    return pretrained.find(weights, network) if _is_name(weights) else None


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _NUMBER.match(value) else value
