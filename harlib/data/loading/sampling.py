"""Which videos, which frames and which crop: pure index arithmetic, no pixels.

Frame numbers count from 0. A stride is the distance between the clip's frames in frames of the
video; it may be a fraction, so that `video_fps / wanted_fps` resamples a video to a wanted rate.
A video shorter than the clip is looped from its start, as in Hara et al.'s training code.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

HARA_SCALES = tuple(2.0 ** (-i / 4) for i in range(5))
POSITIONS = ("center", "top-left", "top-right", "bottom-left", "bottom-right")


class Box(NamedTuple):
    """A crop in pixels of the frame."""

    top: int
    left: int
    height: int
    width: int


# ---------------------------------------------------------------------------------------- videos


def balanced_order(counts: Sequence[int] | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One epoch's order of the videos 0..sum(counts) - 1: every category equally often.

    The videos are numbered by category, `counts` in each; the order has as many places as videos. A
    small category's videos come repeatedly, a large one shows a random part. With one category the
    order is a permutation.

    Returns:
        int64 array (sum(counts),) of video numbers.
    """
    total = sum(counts)
    # Categories that get one place more than others, where counts do not divide, are drawn too.
    places = np.bincount(np.resize(rng.permutation(len(counts)), total), minlength=len(counts))
    firsts = np.cumsum((0, *counts[:-1]))
    drawn = [
        first + np.resize(rng.permutation(count), number)
        for first, count, number in zip(firsts, counts, places, strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))


# ---------------------------------------------------------------------------------------- frames


def random_clip(
    length: int, frames: int, stride: float, rng: np.random.Generator, *, jitter: float = 0.0
) -> np.ndarray:
    """One clip at a uniformly random start.

    With `jitter` j > 0 the stride is drawn log-uniformly from stride / (1 + j) to stride * (1 + j):
    the action runs slower or faster. A video shorter than the clip is looped.

    Returns:
        int64 array (frames,) of frame numbers in 0..length - 1.

    >>> random_clip(length=5, frames=8, stride=1, rng=np.random.default_rng(0))
    array([0, 1, 2, 3, 4, 0, 1, 2])
    """
    if jitter < 0:
        raise ValueError(f"jitter must be 0 or more, received {jitter}")
    if jitter:
        stride = stride * (1 + jitter) ** rng.uniform(-1, 1)
    offsets = _offsets(length, frames, stride)
    slack = length - 1 - offsets[-1]
    # A looped clip starts at 0: another start would put the jump from the video's end to its
    # beginning at a random place of the action.
    start = rng.integers(0, slack + 1) if slack > 0 else 0
    return (start + offsets) % length


def uniform_clips(length: int, frames: int, stride: float, clips: int) -> np.ndarray:
    """Clips with equally spaced starts, the first and the last at the video's two ends.

    A single clip is the middle one. A video shorter than the clip is looped.

    Returns:
        int64 array (clips, frames) of frame numbers.

    >>> uniform_clips(length=10, frames=3, stride=2, clips=2)
    array([[0, 2, 4],
           [5, 7, 9]])
    """
    _positive("clips", clips)
    offsets = _offsets(length, frames, stride)
    slack = max(0, length - 1 - offsets[-1])
    if clips == 1:
        starts = np.array([slack // 2])
    else:
        starts = np.round(np.linspace(0, slack, clips)).astype(np.int64)
    return (starts[:, None] + offsets) % length


def windows(length: int, frames: int, stride: float = 1) -> np.ndarray:
    """Every non-overlapping window of the video; the incomplete last one loops its own frames.

    Returns:
        int64 array (windows, frames) of frame numbers.

    Reference:
        Hara et al., "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?",
        CVPR 2018: the test protocol of section 3.2.

    >>> windows(length=10, frames=4)
    array([[0, 1, 2, 3],
           [4, 5, 6, 7],
           [8, 9, 8, 9]])
    """
    offsets = _offsets(length, frames, stride)
    starts = np.arange(int(count_windows(length, frames, stride))) * _window_step(frames, stride)
    inside = np.minimum(frames, np.searchsorted(offsets, length - starts))
    return starts[:, None] + offsets[np.arange(frames) % inside[:, None]]


def count_windows(
    length: int | np.ndarray, frames: int, stride: float | np.ndarray = 1
) -> np.ndarray:
    """How many `windows` there are; arrays are treated element by element."""
    return -(-np.asarray(length) // _window_step(frames, stride))


def _window_step(frames: int, stride: float | np.ndarray) -> np.ndarray:
    return np.maximum(1, np.round(frames * np.asarray(stride))).astype(np.int64)


def random_segments(length: int, segments: int, rng: np.random.Generator) -> np.ndarray:
    """One random frame from each of `segments` equal parts of the video.

    Returns:
        int64 array (segments,) of frame numbers, never falling.

    Reference:
        Wang et al., "Temporal Segment Networks", ECCV 2016.
    """
    return _segments(length, segments, rng.random(segments))


def uniform_segments(length: int, segments: int, clips: int = 1) -> np.ndarray:
    """The test-time counterpart of `random_segments`.

    View k takes the k-th of `clips` equally spaced places in every part; a single view takes the
    middles.

    Returns:
        int64 array (clips, segments) of frame numbers.

    >>> uniform_segments(length=12, segments=3)
    array([[ 2,  6, 10]])
    """
    _positive("clips", clips)
    return _segments(length, segments, (np.arange(clips)[:, None] + 0.5) / clips)


def _segments(length: int, segments: int, place: np.ndarray) -> np.ndarray:
    _positive("length", length)
    _positive("segments", segments)
    numbers = (np.arange(segments) + place) * (length / segments)
    return np.minimum(numbers.astype(np.int64), length - 1)


def _offsets(length: int, frames: int, stride: float) -> np.ndarray:
    _positive("length", length)
    _positive("frames", frames)
    _positive("stride", stride)
    return (np.arange(frames) * stride).astype(np.int64)


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be more than 0, received {value}")


# ----------------------------------------------------------------------------------------- boxes


def as_size(size: int | Sequence[int]) -> tuple[int, int]:
    """`size` as (height, width): an int means a square.

    >>> as_size(112), as_size((128, 171))
    ((112, 112), (128, 171))
    """
    height, width = (size, size) if isinstance(size, int | float | np.number) else size
    if not (height >= 1 and width >= 1):
        raise ValueError(f"size must be 1 pixel or more each way, received {size}")
    return int(height), int(width)


def fitting(
    height: int, width: int, size: int | Sequence[int], scale: float = 1.0
) -> tuple[int, int]:
    """(height, width) of the largest box of `size`'s shape inside the frame, times `scale`.

    >>> fitting(height=240, width=320, size=112), fitting(240, 320, (128, 171), scale=0.5)
    ((240, 240), (120, 160))
    """
    if not 0 < scale <= 1:
        raise ValueError(f"scale must be more than 0 and at most 1, received {scale}")
    wanted_height, wanted_width = as_size(size)
    ratio = min(height / wanted_height, width / wanted_width) * scale
    return max(1, round(wanted_height * ratio)), max(1, round(wanted_width * ratio))


def place(
    height: int, width: int, box_height: int, box_width: int, position: str = "center"
) -> Box:
    """The box of the given size at one of `POSITIONS` of the frame."""
    if position not in POSITIONS:
        raise ValueError(f"position must be one of {', '.join(POSITIONS)}, received {position!r}")
    down, right = height - box_height, width - box_width
    if position == "center":
        return Box(down // 2, right // 2, box_height, box_width)
    return Box(
        0 if "top" in position else down, 0 if "left" in position else right, box_height, box_width
    )


def crops(
    height: int, width: int, size: int | Sequence[int], n: int = 1, scale: float | None = None
) -> list[Box]:
    """The `n` crops of a frame that are scored at test time.

    Args:
        size: int or (height, width) of the network's input; gives the boxes' shape.
        n: 1 the centre; 3 the two ends and the middle of the side that has room; 5 the centre and
            the four corners.
        scale: share of the largest box that fits. By default 1 (the whole short side is seen, as
            in Hara's protocol), for 5 crops 0.875 (at 1 the top and the bottom corners of a frame
            coincide; 0.875 cuts 112 of 128 pixels).

    Returns:
        List of n `Box`.

    Raises:
        ValueError: another number of crops.

    >>> [box.left for box in crops(height=128, width=171, size=112, n=3)]
    [0, 21, 43]
    """
    if n not in (1, 3, 5):
        raise ValueError(f"crops must be 1, 3 or 5, received {n}")
    if scale is None:
        scale = 0.875 if n == 5 else 1.0
    box = fitting(height, width, size, scale)
    if n == 1:
        return [place(height, width, *box)]
    if n == 5:
        return [place(height, width, *box, position) for position in POSITIONS]
    down, right = height - box[0], width - box[1]
    if right >= down:
        return [Box(down // 2, left, *box) for left in (0, right // 2, right)]
    return [Box(top, right // 2, *box) for top in (0, down // 2, down)]


def corner_box(
    height: int,
    width: int,
    size: int | Sequence[int],
    rng: np.random.Generator,
    scales: Sequence[float] = HARA_SCALES,
) -> Box:
    """A box at the centre or a corner, its scale one of `scales`: Hara's multi-scale corner crop.

    Reference:
        Hara et al., CVPR 2018, section 3.2 (after Wang et al., "Towards Good Practices for Very
        Deep Two-Stream ConvNets", 2015).
    """
    scale = scales[int(rng.random() * len(scales))]
    position = POSITIONS[int(rng.random() * len(POSITIONS))]
    return place(height, width, *fitting(height, width, size, scale), position)


def resized_box(
    height: int,
    width: int,
    size: int | Sequence[int],
    rng: np.random.Generator,
    area: tuple[float, float] = (0.25, 1.0),
    stretch: float = 4 / 3,
) -> Box:
    """A box of random area and shape anywhere in the frame: Inception's random-resized crop.

    Args:
        area: range of the box's share of the frame's area, drawn uniformly.
        stretch: the box is up to this factor wider or narrower than `size`'s shape, log-uniformly.

    Reference:
        Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6.
    """
    wanted_height, wanted_width = as_size(size)
    for _ in range(10):  # a drawn box may not fit; after ten tries the largest centred box does
        pixels = height * width * rng.uniform(*area)
        ratio = wanted_width / wanted_height * stretch ** rng.uniform(-1, 1)
        box_width, box_height = round((pixels * ratio) ** 0.5), round((pixels / ratio) ** 0.5)
        if 1 <= box_width <= width and 1 <= box_height <= height:
            return _anywhere(height, width, box_height, box_width, rng)
    return place(height, width, *fitting(height, width, size))


def random_box(height: int, width: int, size: int | Sequence[int], rng: np.random.Generator) -> Box:
    """A box of exactly `size` pixels anywhere in the frame (Tran's 112 of 128 x 171).

    Nothing is resized by it; in a smaller frame it is the largest box of that shape.
    """
    box_height, box_width = as_size(size)
    if box_height > height or box_width > width:
        box_height, box_width = fitting(height, width, size)
    return _anywhere(height, width, box_height, box_width, rng)


def _anywhere(
    height: int, width: int, box_height: int, box_width: int, rng: np.random.Generator
) -> Box:
    top = int(rng.random() * (height - box_height + 1))
    left = int(rng.random() * (width - box_width + 1))
    return Box(top, left, box_height, box_width)
