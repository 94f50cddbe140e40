"""S3D: Inception blocks whose convolutions are factored into space and time."""

from collections.abc import Sequence
from functools import partial

import keras
from keras import layers as kl

from harlib.models.blocks import average_pool, clips_input, conv_norm, scaled
from harlib.models.layers import BatchNorm, Conv3D, classifier

# A block's filters: of the 1x1x1 branch, of the middle and the end of the two branches of 3x3x3
# convolutions, of the branch behind a pooling. Reference: Szegedy et al., "Going Deeper with
# Convolutions", CVPR 2015, table 1.
BLOCKS = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
# What the head averages before its classifier, one position apart: all of a 16 x 224 x 224 clip.
HEAD_POOL = (2, 7, 7)
_norm = partial(BatchNorm, momentum=0.999, epsilon=1e-3)


def s3d(
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 224,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    dropout: float = 0.0,
    preprocessing: str = "torchvision",
    name: str = "s3d",
) -> keras.Model:
    """S3D on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    Args:
        size: pixels, or `(height, width)`.
        width: factor on all filters, rounded to a multiple of 8.
        dropout: rate before the classifier; the original trained with 0.2.

    Reference: Xie et al., "Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs
    in Video Classification", ECCV 2018; as in torchvision, without feature gating.
    """
    clips, x = clips_input(frames, size, preprocessing)
    x = _factored(x, scaled(64, width), 7, 2, "stem")
    x = _pool(x, (1, 3, 3), (1, 2, 2), "stem_pool")
    x = _convolution(x, scaled(64, width), 1, 1, "stage1_conv")
    x = _factored(x, scaled(192, width), 3, 1, "stage1")
    x = _pool(x, (1, 3, 3), (1, 2, 2), "stage1_pool")
    for stage, blocks in enumerate(BLOCKS, 2):
        for number, filters in enumerate(blocks, 1):
            x = _inception(x, [scaled(n, width) for n in filters], f"stage{stage}_block{number}")
        if stage == 2:
            x = _pool(x, (3, 3, 3), 2, "stage2_pool")
        if stage == 3:
            # a clip of one frame stays one
            kernel = tuple(min(2, n) for n in x.shape[1:4])
            x = kl.MaxPooling3D(kernel, kernel, name="stage3_pool")(x)
    x = average_pool(x, HEAD_POOL, "head_window")
    x = kl.GlobalAveragePooling3D(name="head_pool")(x)
    if dropout:
        x = kl.Dropout(dropout, name="head_dropout")(x)
    return keras.Model(clips, classifier(classes, classifier_activation)(x), name=name)


def _inception(x: keras.KerasTensor, filters: Sequence[int], name: str) -> keras.KerasTensor:
    first, middle1, last1, middle2, last2, pooled = filters
    branches = [_convolution(x, first, 1, 1, f"{name}_branch0")]
    for number, middle, last in ((1, middle1, last1), (2, middle2, last2)):
        branch = f"{name}_branch{number}"
        y = _convolution(x, middle, 1, 1, f"{branch}_conv")
        branches.append(_factored(y, last, 3, 1, branch))
    y = _pool(x, (3, 3, 3), 1, f"{name}_branch3_pool")
    branches.append(_convolution(y, pooled, 1, 1, f"{name}_branch3"))
    return kl.Concatenate(name=f"{name}_join")(branches)


def _factored(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str
) -> keras.KerasTensor:
    x = _convolution(x, filters, (1, kernel, kernel), (1, stride, stride), f"{name}_space")
    return _convolution(x, filters, (kernel, 1, 1), (stride, 1, 1), f"{name}_time")


def _convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int, int],
    strides: int | tuple[int, int, int],
    name: str,
) -> keras.KerasTensor:
    x = conv_norm(x, Conv3D, filters, kernel, strides, name, f"{name}_bn", norm=_norm)
    return kl.ReLU(name=f"{name}_relu")(x)


def _pool(
    x: keras.KerasTensor,
    kernel: tuple[int, int, int],
    strides: int | tuple[int, int, int],
    name: str,
) -> keras.KerasTensor:
    x = kl.ZeroPadding3D([k // 2 for k in kernel], name=f"{name}_pad")(x)  # all x is >= 0
    return kl.MaxPooling3D(kernel, strides, name=name)(x)
