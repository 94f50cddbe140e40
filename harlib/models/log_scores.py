"""Scores as logits and logarithms too: they differ where probabilities have all become 0 or 1."""

import math

import keras
from keras import ops

from harlib.models.layers import Categories, MeanOverFrames


def with_logs(model: keras.Model) -> keras.Model | None:
    """`model` with two outputs: its scores, and their natural logarithms, float32 both.

    The logarithms come from the logits, so that a class 1,000 nats behind has -1000, where its
    float32 softmax is 0. The scores are computed as before.

    Returns:
        None for a network without a softmax layer "classifier", or with layers behind it that are
        not known here.
    """
    logits = _logits(model)
    if logits is None:
        return None
    logs = ops.log_softmax(logits, axis=-1)
    for layer in behind(model):
        if isinstance(layer, MeanOverFrames):
            by_frame = ops.reshape(logs, (-1, layer.frames, logs.shape[-1]))
            logs = ops.logsumexp(by_frame, axis=1) - math.log(layer.frames)
    return _with(model, logs)


def with_logits(model: keras.Model) -> keras.Model | None:
    """As `with_logs`, with what the softmax is of.

    That is float32 `(batch, classes)`, of a frame CNN `(batch * frames, classes)`.
    """
    logits = _logits(model)
    return None if logits is None else _with(model, logits)


def _logits(model: keras.Model) -> keras.KerasTensor | None:
    """What the classifier gives before its softmax; its weights are copied, all others shared."""
    if type(model).__name__ != "Functional" or len(model.outputs) != 1:
        return None
    classifier = next((layer for layer in model.layers if layer.name == "classifier"), None)
    if classifier is None:
        return None
    if getattr(classifier, "activation", None) is not keras.activations.softmax:
        return None
    if not all(isinstance(layer, (MeanOverFrames, Categories)) for layer in behind(model)):
        return None
    linear = keras.layers.Dense(classifier.units, dtype="float32", name="logits")
    logits = linear(classifier.input)
    linear.set_weights(classifier.get_weights())
    return logits


def behind(model: keras.Model, name: str = "classifier") -> list[keras.layers.Layer]:
    """The layers after the one of a name, in the order of the network."""
    return model.layers[[layer.name for layer in model.layers].index(name) + 1 :]


def _with(model: keras.Model, tensor: keras.KerasTensor) -> keras.Model:
    new = keras.Model(model.inputs, [model.outputs[0], tensor], name=model.name)
    # as in training: XLA makes these networks slower on TensorFlow
    new.compile(jit_compile=keras.backend.backend() == "jax")
    return new
