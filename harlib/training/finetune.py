"""Fine-tuning: early stages kept as they are, learning slower than others, or later."""

import dataclasses
import math
from collections.abc import Mapping

import keras

from harlib import models
from harlib.training.recipe import Recipe
from harlib.training.stage_rates import Rate, no_stage, staged_layers, stages


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
    layers = list(staged_layers(model))
    places = [at for at, (stage, layer) in enumerate(layers) if below in (stage, layer.name)]
    if below is not None and not places:
        raise ValueError(no_stage(model, below))
    first = places[0] if places else 0
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

    def rates(self, model: keras.Model) -> dict[str, Rate]:
        """See `Recipe`: of the stages that are named."""
        return dict(zip(self.stages.split(","), map(Rate, self.factors), strict=True))


@dataclasses.dataclass(frozen=True)
class Gradual(Recipe):
    """A recipe that trains the head first, then the last stage too, then all.

    Attributes:
        starts: share of the updates after which the last stage, and then all, begin to learn.
        stage_decay: the rate of each stage is that of the next one times this.

    Reference:
        Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018:
        gradual unfreezing, and rates by layer (there 1 / 2.6).
    """

    starts: tuple[float, ...] = (0.2, 0.4)
    stage_decay: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.starts) != 2 or not 0 <= self.starts[0] <= self.starts[1] < 1:
            raise ValueError(
                f"recipe {self.name}: starts are two shares of the run, the first not after the "
                f"second; received {self.starts}"
            )
        if not 0 < self.stage_decay <= 1:
            raise ValueError(
                f"recipe {self.name}: stage_decay lies in (0, 1]; received {self.stage_decay}"
            )

    def config(self) -> dict:
        """See `Recipe`; how long the run is decides when a stage begins to learn."""
        return super().config() | {"epochs": self.epochs}

    def rates(self, model: keras.Model) -> dict[str, Rate]:
        """See `Recipe`: of every stage before the head."""
        updates = self.steps_per_epoch * self.epochs // self.accumulate
        last, others = (round(share * updates) for share in self.starts)
        body = [stage for stage in stages(model) if stage not in ("input", "head")]
        return {
            stage: Rate(self.stage_decay**distance, last if distance == 1 else others)
            for distance, stage in enumerate(reversed(body), 1)
        }


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
