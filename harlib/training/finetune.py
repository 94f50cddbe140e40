"""Fine-tuning: early stages kept as they are, and stages that learn slower than others."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import keras

from harlib import models
from harlib.training.recipe import Recipe


def freeze(model: keras.Model, below: str | None = None, *, batch_norm: bool = False) -> int:
    """Keep the layers before `below` as they are; to be called before `fit`.

    Args:
        below: a stage ("stage3", "head") or a layer's name; it and what follows are trained.
            None freezes no stage.
        batch_norm: freeze every batch norm, those of trained stages too: scale, offset and the
            moving statistics stay, as small batches spoil them.

    Returns:
        Number of parameters that are still trained.
    Raises:
        ValueError: if the model has no such stage or layer, or nothing would be trained.
    """
    layers = list(_layers(model))
    first = 0 if below is None else _position(model, layers, below)
    for position, (_, layer) in enumerate(layers):
        frozen = position < first
        if isinstance(layer, keras.layers.BatchNormalization):
            frozen = frozen or batch_norm
        layer.trainable = not frozen
    left = models.trainable(model)
    if not left:
        raise ValueError(f"{model.name} frozen below {below!r} has nothing left to train.")
    return left


@dataclasses.dataclass(frozen=True)
class FineTuning(Recipe):
    """A recipe whose learning rate is times `factors[i]` in the stage `stages.split(",")[i]`."""

    stages: str = ""
    factors: tuple[float, ...] = ()

    def _make_optimizer(
        self, model: keras.Model, kernels: list[keras.Variable]
    ) -> keras.optimizers.Optimizer:
        optimizer = super()._make_optimizer(model, kernels)
        factors = dict(zip(self.stages.split(","), self.factors, strict=True))
        known = [stage for stage, _ in _layers(model)]
        if unknown := [stage for stage in factors if stage not in known]:
            raise ValueError(_no_stage(model, unknown[0], known))
        optimizer.__class__ = _scaled(optimizer.__class__)
        by_variable = {
            id(variable): factors[stage]
            for stage, layer in _layers(model)
            for variable in layer.trainable_variables
            if stage in factors
        }
        # Of a plain dict Keras would make a part of the optimiser's saved state.
        optimizer.factors = MappingProxyType(by_variable)
        return optimizer


def slower(recipe: Recipe, factors: Mapping[str, float]) -> FineTuning:
    """The same recipe with other learning rates in some stages.

    Args:
        factors: {stage: factor of the recipe's rate}; stages that are not named have 1. Weight
            decay of AdamW follows.

    Raises:
        ValueError: for a factor that is not above 0 (`freeze` is for 0), or no factors.
    """
    if not factors:
        raise ValueError("factors is empty; give {stage: factor}, as {'stage1': 0.1}.")
    for stage, factor in factors.items():
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(
                f"factor of {stage} is {factor}; it is above 0 (freeze(model, below=...) keeps "
                "stages as they are)."
            )
    numbers = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(Recipe)}
    values = tuple(float(factor) for factor in factors.values())
    return FineTuning(**numbers, stages=",".join(factors), factors=values)


@cache
def _scaled(kind: Any) -> Any:
    """An optimiser class that updates variables in groups of one learning rate each."""

    class Scaled(kind):
        weight_decay: float | None

        def _groups(self, variables: list[keras.Variable]) -> Iterable[tuple[float, list[int]]]:
            groups: dict[float, list[int]] = {}
            for place, variable in enumerate(variables):
                groups.setdefault(self.factors.get(id(variable), 1.0), []).append(place)
            return groups.items()

        def _backend_update_step(
            self, grads: list[Any], trainable_variables: list[keras.Variable], learning_rate: Any
        ) -> None:
            for factor, places in self._groups(trainable_variables):
                super()._backend_update_step(
                    [grads[i] for i in places],
                    [trainable_variables[i] for i in places],
                    learning_rate * factor,
                )

        def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
            decay = self.weight_decay
            for factor, places in self._groups(variables):
                self.weight_decay = None if decay is None else decay * factor
                super()._apply_weight_decay([variables[i] for i in places])
            self.weight_decay = decay

    # A copy of the model made from its configuration, as for scoring, gets the plain optimiser.
    Scaled.__name__, Scaled.__module__ = kind.__name__, kind.__module__
    return Scaled


def _layers(
    model: keras.Model, inside: str | None = None
) -> Iterator[tuple[str, keras.layers.Layer]]:
    """(stage, layer) in the order of computation; a nested model's layers by its own name."""
    for layer in model.layers:
        stage = models.stage(layer.name)
        if inside and stage == "head":
            stage = inside
        if isinstance(layer, keras.Model):
            yield from _layers(layer, layer.name)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield stage, layer


def _position(model: keras.Model, layers: list[tuple[str, keras.layers.Layer]], below: str) -> int:
    for position, (stage, layer) in enumerate(layers):
        if below in (stage, layer.name):
            return position
    raise ValueError(_no_stage(model, below, [stage for stage, _ in layers]))


def _no_stage(model: keras.Model, name: str, known: Iterable[str]) -> str:
    return f"{model.name} has no stage {name!r}; it has {', '.join(dict.fromkeys(known))}."
