"""Store + sampling + augmentation -> batches, as Grain datasets.

The element at position i is a pure function of (seed, i): the order is the same for any number of
threads and processes, and training resumes at step n with `dataset[n:]`. Grain's own shuffle and
random_map are not used: its epoch e of seed s is its epoch e + 1 of seed s - 1, so that runs of
neighbouring seeds would see the same orders.
"""

import functools
import math
import sys
from collections.abc import Sequence
from typing import Any

import cv2
import grain
import numpy as np

from harlib.data import buffers
from harlib.data.loading import sampling
from harlib.data.loading.augment import augment, cut, mix
from harlib.data.loading.prefetch import naming
from harlib.data.loading.specs import Augmentation, ClipSpec, Protocol, counted
from harlib.data.store.clip_store import ClipStore

PLAIN = Augmentation()
# Purposes of random numbers: each has its own stream for every (seed, number).
_ORDER, _CLIP, _LABELS, _MIX = range(4)
_LOOKED = 100  # epochs in which a video is looked for


def training_batches(
    store: ClipStore,
    clip: ClipSpec,
    augmentation: Augmentation = PLAIN,
    *,
    batch: int,
    split: str = "train",
    seed: int = 0,
    balanced: bool = False,
    shuffle_labels: bool = False,
    part: tuple[int, int] = (0, 1),
) -> grain.MapDataset:
    """An endless dataset of augmented training batches, one random clip of a video at a time.

    The videos of all epochs form one stream, a new permutation each epoch, cut into batches: a
    batch may hold the end of one epoch and the beginning of the next, and after any number of
    steps no video was seen more than once oftener than another.

    Args:
        clip: what a clip is; `augmentation`: how it is changed.
        batch: clips in a batch.
        seed: 0 or more; order, clips, crops and colours follow from it.
        balanced: show every category equally often: an epoch (as many clips as videos) repeats the
            videos of small categories and shows a random part of large ones.
        shuffle_labels: permute the labels among the videos, once for all epochs: a network trained
            on them that does better than chance on other videos reveals a leak.
        part: (number, parts): of several processes, this one's equal part of every batch.

    Returns:
        grain.MapDataset of (clips, labels): uint8 (batch, frames, height, width, 3) and int32
        (batch,), with a mix float32 (batch, classes).

    Raises:
        ValueError: for a split without videos, or arguments that do not fit together.
    """
    source = _Training(
        store, clip, augmentation, batch=batch, split=split, seed=seed, balanced=balanced,
        shuffle_labels=shuffle_labels, part=part,
    )  # fmt: skip
    return grain.MapDataset.source(source)


def shown_clips(
    store: ClipStore,
    clip: ClipSpec,
    augmentation: Augmentation = PLAIN,
    *,
    video: int | None = None,
    times: int = 4,
    **how: Any,
) -> tuple[int, np.ndarray, np.ndarray]:
    """(row of a video, its clips, their labels): as `training_batches` show it the first times.

    Args:
        store, clip, augmentation, how: what `training_batches` is called with.
        video: row of `store.videos`; None for the one that is shown first.
        times: how often; fewer where it comes less often in 100 epochs (with `balanced`).

    Returns:
        uint8 (times, frames, height, width, 3), and the batches' labels: int32 (times,), with a mix
        float32 (times, classes).

    Raises:
        ValueError: as `training_batches`, or for a video of another split.
    """
    usual: dict[str, Any] = {"split": "train", "seed": 0, "balanced": False}
    usual |= {"shuffle_labels": False, "part": (0, 1)}
    source = _Training(store, clip, augmentation, **usual | how)
    if video is None:
        video = int(source.rows[source.video_at(0)])
    own, own_labels = [], []
    for position in source.positions(video, times):
        number, place = divmod(position, source.batch)
        clips, labels = source[number]
        own.append(clips[place].copy())  # a view would keep the whole batch
        own_labels.append(labels[place])
    return video, np.stack(own), np.stack(own_labels)


def steps_per_epoch(store: ClipStore, split: str, batch: int) -> int:
    """Batches until every video of the split was seen at least once.

    It is rounded up; what is left of the last batch already belongs to the next epoch.
    """
    return math.ceil(len(_rows(store, split)) / counted("batch", batch))


def evaluation_batches(
    store: ClipStore, clip: ClipSpec, protocol: Protocol, *, batch: int
) -> grain.MapDataset:
    """A finite dataset of every view of every video of a split, in the order of `store.videos`.

    A video's view number is clip * crops + crop; the last batch may be smaller.

    Returns:
        grain.MapDataset of dict(clips=uint8 (b, frames, height, width, 3), video=int32 (b,) row of
        `store.videos`, view=int32 (b,), start_s=float32 (b,) second of its first frame in the
        stored video, label=int32 (b,)), b <= batch.

    Raises:
        ValueError: for a split without videos, or arguments that do not fit together.
    """
    return grain.MapDataset.source(_Evaluation(store, clip, protocol, batch=batch))


class _Clips:
    """What both sources share: the videos of a split, and one clip of one of them."""

    def __init__(self, store: ClipStore, clip: ClipSpec, split: str, batch: int) -> None:
        self.store = store
        self.rows = _rows(store, split)
        self.batch = counted("batch", batch)
        self.frames, *size, _ = clip.shape
        self.size = tuple(size)
        self.sampling = clip.sampling
        videos = store.videos.iloc[self.rows]
        self.labels = videos["label"].to_numpy(np.int32)
        self.lengths = videos["frames"].to_numpy(np.int64)
        self.rates = videos["fps"].to_numpy(np.float64)
        self.strides = np.array([clip.stride_at(rate) for rate in self.rates])

    def empty(self, count: int) -> np.ndarray:
        return buffers.empty((count, self.frames, *self.size, 3))


class _Training(_Clips):
    def __init__(
        self,
        store: ClipStore,
        clip: ClipSpec,
        augmentation: Augmentation,
        *,
        batch: int,
        split: str,
        seed: int,
        balanced: bool,
        shuffle_labels: bool,
        part: tuple[int, int],
    ) -> None:
        super().__init__(store, clip, split, batch)
        if augmentation.mix and batch == 1:
            raise ValueError(f"{augmentation.mix} blends two clips of a batch, received batch=1")
        number, parts = part
        if not 0 <= number < parts or batch % parts:
            raise ValueError(
                f"part {number} of {parts}: a batch of {batch} clips is cut into equal parts, "
                f"numbered from 0"
            )
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, received {seed}")
        self.seed, self.classes, self.augmentation = seed, len(store.categories), augmentation
        self.own = range(number * batch // parts, (number + 1) * batch // parts)
        self.by_category = np.argsort(self.labels, kind="stable")
        # Without balance all videos are one category.
        self.counts = (len(self.rows),)
        if balanced:
            self.counts = tuple(n for n in np.bincount(self.labels).tolist() if n)
        if shuffle_labels:
            self.labels = _rng(seed, _LABELS).permutation(self.labels)

    def __len__(self) -> int:
        return sys.maxsize  # Grain's way of saying endless

    def __getitem__(self, i: int) -> Any:
        _single_threaded_opencv()
        places: Sequence[int] = self.own
        part = None
        blended = self.augmentation.mix
        if blended and len(places) < self.batch:  # blending also needs the clip before the part
            part = self.own.start, self.batch
            places = ((self.own.start - 1) % self.batch, *self.own)
        clips, labels = self.empty(len(places)), np.empty(len(places), np.int32)
        for j, place in enumerate(places):
            position = i * self.batch + place
            k = self.video_at(position)
            with naming(self.store, self.rows[k]):
                rng = _rng(self.seed, _CLIP, position)
                clip = self.store.read(self.rows[k], self.frame_numbers(k, rng))
                augment(clip, rng, size=self.size, out=clips[j], **self.augmentation.pixels)
            labels[j] = self.labels[k]
        if blended:
            rng, share = _rng(self.seed, _MIX, i), self.augmentation.mix_share
            return mix(clips, labels, self.classes, rng, kind=blended, share=share, part=part)
        return clips, labels

    def video_at(self, position: int) -> int:
        epoch, place = divmod(position, len(self.rows))
        return self.by_category[_order(self.seed, epoch, self.counts)[place]]

    def positions(self, video: int, times: int) -> list[int]:
        """Where in the stream of clips a row of `store.videos` comes the first times."""
        if video not in self.rows:
            raise ValueError(f"video {video} is none of the split that is trained on")
        found: list[int] = []
        for epoch in range(_LOOKED):
            videos = self.rows[self.by_category[_order(self.seed, epoch, self.counts)]]
            found += (epoch * len(self.rows) + np.flatnonzero(videos == video)).tolist()
            if len(found) >= times:
                break
        return found[:times]

    def frame_numbers(self, k: int, rng: np.random.Generator) -> np.ndarray:
        if self.sampling == "segments":
            return sampling.random_segments(self.lengths[k], self.frames, rng)
        return sampling.random_clip(
            self.lengths[k], self.frames, self.strides[k], rng, jitter=self.augmentation.jitter
        )


class _Evaluation(_Clips):
    def __init__(self, store: ClipStore, clip: ClipSpec, protocol: Protocol, *, batch: int) -> None:
        super().__init__(store, clip, protocol.split, batch)
        clips, crops = protocol.clips, protocol.crops
        if clips == "windows" and clip.sampling != "clip":
            raise ValueError(f'clips="windows" needs sampling="clip", received {clip.sampling!r}')
        self.clips, self.crops, self.scale = clips, crops, protocol.crop_scale
        if clips == "windows":
            views = sampling.count_windows(self.lengths, self.frames, self.strides) * crops
        else:
            views = np.full(len(self.rows), clips * crops)
        self.firsts = np.append(0, np.cumsum(views))  # each video's first view; then all views

    def __len__(self) -> int:
        return math.ceil(self.firsts[-1] / self.batch)

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        _single_threaded_opencv()
        numbers = np.arange(i * self.batch, min((i + 1) * self.batch, self.firsts[-1]))
        videos = np.searchsorted(self.firsts, numbers, side="right") - 1
        views = numbers - self.firsts[videos]
        clips, read = self.empty(len(numbers)), None
        starts = np.zeros(len(numbers), np.float32)
        for j, (k, view) in enumerate(zip(videos, views, strict=True)):
            number, crop = divmod(view, self.crops)
            with naming(self.store, self.rows[k]):
                if read != (k, number):  # the crops of one clip follow each other: read it once
                    frames = self.frame_numbers(k)[number]
                    clip = self.store.read(self.rows[k], frames)
                    boxes = sampling.crops(
                        clip.shape[1], clip.shape[2], self.size, self.crops, self.scale
                    )
                    read = (k, number)
                starts[j] = frames[0] / self.rates[k]
                cut(clip, boxes[crop], self.size, out=clips[j])
        return dict(
            clips=clips,
            video=self.rows[videos].astype(np.int32),
            view=views.astype(np.int32),
            start_s=starts,
            label=self.labels[videos],
        )

    def frame_numbers(self, k: int) -> np.ndarray:
        if self.clips == "windows":  # of clips alone
            return sampling.windows(self.lengths[k], self.frames, self.strides[k])
        if self.sampling == "segments":
            return sampling.uniform_segments(self.lengths[k], self.frames, self.clips)
        return sampling.uniform_clips(self.lengths[k], self.frames, self.strides[k], self.clips)


def _rows(store: ClipStore, split: str) -> np.ndarray:
    rows = np.asarray(store.rows(split))
    if not len(rows):
        splits = ", ".join(sorted(store.videos["split"].unique())) or "none"
        raise ValueError(f"the store has no video of split {split!r}; its splits: {splits}")
    return rows


def _rng(seed: int, purpose: int, number: int = 0) -> np.random.Generator:
    return np.random.default_rng((seed, purpose, number))


@functools.lru_cache(maxsize=4)  # a batch straddles two epochs; threads may be one batch apart
def _order(seed: int, epoch: int, counts: tuple[int, ...]) -> np.ndarray:
    return sampling.balanced_order(counts, _rng(seed, _ORDER, epoch))


def _single_threaded_opencv() -> None:
    # Readers are the parallelism; OpenCV's own threads would fight them for the cores.
    if cv2.getNumThreads() > 1:
        cv2.setNumThreads(0)
