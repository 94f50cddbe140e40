"""A training run whose numbers are no longer finite: where it began, and what to try."""

from collections.abc import Mapping

import keras
import numpy as np


class TrainingDiverged(ArithmeticError):
    """A loss or a weight became infinite or NaN; the message says where and what to try."""


def first_nonfinite(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> str:
    """The first variable in `arrays` (of `checkpoint.capture`) with an infinity or NaN, or ""."""
    for part, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        for i, variable in enumerate(variables):
            array = arrays[f"{part}.{i}"]
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                return f"{variable.path} ({np.count_nonzero(~np.isfinite(array))} of {array.size})"
    return ""


def advice(what: str) -> str:
    """`what` and the remedies, in one line."""
    policy = keras.config.dtype_policy().name
    low = f", precision float32 instead of {policy}" if policy != "float32" else ""
    return f"training diverged: {what}; try a lower lr, clip_norm 1.0, warmup_epochs{low}"
