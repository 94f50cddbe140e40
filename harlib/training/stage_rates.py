"""An optimiser whose learning rate is not the same everywhere in a network."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
from keras import ops

from harlib import models


class Rate(NamedTuple):
    """Of a stage: a factor of the recipe's learning rate, and the update from which it learns."""

    factor: float
    start: int = 0


def give(optimizer: keras.Optimizer, model: keras.Model, rates: Mapping[str, Rate]) -> None:
    """Have `optimizer` update the variables of each stage of `rates` by its rate, others by 1.

    Weight decay follows. Before its start a stage is neither moved nor decayed; Adam's moments
    know its gradients already.

    Raises:
        ValueError: the model has no such stage.
    """
    if unknown := set(rates) - set(stages(model)):
        raise ValueError(no_stage(model, unknown.pop()))
    optimizer.__class__ = _scaled(optimizer.__class__)
    # Of a plain dict Keras would make a part of the optimiser's saved state.
    optimizer.rates = MappingProxyType(
        {
            id(variable): rates[stage]
            for stage, layer in staged_layers(model)
            for variable in layer.trainable_variables
            if stage in rates
        }
    )


@cache
def _scaled(kind: Any) -> Any:
    """An optimiser class that updates variables in groups of one learning rate each."""

    class Scaled(kind):
        weight_decay: float | None

        def _groups(self, variables: list[keras.Variable]) -> Iterable[tuple[Any, list[int]]]:
            groups: dict[Rate, list[int]] = {}
            for place, variable in enumerate(variables):
                groups.setdefault(self.rates.get(id(variable), Rate(1.0)), []).append(place)
            for rate, places in groups.items():
                factor = rate.factor
                if rate.start:
                    factor *= ops.cast(self.iterations >= rate.start, "float32")
                yield factor, places

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


def staged_layers(
    model: keras.Model, inside: str | None = None
) -> Iterator[tuple[str, keras.layers.Layer]]:
    """(stage, layer) in the order of computation; a nested model's layers by its own name."""
    for layer in model.layers:
        stage = models.stage(layer.name)
        if inside and stage == "head":
            stage = inside
        if isinstance(layer, keras.Model):
            yield from staged_layers(layer, layer.name)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield stage, layer


def stages(model: keras.Model) -> list[str]:
    """The names of a network's stages, from the input on."""
    return list(dict.fromkeys(stage for stage, _ in staged_layers(model)))


def no_stage(model: keras.Model, name: str) -> str:
    """Says that there is none of this name, and which there are."""
    return f"{model.name} has no stage {name!r}; it has {', '.join(stages(model))}."
