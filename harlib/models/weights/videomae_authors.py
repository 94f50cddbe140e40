"""VideoMAE's networks: names of the arrays in the authors' fine-tuned files."""

from collections.abc import Iterator

import keras
import numpy as np

from harlib.models.weights.parameter import Parameter, of_layer
from harlib.models.weights.videomae import layers, networks

__all__ = ["networks", "parameters"]

_OUTSIDE = {"stem_conv": "patch_embed.proj", "head_norm": "fc_norm",
            "classifier": "head"}  # fmt: skip
_PARTS = {"norm1": "norm1", "norm2": "norm2", "project": "attn.proj",
          "mlp1": "mlp.fc1", "mlp2": "mlp.fc2"}  # fmt: skip


def parameters(model: keras.Model) -> Iterator[Parameter]:
    """The arrays of a fine-tuned file of the authors; one array fills queries, keys and values.

    Source: MCG-NJU/VideoMAE, `modeling_finetune.py`.
    """
    for layer, block, part in layers(model):
        if part in ("query", "key", "value"):
            yield from _third(layer, f"blocks.{block}.attn", part)
        elif part:
            yield from of_layer(layer, f"blocks.{block}.{_PARTS[part]}")
        else:
            yield from of_layer(layer, _OUTSIDE[layer.name])


def _third(layer: keras.Layer, prefix: str, part: str) -> Iterator[Parameter]:
    at, units = ("query", "key", "value").index(part), layer.units

    def convert(array: np.ndarray) -> np.ndarray:
        return np.asarray(array[at * units : (at + 1) * units].T)

    shape = (3 * units, layer.kernel.shape[0])
    yield Parameter(f"{prefix}.qkv.weight", layer.name, layer.kernel, shape, convert)
    if layer.use_bias:
        name = f"{prefix}.{part[0]}_bias"
        yield Parameter(name, layer.name, layer.bias, (units,), np.asarray)
