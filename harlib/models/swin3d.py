"""Video Swin: a transformer that attends within windows, which shift from block to block."""

import keras
from keras import layers as kl

from harlib.models.blocks import clips_input, dense, scaled, small_normal, sometimes
from harlib.models.layers import classifier
from harlib.models.window_attention import JoinNeighbours, WindowAttention

# Blocks and heads of the four stages. Reference: Liu et al., section 3.1, Swin-T.
BLOCKS = (2, 2, 6, 2)
HEADS = (3, 6, 12, 24)
# Frames, rows and columns of a token; of a window, in tokens.
TUBELET = (2, 4, 4)
WINDOW = (8, 7, 7)
EPSILON = 1e-5


def swin3d_t(
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 224,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    preprocessing: str = "imagenet",
    name: str = "swin3d_t",
) -> keras.Model:
    """Video Swin-T on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    Args:
        frames: the published weights saw 32.
        size: pixels, or `(height, width)`.
        width: factor on all channels, of which the first stage's, 96, must remain a multiple of 3,
            its heads: 1/4, 1/2, 1.
        dropout: rate before the classifier.
        stochastic_depth: rate at which training leaves out the last block's branches, for a clip;
            earlier blocks' rates rise evenly from 0. The original trained with 0.1.

    Raises:
        ValueError: for channels that do not divide into heads.
    Reference: Liu et al., "Video Swin Transformer", CVPR 2022; as in torchvision.
    """
    channels = scaled(96, width)
    if channels % HEADS[0]:
        raise ValueError(
            f"width={width} leaves {channels} channels, which do not divide into {HEADS[0]} heads; "
            "take 1/4, 1/2 or 1."
        )
    clips, x = clips_input(frames, size, preprocessing)
    ends = [(0, -n % k) for n, k in zip(x.shape[1:4], TUBELET, strict=True)]
    x = kl.ZeroPadding3D(ends, name="stem_pad")(x)
    x = kl.Conv3D(channels, TUBELET, TUBELET, name="stem_conv")(x)
    x = kl.LayerNormalization(epsilon=EPSILON, name="stem_norm")(x)
    rates = iter(stochastic_depth * i / (sum(BLOCKS) - 1) for i in range(sum(BLOCKS)))
    for stage, (blocks, heads) in enumerate(zip(BLOCKS, HEADS, strict=True), 1):
        if stage > 1:
            x = JoinNeighbours(name=f"stage{stage}_join")(x)
            x = kl.LayerNormalization(epsilon=EPSILON, name=f"stage{stage}_join_norm")(x)
            x = dense(x, x.shape[-1] // 2, f"stage{stage}_join_project", use_bias=False)
        for number in range(1, blocks + 1):
            name_ = f"stage{stage}_block{number}"
            attention = WindowAttention(heads, WINDOW, number % 2 == 0, name=f"{name_}_attention")
            x = _block(x, attention, next(rates), name_)
    x = kl.LayerNormalization(epsilon=EPSILON, name="head_norm")(x)
    x = kl.GlobalAveragePooling3D(name="head_pool")(x)
    if dropout:
        x = kl.Dropout(dropout, name="head_dropout")(x)
    scores = classifier(classes, classifier_activation, kernel_initializer=small_normal())(x)
    return keras.Model(clips, scores, name=name)


def _block(
    x: keras.KerasTensor, attention: WindowAttention, rate: float, name: str
) -> keras.KerasTensor:
    kept, channels = x, x.shape[-1]
    x = attention(kl.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm1")(x))
    x = kept = kl.Add(name=f"{name}_add1")([kept, sometimes(x, rate, f"{name}_depth1")])
    x = kl.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm2")(x)
    x = dense(x, 4 * channels, f"{name}_mlp1", activation="gelu")
    x = sometimes(dense(x, channels, f"{name}_mlp2"), rate, f"{name}_depth2")
    return kl.Add(name=f"{name}_add2")([kept, x])
