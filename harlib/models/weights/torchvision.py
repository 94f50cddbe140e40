"""torchvision's video networks: its names of the arrays of their files."""

import dataclasses
import re
from collections.abc import Iterator

import keras
import numpy as np

from harlib.models.attention import ClassToken, PooledAttention
from harlib.models.weights.parameter import Parameter, of_layer, parts
from harlib.models.window_attention import WindowAttention

networks = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t")


def parameters(model: keras.Model) -> Iterator[Parameter]:
    """The arrays of the file of torchvision's network of the same name.

    Source: pytorch/vision 0.28, `torchvision/models/video`.
    """
    if model.name in ("mvit_v2_s", "swin3d_t"):
        yield from {"mvit_v2_s": _mvit, "swin3d_t": _swin}[model.name](model)
        return
    if model.name == "r3d_18" and any(layer.name == "stem_pool" for layer in model.layers):
        return  # of stem "hara"
    prefix = _s3d if model.name == "s3d" else _resnet
    for layer in model.layers:
        if layer.weights:
            # s3d's classifier is a 1x1x1 convolution there
            ones = 3 if model.name == "s3d" and layer.name == "classifier" else 0
            yield from of_layer(layer, prefix(layer.name), ones=ones)


_STEM = {"stem_conv": 0, "stem_bn": 1, "stem_space": 0, "stem_space_bn": 1,
         "stem_time": 3, "stem_time_bn": 4}  # fmt: skip
_PLACES = {"conv": "0", "bn": "1", "space": "0.0", "space_bn": "0.1",
           "time": "0.3", "time_bn": "1"}  # fmt: skip


def _resnet(layer: str) -> str:
    if layer == "classifier":
        return "fc"
    if layer in _STEM:
        return f"stem.{_STEM[layer]}"
    if found := re.fullmatch(r"stage(\d)_block(\d+)_shortcut(_bn)?", layer):
        stage, block, norm = found.groups()
        return f"layer{stage}.{int(block) - 1}.downsample.{1 if norm else 0}"
    stage, block, kind, number, norm = parts(
        r"stage(\d)_block(\d+)_(conv|bn|space|time)(\d)(_bn)?", layer
    )
    return f"layer{stage}.{int(block) - 1}.conv{number}.{_PLACES[kind + (norm or '')]}"


# Where the first block of a stage stands among s3d's `features`, which poolings are part of.
_FEATURES = {"2": 5, "3": 8, "4": 14}
_BEFORE = {"stem_space": "0.0", "stem_time": "0.1", "stage1_conv": "2", "stage1_space": "3.0",
           "stage1_time": "3.1"}  # fmt: skip


def _s3d(layer: str) -> str:
    if layer == "classifier":
        return "classifier.1"
    norm = 1 if layer.endswith("_bn") else 0
    layer = layer.removesuffix("_bn")
    if layer in _BEFORE:
        return f"features.{_BEFORE[layer]}.{norm}"
    stage, block, branch, kind = parts(
        r"stage(\d)_block(\d)_branch(\d)(?:_(conv|space|time))?", layer
    )
    at = {None: "", "conv": ".0", "space": ".1.0", "time": ".1.1"}[kind]
    if branch == "3":
        at = ".1"  # behind its pooling
    return f"features.{_FEATURES[stage] + int(block) - 1}.branch{branch}{at}.{norm}"


_MVIT = {"stem_conv": "conv_proj", "head_norm": "norm", "classifier": "head.1"}
_MVIT_BLOCK = {"norm1": "norm1", "norm2": "norm2", "mlp1": "mlp.0", "mlp2": "mlp.3",
               "shortcut": "project", "attention": "attn"}  # fmt: skip


def _mvit(model: keras.Model) -> Iterator[Parameter]:
    weighted = [layer for layer in model.layers if layer.weights]
    # blocks are numbered through all stages there
    blocks = [f.group(1) for layer in weighted if (f := re.match(r"(.+)_norm1", layer.name))]
    for layer in weighted:
        block, _, part = layer.name.rpartition("_")
        if isinstance(layer, ClassToken):
            yield _as_it_is(layer, layer.token, "pos_encoding.class_token")
            continue
        prefix = _MVIT.get(layer.name) or f"blocks.{blocks.index(block)}.{_MVIT_BLOCK[part]}"
        if isinstance(layer, PooledAttention):
            yield from _attention(layer, prefix)
        else:
            yield from of_layer(layer, prefix)


_SWIN = {"stem_conv": "patch_embed.proj", "stem_norm": "patch_embed.norm", "head_norm": "norm",
         "classifier": "head"}  # fmt: skip
_SWIN_BLOCK = {"norm1": "norm1", "norm2": "norm2", "mlp1": "mlp.0", "mlp2": "mlp.3",
               "attention": "attn"}  # fmt: skip


def _swin(model: keras.Model) -> Iterator[Parameter]:
    for layer in model.layers:
        if not layer.weights:
            continue
        prefix = _SWIN.get(layer.name)
        # stages and the joining of tokens before them take turns there
        if found := re.fullmatch(r"stage(\d)_join_(norm|project)", layer.name):
            stage, part = found.groups()
            part = "norm" if part == "norm" else "reduction"
            prefix = f"features.{2 * int(stage) - 3}.{part}"
        elif not prefix:
            stage, block, part = parts(r"stage(\d)_block(\d+)_(\w+)", layer.name)
            prefix = f"features.{2 * int(stage) - 2}.{int(block) - 1}.{_SWIN_BLOCK[part]}"
        if isinstance(layer, WindowAttention):
            yield from _parts(layer, prefix, {"qkv": layer.qkv, "proj": layer.project})
            yield _as_it_is(layer, layer.distances, f"{prefix}.relative_position_bias_table")
        else:
            yield from of_layer(layer, prefix)


def _attention(layer: PooledAttention, prefix: str) -> Iterator[Parameter]:
    inner = {"qkv": layer.qkv, "project.0": layer.project}
    for name, pool, norm in zip("qkv", layer.pools, layer.norms, strict=True):
        inner |= {f"pool_{name}.pool": pool, f"pool_{name}.norm_act.0": norm}
    yield from _parts(layer, prefix, inner)
    for axis, table in zip("thw", layer.distances, strict=True):
        yield _as_it_is(layer, table, f"{prefix}.rel_pos_{axis}")


def _parts(layer: keras.Layer, prefix: str, inner: dict[str, keras.Layer]) -> Iterator[Parameter]:
    for name, part in inner.items():
        for one in of_layer(part, f"{prefix}.{name}"):
            yield dataclasses.replace(one, layer=layer.name)


def _as_it_is(layer: keras.Layer, variable: keras.Variable, name: str) -> Parameter:
    return Parameter(name, layer.name, variable, tuple(variable.shape), np.asarray)
