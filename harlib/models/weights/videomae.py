"""VideoMAE's networks: names of the arrays in files of `transformers`."""

import dataclasses
import re
from collections.abc import Iterator

import keras

from harlib.models.weights.parameter import Parameter, of_layer

networks = ("videomae_s", "videomae_b")

_OUTSIDE = {"stem_conv": "videomae.embeddings.patch_embeddings.projection",
            "head_norm": "fc_norm", "classifier": "classifier"}  # fmt: skip
_PARTS = {"norm1": "layernorm_before", "norm2": "layernorm_after",
          "query": "attention.attention.query", "key": "attention.attention.key",
          "value": "attention.attention.value", "project": "attention.output.dense",
          "mlp1": "intermediate.dense", "mlp2": "output.dense"}  # fmt: skip


def parameters(model: keras.Model) -> Iterator[Parameter]:
    """The arrays of a file of `VideoMAEForVideoClassification`.

    Source: huggingface/transformers, `modeling_videomae.py`.
    """
    for layer, block, part in layers(model):
        prefix = f"videomae.encoder.layer.{block}.{_PARTS[part]}" if part else _OUTSIDE[layer.name]
        for one in of_layer(layer, prefix):
            # in the files the two biases stand beside the queries, keys and values
            name = re.sub(r"\.(q|v)(?:uery|alue)\.bias$", r".\1_bias", one.name)
            yield dataclasses.replace(one, name=name)


def layers(model: keras.Model) -> Iterator[tuple[keras.Layer, int, str]]:
    """(layer, block from 0, part of it) of those with weights; a part of "" is outside blocks."""
    for layer in model.layers:
        if layer.weights:
            found = re.fullmatch(r"stage1_block(\d+)_(\w+)", layer.name)
            yield layer, int(found.group(1)) - 1 if found else 0, found.group(2) if found else ""
