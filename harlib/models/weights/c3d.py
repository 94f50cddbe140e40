"""C3D's ports to PyTorch: their names of the arrays of their files."""

import re
from collections.abc import Iterator

import keras

from harlib.models.weights.parameter import Parameter, flattened, of_layer

networks = ("c3d",)


def parameters(model: keras.Model) -> Iterator[Parameter]:
    """The arrays of a file of C3D, converted from Caffe's."""
    for layer in model.layers:
        if layer.name == "head_fc6":
            size = tuple(model.get_layer("head_flatten").input.shape[1:])
            yield from flattened(layer, "fc6", size)
        elif layer.weights:
            yield from of_layer(layer, _prefix(layer.name))


def _prefix(layer: str) -> str:
    if found := re.fullmatch(r"stage(\d)_conv(\d)", layer):
        stage, number = found.groups()
        return f"conv{stage}" + ("ab"[int(number) - 1] if int(stage) > 2 else "")
    return {"head_fc7": "fc7", "classifier": "fc8"}[layer]
