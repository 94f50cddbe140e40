"""3D Grad-CAM: where in a clip, and when, a network saw what speaks for a category."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import cv2
import matplotlib as mpl
import numpy as np

from harlib import HarlibError

if TYPE_CHECKING:
    import keras

PLACES = 5  # a map of fewer places a side points at nothing


def gradcam(
    model: keras.Model, clip: np.ndarray, *, label: int | None = None, layer: str | None = None
) -> np.ndarray:
    """How much each place and time of a clip speaks for a category.

    The gradient is taken of the score before the softmax where the last layer is dense.

    Args:
        model: a functional keras.Model with clips in and class scores out.
        clip: uint8 (frames, height, width, 3), as the model takes it.
        label: class index; by default the one the model names.
        layer: name of a layer with maps (batch, frames, height, width, channels); by default the
            last that has at least 5 × 5 places.

    Returns:
        float32 (frames, height, width), 0..1, 1 at the place that speaks most; all 0 where nothing
        speaks for the category.

    Raises:
        HarlibError: a model without such maps (one that looks at single frames), or a layer that is
            not there.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017; over time as well, maps averaged as there.
    """
    import keras

    chosen, last = map_layer(model, layer), model.layers[-1]
    dense = isinstance(last, keras.layers.Dense)
    inner = keras.Model(model.inputs, [chosen.output, last.input if dense else model.outputs[0]])
    frames = np.asarray(clip)[None]

    def speaks(nudge: Any) -> tuple[Any, Any]:
        """The category's score with `nudge` added to the maps, and the maps."""
        with _nudged(chosen, nudge):
            seen, scores = inner([keras.ops.convert_to_tensor(frames)], training=False)
        scores = keras.ops.cast(scores, "float32")
        if dense:
            kernel, bias = (keras.ops.cast(weight.value, "float32") for weight in last.weights)
            scores = scores @ kernel + bias
        best = keras.ops.argmax(scores[0]) if label is None else int(label)
        return scores[0][best], keras.ops.cast(seen, "float32")

    gradient, seen = _gradient(speaks, np.zeros((1, *chosen.output.shape[1:]), np.float32))
    heat = np.maximum((seen[0] * gradient[0].mean(axis=(0, 1, 2))).sum(axis=-1), 0)
    heat = _grown(heat, clip.shape[:3])
    return heat / heat.max() if heat.max() > 0 else heat


@contextlib.contextmanager
def _nudged(layer: keras.layers.Layer, nudge: Any) -> Iterator[None]:
    """Inside, `nudge` is added to what the layer gives: whose gradient is that of the maps."""
    import keras

    call = layer.call

    def nudged(*arguments: Any, **options: Any) -> Any:
        maps = call(*arguments, **options)
        return maps + keras.ops.cast(nudge, maps.dtype)

    layer.call = nudged
    try:
        yield
    finally:
        del layer.call


def _gradient(function: Callable[[Any], tuple[Any, Any]], at: np.ndarray) -> list[np.ndarray]:
    """The gradient of the first thing that `function` gives, and the second: NumPy arrays."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        found = jax.jit(jax.grad(function, has_aux=True))(at)
    elif backend == "torch":
        import torch

        point = keras.ops.convert_to_tensor(at).requires_grad_()
        with torch.enable_grad():
            value, other = function(point)
        found = (*torch.autograd.grad(value, point), other)
    else:
        import tensorflow as tf

        point = tf.constant(at)
        with tf.GradientTape() as tape:
            tape.watch(point)
            value, other = function(point)
        found = tape.gradient(value, point), other
    return [keras.ops.convert_to_numpy(part) for part in found]


def overlay(clip: np.ndarray, heat: np.ndarray, *, strength: float = 0.6) -> np.ndarray:
    """The clip darkened to grey with the heat laid over it: uint8 (frames, height, width, 3).

    Args:
        clip: uint8 (frames, height, width, 3).
        heat: (frames, height, width), 0..1.
        strength: 0..1, how much of the clip the heat hides where it is 1.
    """
    grey = clip.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    share = strength * heat[..., None]
    warm = mpl.colormaps["inferno"](heat)[..., :3] * 255
    return np.clip((1 - share) * grey + share * warm, 0, 255).astype(np.uint8)


def maps(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """{name: layer} of the layers with maps (batch, frames, height, width, channels), in order."""
    return {
        layer.name: layer
        for layer in model.layers[1:]
        if len(getattr(layer.output, "shape", ())) == 5 and layer.name != "preprocess"
    }


def map_layer(model: keras.Model, name: str | None = None) -> keras.layers.Layer:
    """The layer `name`, or the last whose maps have at least 5 × 5 places.

    Raises:
        HarlibError: a model without maps over time, or a layer that has none.
    """
    found = maps(model)
    if not found:
        raise HarlibError(
            f"{model.name} has no layer with maps (batch, frames, height, width, channels): "
            f"Grad-CAM over time needs a 3D network"
        )
    if name is None:
        large = [key for key, layer in found.items() if min(layer.output.shape[2:4]) >= PLACES]
        name = large[-1] if large else [*found][-1]
    if name not in found:
        raise HarlibError(f"layer={name!r} has no such maps in {model.name}; expected one of "
                         f"{', '.join(found)}")  # fmt: skip
    return found[name]


def _grown(heat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Heat (frames, height, width) at the size of the clip: linear in space and in time."""
    frames, height, width = shape
    wide = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR)
                     for one in heat.astype(np.float32)])  # fmt: skip
    # a map's step stands for the middle of the frames it covers
    place = np.clip((np.arange(frames) + 0.5) * len(heat) / frames - 0.5, 0, len(heat) - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, len(heat) - 1)
    share = (place - low).astype(np.float32)[:, None, None]
    return (1 - share) * wide[low] + share * wide[high]
