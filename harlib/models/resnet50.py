"""ResNet-50 over clips: Slow, C2D and I3D, which differ in where they look along time."""

from collections.abc import Sequence

import keras
from keras import layers as kl

from harlib.models.blocks import average_pool, bottleneck, clips_input, conv_norm, scaled
from harlib.models.layers import Conv3D, classifier

BLOCKS = (3, 4, 6, 3)
# By network: the stem's frames; frames of the first convolution of a stage's blocks, in turn;
# whether frames are pooled by two behind the first stage; the head's window at 8 frames.
TIME = {
    "slow_r50": (1, ((1,), (1,), (3,), (3,)), False, (8, 7, 7)),
    "c2d_r50": (1, ((1,), (1,), (1,), (1,)), True, (4, 7, 7)),
    "i3d_r50": (5, ((3,), (3, 1), (3, 1), (1, 3)), True, (4, 7, 7)),
}


def resnet50(
    name: str,
    classes: int,
    *,
    frames: int = 8,
    size: int | tuple[int, int] = 224,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    dropout: float = 0.5,
    preprocessing: str = "pytorchvideo",
) -> keras.Model:
    """A ResNet-50 on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    Args:
        name: "slow_r50", no stride in time, and kernels along it in the last two stages alone;
            "c2d_r50", which looks along time in poolings alone; "i3d_r50", with kernels along
            time in every stage.
        size: pixels, or `(height, width)`.
        width: factor on all filters, rounded to a multiple of 8.
        dropout: rate before the classifier.

    The head averages windows of the published clip's size (8 frames of 224 pixels); a larger clip
    has several, and the logits are the mean over them.

    Reference: Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019 (Slow);
    Wang et al., "Non-local Neural Networks", CVPR 2018 (C2D, I3D); as in PyTorchVideo 0.1.5.
    """
    stem, kernels, pooled, window = TIME[name]
    clips, x = clips_input(frames, size, preprocessing)
    x = stem_of(x, scaled(64, width), stem, "stem")
    for stage, blocks in enumerate(BLOCKS, 1):
        x = stage_of(x, scaled(32 * 2**stage, width), blocks, kernels[stage - 1], f"stage{stage}")
        if stage == 1 and pooled:
            x = kl.MaxPooling3D((min(2, frames), 1, 1), name="stage1_pool")(x)
    x = average_pool(x, window, "head_pool")
    if dropout:
        x = kl.Dropout(dropout, name="head_dropout")(x)
    x = kl.GlobalAveragePooling3D(name="head_mean")(x)
    return keras.Model(clips, classifier(classes, classifier_activation)(x), name=name)


def stem_of(x: keras.KerasTensor, filters: int, time: int, name: str) -> keras.KerasTensor:
    """A convolution of `time` frames, 7 rows and columns, and max pooling, both of stride 2."""
    x = conv_norm(x, Conv3D, filters, (time, 7, 7), (1, 2, 2), f"{name}_conv", f"{name}_bn")
    x = kl.ReLU(name=f"{name}_relu")(x)
    x = kl.ZeroPadding3D((0, 1, 1), name=f"{name}_pad")(x)  # after ReLU, zeros never win
    return kl.MaxPooling3D((1, 3, 3), (1, 2, 2), name=f"{name}_pool")(x)


def stage_of(
    x: keras.KerasTensor, middle: int, blocks: int, kernels: Sequence[int], name: str
) -> keras.KerasTensor:
    """Bottlenecks whose first convolutions see `kernels` frames, in turn; all but stage 1 halve."""
    for block in range(1, blocks + 1):
        stride = 2 if block == 1 and not name.startswith("stage1") else 1
        time = kernels[(block - 1) % len(kernels)]
        x = bottleneck(x, middle, time, stride, f"{name}_block{block}")
    return x
