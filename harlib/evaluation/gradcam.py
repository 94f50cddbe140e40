"""3D Grad-CAM: where in a clip, and when, a network saw what speaks for a category."""

import cv2
import matplotlib as mpl
import numpy as np

PLACES = 5  # a map of fewer places a side points at nothing


def gradcam(model, clip, *, label=None, layer=None):
    """How much each place and time of a clip speaks for a category: float32 (frames, height,
    width), 0..1, 1 at the place that speaks most; all 0 where nothing speaks for it.

    model: a functional keras.Model on TensorFlow with clips in and class scores out. clip: uint8
    (frames, height, width, 3), as the model takes it. label: class index; by default the one the
    model names. layer: name of a layer with maps (batch, frames, height, width, channels); by
    default the last that has at least 5 × 5 places.

    The gradient is taken of the score before the softmax where the last layer is dense.

    Raises: ValueError for another backend, for a model without such maps (one that looks at
    single frames), and for a layer that is not there.
    Reference: Selvaraju et al., Grad-CAM, ICCV 2017; over time as well, maps averaged as there.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Grad-CAM needs gradients from TensorFlow, Keras runs on {keras.backend.backend()}: "
            f"set KERAS_BACKEND=tensorflow"
        )
    import tensorflow as tf

    chosen, last = map_layer(model, layer), model.layers[-1]
    dense = isinstance(last, keras.layers.Dense)
    inner = keras.Model(model.inputs, [chosen.output, last.input if dense else model.outputs[0]])
    with tf.GradientTape() as tape:
        # the tape records what watched variables take part in, so the frozen ones count too
        for weight in inner.weights:
            if weight.dtype.startswith(("float", "bfloat")):
                tape.watch(weight.value)
        seen, scores = inner([tf.constant(np.asarray(clip)[None])], training=False)
        if dense:
            kernel, bias = (tf.cast(weight.value, tf.float32) for weight in last.weights)
            scores = tf.cast(scores, tf.float32) @ kernel + bias
        label = int(np.argmax(scores[0])) if label is None else int(label)
        score = scores[0, label]
    gradient = tf.cast(tape.gradient(score, seen), tf.float32)[0]
    weights = tf.reduce_mean(gradient, axis=(0, 1, 2))
    heat = tf.nn.relu(tf.reduce_sum(tf.cast(seen[0], tf.float32) * weights, axis=-1)).numpy()
    heat = _grown(heat, clip.shape[:3])
    return heat / heat.max() if heat.max() > 0 else heat


def overlay(clip, heat, *, strength=0.6):
    """The clip darkened to grey with the heat laid over it: uint8 (frames, height, width, 3).

    clip: uint8 (frames, height, width, 3). heat: (frames, height, width), 0..1.
    """
    grey = clip.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    share = strength * heat[..., None]
    warm = mpl.colormaps["inferno"](heat)[..., :3] * 255
    return np.clip((1 - share) * grey + share * warm, 0, 255).astype(np.uint8)


def maps(model):
    """{name: layer} of the layers with maps (batch, frames, height, width, channels), in order."""
    return {
        layer.name: layer
        for layer in model.layers[1:]
        if len(getattr(layer.output, "shape", ())) == 5 and layer.name != "preprocess"
    }


def map_layer(model, name=None):
    """The layer `name`, or the last whose maps have at least 5 × 5 places.

    Raises: ValueError for a model without maps over time, and for a layer that has none.
    """
    found = maps(model)
    if not found:
        raise ValueError(
            f"{model.name} has no layer with maps (batch, frames, height, width, channels): "
            f"Grad-CAM over time needs a 3D network"
        )
    if name is None:
        large = [key for key, layer in found.items() if min(layer.output.shape[2:4]) >= PLACES]
        name = large[-1] if large else [*found][-1]
    if name not in found:
        raise ValueError(f"layer={name!r} has no such maps in {model.name}; expected one of "
                         f"{', '.join(found)}")  # fmt: skip
    return found[name]


def _grown(heat, shape):
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
