"""What is asked of clips: how they are cut, how training changes them, how many a video gives."""

import dataclasses
from typing import Any, Literal

import numpy as np

from harlib.data.loading import sampling
from harlib.data.loading.augment import CROPS, MIXES

SAMPLINGS = ("clip", "segments")


@dataclasses.dataclass(frozen=True)
class ClipSpec:
    """The clip that a network takes: uint8 (frames, height, width, 3), RGB.

    Attributes:
        frames, stride: a clip is `frames` frames, `stride` frames of the stored video apart.
        size: pixels of the square's side, or (height, width).
        fps: sample at this rate instead (frames per second); the stride is then the video's own
            rate / fps.
        sampling: "clip" takes neighbouring frames, "segments" one frame from each of `frames`
            equal parts of the video.

    Raises:
        ValueError: for a value outside these.

    >>> ClipSpec(size=48).shape
    (16, 48, 48, 3)
    """

    frames: int = 16
    stride: float = 1
    size: int | tuple[int, int] = 112
    fps: float | None = None
    sampling: str = "clip"

    def __post_init__(self) -> None:
        counted("frames", self.frames)
        sampling.as_size(self.size)  # a wrong one is refused here
        if self.sampling not in SAMPLINGS:
            raise ValueError(
                f"sampling must be one of {', '.join(SAMPLINGS)}, received {self.sampling!r}"
            )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, height, width, 3) of one clip."""
        return (self.frames, *sampling.as_size(self.size), 3)

    def stride_at(self, rate: float) -> float:
        """Frames of a video of this rate from one frame of the clip to the next.

        >>> ClipSpec(stride=2).stride_at(25.0), ClipSpec(fps=10.0).stride_at(25.0)
        (2.0, 2.5)
        """
        return float(self.stride) if self.fps is None else rate / self.fps


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How training changes its clips.

    Attributes:
        crop, flip, color, grey, reverse: see `augment.augment`.
        jitter: temporal jitter, see `sampling.random_clip`.
        mix, mix_share: "", "mixup" or "cutmix", of this share of the batches; see `augment.mix`.

    Raises:
        ValueError: for an unknown crop or mix, or a share without a mix.
    """

    crop: str = "hara"
    flip: bool = True
    color: float = 0.0
    grey: float = 0.0
    reverse: float = 0.0
    jitter: float = 0.0
    mix: str = ""
    mix_share: float = 1.0

    def __post_init__(self) -> None:
        if self.crop not in CROPS:
            raise ValueError(f"crop must be one of {', '.join(CROPS)}, received {self.crop!r}")
        if self.mix not in ("", *MIXES):
            raise ValueError(f'mix must be one of {", ".join(MIXES)} or "", received {self.mix!r}')
        if not 0 < self.mix_share <= 1 or (self.mix_share < 1 and not self.mix):
            raise ValueError(
                f"mix_share must be above 0, at most 1, and 1 without a mix, received "
                f"{self.mix_share} with mix={self.mix!r}"
            )

    @property
    def pixels(self) -> dict[str, Any]:
        """The arguments of `augment.augment`."""
        names = ("crop", "flip", "color", "grey", "reverse")
        return {name: getattr(self, name) for name in names}


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Which views of a split's videos are scored.

    Attributes:
        split: "train", "val" or "test".
        clips: clips per video, equally spaced; "windows" takes every non-overlapping window, so
            that long videos have more views.
        crops: 1, 3 or 5 of each clip; see `sampling.crops`.
        crop_scale: share of the largest box that a crop covers: 0.875 for a network trained on
            112 of 128 pixels; None for the whole short side (0.875 with 5 crops).

    Raises:
        ValueError: for a value outside these.
    """

    split: str
    clips: int | Literal["windows"] = 1
    crops: int = 1
    crop_scale: float | None = None

    def __post_init__(self) -> None:
        if self.clips != "windows":
            counted("clips", self.clips)
        sampling.crops(8, 8, 8, self.crops, self.crop_scale)  # a wrong one is refused here


def counted(name: str, value: Any) -> int:
    """`value` as an int of 1 or more.

    Raises:
        ValueError: that says what `name` must be.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be an integer of 1 or more, received {value!r}")
    return int(value)
