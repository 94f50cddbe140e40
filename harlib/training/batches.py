"""Batches by their position: a Grain dataset, or any object with `__getitem__`."""

import contextlib
import time
from collections.abc import Callable, Generator
from typing import Any, Protocol

import grain
import keras
import numpy as np

from harlib.data import iterate
from harlib.training.distributed import devices
from harlib.training.recipe import Recipe


class Batches(Protocol):
    """What a training reads: at a position, clips and labels, or a dict with both."""

    def __getitem__(self, position: int, /) -> Any: ...


class Finite(Batches, Protocol):
    """`Batches` with an end, as a validation's."""

    def __len__(self) -> int: ...


def read(
    batches: Batches, start: int, stop: int, threads: int, workers: int = 0
) -> Generator[tuple, None, None]:
    """Clips and labels of the positions `start` to `stop` - 1, in order.

    Elements are pairs, or dicts with `clips` and `label`.

    Raises:
        ValueError: the dataset ends before `stop`.
    """
    position = start
    if start < stop and isinstance(batches, grain.MapDataset):
        elements = iterate(batches, start=start, stop=stop, threads=threads, workers=workers)
    else:
        elements = (batches[i] for i in range(start, stop))
    with contextlib.closing(elements):
        for element in elements:
            position += 1
            if isinstance(element, dict):
                yield element["clips"], element["label"]
            else:
                yield tuple(element)
    if position < stop:
        raise ValueError(f"the batches end at {position}, {stop} are needed: repeat the dataset")


def validate(
    group: devices.Single,
    recipe: Recipe,
    dataset: Finite,
    classes: int,
    threads: int,
    told: Callable[[float], None] = lambda seconds: None,
) -> dict[str, float]:
    """`val_loss` (mean cross-entropy in nats, without smoothing) and `val_accuracy` per clip.

    Of several labels per video as `Recipe` has loss and accuracy.

    told: is called with the seconds of each batch.
    """
    loss, correct, clips = 0.0, 0, 0
    own = group.own(len(dataset))
    if group.processes > 1 and len(own):
        if isinstance(dataset, grain.MapDataset):
            dataset = dataset[own.start :: own.step]
        else:
            dataset = [dataset[i] for i in own]
    with contextlib.closing(read(dataset, 0, len(own), threads)) as source:
        began = time.monotonic()
        for batch, labels in source:
            scores = np.asarray(group.predict(batch), np.float64)
            targets = recipe.targets(labels, classes)
            # Keras' own floor under a probability, so that a sure mistake costs 16, not infinity.
            floor = keras.config.epsilon()
            logs = np.log(np.maximum(scores, floor))
            if recipe.label_sets:
                others = np.log(np.maximum(1 - scores, floor))
                loss -= float((targets * logs + (1 - targets) * others).mean(axis=1).sum())
                correct += int(targets[np.arange(len(targets)), scores.argmax(1)].sum())
            else:
                loss -= float((targets * logs).sum())
                correct += int((scores.argmax(1) == targets.argmax(1)).sum())
            clips += len(targets)
            now = time.monotonic()
            told(now - began)
            began = now
    loss, correct, clips = group.total([loss, correct, clips])
    if not clips:
        raise ValueError("the validation set holds no clips")
    return {"val_loss": loss / clips, "val_accuracy": correct / clips}
