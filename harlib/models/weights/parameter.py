"""One array of a published file and the variable that it fills, with the common layouts."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

# PyTorch's names of the variables of a Keras layer.
SUFFIXES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# An array's shape in the file, and what brings it into the variable's layout.
_Layout = tuple[tuple[int, ...], Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Parameter:
    """One array of a published file, and the variable that it fills.

    `name` is that in the file, without "module."; `layer` the Keras layer's; `shape` the array's
    in the file; `convert` brings it into the variable's layout.
    """

    name: str
    layer: str
    variable: keras.Variable
    shape: tuple[int, ...]
    convert: Callable[[np.ndarray], np.ndarray]


def of_layer(layer: keras.Layer, prefix: str, *, ones: int = 0) -> Iterator[Parameter]:
    """Every array of a convolution, dense layer, batch or layer norm, under PyTorch's names.

    PyTorch keeps a kernel as `(filters, channels, *size)`, where a grouped convolution's channels
    are those of a group and a depthwise one's are 1; the layers here keep `(*size, channels,
    filters)`. Vectors are the same.

    Args:
        prefix: of the names in the file, as "blocks.0.norm".
        ones: axes of length 1 behind the file's kernel: of a dense layer that the original
            computes as a convolution.
    """
    for variable in layer.weights:
        shape, convert = _vector(variable)
        if variable.name == "kernel":
            shape, convert = _kernel(variable, ones)
        name = f"{prefix}.{SUFFIXES[variable.name]}"
        yield Parameter(name, layer.name, variable, shape, convert)


def flattened(layer: keras.Layer, prefix: str, size: tuple[int, ...]) -> Iterator[Parameter]:
    """The arrays of a dense layer behind a flattened `size` `(frames, height, width, channels)`.

    PyTorch flattens channels first, Keras channels last.
    """
    *positions, channels = size

    def convert(array: np.ndarray) -> np.ndarray:
        array = array.reshape(-1, channels, *positions)
        return np.moveaxis(array, (0, 1), (-1, -2)).reshape(layer.kernel.shape)

    for parameter in of_layer(layer, prefix):
        if parameter.variable is layer.kernel:
            parameter = Parameter(
                parameter.name, layer.name, layer.kernel, parameter.shape, convert
            )
        yield parameter


def parts(pattern: str, name: str) -> tuple[str | Any, ...]:
    """The groups of `pattern` in a layer's `name`, all of which it describes.

    Raises:
        ValueError: for another name.
    """
    if found := re.fullmatch(pattern, name):
        return found.groups()
    raise ValueError(f"the layer {name!r} has no name of the form {pattern}.")


def _vector(variable: keras.Variable) -> _Layout:
    return tuple(variable.shape), np.asarray


def _kernel(variable: keras.Variable, ones: int) -> _Layout:
    *size, channels, filters = variable.shape

    def convert(array: np.ndarray) -> np.ndarray:
        array = array.reshape(array.shape[: array.ndim - ones])
        return np.moveaxis(array, (0, 1), (-1, -2))

    return (filters, channels, *size, *(1,) * ones), convert
