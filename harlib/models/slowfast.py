"""SlowFast: a wide ResNet-50 on few frames beside a narrow one on all."""

import keras
from keras import layers as kl

from harlib.models.blocks import average_pool, clips_input, conv_norm, scaled
from harlib.models.layers import Conv3D, SlowFrames, classifier
from harlib.models.resnet50 import BLOCKS, stage_of, stem_of

# The slow pathway sees every 4th frame; the fast one has an 8th of the filters.
ALPHA = 4
BETA = 8
# Frames of the first convolution of a stage's blocks.
SLOW = (1, 1, 3, 3)
FAST = (3, 3, 3, 3)


def slowfast_r50(
    classes: int,
    *,
    frames: int = 32,
    size: int | tuple[int, int] = 224,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    dropout: float = 0.5,
    preprocessing: str = "pytorchvideo",
    name: str = "slowfast_r50",
) -> keras.Model:
    """SlowFast R50 on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    One clip goes in; the network takes the slow pathway's frames from it.

    Args:
        frames: a multiple of 4.
        size: pixels, or `(height, width)`.
        width: factor on the slow pathway's filters, rounded to a multiple of 8.
        dropout: rate before the classifier.

    The head averages all frames and windows of 7 x 7; a larger clip has several, and the logits
    are the mean over them.

    Raises:
        ValueError: for another number of frames.
    Reference: Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019; details
    as in PyTorchVideo 0.1.5.
    """
    if frames % ALPHA or frames < ALPHA:
        raise ValueError(
            f"frames={frames}: SlowFast's slow pathway sees every {ALPHA}th frame; give a multiple "
            f"of {ALPHA}, such as {max(ALPHA, frames - frames % ALPHA)}."
        )
    clips, x = clips_input(frames, size, preprocessing)
    filters = scaled(64, width)
    slow = stem_of(SlowFrames(ALPHA, name="stem_slow_frames")(x), filters, 1, "stem_slow")
    fast = stem_of(x, filters // BETA, 5, "stem_fast")
    for stage, blocks in enumerate(BLOCKS, 1):
        name_ = f"stage{stage}"
        slow = _fuse(slow, fast, "stem" if stage == 1 else f"stage{stage - 1}")
        middle = filters * 2 ** (stage - 1)
        slow = stage_of(slow, middle, blocks, SLOW[stage - 1 : stage], f"{name_}_slow")
        fast = stage_of(fast, middle // BETA, blocks, FAST[stage - 1 : stage], f"{name_}_fast")
    x = kl.Concatenate(name="head_concatenate")(
        [
            average_pool(path, (path.shape[1], 7, 7), f"head_{name_}_pool")
            for path, name_ in ((slow, "slow"), (fast, "fast"))
        ]
    )
    if dropout:
        x = kl.Dropout(dropout, name="head_dropout")(x)
    x = kl.GlobalAveragePooling3D(name="head_mean")(x)
    return keras.Model(clips, classifier(classes, classifier_activation)(x), name=name)


def _fuse(slow: keras.KerasTensor, fast: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The slow pathway's channels, and behind them what the fast one saw around each frame."""
    filters = 2 * fast.shape[-1]
    x = conv_norm(
        fast, Conv3D, filters, (7, 1, 1), (ALPHA, 1, 1), f"{name}_fuse", f"{name}_fuse_bn"
    )
    x = kl.ReLU(name=f"{name}_fuse_relu")(x)
    return kl.Concatenate(name=f"{name}_fused")([slow, x])
