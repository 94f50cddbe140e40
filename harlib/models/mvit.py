"""MViTv2: a video transformer whose tokens become fewer, and wider, from stage to stage."""

import keras
from keras import layers as kl

from harlib.models.attention import ClassToken, MaxPoolTokens, PooledAttention
from harlib.models.blocks import clips_input, dense, scaled, small_normal, sometimes
from harlib.models.layers import Conv3D, classifier

# Blocks of the four stages. Reference: Li et al., table 1, MViTv2-S.
BLOCKS = (1, 2, 11, 2)
EPSILON = 1e-6


def mvit_v2_s(
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 224,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    preprocessing: str = "pytorchvideo",
    name: str = "mvit_v2_s",
) -> keras.Model:
    """MViTv2-S on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    Its tables of distances have the length that the clip's size asks for, so weights fit clips of
    one size alone: 16 x 224 x 224 for the published ones.

    Args:
        size: pixels, or `(height, width)`.
        width: factor on all channels, rounded to a multiple of 8; the heads stay.
        dropout: rate before the classifier; the original trained with 0.5.
        stochastic_depth: rate at which training leaves out the last block's branches, for a clip;
            earlier blocks' rates rise evenly from 0. The original trained with 0.2.

    Reference: Li et al., "MViTv2: Improved Multiscale Vision Transformers for Classification and
    Detection", CVPR 2022; as in torchvision.
    """
    clips, x = clips_input(frames, size, preprocessing)
    channels = scaled(96, width)
    x = Conv3D(channels, (3, 7, 7), (2, 4, 4), use_bias=True, name="stem_conv")(x)
    grid = x.shape[1:4]
    x = kl.Reshape((-1, channels), name="stem_tokens")(x)
    x = ClassToken(name="stem_class_token")(x)
    rates = iter(stochastic_depth * i / (sum(BLOCKS) - 1) for i in range(sum(BLOCKS)))
    for stage, blocks in enumerate(BLOCKS, 1):
        for number in range(1, blocks + 1):
            # a stage has half of the one before in height and width, twice its channels and heads
            stride = (1, 2, 2) if number == 1 and stage > 1 else (1, 1, 1)
            attention = PooledAttention(
                channels * 2 ** (stage - 1),
                2 ** (stage - 1),
                grid,
                stride,
                (1, 2 ** (4 - stage), 2 ** (4 - stage)),
                EPSILON,
                name=f"stage{stage}_block{number}_attention",
            )
            x = _block(x, attention, next(rates), f"stage{stage}_block{number}")
            grid = attention.grid_q
    # of all tokens the class token alone is read
    x = kl.Cropping1D((0, x.shape[1] - 1), name="head_class_token")(x)
    x = kl.Flatten(name="head_flat")(x)
    x = kl.LayerNormalization(epsilon=EPSILON, name="head_norm")(x)
    if dropout:
        x = kl.Dropout(dropout, name="head_dropout")(x)
    scores = classifier(classes, classifier_activation, kernel_initializer=small_normal())(x)
    return keras.Model(clips, scores, name=name)


def _block(
    x: keras.KerasTensor, attention: PooledAttention, rate: float, name: str
) -> keras.KerasTensor:
    kept, channels = x, attention.channels
    x = kl.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm1")(x)
    if kept.shape[-1] != channels:
        kept = dense(x, channels, f"{name}_shortcut")
    if max(attention.stride_q) > 1:
        kept = MaxPoolTokens(attention.grid, attention.stride_q, name=f"{name}_pool")(kept)
    x = sometimes(attention(x), rate, f"{name}_depth1")
    x = kept = kl.Add(name=f"{name}_add1")([kept, x])
    x = kl.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm2")(x)
    x = dense(x, 4 * channels, f"{name}_mlp1", activation="gelu")
    x = sometimes(dense(x, channels, f"{name}_mlp2"), rate, f"{name}_depth2")
    return kl.Add(name=f"{name}_add2")([kept, x])
