"""Networks by name, and what can be said of a built one."""

import math
from functools import partial

import keras
import pandas as pd

from harlib.models import c3d, frame_cnn, resnet3d, resnext3d
from harlib.models.layers import FoldFrames, MeanOverFrames, classifier

_BUILDERS = {
    "frame_cnn": frame_cnn.frame_cnn,
    "c3d": c3d.c3d,
    "c3d_bn": partial(c3d.c3d, batch_norm=True, name="c3d_bn"),
    "r3d_18": resnet3d.r3d_18,
    "r2plus1d_18": resnet3d.r2plus1d_18,
    "resnext3d_26": partial(resnext3d.resnext3d, 26),
    "resnext3d_50": partial(resnext3d.resnext3d, 50),
    "resnext3d_101": partial(resnext3d.resnext3d, 101),
}

# Weights that no gradient reaches in any network: of batch norms, input scalings and dropouts.
_NOT_LEARNED = {
    "moving_mean", "moving_variance", "mean", "variance", "count", "seed_generator_state"
}  # fmt: skip


def names():
    """Names that `build` knows."""
    return tuple(_BUILDERS)


def build(name, classes, *, frames=16, size=112, classifier_activation="softmax", **options):
    """A network on uint8 clips `(batch, frames, height, width, 3)`, RGB.

    Args:
        size: pixels, or `(height, width)`.
        classifier_activation: "softmax", or None for logits; float32 scores `(batch, classes)`.
        options: of the network's builder: `c3d.c3d`, `resnet3d.r3d_18`, `resnet3d.r2plus1d_18`,
            `resnext3d.resnext3d`, `frame_cnn.frame_cnn`.

    Raises:
        ValueError: for an unknown name, fewer than 2 classes or an unknown option.
    """
    if name not in _BUILDERS:
        raise ValueError(f"model {name!r} is unknown; it is one of {', '.join(names())}.")
    if classes < 2:
        raise ValueError(f"classes={classes} leaves nothing to tell apart; give 2 or more.")
    try:
        return _BUILDERS[name](
            classes,
            frames=frames,
            size=size,
            classifier_activation=classifier_activation,
            **options,
        )
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise ValueError(f"model {name!r} with options {sorted(options)}: {error}.") from error


def parameters(model):
    """Number of parameters, of frozen layers too: what gradients teach where nothing is frozen.

    Statistics, as a batch norm's moving mean, and states of random generators are none.
    """
    return sum(math.prod(w.shape) for w in model.weights if w.name not in _NOT_LEARNED)


def trainable(model):
    """Number of the parameters that are trained: all but those of frozen layers."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def gmacs(model):
    """Billions of multiply-adds of one clip's forward pass, of convolutions and dense layers."""
    return sum(_macs(layer) * times for layer, times in _walk(model)) / 1e9


def describe(model):
    """The network as a table, one row a layer that computes or reshapes.

    Returns:
        DataFrame `stage, layer, kernel, output, parameters`; kernel as "3x3x3, 64, stride 2",
        output without the batch axis, as "16x56x56x64".
    """
    rows = []
    for layer, _ in _walk(model):
        if isinstance(layer, (keras.layers.InputLayer, keras.layers.ReLU, keras.layers.Activation)):
            continue
        rows.append(
            {
                "stage": stage(layer.name),
                "layer": layer.name,
                "kernel": _kernel(layer),
                "output": _times(layer.output.shape[1:]),
                "parameters": parameters(layer),
            }
        )
    return pd.DataFrame(rows, columns=["stage", "layer", "kernel", "output", "parameters"])


def stage(name):
    """The stage of a layer by its name: "input", "stem", "stage1" and on, "head"."""
    if name in ("preprocess", "fold"):
        return "input"
    return name.split("_")[0] if name.startswith(("stem", "stage")) else "head"


def replace_classifier(model, classes, *, frames=None):
    """The same network, sharing its weights, with a new classifier of `classes` classes.

    Args:
        frames: for a frame CNN, frames of a clip in the new model (a network trained on stills
            has 1); None keeps the model's.

    Raises:
        ValueError: if `frames` changes and the network is not a frame CNN.
    """
    old = model.get_layer("classifier")
    chain = model.layers
    at = chain.index(old)
    new = classifier(classes, old.activation, kernel_initializer=old.kernel_initializer.clone())
    x, clips = old.input, model.inputs[0]
    if frames is not None and frames != clips.shape[1]:
        if not any(isinstance(layer, FoldFrames) for layer in chain):
            raise ValueError(
                f"{model.name} reads clips of {clips.shape[1]} frames, not {frames}; only a "
                "frame CNN's number of frames can change."
            )
        x = clips = keras.Input((frames, *clips.shape[2:]), dtype="uint8", name="clips")
        for layer in chain[1:at]:
            x = layer(x)
    x = new(x)
    for layer in chain[at + 1 :]:
        if isinstance(layer, MeanOverFrames):
            layer = MeanOverFrames(clips.shape[1], dtype="float32", name=layer.name)
        x = layer(x)
    return keras.Model(clips, x, name=model.name)


def _walk(model, times=1):
    """Every layer, nested ones too, and how often a clip passes it (a frame CNN's: per frame)."""
    for layer in model.layers:
        if isinstance(layer, FoldFrames):
            times = model.inputs[0].shape[1]
        if isinstance(layer, MeanOverFrames):
            times = 1
        if isinstance(layer, keras.Model):
            yield from _walk(layer, times)
        else:
            yield layer, times


def _macs(layer):
    kernels = [w for w in layer.weights if "kernel" in w.name and len(w.shape) > 1]
    # A convolution's kernel is applied at every output position, a dense one's once.
    positions = math.prod(layer.output.shape[1:-1]) if kernels else 1
    return sum(math.prod(kernel.shape) for kernel in kernels) * positions


def _kernel(layer):
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if size is None:
        return f"{layer.units}" if isinstance(layer, keras.layers.Dense) else ""
    text = _times(size)
    if getattr(layer, "filters", None):
        text += f", {layer.filters}"
    if getattr(layer, "groups", 1) > 1:
        text += f" in {layer.groups} groups"
    if max(layer.strides) > 1:
        equal = len(set(layer.strides)) == 1
        text += f", stride {layer.strides[0] if equal else _times(layer.strides)}"
    return text


def _times(numbers):
    return "x".join("?" if n is None else str(n) for n in numbers)
