"""3D ResNet-18 and R(2+1)D-18: basic blocks, between the frame CNN and the deep 3D networks."""

from collections.abc import Callable
from functools import partial

import keras
from keras import layers as kl

from harlib.models.blocks import conv_norm, scaled
from harlib.models.layers import Conv3D, classifier, preprocess

# Basic blocks of the four stages of the 18-layer networks.
BLOCKS = (2, 2, 2, 2)
STEMS = ("hara", "tran")
# Filters between the stem's two convolutions of R(2+1)D.
STEM_MIDDLE = 45


def r3d_18(
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 112,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    stem: str = "hara",
    dropout: float = 0.0,
    preprocessing: str | None = None,
    name: str = "r3d_18",
) -> keras.Model:
    """3D ResNet-18 on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    Args:
        size: pixels, or `(height, width)`.
        width: factor on all filters, rounded to a multiple of 8.
        stem: "hara", 7x7x7 and max pooling (8.3 GMACs); or "tran", 3x7x7 without pooling, as
            R(2+1)D-18 has it (40.7 GMACs): the one to compare that network with.
        dropout: rate before the classifier.
        preprocessing: None for what the published weights of the stem expect.

    Raises:
        ValueError: for another stem.
    Reference: Hara et al., "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and
    ImageNet?", CVPR 2018; stem "tran": Tran et al., "A Closer Look at Spatiotemporal
    Convolutions for Action Recognition", CVPR 2018.
    """
    if stem not in STEMS:
        raise ValueError(f"stem={stem!r} is unknown; it is one of {', '.join(STEMS)}.")
    preprocessing = preprocessing or ("hara" if stem == "hara" else "torchvision")
    clips, x = _input(frames, size, preprocessing)
    filters = scaled(64, width)
    if stem == "hara":
        x = conv_norm(x, Conv3D, filters, 7, (1, 2, 2), "stem_conv", "stem_bn")
        x = kl.ReLU(name="stem_relu")(x)
        x = kl.ZeroPadding3D(1, name="stem_pad")(x)  # after ReLU, zeros never win the maximum
        x = kl.MaxPooling3D(3, 2, name="stem_pool")(x)
    else:
        x = conv_norm(x, Conv3D, filters, (3, 7, 7), (1, 2, 2), "stem_conv", "stem_bn")
        x = kl.ReLU(name="stem_relu")(x)
    return _network(clips, x, _full, width, dropout, classes, classifier_activation, name)


def r2plus1d_18(
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 112,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    dropout: float = 0.0,
    preprocessing: str = "torchvision",
    name: str = "r2plus1d_18",
) -> keras.Model:
    """R(2+1)D-18: each 3x3x3 convolution is a 1x3x3 and a 3x1x1 one. Arguments as `r3d_18`.

    The filters in between are chosen once a block, as in torchvision, such that its first pair
    has about as many weights as the convolution it replaces.

    Reference: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action
    Recognition", CVPR 2018.
    """
    clips, x = _input(frames, size, preprocessing)
    middle = scaled(STEM_MIDDLE, width)
    x = conv_norm(x, Conv3D, middle, (1, 7, 7), (1, 2, 2), "stem_space", "stem_space_bn")
    x = kl.ReLU(name="stem_space_relu")(x)
    x = conv_norm(x, Conv3D, scaled(64, width), (3, 1, 1), 1, "stem_time", "stem_time_bn")
    x = kl.ReLU(name="stem_relu")(x)
    return _network(clips, x, _factored, width, dropout, classes, classifier_activation, name)


def _input(
    frames: int, size: int | tuple[int, int], preprocessing: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    height, width = (size, size) if isinstance(size, int) else size
    clips = keras.Input((frames, height, width, 3), dtype="uint8", name="clips")
    return clips, preprocess(preprocessing)(clips)


def _network(
    clips: keras.KerasTensor,
    x: keras.KerasTensor,
    convolve: Callable[..., keras.KerasTensor],
    width: float,
    dropout: float,
    classes: int,
    activation: str | None,
    name: str,
) -> keras.Model:
    """The four stages and the classifier behind the stem's output `x`."""
    for stage, blocks in enumerate(BLOCKS, 1):
        filters = scaled(32 * 2**stage, width)
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            x = _basic(x, convolve, filters, stride, f"stage{stage}_block{block}")
    x = kl.GlobalAveragePooling3D(name="head_pool")(x)
    if dropout:
        x = kl.Dropout(dropout, name="head_dropout")(x)
    return keras.Model(clips, classifier(classes, activation)(x), name=name)


def _basic(
    x: keras.KerasTensor,
    convolve: Callable[..., keras.KerasTensor],
    filters: int,
    stride: int,
    name: str,
) -> keras.KerasTensor:
    shortcut = x
    convolve = partial(convolve, middle=middle_filters(x.shape[-1], filters))
    x = convolve(x, filters, stride, name, 1)
    x = kl.ReLU(name=f"{name}_relu1")(x)
    x = convolve(x, filters, 1, name, 2)
    if stride != 1 or shortcut.shape[-1] != filters:
        shortcut = conv_norm(
            shortcut, Conv3D, filters, 1, stride, f"{name}_shortcut", f"{name}_shortcut_bn"
        )
    x = kl.Add(name=f"{name}_add")([x, shortcut])
    return kl.ReLU(name=f"{name}_relu2")(x)


def middle_filters(channels: int, filters: int) -> int:
    """Filters between a 1x3x3 and a 3x1x1 convolution with the weights of one 3x3x3."""
    return 27 * channels * filters // (9 * channels + 3 * filters)


def _full(
    x: keras.KerasTensor, filters: int, stride: int, name: str, number: int, middle: int
) -> keras.KerasTensor:
    return conv_norm(x, Conv3D, filters, 3, stride, f"{name}_conv{number}", f"{name}_bn{number}")


def _factored(
    x: keras.KerasTensor, filters: int, stride: int, name: str, number: int, middle: int
) -> keras.KerasTensor:
    space, time = f"{name}_space{number}", f"{name}_time{number}"
    x = conv_norm(x, Conv3D, middle, (1, 3, 3), (1, stride, stride), space, f"{space}_bn")
    x = kl.ReLU(name=f"{space}_relu")(x)
    return conv_norm(x, Conv3D, filters, (3, 1, 1), (stride, 1, 1), time, f"{time}_bn")
