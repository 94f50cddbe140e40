"""3D ResNets of 18, 34 and 50 layers, and two relatives of 18: MC3 and R(2+1)D."""

from collections.abc import Callable, Sequence
from functools import partial

import keras
from keras import layers as kl

from harlib.models.blocks import clips_input, conv_norm, scaled
from harlib.models.layers import Conv3D, ZeroChannels, classifier

# Blocks of the four stages, by the network's depth.
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
STEMS = ("hara", "tran")
SHORTCUTS = ("A", "B")
# Filters between the stem's two convolutions of R(2+1)D.
STEM_MIDDLE = 45
_Stride = int | tuple[int, int, int]


def r3d(
    depth: int,
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 112,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    stem: str = "hara",
    shortcut: str = "B",
    dropout: float = 0.0,
    preprocessing: str | None = None,
    name: str | None = None,
) -> keras.Model:
    """3D ResNet on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    Args:
        depth: 18 or 34 layers, of basic blocks; 50, of bottlenecks.
        size: pixels, or `(height, width)`.
        width: factor on all filters, rounded to a multiple of 8.
        stem: "hara", 7x7x7 and max pooling (18 layers: 8.3 GMACs); or "tran", 3x7x7 without
            pooling, as R(2+1)D-18 has it (40.7 GMACs): the one to compare that network with.
        shortcut: where a block changes size, "B", a 1x1x1 convolution; or "A", every second
            position and zero channels, without weights (the paper's of 18 and 34 layers).
        dropout: rate before the classifier.
        preprocessing: None for what the published weights of the stem expect; "hara_2020" for
            those that Hara et al. published later, on Kinetics-700 and Moments in Time.

    Raises:
        ValueError: for another stem or shortcut.

    Reference:
        Hara et al., "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?", CVPR
        2018; stem "tran": Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action
        Recognition", CVPR 2018.
    """
    if stem not in STEMS:
        raise ValueError(f"stem={stem!r} is unknown; it is one of {', '.join(STEMS)}.")
    if shortcut not in SHORTCUTS:
        raise ValueError(f"shortcut={shortcut!r} is unknown; it is one of {', '.join(SHORTCUTS)}.")
    preprocessing = preprocessing or ("hara" if stem == "hara" else "torchvision")
    clips, x = clips_input(frames, size, preprocessing)
    if stem == "hara":
        x = conv_norm(x, Conv3D, scaled(64, width), 7, (1, 2, 2), "stem_conv", "stem_bn")
        x = kl.ReLU(name="stem_relu")(x)
        x = kl.ZeroPadding3D(1, name="stem_pad")(x)  # after ReLU, zeros never win the maximum
        x = kl.MaxPooling3D(3, 2, name="stem_pool")(x)
    else:
        x = _stem_of_tran(x, width)
    block = partial(_bottleneck if depth == 50 else _basic, shortcut=shortcut)
    name = name or f"r3d_{depth}"
    return _network(
        clips, x, BLOCKS[depth], block, width, dropout, classes, classifier_activation, name
    )


def mc3_18(
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 112,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    dropout: float = 0.0,
    preprocessing: str = "torchvision",
    name: str = "mc3_18",
) -> keras.Model:
    """MC3-18: `r3d(18, stem="tran")` that sees motion in stem and stage 1 alone.

    Later stages convolve each frame, 1x3x3, and keep the number of frames. Arguments as `r3d`.

    Reference: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action
    Recognition", CVPR 2018.
    """
    clips, x = clips_input(frames, size, preprocessing)
    x = _stem_of_tran(x, width)

    def block(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
        if name.startswith("stage1"):
            return _basic(x, filters, stride, name)
        return _basic(x, filters, (1, stride, stride), name, convolve=_in_frames)

    return _network(
        clips, x, BLOCKS[18], block, width, dropout, classes, classifier_activation, name
    )


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
    """R(2+1)D-18: each 3x3x3 convolution is a 1x3x3 and a 3x1x1 one. Arguments as `r3d`.

    The filters in between are chosen once a block, as in torchvision, such that its first pair
    has about as many weights as the convolution it replaces.

    Reference:
        Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR
        2018.
    """
    clips, x = clips_input(frames, size, preprocessing)
    middle = scaled(STEM_MIDDLE, width)
    x = conv_norm(x, Conv3D, middle, (1, 7, 7), (1, 2, 2), "stem_space", "stem_space_bn")
    x = kl.ReLU(name="stem_space_relu")(x)
    x = conv_norm(x, Conv3D, scaled(64, width), (3, 1, 1), 1, "stem_time", "stem_time_bn")
    x = kl.ReLU(name="stem_relu")(x)
    block = partial(_basic, convolve=_factored)
    return _network(
        clips, x, BLOCKS[18], block, width, dropout, classes, classifier_activation, name
    )


def _stem_of_tran(x: keras.KerasTensor, width: float) -> keras.KerasTensor:
    x = conv_norm(x, Conv3D, scaled(64, width), (3, 7, 7), (1, 2, 2), "stem_conv", "stem_bn")
    return kl.ReLU(name="stem_relu")(x)


def _network(
    clips: keras.KerasTensor,
    x: keras.KerasTensor,
    depths: Sequence[int],
    block: Callable[[keras.KerasTensor, int, int, str], keras.KerasTensor],
    width: float,
    dropout: float,
    classes: int,
    activation: str | None,
    name: str,
) -> keras.Model:
    """Four stages of `depths` blocks and the classifier behind the stem's output `x`."""
    for stage, blocks in enumerate(depths, 1):
        filters = scaled(32 * 2**stage, width)
        for number in range(1, blocks + 1):
            stride = 2 if number == 1 and stage > 1 else 1
            x = block(x, filters, stride, f"stage{stage}_block{number}")
    x = kl.GlobalAveragePooling3D(name="head_pool")(x)
    if dropout:
        x = kl.Dropout(dropout, name="head_dropout")(x)
    return keras.Model(clips, classifier(classes, activation)(x), name=name)


def _full(
    x: keras.KerasTensor, filters: int, stride: int, name: str, number: int, middle: int
) -> keras.KerasTensor:
    return conv_norm(x, Conv3D, filters, 3, stride, f"{name}_conv{number}", f"{name}_bn{number}")


def _in_frames(
    x: keras.KerasTensor, filters: int, stride: _Stride, name: str, number: int, middle: int
) -> keras.KerasTensor:
    kernel, bn_name = (1, 3, 3), f"{name}_bn{number}"
    return conv_norm(x, Conv3D, filters, kernel, stride, f"{name}_conv{number}", bn_name)


def _factored(
    x: keras.KerasTensor, filters: int, stride: int, name: str, number: int, middle: int
) -> keras.KerasTensor:
    space, time = f"{name}_space{number}", f"{name}_time{number}"
    x = conv_norm(x, Conv3D, middle, (1, 3, 3), (1, stride, stride), space, f"{space}_bn")
    x = kl.ReLU(name=f"{space}_relu")(x)
    return conv_norm(x, Conv3D, filters, (3, 1, 1), (stride, 1, 1), time, f"{time}_bn")


def _basic(
    x: keras.KerasTensor,
    filters: int,
    stride: _Stride,
    name: str,
    *,
    convolve: Callable[..., keras.KerasTensor] = _full,
    shortcut: str = "B",
) -> keras.KerasTensor:
    kept = x
    convolve = partial(convolve, middle=middle_filters(x.shape[-1], filters))
    x = convolve(x, filters, stride, name, 1)
    x = kl.ReLU(name=f"{name}_relu1")(x)
    x = convolve(x, filters, 1, name, 2)
    x = kl.Add(name=f"{name}_add")([x, _shortcut(kept, filters, stride, name, shortcut)])
    return kl.ReLU(name=f"{name}_relu2")(x)


def _bottleneck(
    x: keras.KerasTensor, filters: int, stride: int, name: str, *, shortcut: str
) -> keras.KerasTensor:
    kept = x
    x = conv_norm(x, Conv3D, filters, 1, 1, f"{name}_conv1", f"{name}_bn1")
    x = kl.ReLU(name=f"{name}_relu1")(x)
    x = conv_norm(x, Conv3D, filters, 3, stride, f"{name}_conv2", f"{name}_bn2")
    x = kl.ReLU(name=f"{name}_relu2")(x)
    x = conv_norm(x, Conv3D, 4 * filters, 1, 1, f"{name}_conv3", f"{name}_bn3")
    x = kl.Add(name=f"{name}_add")([x, _shortcut(kept, 4 * filters, stride, name, shortcut)])
    return kl.ReLU(name=f"{name}_relu3")(x)


def _shortcut(
    x: keras.KerasTensor, filters: int, stride: _Stride, name: str, kind: str
) -> keras.KerasTensor:
    if stride in (1, (1, 1, 1)) and x.shape[-1] == filters:
        return x
    name = f"{name}_shortcut"
    if kind == "B":
        return conv_norm(x, Conv3D, filters, 1, stride, name, f"{name}_bn")
    x = kl.AveragePooling3D(1, stride, name=f"{name}_pool")(x)
    return ZeroChannels(filters, name=name)(x)


def middle_filters(channels: int, filters: int) -> int:
    """Filters between a 1x3x3 and a 3x1x1 convolution with the weights of one 3x3x3."""
    return 27 * channels * filters // (9 * channels + 3 * filters)
