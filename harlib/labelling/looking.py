"""What a network sees in each of many videos: features in the order of time, and probabilities."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harlib import HarlibError, pretrained
from harlib.data import VideoError
from harlib.data.video import images, tar_shards
from harlib.inference import Prediction, Predictor, load
from harlib.progress import Stage, shown

PARTS = 5
"""Parts of a video, one after the other, whose features are kept apart."""

_VERSION = 1  # of what is kept of a video: raise it when the same network keeps something else
_MOST = 16  # clips computed at once


@dataclasses.dataclass(frozen=True)
class Eye:
    """A network that is asked what it sees.

    Attributes:
        predictor: gives a view's probabilities and features as one vector.
        categories: that it tells apart; empty of published weights, whose categories are others'.
        mark: hex digits that change with its weights and with what it is shown.
    """

    predictor: Predictor
    categories: tuple[str, ...]
    mark: str


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a network sees in videos.

    Attributes:
        videos: those that could be read.
        features: float32 (videos, (1 + PARTS) * features), of `over_time`.
        probabilities: float32 (videos, classes), calibrated where that was measured; None of a
            network without categories.
        errors: {video: why it could not be read}.
    """

    videos: tuple[str, ...]
    features: np.ndarray
    probabilities: np.ndarray | None
    errors: dict[str, str]


def eye(source: str | Path) -> Eye:
    """The network of a trained run, of a Keras export, or of published weights.

    Raises:
        HarlibError: none of these, or a program whose features cannot be had.
    """
    predictor = load(source, nameless=True)
    categories = () if str(source) in pretrained.names() else predictor.categories
    if not hasattr(predictor.model, "_flatten_layers"):
        raise HarlibError(
            f"{source} gives scores and no features to compare videos by: name the run itself, or "
            "its export --to keras"
        )
    model, width = _joined(predictor.model, bool(categories))
    # what it gives are a category's probability and a feature's value alike: means over crops
    names = (*categories, *[""] * width)
    how = (predictor.settings, predictor.cut, predictor.clips, PARTS, len(categories), _VERSION)
    digest = hashlib.sha256(repr(how).encode())
    for weight in model.weights:
        digest.update(np.asarray(weight).tobytes())
    predictor = dataclasses.replace(predictor, model=model, categories=names)
    return Eye(predictor, categories, digest.hexdigest())


def _joined(model: Any, scores: bool) -> tuple[Any, int]:
    """(a network that gives probabilities, where asked for, and features; how many features)."""
    import keras

    from harlib.models import features

    inner = features.extractor(model)
    outputs = [model.outputs[0], inner.output] if scores else [inner.output]
    if scores:
        outputs = [keras.layers.Concatenate(dtype="float32")(outputs)]
    joined = keras.Model(model.inputs, outputs[0])
    # as in training: XLA makes these networks slower on TensorFlow
    joined.compile(jit_compile=keras.backend.backend() == "jax")
    return joined, inner.output.shape[-1]


def look(
    own: Eye,
    videos: Sequence[str],
    cache: Path,
    *,
    progress: bool | Stage = True,
) -> Seen:
    """Looks at each video once; what is in the `cache`, an SQLite file, is not computed again.

    A video that changed is looked at again, and an interrupted look resumes.

    Raises:
        HarlibError: no video can be read, or the cache is damaged.
        StoppedAt: Ctrl-C.
    """
    found: dict[str, np.ndarray] = {}
    errors: dict[str, str] = {}
    with _opened(cache) as kept, shown(progress, "looking at videos", "video") as bar:
        missing = []
        for video in videos:
            vector = kept.get(own.mark, video)
            if vector is None:
                missing.append(video)
            else:
                found[video] = vector
        bar.begin(len(found), len(videos))
        for done, video in enumerate(missing, len(found) + 1):
            try:
                found[video] = _vector(own, video)
                kept.put(own.mark, video, found[video])
            except VideoError as error:
                errors[video] = error.reason
            bar.at(done)
    seen = tuple(video for video in videos if video in found)
    if not seen:
        first, why = next(iter(errors.items()), ("none", "none is named"))
        raise HarlibError(f"none of {len(videos)} videos can be read; {first}: {why}")
    table = np.stack([found[video] for video in seen])
    classes = len(own.categories)
    return Seen(seen, table[:, classes:], table[:, :classes] if classes else None, errors)


def _vector(own: Eye, video: str) -> np.ndarray:
    """float32 (classes + (1 + PARTS) * features,) of a video."""
    asked = own.predictor
    batch = min(_MOST, (asked.clips or 1) * asked.cut.crops)  # a video at once, none computed twice
    views = np.stack([vector for _, vector in asked.windows(video, batch=batch)])
    classes = len(own.categories)
    scores, features = views[:, :classes], views[:, classes:]
    parts = over_time(features).ravel()
    if not classes:
        return parts.astype("float32")
    whole = Prediction(video, own.categories, np.zeros(len(views)), np.ones(len(views)), scores,
                       own.predictor.confidence)  # fmt: skip
    calibrated = whole.calibrated
    sure = whole.probabilities if calibrated is None else calibrated
    return np.concatenate([sure, parts]).astype("float32")


def over_time(features: np.ndarray, parts: int = PARTS) -> np.ndarray:
    """The mean of (views, features), and by how much each of `parts` equal times differs from it.

    What stays the same in a video, its scene above all, is in the mean alone; the differences tell
    what moves and in which order, also where the network sees single frames. Parts share views
    where the number of views is no multiple of theirs.

    Returns:
        (1 + parts, features).

    >>> over_time(np.array([[0.0], [2.0], [4.0]]), 2).ravel().tolist()
    [2.0, -1.0, 1.0]
    """
    views = len(features)
    first = np.arange(parts) * views // parts
    last = -(-(np.arange(parts) + 1) * views // parts)
    means = [features[a:b].mean(axis=0) for a, b in zip(first, last, strict=True)]
    whole = np.mean(means, axis=0)
    return np.stack([whole, *(mean - whole for mean in means)])


class _Cache:
    """Vectors of videos by network, path, size and time of change."""

    def __init__(self, own: sqlite3.Connection) -> None:
        self._own = own
        own.execute("PRAGMA synchronous = OFF")  # what a power cut takes is computed again
        own.execute(
            "CREATE TABLE IF NOT EXISTS seen (network TEXT, path BLOB, size INTEGER, "
            "changed INTEGER, vector BLOB, PRIMARY KEY (network, path))"
        )

    def get(self, network: str, video: str) -> np.ndarray | None:
        row = self._own.execute(
            "SELECT size, changed, vector FROM seen WHERE network = ? AND path = ?",
            (network, os.fsencode(video)),
        ).fetchone()
        return np.frombuffer(row[2], "float32") if row and row[:2] == _state(video) else None

    def put(self, network: str, video: str, vector: np.ndarray) -> None:
        self._own.execute(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)",
            (network, os.fsencode(video), *_state(video), vector.tobytes()),
        )


def _state(video: str) -> tuple[int, int]:
    """(size, time of change) of a video's file, shard or folder; zeros where it is gone."""
    try:
        found = os.stat((tar_shards.split(video) or images.split(video))[0])
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Cache]:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as own:
            yield _Cache(own)
    except sqlite3.Error as error:
        raise HarlibError(
            f"{path}, which keeps what networks saw, cannot be used ({error}): delete it, it is "
            "made again"
        ) from error
