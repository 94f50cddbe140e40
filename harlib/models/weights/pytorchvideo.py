"""The parameters of PyTorchVideo's model zoo (files `.pyth`)."""

import re
from collections.abc import Iterator

import keras

from harlib.models.weights import parameter
from harlib.models.weights.parameter import Parameter

networks = ("x3d_xs", "x3d_s", "x3d_m", "slow_r50", "c2d_r50", "i3d_r50", "slowfast_r50")

_LETTER = {"1": "a", "2": "b", "3": "c"}
_X3D = {
    # The zoo's names: its "conv_t" is the spatial one, which comes first.
    "stem_space": "blocks.0.conv.conv_t",
    "stem_time": "blocks.0.conv.conv_xy",
    "head_conv1": "blocks.5.pool.pre_conv",
    "head_bn": "blocks.5.pool.pre_norm",
    "head_conv2": "blocks.5.pool.post_conv",
}


def parameters(model: keras.Model) -> Iterator[Parameter]:
    """Every array of the file of one of `networks`."""
    names = {layer.name for layer in model.layers}
    for layer in model.layers:
        if layer.weights:
            # squeeze-and-excitation is dense here, a 1x1x1 convolution there
            ones = 3 if re.search(r"_se\d$", layer.name) else 0
            yield from parameter.of_layer(layer, _prefix(layer.name, names), ones=ones)


def _prefix(layer: str, names: set[str]) -> str:
    """The file's name of a layer, of a network with the layers `names`."""
    x3d, slowfast = "stem_space" in names, "stem_slow_conv" in names
    # a pooling behind the first stage is a block of its own there, and so is SlowFast's head
    later = int("stage1_pool" in names)
    if layer == "classifier":
        return f"blocks.{5 + (later or slowfast)}.proj"
    if layer in _X3D:
        return _X3D[layer]
    place, *rest = layer.split("_")
    number = 0 if place == "stem" else int(place.removeprefix("stage"))
    block = f"blocks.{number + (later if number > 1 else 0)}"
    if rest[0] == "fuse":
        return f"{block}.multipathway_fusion.{'norm' if rest[1:] else 'conv_fast_to_slow'}"
    if rest[0] in ("slow", "fast"):
        block += f".multipathway_blocks.{('slow', 'fast').index(rest.pop(0))}"
    if place == "stem":
        return f"{block}.{'norm' if rest == ['bn'] else 'conv'}"
    block += f".res_blocks.{int(rest.pop(0).removeprefix('block')) - 1}"
    if rest[0] == "shortcut":
        return f"{block}.branch1_{'norm' if rest[1:] else 'conv'}"
    kind, index = parameter.parts(r"(conv|bn|se)(\d)", rest[0])
    if kind == "se":
        return f"{block}.branch2.norm_b.1.block.{2 * int(index) - 2}"
    norm = ".0" if x3d and index == "2" else ""
    part = f"conv_{_LETTER[index]}" if kind == "conv" else f"norm_{_LETTER[index]}{norm}"
    return f"{block}.branch2.{part}"
