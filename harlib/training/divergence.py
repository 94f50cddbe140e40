"""A training run whose numbers are no longer finite: where it began, and what to try."""

from collections.abc import Mapping

import keras
import numpy as np

from harlib import HarlibError
from harlib.training.checkpoint import as_numpy


class TrainingDiverged(HarlibError, ArithmeticError):
    """A loss or a weight became infinite or NaN; the message says where and what to try."""


def first_nonfinite(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> str:
    """The first variable in `arrays` (of `checkpoint.capture`) with an infinity or NaN, or ""."""
    for part, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        for i, variable in enumerate(variables):
            array = arrays[f"{part}.{i}"]
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                return f"{variable.path} ({np.count_nonzero(~np.isfinite(array))} of {array.size})"
    return ""


def first_layer(model: keras.Model, clips: np.ndarray, targets: np.ndarray) -> str:
    """The layer in which a step from finite weights first makes something that is not finite.

    Looks at the layers' outputs in order, then at the gradients from the loss backwards. The
    model's weights and optimiser are spoiled by it.

    Args:
        clips: uint8 (batch, frames, height, width, 3).
        targets: float32 (batch, classes).

    Returns:
        A sentence that names it; "" when everything is finite.
    """
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    probe = keras.Model(model.inputs, [layer.output for layer in layers])
    for layer, output in zip(layers, probe(clips, training=True), strict=True):
        count = int(keras.ops.sum(keras.ops.cast(~keras.ops.isfinite(output), "int32")))
        if count:
            return f"layer {layer.name} is the first whose output is not finite ({count} numbers)"
    # After a step of plain SGD just those weights are not finite whose gradients were not.
    model.compile(keras.optimizers.SGD(1e-6), keras.losses.CategoricalCrossentropy())
    model.train_on_batch(clips, targets)
    # Gradients come from the loss, so what is nearest to it went first.
    for layer in reversed(layers):
        if any(not np.isfinite(as_numpy(v)).all() for v in layer.trainable_variables):
            return f"layer {layer.name} is the first, from the loss, with gradients not finite"
    return ""


def advice(what: str) -> str:
    """`what` and the remedies, in one line."""
    policy = keras.config.dtype_policy().name
    low = f", precision float32 instead of {policy}" if policy != "float32" else ""
    return f"training diverged: {what}; try a lower lr, clip_norm 1.0, warmup_epochs{low}"
