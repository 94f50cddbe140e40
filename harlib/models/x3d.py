"""X3D: narrow bottlenecks with a depthwise convolution, made for few multiply-adds."""

import keras
from keras import layers as kl

from harlib.models.blocks import average_pool, clips_input, conv_norm, scaled, squeeze_and_excite
from harlib.models.layers import Conv3D, GroupedConv3D, classifier

# Bottlenecks of the four stages, and filters behind them. Reference: Feichtenhofer, table 1.
BLOCKS = (3, 5, 11, 7)
FILTERS = (24, 48, 96, 192)
# A bottleneck's middle is this multiple of its filters.
EXPANSION = 2.25


def x3d(
    classes: int,
    *,
    frames: int = 13,
    size: int | tuple[int, int] = 160,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    dropout: float = 0.5,
    window: tuple[int, int, int] = (13, 5, 5),
    preprocessing: str = "pytorchvideo",
    name: str = "x3d_s",
) -> keras.Model:
    """X3D-XS, S or M on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    The three are one network; they differ in the clip that they were trained on: 4 frames of 160
    pixels, 13 of 160, 16 of 224.

    Args:
        size: pixels, or `(height, width)`.
        width: factor on all filters, rounded to a multiple of 8.
        dropout: rate before the classifier.
        window: frames, rows and columns that the head averages before its second projection,
            fewer where the last stage has fewer; a larger clip has several windows, and the
            logits are the mean over them.

    Reference: Feichtenhofer, "X3D: Expanding Architectures for Efficient Video Recognition", CVPR
    2020; details as in PyTorchVideo 0.1.5.
    """
    clips, x = clips_input(frames, size, preprocessing)
    stem = scaled(FILTERS[0], width)
    x = Conv3D(stem, (1, 3, 3), (1, 2, 2), name="stem_space")(x)
    x = conv_norm(x, GroupedConv3D, stem, (5, 1, 1), 1, "stem_time", "stem_bn", groups=stem)
    x = kl.ReLU(name="stem_relu")(x)
    for stage, (blocks, filters) in enumerate(zip(BLOCKS, FILTERS, strict=True), 1):
        filters = scaled(filters, width)
        for block in range(1, blocks + 1):
            x = _bottleneck(x, filters, block, f"stage{stage}_block{block}")
    middle = int(EXPANSION * filters)
    x = conv_norm(x, Conv3D, middle, 1, 1, "head_conv1", "head_bn")
    x = kl.ReLU(name="head_relu1")(x)
    x = average_pool(x, window, "head_pool")
    x = Conv3D(scaled(2048, width), 1, name="head_conv2")(x)
    x = kl.ReLU(name="head_relu2")(x)
    if dropout:
        x = kl.Dropout(dropout, name="head_dropout")(x)
    x = kl.GlobalAveragePooling3D(name="head_mean")(x)
    return keras.Model(clips, classifier(classes, classifier_activation)(x), name=name)


def _bottleneck(x: keras.KerasTensor, filters: int, block: int, name: str) -> keras.KerasTensor:
    shortcut, middle = x, int(EXPANSION * filters)
    strides = (1, 2, 2) if block == 1 else 1
    x = conv_norm(x, Conv3D, middle, 1, 1, f"{name}_conv1", f"{name}_bn1")
    x = kl.ReLU(name=f"{name}_relu1")(x)
    x = conv_norm(
        x, GroupedConv3D, middle, 3, strides, f"{name}_conv2", f"{name}_bn2", groups=middle
    )
    if block % 2:
        x = squeeze_and_excite(x, _squeezed(middle), f"{name}_se")
    x = kl.Activation("silu", name=f"{name}_swish")(x)
    x = conv_norm(x, Conv3D, filters, 1, 1, f"{name}_conv3", f"{name}_bn3")
    if shortcut.shape[-1] != filters:
        shortcut = conv_norm(
            shortcut, Conv3D, filters, 1, strides, f"{name}_shortcut", f"{name}_shortcut_bn"
        )
    elif block == 1:  # the first stage's, which only halves the picture, has no norm
        shortcut = Conv3D(filters, 1, strides, name=f"{name}_shortcut")(shortcut)
    x = kl.Add(name=f"{name}_add")([x, shortcut])
    return kl.ReLU(name=f"{name}_relu3")(x)


def _squeezed(channels: int) -> int:
    """A sixteenth, to a multiple of 8 that is not more than a tenth smaller."""
    number = max(8, 8 * int(channels / 128 + 0.5))
    return number + 8 if number < 0.9 * channels / 16 else number
