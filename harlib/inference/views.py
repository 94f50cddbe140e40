"""A video's frames, as they come -> the clips that a network looks at, in constant memory."""

from __future__ import annotations

import dataclasses
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from harlib.data import CODECS, ClipSpec, Settings, VideoReader
from harlib.data.loading import sampling
from harlib.data.loading.augment import cut

_GROUP = 16  # frames that are packed and unpacked together: H.264's keyframes are so far apart


@dataclasses.dataclass(frozen=True)
class View:
    """One clip of a video, uint8 (crops, frames, height, width, 3), and when it is shown."""

    start_s: float
    end_s: float
    crops: np.ndarray


@dataclasses.dataclass(frozen=True)
class Cut:
    """How frames become a view's crops: as in scoring (`harlib.data.evaluation_batches`)."""

    clip: ClipSpec
    crops: int = 1
    crop_scale: float | None = None

    def view(self, frames: list[np.ndarray], start: int, span: int, rate: float) -> View:
        """A view of these frames, which begin at number `start` and last for `span` of them."""
        clip = np.stack(frames)
        height, width = clip.shape[1:3]
        boxes = sampling.crops(height, width, self.clip.size, self.crops, self.crop_scale)
        crops = np.stack([cut(clip, box, self.clip.size) for box in boxes])
        return View(start / rate, (start + span) / rate, crops)


def measured(
    path: str | os.PathLike,
    settings: Settings,
    most: int | None = None,
    longest_s: float = math.inf,
) -> tuple[int, float]:
    """(frames, rate) of a video as it would be stored; it is decoded, at next to no size.

    `most`: frames after which it stops. `longest_s`: seconds above which it is refused.

    Raises:
        VideoError: it cannot be read.
    """
    with VideoReader(
        path, size=(8, 8), fps=settings.fps, max_frames=most, longest_s=longest_s
    ) as reader:
        count = sum(1 for _ in reader)
        return count, settings.fps or round(reader.decoded / reader.span_s, 4)


def as_stored(frames: Iterable[np.ndarray], settings: Settings) -> Iterator[np.ndarray]:
    """The frames with what the clip store's codec makes of them, which is what was trained on."""
    if settings.codec == "raw":
        yield from frames
        return
    codec = CODECS[settings.codec]
    shape: list[tuple[int, ...]] = []

    def watched() -> Iterator[np.ndarray]:
        for frame in frames:
            shape[:] = [frame.shape]
            yield frame

    def unpacked() -> Iterator[np.ndarray]:
        height, width, _ = shape[0]
        payload = np.frombuffer(b"".join(held), np.uint8)
        offsets = np.cumsum([0, *map(len, held)])
        yield from codec.decode(payload, offsets, np.arange(len(held)), height, width)

    held: list[bytes] = []
    for chunk in codec.encode(watched(), settings.quality):
        held.append(chunk)
        if len(held) == _GROUP:
            yield from unpacked()
            held = []
    if held:
        yield from unpacked()


def windows(
    frames: Iterable[np.ndarray], rate: float, how: Cut, every_s: float | None = None
) -> Iterator[View]:
    """Views that begin every `every_s` seconds; by default side by side, as `sampling.windows`.

    The last one loops its own frames where the video ends inside it. Overlapping ones end with the
    first that reaches the end.
    """
    wanted, stride = how.clip.frames, how.clip.stride_at(rate)
    offsets = (np.arange(wanted) * stride).astype(np.int64)
    whole = max(1, round(wanted * stride))
    step = float(whole) if every_s is None else max(1.0, every_s * rate)
    held: deque[np.ndarray] = deque()
    first = start = count = 0  # numbers of the frame that `held` begins with, of the next window
    seen = 0  # frames that windows have reached
    for frame in frames:
        if first + len(held) >= start:
            held.append(frame)
        else:  # between two windows
            first += 1
        if first + len(held) == start + offsets[-1] + 1:
            yield how.view([held[start - first + o] for o in offsets], start, whole, rate)
            seen, count = start + whole, count + 1
            start = round(count * step)
            while held and first < start:
                held.popleft()
                first += 1
    length = first + len(held)
    while start < length and seen < length:
        inside = int(np.searchsorted(offsets, length - start))
        looped = offsets[np.arange(wanted) % inside]
        yield how.view([held[start - first + o] for o in looped], start, length - start, rate)
        seen, count = min(length, start + whole), count + 1
        start = round(count * step)


def spread(
    frames: Iterable[np.ndarray], length: int, rate: float, how: Cut, count: int
) -> Iterator[View]:
    """`count` equally spaced views of a video of `length` frames, as `sampling.uniform_clips`."""
    stride = how.clip.stride_at(rate)
    numbers = sampling.uniform_clips(length, how.clip.frames, stride, count)
    last = numbers.max(axis=1)
    needed = {number: int(np.flatnonzero((numbers == number).any(axis=1)).max())
              for number in np.unique(numbers)}  # fmt: skip
    held: dict[int, np.ndarray] = {}
    done = 0
    for number, frame in enumerate(frames):
        if number in needed:
            held[number] = frame
        while done < count and number == last[done]:
            begin = int(numbers[done].min())
            span = min(length - begin, max(1, round(how.clip.frames * stride)))
            yield how.view([held[n] for n in numbers[done]], begin, span, rate)
            done += 1
            held = {n: f for n, f in held.items() if needed[n] >= done}
