"""Clips -> a network's probabilities, batch by batch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from harlib.data import ClipStore, iterate, label_sets
from harlib.evaluation.scores import ScoreError

if TYPE_CHECKING:
    import grain
    import keras


def network(model: keras.Model) -> keras.Model:
    """What scores as `model` does, faster: a Keras network's folded copy, else `model` itself.

    The copy takes about a second to make and as much memory again as the weights. It computes in
    float32 where the device lacks the half precision of `model` (`training.precision.lacking`).
    """
    if not hasattr(model, "_flatten_layers"):
        return model
    import keras

    from harlib.models import fold_batch_norm
    from harlib.training import precision

    can_copy = fold_batch_norm.can_copy(model)
    dtype = "float32" if can_copy and precision.lacking(model) else None
    if not fold_batch_norm.can_fold(model):
        return fold_batch_norm.copy(model, dtype=dtype) if dtype else model
    folded = fold_batch_norm.fold(model, constant=True, dtype=dtype)
    # as in training: XLA makes these networks slower on TensorFlow
    folded.compile(jit_compile=keras.backend.backend() == "jax")
    return folded


def logged(model: keras.Model) -> keras.Model:
    """What `answers` asks: a Keras network that also gives logarithms, where that can be had."""
    if not hasattr(model, "_flatten_layers"):
        return model
    from harlib.models import log_scores

    return log_scores.with_logs(model) or model


def answers(
    model: keras.Model,
    dataset: grain.MapDataset,
    store: ClipStore,
    batch: int,
    start: int = 0,
    threads: int = 2,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields (video int (n,), view int (n,), probabilities, logs) for the batches from `start` on.

    probabilities, logs: float32 (n, classes); the natural logarithms are the network's own where
    `logged` made it give them, else those of the probabilities, -inf where these are 0.

    Args:
        dataset: `evaluation_batches` of `batch` clips; the last, partial one is padded, so that the
            graph is traced once, and cut after.
        store: whose rows the videos are.

    Raises:
        ScoreError: the outputs are no probabilities of the store's categories.
    """
    if start == len(dataset):
        return
    elements = iterate(dataset, start=start, threads=threads)
    for element, output in computed(model, ((e, whole(e, batch)) for e in elements)):
        video = np.asarray(element["video"])
        several = isinstance(output, (list, tuple))
        probabilities = np.asarray(output[0] if several else output, np.float32)[: len(video)]
        _check(probabilities, store, video)
        logs = output[1] if several else logarithms(probabilities)
        logs = np.asarray(logs, np.float32)[: len(video)]
        yield video, np.asarray(element["view"]), probabilities, logs


def computed(
    model: keras.Model, batches: Iterable[tuple[Any, np.ndarray]]
) -> Iterator[tuple[Any, Any]]:
    """Yields (key, output) in order for batches (key, clips), `at_once(model)` being computed.

    Two of them need twice the memory of one.
    """
    count = at_once(model)
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[tuple[Any, Future]] = deque()
        for number, (key, clips) in enumerate(batches):
            if count == 1 or not number:  # the first builds the graph, in one thread
                yield key, model.predict_on_batch(clips)
                continue
            waiting.append((key, pool.submit(model.predict_on_batch, clips)))
            if len(waiting) == count:
                key, output = waiting.popleft()
                yield key, output.result()
        for key, output in waiting:
            yield key, output.result()


def at_once(model: keras.Model) -> int:
    """How many batches are computed at once: two by a Keras network with TensorFlow on a CPU.

    A batch alone leaves cores idle where an operation is not parallel or waits for another.
    """
    if not hasattr(model, "_flatten_layers") or os.cpu_count() == 1:
        return 1
    import keras

    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return 1 if tf.config.list_physical_devices("GPU") else 2


def whole(element: dict[str, Any], batch: int) -> np.ndarray:
    """The clips of an element, the last one again and again where it has fewer than a batch."""
    clips = np.asarray(element["clips"])
    return np.concatenate([clips, np.repeat(clips[-1:], batch - len(clips), axis=0)])


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Natural logarithms, float32; -inf of 0, NaN of NaN."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities, dtype=np.float32)


def _check(probabilities: np.ndarray, store: ClipStore, video: np.ndarray) -> None:
    several = label_sets.several(store.categories)
    classes = len(label_sets.classes(store.categories))
    if probabilities.ndim != 2 or probabilities.shape[1] != classes:
        raise ScoreError(
            f"the model gives outputs of the shape {probabilities.shape[1:]}, "
            f"the store has {classes} {'labels' if several else 'categories'}"
        )
    if several:
        if not (np.isfinite(probabilities).all() and (np.abs(probabilities - 0.5) <= 0.5).all()):
            raise ScoreError(
                "the model's outputs are no probabilities between 0 and 1; build it with "
                "classifier_activation='sigmoid'"
            )
        return
    sums = probabilities.sum(axis=1)
    # half-precision softmax outputs sum to 1 within about 1e-3 per class that matters
    wrong = ~(np.isfinite(sums) & (np.abs(sums - 1) < 0.02) & (probabilities.min(axis=1) >= 0))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        name = store.videos["video_id"].iloc[int(video[first])]
        raise ScoreError(
            f"the model's outputs for video {name!r} are no probabilities: sum {sums[first]:.4g}, "
            f"least {probabilities[first].min():.4g}; build it with classifier_activation='softmax'"
        )
