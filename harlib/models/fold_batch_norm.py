"""Copies of a network for inference: batch norm folded into convolutions, in another precision."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from harlib.models.layers import Conv3D

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.DepthwiseConv2D)


def fold(model: keras.Model, *, constant: bool = False, dtype: str | None = None) -> keras.Model:
    """A copy of `model` whose convolutions do the work of the batch norms behind them.

    Scores are those of `model(clips, training=False)` to 1e-4 in float32; the copy has its own
    weights, the precision of `model`, and is not for training. A batch norm stays where its
    input is no convolution's, or is read elsewhere too.

    Args:
        constant: on TensorFlow, put kernels into the graph as constants when it is traced, laid
            out once for the convolution's method: a few percent faster, and later changes of the
            weights do not show. Other backends do not change.
        dtype: as of `copy`.
    """
    new = copy(model, dtype=dtype, folded=True)
    if constant and keras.backend.backend() == "tensorflow":
        set_constant(new)
    return new


def can_fold(model: keras.Model) -> bool:
    """Whether `fold(model, constant=True)` can copy `model` and gains by it."""
    has_own = any(isinstance(layer, Conv3D) for layer in model._flatten_layers())
    return can_copy(model) and (has_own or any(_folding(model)))


def can_copy(model: keras.Model) -> bool:
    """Whether `copy` can copy `model`.

    Sequential networks and subclasses of keras.Model, outside or inside, hide their graph.
    """
    networks = [layer for layer in model._flatten_layers() if isinstance(layer, keras.Model)]
    return all(type(network).__name__ == "Functional" for network in networks)


def set_constant(model: keras.Model) -> None:
    """Have the graphs of `model` that are traced from now on hold its kernels as constants."""
    for layer in model._flatten_layers():
        if isinstance(layer, Conv3D):
            layer.constant = True


def copy(model: keras.Model, *, dtype: str | None = None, folded: bool = False) -> keras.Model:
    """A network of the same layers with copies of the weights.

    Args:
        dtype: the precision of every layer, as "float32"; None keeps each layer's.
        folded: batch norm folded into convolutions, as `fold`, and the ReLUs behind it into those
            that are matrix products.
    """
    norms = dict(_folding(model)) if folded else {}
    convolutions = {id(convolution) for convolution in norms.values()}
    relus = dict(_rectifying(model, norms))
    rectified = {id(convolution) for convolution in relus.values()}
    dropped = {layer.name for layer in (*norms, *relus)}

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if dtype is not None:
            config["dtype"] = dtype
        if id(layer) in convolutions:
            config["use_bias"] = True
        if id(layer) in rectified:
            config["activation"] = "relu"
        return type(layer).from_config(config)

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in dropped else layer(*args, **kwargs)

    new = keras.models.clone_model(model, clone_function=clone, call_function=call, recursive=True)
    norm_of = {id(convolution): norm for norm, convolution in norms.items()}
    _copy_weights(model, new, norm_of)
    return new


def _copy_weights(
    old: keras.Model, new: keras.Model, norm_of: dict[int, keras.layers.Layer]
) -> None:
    there = {layer.name: layer for layer in new.layers}
    for layer in old.layers:
        if isinstance(layer, keras.Model):
            _copy_weights(layer, there[layer.name], norm_of)
        elif id(layer) in norm_of:
            there[layer.name].set_weights(_folded(layer, norm_of[id(layer)]))
        elif layer.name in there and layer.weights:
            there[layer.name].set_weights(layer.get_weights())


def _folding(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, keras.layers.Layer]]:
    """(batch norm, convolution) of every pair that is one, nested models' too."""
    nodes, readers, calls = _graph(model)
    for node in nodes:
        layer = node.operation
        if isinstance(layer, keras.Model):
            yield from _folding(layer)
        if not isinstance(layer, keras.layers.BatchNormalization) or calls[id(layer)] > 1:
            continue
        (tensor,) = node.input_tensors
        source = tensor._keras_history.operation
        if (
            isinstance(source, _CONVOLUTIONS)
            and source.activation is keras.activations.linear
            and calls[id(source)] == readers[id(tensor)] == 1
            and source.data_format == "channels_last"
        ):
            yield layer, source


def _rectifying(
    model: keras.Model, norms: dict[keras.layers.Layer, keras.layers.Layer]
) -> Iterator[tuple[keras.layers.Layer, keras.layers.Layer]]:
    """(ReLU, 1x1x1 convolution) where one of `norms`, and nothing else, is between the two."""
    nodes, readers, calls = _graph(model)
    for node in nodes:
        layer = node.operation
        if isinstance(layer, keras.Model):
            yield from _rectifying(layer, norms)
        if type(layer) is not keras.layers.ReLU or calls[id(layer)] > 1:
            continue
        if layer.max_value is not None or layer.negative_slope or layer.threshold:
            continue
        (tensor,) = node.input_tensors
        convolution = norms.get(tensor._keras_history.operation)
        product = isinstance(convolution, Conv3D) and convolution.kernel_size == (1, 1, 1)
        if product and readers[id(tensor)] == 1:
            yield layer, convolution


def _graph(model: keras.Model) -> tuple[list[Any], Counter[int], Counter[int]]:
    """Nodes, how often nodes and outputs read a tensor, how often nodes call a layer (by id)."""
    nodes = [node for depth in model._nodes_by_depth.values() for node in depth]
    read = [tensor for node in nodes for tensor in node.input_tensors]
    calls = Counter(id(node.operation) for node in nodes)
    return nodes, Counter(map(id, (*read, *model.outputs))), calls


def _folded(convolution: keras.layers.Layer, norm: keras.layers.Layer) -> list[np.ndarray]:
    """Kernel and bias that do what convolution and batch norm do at inference."""
    gain, offset = _affine(norm)
    kernel = np.asarray(convolution.kernel, "float64")
    if isinstance(convolution, keras.layers.DepthwiseConv2D):
        kernel = kernel * gain.reshape(kernel.shape[-2:])
    else:
        kernel = kernel * gain
    if convolution.use_bias:
        offset = offset + gain * np.asarray(convolution.bias, "float64")
    return [kernel.astype("float32"), offset.astype("float32")]


def _affine(norm: keras.layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    """The gain and offset of a channel, float64, that a batch norm is at inference."""
    mean, variance = (np.asarray(w, "float64") for w in (norm.moving_mean, norm.moving_variance))
    gain = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        gain = gain * np.asarray(norm.gamma, "float64")
    offset = -mean * gain
    if norm.center:
        offset = offset + np.asarray(norm.beta, "float64")
    return gain, offset
