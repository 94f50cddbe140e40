"""Store + sampling + augmentation -> batches, as Grain datasets.

The element at position i is a pure function of (seed, i): the order is the same for any number of
threads and processes, and training resumes at step n with `dataset[n:]`. Grain's own shuffle and
random_map are not used: its epoch e of seed s is its epoch e + 1 of seed s - 1, so that runs of
neighbouring seeds would see the same orders.
"""

import functools
import math
import sys

import cv2
import grain
import numpy as np

from harlib.data import buffers
from harlib.data.loading import sampling
from harlib.data.loading.augment import CROPS, MIXES, augment, cut, mix
from harlib.data.loading.prefetch import naming

SAMPLINGS = ("clip", "segments")
# Purposes of random numbers: each has its own stream for every (seed, number).
_ORDER, _CLIP, _LABELS, _MIX = range(4)


def training_batches(
    store,
    *,
    split="train",
    batch,
    frames=16,
    stride=1,
    size=112,
    seed=0,
    crop="hara",
    flip=True,
    color=0.0,
    grey=0.0,
    reverse=0.0,
    jitter=0.0,
    fps=None,
    sampling="clip",
    balanced=False,
    mix=None,
    mix_share=1.0,
    shuffle_labels=False,
    part=(0, 1),
):
    """An endless dataset of augmented training batches, one random clip of a video at a time.

    The videos of all epochs form one stream, a new permutation each epoch, cut into batches: a
    batch may hold the end of one epoch and the beginning of the next, and after any number of
    steps no video was seen more than once oftener than another.

    Args:
        store: a `ClipStore`.
        batch: clips in a batch.
        frames, stride: a clip is `frames` frames, `stride` frames of the stored video apart.
        fps: sample at this rate instead (frames per second); the stride is then the video's own
            rate / fps.
        size: int or (height, width) of the clips in pixels.
        seed: 0 or more; order, clips, crops and colours follow from it.
        crop, flip, color, grey, reverse: see `augment.augment`.
        jitter: temporal jitter, see `sampling.random_clip`.
        sampling: "clip" takes neighbouring frames, "segments" one frame from each of `frames`
            equal parts of the video.
        balanced: show every category equally often: an epoch (as many clips as videos) repeats the
            videos of small categories and shows a random part of large ones.
        mix, mix_share: None, "mixup" or "cutmix", of this share of the batches; see `augment.mix`.
        shuffle_labels: permute the labels among the videos, once for all epochs: a network trained
            on them that does better than chance on other videos reveals a leak.
        part: (number, parts): of several processes, this one's equal part of every batch.

    Returns:
        grain.MapDataset of (clips, labels): uint8 (batch, frames, height, width, 3) and int32
        (batch,), with `mix` float32 (batch, classes).
    """
    if crop not in CROPS:
        raise ValueError(f"crop must be one of {', '.join(CROPS)}, received {crop!r}")
    change = functools.partial(
        augment, crop=crop, flip=flip, color=color, grey=grey, reverse=reverse
    )
    return grain.MapDataset.source(
        _Training(
            store, split, batch, frames, stride, size, fps, sampling, seed, change, jitter,
            balanced, mix, mix_share, shuffle_labels, part,
        )
    )  # fmt: skip


def steps_per_epoch(store, split, batch):
    """Batches until every video of the split was seen at least once (rounded up; what is left of
    the last batch already belongs to the next epoch)."""
    return math.ceil(len(_rows(store, split)) / _count("batch", batch))


def evaluation_batches(
    store,
    *,
    split,
    batch,
    frames=16,
    stride=1,
    size=112,
    clips=1,
    crops=1,
    scale=None,
    fps=None,
    sampling="clip",
):
    """A finite dataset of every view of every video of a split, in the order of `store.videos`.

    A video's view number is clip * crops + crop; the last batch may be smaller.

    Args:
        clips: clips a video, equally spaced; "windows" takes every non-overlapping window, so that
            long videos have more views.
        crops: 1, 3 or 5, of `scale` of the largest box; see `sampling.crops`.
        frames, stride, fps, size, sampling: as in `training_batches`.

    Returns:
        grain.MapDataset of dict(clips=uint8 (b, frames, height, width, 3), video=int32 (b,) row of
        `store.videos`, view=int32 (b,), label=int32 (b,)), b <= batch.
    """
    return grain.MapDataset.source(
        _Evaluation(
            store, split, batch, frames, stride, size, clips, crops, scale, fps, sampling
        )
    )  # fmt: skip


class _Clips:
    """What both sources share: the videos of a split, and one clip of one of them."""

    def __init__(self, store, split, batch, frames, stride, size, fps, sampling_):
        self.store = store
        self.rows = _rows(store, split)
        self.batch = _count("batch", batch)
        self.frames = _count("frames", frames)
        self.size = sampling.as_size(size)
        if sampling_ not in SAMPLINGS:
            raise ValueError(
                f"sampling must be one of {', '.join(SAMPLINGS)}, received {sampling_!r}"
            )
        self.sampling = sampling_
        videos = store.videos.iloc[self.rows]
        self.labels = videos["label"].to_numpy(np.int32)
        self.lengths = videos["frames"].to_numpy(np.int64)
        if fps is None:
            self.strides = np.full(len(self.rows), float(stride))
        else:
            self.strides = videos["fps"].to_numpy(float) / fps

    def empty(self, count):
        return buffers.empty((count, self.frames, *self.size, 3))


class _Training(_Clips):
    def __init__(
        self, store, split, batch, frames, stride, size, fps, sampling_, seed, change, jitter,
        balanced, mix_, mix_share, shuffle_labels, part,
    ):  # fmt: skip
        super().__init__(store, split, batch, frames, stride, size, fps, sampling_)
        if mix_ not in (None, *MIXES):
            raise ValueError(f"mix must be one of {', '.join(MIXES)} or None, received {mix_!r}")
        if not 0 < mix_share <= 1 or (mix_share < 1 and not mix_):
            raise ValueError(
                f"mix_share must be above 0, at most 1, and 1 without a mix, received {mix_share} "
                f"with mix={mix_!r}"
            )
        if mix_ and batch == 1:
            raise ValueError(f"{mix_} blends two clips of a batch, received batch=1")
        number, parts = part
        if not 0 <= number < parts or batch % parts:
            raise ValueError(
                f"part {number} of {parts}: a batch of {batch} clips is cut into equal parts, "
                f"numbered from 0"
            )
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, received {seed}")
        self.seed, self.jitter, self.classes = seed, jitter, len(store.categories)
        self.mix, self.mix_share = mix_, mix_share
        self.own = range(number * batch // parts, (number + 1) * batch // parts)
        self.augment = functools.partial(change, size=self.size)
        self.by_category = np.argsort(self.labels, kind="stable")
        # Without balance all videos are one category.
        self.counts = (len(self.rows),)
        if balanced:
            self.counts = tuple(n for n in np.bincount(self.labels).tolist() if n)
        if shuffle_labels:
            self.labels = _rng(seed, _LABELS).permutation(self.labels)

    def __len__(self):
        return sys.maxsize  # Grain's way of saying endless

    def __getitem__(self, i):
        _single_threaded_opencv()
        places, part = self.own, None
        if self.mix and len(places) < self.batch:  # blending also needs the clip before the part
            part = places.start, self.batch
            places = ((places.start - 1) % self.batch, *places)
        clips, labels = self.empty(len(places)), np.empty(len(places), np.int32)
        for j, place in enumerate(places):
            position = i * self.batch + place
            k = self.video_at(position)
            with naming(self.store, self.rows[k]):
                rng = _rng(self.seed, _CLIP, position)
                clip = self.store.read(self.rows[k], self.frame_numbers(k, rng))
                self.augment(clip, rng, out=clips[j])
            labels[j] = self.labels[k]
        if self.mix:
            rng = _rng(self.seed, _MIX, i)
            options = dict(kind=self.mix, share=self.mix_share, part=part)
            return mix(clips, labels, self.classes, rng, **options)
        return clips, labels

    def video_at(self, position):
        epoch, place = divmod(position, len(self.rows))
        return self.by_category[_order(self.seed, epoch, self.counts)[place]]

    def frame_numbers(self, k, rng):
        if self.sampling == "segments":
            return sampling.random_segments(self.lengths[k], self.frames, rng)
        return sampling.random_clip(
            self.lengths[k], self.frames, self.strides[k], rng, jitter=self.jitter
        )


class _Evaluation(_Clips):
    def __init__(
        self, store, split, batch, frames, stride, size, clips, crops, scale, fps, sampling_
    ):
        super().__init__(store, split, batch, frames, stride, size, fps, sampling_)
        if clips == "windows":
            if sampling_ != "clip":
                raise ValueError(f'clips="windows" needs sampling="clip", received {sampling_!r}')
        else:
            _count("clips", clips)
        self.clips, self.crops, self.scale = clips, crops, scale
        sampling.crops(*self.size, self.size, crops, scale)  # a wrong value is refused here
        if clips == "windows":
            views = sampling.count_windows(self.lengths, self.frames, self.strides) * crops
        else:
            views = np.full(len(self.rows), clips * crops)
        self.firsts = np.append(0, np.cumsum(views))  # each video's first view; then all views

    def __len__(self):
        return math.ceil(self.firsts[-1] / self.batch)

    def __getitem__(self, i):
        _single_threaded_opencv()
        numbers = np.arange(i * self.batch, min((i + 1) * self.batch, self.firsts[-1]))
        videos = np.searchsorted(self.firsts, numbers, side="right") - 1
        views = numbers - self.firsts[videos]
        clips, read = self.empty(len(numbers)), None
        for j, (k, view) in enumerate(zip(videos, views, strict=True)):
            number, crop = divmod(view, self.crops)
            with naming(self.store, self.rows[k]):
                if read != (k, number):  # the crops of one clip follow each other: read it once
                    clip = self.store.read(self.rows[k], self.frame_numbers(k)[number])
                    boxes = sampling.crops(*clip.shape[1:3], self.size, self.crops, self.scale)
                    read = (k, number)
                cut(clip, boxes[crop], self.size, out=clips[j])
        return dict(
            clips=clips,
            video=self.rows[videos].astype(np.int32),
            view=views.astype(np.int32),
            label=self.labels[videos],
        )

    def frame_numbers(self, k):
        if self.sampling == "segments":
            return sampling.uniform_segments(self.lengths[k], self.frames, self.clips)
        if self.clips == "windows":
            return sampling.windows(self.lengths[k], self.frames, self.strides[k])
        return sampling.uniform_clips(self.lengths[k], self.frames, self.strides[k], self.clips)


def _rows(store, split):
    rows = np.asarray(store.rows(split))
    if not len(rows):
        splits = ", ".join(sorted(store.videos["split"].unique())) or "none"
        raise ValueError(f"the store has no video of split {split!r}; its splits: {splits}")
    return rows


def _count(name, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be an integer of 1 or more, received {value!r}")
    return int(value)


def _rng(seed, purpose, number=0):
    return np.random.default_rng((seed, purpose, number))


@functools.lru_cache(maxsize=4)  # a batch straddles two epochs; threads may be one batch apart
def _order(seed, epoch, counts):
    return sampling.balanced_order(counts, _rng(seed, _ORDER, epoch))


def _single_threaded_opencv():
    # Readers are the parallelism; OpenCV's own threads would fight them for the cores.
    if cv2.getNumThreads() > 1:
        cv2.setNumThreads(0)
