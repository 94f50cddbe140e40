"""The parameters of the notebooks that train: clip, network, training, protocol of scoring."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from harlib import pretrained
from harlib.pretrained import Pretrained
from harlib.run_folder import RunFolder
from harlib.study.params.base import (
    Common,
    Count,
    Frames,
    Name,
    Processes,
    Share,
    Size,
    Width,
    on_disk,
    project_root,
)
from harlib.study.params.errors import nearest
from harlib.training import recipe_numbers

Split = Literal["train", "val", "test"]
# Bytes of a clip of whole numbers; a network's arithmetic takes four times that and more.
_CLIP = 2**31
# YAML 1.1 reads `1e-3` (no point) as text; people mean a number.
_NUMBER = re.compile(r"^[+-]?\d+(\.\d*)?[eE][+-]?\d+$")


# Before training: stop at a failed check; YAML 1.1 reads off as false.
Preflight = Annotated[
    Literal["stop", "show", "off"],
    BeforeValidator(lambda value: "off" if value is False else value),
]


RECIPES = ("study-adam", "study-sgd", "hara-sgd", "tran-sgd", "modern", "finetune-head",
           "finetune-gradual")  # fmt: skip


class Trained(Common):
    """What the three model notebooks share: clip, training, and the protocol of scoring."""

    if TYPE_CHECKING:  # each class below has its own
        model: str
        width: float
        dropout: float
        weights: str | None
        recipe: str

    frames: Frames = 16
    stride: Frames = 1
    # of a clip, in place of the stride
    clip_fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    size: Size = 48  # pixels of the square the network sees, or [height, width]
    batch: Count = 32
    epochs: Count = 25
    if not TYPE_CHECKING:  # mypy reads no list of a Literal
        recipe: Literal[RECIPES] = "modern"
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
    # epochs in a row without a better validation that end the training; 0 = never
    patience: Annotated[int, Field(ge=0, le=1_000_000)] = 0
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

    @property
    def frozen(self) -> tuple[str, bool]:
        """What is not trained: the stage or layer below which all is kept, and every batch norm."""
        below = {"finetune-head": "head", "probe": "classifier"}.get(self.recipe, "")
        return self.freeze_below or below, self.freeze_bn or self.recipe.startswith("finetune-")

    @property
    def takes_steps(self) -> bool:
        """Whether anything is learned step by step, by gradients."""
        return self.epochs > 0 and self.recipe != "probe"

    @property
    def length_in_recipe(self) -> str:
        """What of the recipe depends on the number of epochs; see `recipe_numbers.length_in`."""
        return recipe_numbers.length_in(self.recipe, self.recipe_options)

    def network_options(self) -> dict[str, Any]:
        """The options of the run's network, for `models.build`."""
        raise NotImplementedError

    @classmethod
    def implied(cls, stated: Mapping[str, Any]) -> dict[str, Any]:
        """What patience waits for is the best epoch, so its weights are scored."""
        return {"checkpoint": "best"} if stated.get("patience") else {}

    @field_validator("patience")
    @classmethod
    def _is_validated(cls, value: int, info: ValidationInfo) -> int:
        if value and info.data.get("validate_split") == "":
            raise ValueError(
                f"is {value}, but nothing is scored after each epoch: set validate_split, or 0"
            )
        if value and (info.data.get("recipe") == "probe" or info.data.get("epochs") == 0):
            raise ValueError(f"is {value}, but this run takes no epochs of training: leave it 0")
        return value

    @field_validator("checkpoint")
    @classmethod
    def _has_a_best(cls, value: str, info: ValidationInfo) -> str:
        if value == "best" and info.data.get("validate_split") == "":
            raise ValueError(
                "is 'best', but nothing is scored after each epoch: set validate_split"
            )
        if value == "last" and info.data.get("patience"):
            raise ValueError("is 'last', but with patience the best weights are kept: give 'best'")
        return value

    @field_validator("size")
    @classmethod
    def _can_be_held(cls, value: int | tuple, info: ValidationInfo) -> int | tuple:
        frames = info.data.get("frames", 1)
        height, width = (value, value) if isinstance(value, int) else value
        if (held := 3 * frames * height * width) > _CLIP:
            raise ValueError(
                f"is {height} × {width} pixels, {held / 1e9:,.1f} GB per clip with frames: {frames}"
                f"; a clip is at most {_CLIP / 1e9:.1f} GB"
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

    @field_validator("lr_multipliers")
    @classmethod
    def _one_plan_of_rates(cls, value: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        if value and info.data.get("recipe") == "finetune-gradual":
            raise ValueError(
                "and recipe finetune-gradual both set rates by stage: give one (its stage_decay is "
                "in recipe_options)"
            )
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
    width: Width = 1.0  # of the backbone "small"
    dropout: Share = 0.2
    stills: str = ""  # a folder per category, or Stanford-40's; empty = no stills stage
    stills_epochs: Count = 10

    @property
    def reads(self) -> tuple[Path, ...]:
        """A backbone of one's own."""
        own = self.backbone.endswith(".keras")
        return (project_root() / self.backbone,) if own else ()

    def network_options(self) -> dict[str, Any]:
        """See `Trained`: of `frame_cnn`."""
        backbone = str(self.reads[0]) if self.reads else self.backbone
        return {"backbone": backbone, "weights": self.weights, "width": self.width,
                "dropout": self.dropout}  # fmt: skip

    @field_validator("backbone")
    @classmethod
    def _is_there(cls, value: str, info: ValidationInfo) -> str:
        if value.endswith(".keras") and on_disk(info) and not (project_root() / value).is_file():
            raise ValueError(f"names {value!r}, which is not there (from the project's folder)")
        return value

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

    width: Width = 0.25
    dropout: Share = 0.5
    weights: str = ""  # published ones by name, a file, or a run; empty = from scratch
    pixels: Literal["rgb", "residual"] = "rgb"  # residual: what changes from frame to frame
    model: str

    takes_images: ClassVar[bool] = False  # whether the network may be one on single frames

    @property
    def published(self) -> Pretrained | None:
        """The published weights that `weights` names; None for a file, a run, or none."""
        return _published(self.weights, self.model)

    @property
    def reads(self) -> tuple[Path, ...]:
        """The network of the run that this one starts from."""
        file = _run_file(self.weights)
        return (file,) if file else ()

    def network_options(self) -> dict[str, Any]:
        """See `Trained`: with what published weights were built with."""
        options: dict[str, Any] = {"width": self.width, "dropout": self.dropout}
        if self.pixels == "residual":
            options["preprocessing"] = "residual"
        return options | (self.published.options if self.published else {})

    @classmethod
    def implied(cls, stated: Mapping[str, Any]) -> dict[str, Any]:
        """What published weights expect: their own clip and width where nothing else is stated."""
        model = stated.get("model", cls.model_fields["model"].default)
        found = _published(stated.get("weights", cls.model_fields["weights"].default), model)
        implied = super().implied(stated)
        if found is None:
            return implied
        rate = found.fps if found.frames > 1 else None  # a single frame has none
        return implied | {"frames": found.frames, "clip_fps": rate, "size": found.size,
                          "crop_scale": found.crop_scale, "width": 1.0}  # fmt: skip

    @field_validator("weights")
    @classmethod
    def _is_file(cls, value: str, info: ValidationInfo) -> str:
        if value == "imagenet" and not cls.takes_images:
            raise ValueError(
                "is 'imagenet', which the frame CNN alone has (--only 02_frame_cnn, or a line in "
                "its file); here it names a file of published PyTorch weights"
            )
        there = _is_name(value) or _run_file(value) or (project_root() / value).is_file()
        if value and on_disk(info) and not there:
            raise ValueError(
                f"is {value!r}: no published weights (har weights list), no file and no run's "
                "folder with a model.keras (relative paths start at the project's folder)"
            )
        return value

    @field_validator("pixels")
    @classmethod
    def _as_trained(cls, value: str, info: ValidationInfo) -> str:
        weights: Any = info.data.get("weights")
        if value == "residual" and weights and not _run_file(weights):
            raise ValueError("is 'residual', but the published weights know frames: give 'rgb'")
        return value


class C3D(Network3D):
    """Notebook 03."""

    model: Literal["c3d", "c3d_bn"] = "c3d_bn"
    dense: Count = 256

    def network_options(self) -> dict[str, Any]:
        """See `Trained`: of `c3d`."""
        options = {"dense": self.dense} | super().network_options()
        if self.weights and not _run_file(self.weights):
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

    width: Width = 0.5
    dropout: Share = 0.0
    model: Literal["resnext3d_26", "resnext3d_50", "resnext3d_101"] = "resnext3d_26"
    cardinality: Annotated[int, Field(ge=1, le=1024)] = 16

    @classmethod
    def implied(cls, stated: Mapping[str, Any]) -> dict[str, Any]:
        """See `Network3D`: with the groups of the published network."""
        found = super().implied(stated)
        return found | {"cardinality": 32} if "width" in found else found

    def network_options(self) -> dict[str, Any]:
        """See `Trained`: of `resnext3d`."""
        return {"cardinality": self.cardinality} | super().network_options()


class Transfer(Network3D):
    """Notebook 09: any network by name, from published weights or from scratch."""

    takes_images: ClassVar[bool] = True

    if not TYPE_CHECKING:  # one more than the others have
        recipe: Literal[(*RECIPES, "probe")] = "probe"
    model: Name = "efficientnet_lite0"
    weights: str = "efficientnet_lite0/imagenet"
    width: Width = 1.0
    dropout: Share = 0.0
    frames: Frames = 1
    size: Size = 224
    batch: Count = 16
    epochs: Annotated[int, Field(ge=0, le=1_000_000)] = 10  # 0 = scored as it is

    @classmethod
    def implied(cls, stated: Mapping[str, Any]) -> dict[str, Any]:
        """See `Network3D`; another network than the notebook's own begins without weights."""
        own = cls.model_fields["model"].default
        if "weights" not in stated and stated.get("model", own) != own:
            own_clip = {"weights": "", "recipe": "modern", "frames": 16, "size": 112}
            return Trained.implied(stated) | own_clip
        return super().implied(stated)

    @field_validator("model")
    @classmethod
    def _of_these_weights(cls, value: str, info: ValidationInfo) -> str:
        weights: Any = info.data.get("weights")
        found = pretrained.find(weights, value) if _is_name(weights) else None
        if found and found.network != value:
            raise ValueError(f"is {value!r}, and {found.name} are weights of {found.network}")
        return value

    @field_validator("model")
    @classmethod
    def _knows_something(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("weights") == "" and info.data.get("epochs") == 0:
            raise ValueError("knows nothing without weights and with epochs: 0: give one of them")
        return value


def _run_file(weights: str) -> Path | None:
    """The network of an earlier run, by its folder or by its file; None for other weights."""
    if not weights or _is_name(weights):
        return None
    path = project_root() / weights
    file = path if path.suffix == ".keras" else RunFolder(path).model
    return file if file.is_file() else None


def _is_name(weights: Any) -> bool:
    """Whether it may name published weights: "x3d_s/kinetics400", or "kinetics400" alone."""
    return isinstance(weights, str) and weights in {
        part for name in pretrained.names() for part in (name, name.partition("/")[2])
    }


def _published(weights: Any, network: str) -> Pretrained | None:
    if weights == "imagenet" and f"{network}/imagenet" not in pretrained.names():
        return None  # what that means here is said where it is looked at
    return pretrained.find(weights, network) if _is_name(weights) else None


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _NUMBER.match(value) else value
