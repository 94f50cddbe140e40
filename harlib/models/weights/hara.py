"""The 3D ResNets and ResNeXts of Hara et al.: their names of the arrays of their files."""

from collections.abc import Iterator

import keras

from harlib.models.weights.parameter import Parameter, of_layer, parts

networks = (
    "r3d_18", "r3d_34", "r3d_50", "resnext3d_26", "resnext3d_50", "resnext3d_101"
)  # fmt: skip


def parameters(model: keras.Model) -> Iterator[Parameter]:
    """The arrays of a file of that architecture; with shortcut A there are none of shortcuts.

    Source: kenshohara/3D-ResNets-PyTorch, `models/resnet.py`, `models/resnext.py`.
    """
    if all(layer.name != "stem_pool" for layer in model.layers):
        return  # of stem "tran"
    for layer in model.layers:
        if layer.weights:
            yield from of_layer(layer, _prefix(layer.name))


def _prefix(layer: str) -> str:
    known = {"stem_conv": "conv1", "stem_bn": "bn1", "classifier": "fc"}
    if layer in known:
        return known[layer]
    stage, block, kind, number, norm = parts(
        r"stage(\d)_block(\d+)_(conv|bn|shortcut)(\d?)(_bn)?", layer
    )
    if kind == "shortcut":
        kind, number = "downsample.", 1 if norm else 0
    return f"layer{stage}.{int(block) - 1}.{kind}{number}"
