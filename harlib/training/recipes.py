"""Training recipes by name, made from their published numbers."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from harlib.text import near
from harlib.training.finetune import Gradual
from harlib.training.recipe import Recipe
from harlib.training.recipe_numbers import names, numbers

_NOT_OVERRIDABLE = ("name", "source", "steps_per_epoch", "epochs", "label_sets")


def build(
    name: str,
    *,
    steps_per_epoch: int,
    epochs: int,
    label_sets: tuple[tuple[int, ...], ...] = (),
    **overrides: Any,
) -> Recipe:
    """The recipe `name` for a run of `epochs` epochs; `overrides` replace its numbers.

    label_sets: as `harlib.data.label_sets.indices`, where videos have several labels.

    A recipe that has `mix` wants batches so blended: ``training_batches(..., mix=recipe.mix or
    None)``.

    Raises:
        ValueError: an unknown name or number, a wrong type, or numbers that exclude each other.

    >>> recipe = build("tran-sgd", steps_per_epoch=10, epochs=8, lr=0.01)
    >>> [f"{recipe.lr_at(step):g}" for step in (0, 20, 40, 60)]  # a tenth after each quarter
    ['0.01', '0.001', '0.0001', '1e-05']
    """
    if name not in names():
        raise ValueError(f"unknown recipe {name!r}{_nearest(name, names())}")
    kind = Gradual if name == "finetune-gradual" else Recipe
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name not in _NOT_OVERRIDABLE}
    for key in overrides:
        if key not in fields:
            raise ValueError(f"recipe {name} has no number {key!r}{_nearest(key, fields)}")
    values = numbers(name, overrides, steps_per_epoch=steps_per_epoch, epochs=epochs)
    return kind(
        name=name,
        steps_per_epoch=steps_per_epoch,
        epochs=epochs,
        label_sets=label_sets,
        **values,
    )


def balanced_weights(labels: np.ndarray, classes: int) -> tuple[float, ...]:
    """Weights by which every category counts the same in the loss, with mean 1 over the videos.

    Args:
        labels: int (videos,), 0..classes - 1.

    Raises:
        ValueError: a category has no video.

    >>> balanced_weights(np.array([0, 0, 0, 1]), 2)
    (0.6666666666666666, 2.0)
    """
    counts = np.bincount(labels, minlength=classes)
    if not counts.all():
        raise ValueError(f"category {int(counts.argmin())} has no training video to weigh")
    return tuple((len(labels) / (classes * counts)).tolist())


def _nearest(word: str, known: Iterable[str]) -> str:
    found = near(word, known)
    return f"; nearest: {found!r}" if found else f"; known: {', '.join(known)}"
