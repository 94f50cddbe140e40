"""Networks by name."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from harlib.models import (
    c3d,
    frame_cnn,
    mvit,
    resnet3d,
    resnet50,
    resnext3d,
    s3d,
    slowfast,
    swin3d,
    videomae,
    x3d,
)
from harlib.models.layers import FoldFrames, MeanOverFrames, classifier

_BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "frame_cnn": frame_cnn.frame_cnn,
    "efficientnet_lite0": partial(
        frame_cnn.frame_cnn, backbone="efficientnet_lite0", name="efficientnet_lite0"
    ),
    "c3d": c3d.c3d,
    "c3d_bn": partial(c3d.c3d, batch_norm=True, name="c3d_bn"),
    "r3d_18": partial(resnet3d.r3d, 18),
    "r3d_34": partial(resnet3d.r3d, 34),
    "r3d_50": partial(resnet3d.r3d, 50),
    "mc3_18": resnet3d.mc3_18,
    "r2plus1d_18": resnet3d.r2plus1d_18,
    "s3d": s3d.s3d,
    "mvit_v2_s": mvit.mvit_v2_s,
    "swin3d_t": swin3d.swin3d_t,
    "videomae_s": partial(videomae.videomae, "s"),
    "videomae_b": partial(videomae.videomae, "b"),
    "resnext3d_26": partial(resnext3d.resnext3d, 26),
    "resnext3d_50": partial(resnext3d.resnext3d, 50),
    "resnext3d_101": partial(resnext3d.resnext3d, 101),
    "x3d_xs": partial(x3d.x3d, window=(4, 5, 5), name="x3d_xs"),
    "x3d_s": partial(x3d.x3d, window=(13, 5, 5), name="x3d_s"),
    "x3d_m": partial(x3d.x3d, window=(16, 7, 7), name="x3d_m"),
    "slow_r50": partial(resnet50.resnet50, "slow_r50"),
    "c2d_r50": partial(resnet50.resnet50, "c2d_r50"),
    "i3d_r50": partial(resnet50.resnet50, "i3d_r50"),
    "slowfast_r50": slowfast.slowfast_r50,
}


def names() -> tuple[str, ...]:
    """Names that `build` knows."""
    return tuple(_BUILDERS)


def build(
    name: str,
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 112,
    classifier_activation: str | None = "softmax",
    **options: Any,
) -> keras.Model:
    """A network on uint8 clips `(batch, frames, height, width, 3)`, RGB.

    Args:
        size: pixels, or `(height, width)`.
        classifier_activation: "softmax", "sigmoid" where a video may have several labels, or
            None for logits; float32 scores `(batch, classes)`.
        options: of the network's builder: `c3d.c3d`, `resnet3d.r3d`, `resnet3d.mc3_18`,
            `resnet3d.r2plus1d_18`, `resnext3d.resnext3d`, `x3d.x3d`, `resnet50.resnet50`,
            `slowfast.slowfast_r50`, `s3d.s3d`, `mvit.mvit_v2_s`, `swin3d.swin3d_t`,
            `videomae.videomae`, `frame_cnn.frame_cnn`.

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


def replace_classifier(
    model: keras.Model,
    classes: int,
    *,
    frames: int | None = None,
    classifier_activation: str | None = None,
) -> keras.Model:
    """The same network, sharing its weights, with a new classifier of `classes` classes.

    Args:
        frames: for a frame CNN, frames of a clip in the new model (a network trained on stills
            has 1); None keeps the model's.
        classifier_activation: of the new classifier; None keeps the old one's.

    Raises:
        ValueError: if `frames` changes and the network is not a frame CNN.
    """
    old = model.get_layer("classifier")
    chain = model.layers
    at = chain.index(old)
    activation = classifier_activation or old.activation
    new = classifier(classes, activation, kernel_initializer=old.kernel_initializer.clone())
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
