"""The 2D CNN on single frames: a clip's score is the mean of its frames' scores."""

import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers as kl

from harlib import HarlibError, MissingFile
from harlib.models import keras_file
from harlib.models.blocks import scaled
from harlib.models.efficientnet_lite import efficientnet_lite0
from harlib.models.layers import (
    BatchNorm,
    FoldFrames,
    MeanOverFrames,
    Preprocess,
    classifier,
    preprocess,
)

# Filters of the small backbone's stages, two 3x3 convolutions each, at width 1.
SMALL_STAGES = (16, 32, 64, 128)


def frame_cnn(
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 299,
    classifier_activation: str | None = "softmax",
    backbone: str = "inception_resnet_v2",
    weights: str | Path | None = None,
    width: float = 1.0,
    dropout: float = 0.2,
    name: str = "frame_cnn",
) -> keras.Model:
    """2D CNN on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    Each frame is classified alone; with softmax the probabilities are averaged, without
    activation the logits.

    Args:
        size: pixels, or `(height, width)`.
        backbone: a function of `keras.applications` in lower case ("inception_resnet_v2",
            "resnet50", "mobilenet_v2"), "efficientnet_lite0"; "small": eight 3x3 convolutions,
            for a CPU; or the path of a `.keras` file of one's own: RGB frames 0..255, float32
            `(batch, height, width, 3)`, to features `(batch, features)` or maps, which are
            averaged.
        weights: None, "imagenet" (fetched by Keras), or the path of a Keras weights file of the
            backbone without its classifier.
        width: factor on the filters of "small" and "efficientnet_lite0".

    Raises:
        ValueError: for an unknown backbone, or "imagenet" weights of the small one.
        HarlibError: a file that is no such backbone.
        FileNotFoundError: if the weights are neither here nor to be fetched; says which file
            belongs where.

    Reference:
        Of the default, Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual
        Connections on Learning", AAAI 2017.
    """
    height, width_px = (size, size) if isinstance(size, int) else size
    shape = (height, width_px, 3)
    if backbone in _BACKBONES:
        builder, pixels = _BACKBONES[backbone]
        features, prepare = builder(shape, width), preprocess(pixels)
        _load(features, weights)
    elif backbone.endswith(".keras"):
        if weights is not None:
            raise ValueError(f"backbone={backbone!r} has its own weights; leave weights out.")
        features, prepare = _own(Path(backbone), shape), Preprocess(0.0, name="preprocess")
    else:
        features, prepare = _application(backbone, shape, weights)
    clips = keras.Input((frames, *shape), dtype="uint8", name="clips")
    x = prepare(clips)
    x = FoldFrames(name="fold")(x)
    x = features(x)
    x = kl.Dropout(dropout, name="head_dropout")(x)
    x = classifier(classes, classifier_activation)(x)
    scores = MeanOverFrames(frames, dtype="float32", name="mean_over_frames")(x)
    return keras.Model(clips, scores, name=name)


def small_backbone(shape: tuple[int, int, int], width: float = 1.0) -> keras.Model:
    """Frames `(batch, height, width, 3)` to features `(batch, 128 * width)`."""
    x = inputs = keras.Input(shape, name="frames")
    for stage, filters in enumerate(SMALL_STAGES, 1):
        for number in (1, 2):
            x = kl.Conv2D(
                scaled(filters, width),
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"stage{stage}_conv{number}",
            )(x)
            x = BatchNorm(name=f"stage{stage}_bn{number}")(x)
            x = kl.ReLU(name=f"stage{stage}_relu{number}")(x)
        if stage < len(SMALL_STAGES):
            x = kl.MaxPooling2D(2, padding="same", name=f"stage{stage}_pool")(x)
    return keras.Model(inputs, kl.GlobalAveragePooling2D(name="pool")(x), name="backbone")


# The backbones written here, each with the preprocessing that its weights expect.
_BACKBONES: dict[str, tuple[Callable[..., keras.Model], str]] = {
    "small": (small_backbone, "scaled"),
    "efficientnet_lite0": (efficientnet_lite0, "inception"),
}


def applications() -> dict[str, tuple[Callable[..., keras.Model], Callable[..., np.ndarray]]]:
    """Lower-case name -> (function, its preprocessing), of every backbone of Keras."""
    found: dict[str, tuple[Callable[..., keras.Model], Callable[..., np.ndarray]]] = {}
    for module_name, module in inspect.getmembers(keras.applications, inspect.ismodule):
        for function_name, function in inspect.getmembers(module, inspect.isfunction):
            if function_name[0].isupper():
                # The module is the snake-case name where it holds one backbone only.
                found[function_name.lower()] = (function, module.preprocess_input)
                if function_name.lower() == module_name.replace("_", ""):
                    found[module_name] = found[function_name.lower()]
    return found


def _own(path: Path, shape: tuple[int, int, int]) -> keras.Model:
    """The network of a file, from frames of this shape to features."""
    if not path.is_file():
        raise HarlibError(f"no file {path}: a backbone of one's own is a .keras file")
    inner = keras_file.load(path)
    wanted, rank = (None, *shape), len(inner.output_shape)
    takes: Any = getattr(inner, "input_shape", None)
    fits = isinstance(takes, tuple) and len(takes) == 4
    if not fits or any(n not in (None, m) for n, m in zip(takes[1:], shape, strict=True)):
        raise HarlibError(f"{path} takes {takes}, and frames here are {wanted}: set size")
    if rank not in (2, 4):
        raise HarlibError(
            f"{path} gives {inner.output_shape}; a backbone gives (batch, features) or maps "
            "(batch, rows, columns, features)"
        )
    frames = keras.Input(shape, name="frames")
    x = inner(frames)
    if rank == 4:
        x = kl.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(frames, x, name="backbone")


def _application(
    backbone: str, shape: tuple[int, int, int], weights: str | Path | None
) -> tuple[keras.Model, Preprocess]:
    known = applications()
    if backbone not in known:
        raise ValueError(
            f"backbone={backbone!r} is unknown; it is one of {sorted([*_BACKBONES, *known])}."
        )
    function, preprocess_input = known[backbone]
    imagenet = "imagenet" if weights == "imagenet" else None
    features = _fetched(
        function, include_top=False, weights=imagenet, input_shape=shape, pooling="avg"
    )
    features.name = "backbone"
    if imagenet is None:
        _load(features, weights)
    if weights is None:
        for layer in features.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                # Keras' 0.99 leaves the moving statistics behind in short runs from scratch.
                layer.momentum = 0.9
    return features, _like(preprocess_input)


def _fetched(function: Callable[..., keras.Model], **arguments: Any) -> keras.Model:
    """`function(**arguments)`; where its weights cannot be fetched, the error says what to do."""
    try:
        return function(**arguments)
    except Exception as error:
        # Keras raises a bare Exception here.
        found = re.match(r"URL fetch failure on (\S+): (.*)", str(error))
        if not found:
            raise
        address, reason = found.groups()
        home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
        raise MissingFile(
            f"the imagenet weights cannot be fetched ({reason}): put the file {address} at "
            f"{home / 'models' / address.split('/')[-1]}, or give its path as weights."
        ) from error


def _like(preprocess_input: Callable[[np.ndarray], np.ndarray]) -> Preprocess:
    """The `Preprocess` layer that does what an application's own affine function does."""
    offset = preprocess_input(np.zeros((1, 1, 3), "float32"))[0, 0]
    unit = preprocess_input(np.eye(3, dtype="float32")[:, None])[:, 0] - offset
    reverse = bool(unit[0, 0] == 0)
    scale = np.diag(unit[::-1] if reverse else unit)
    return Preprocess(-offset / scale, 1 / scale, reverse, name="preprocess")


def _load(features: keras.Model, weights: str | Path | None) -> None:
    if weights == "imagenet":
        raise ValueError(
            "this backbone has no imagenet weights of Keras; give None or a file's path (published "
            "weights of EfficientNet-Lite0: notebook 09)."
        )
    if weights is not None:
        features.load_weights(weights)
