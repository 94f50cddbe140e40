"""VideoMAE's networks: plain vision transformers over tubelets of two frames."""

import keras
from keras import layers as kl

from harlib.models.attention import Attention, SinePositions
from harlib.models.blocks import clips_input, dense, scaled, small_normal
from harlib.models.layers import classifier

# Channels, blocks and heads by size. Reference: Tong et al., `modeling_finetune.py`.
SIZES = {"s": (384, 12, 6), "b": (768, 12, 12)}
# Frames, rows and columns of a token.
TUBELET = (2, 16, 16)
# As where the weights were trained; `transformers` has 1e-12, and 1e-5 in the head.
EPSILON = 1e-6


def videomae(
    kind: str,
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 224,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    heads: int | None = None,
    dropout: float = 0.0,
    preprocessing: str = "imagenet",
    name: str | None = None,
) -> keras.Model:
    """A vision transformer on uint8 clips `(batch, frames, height, width, 3)`.

    A token is 2 frames of 16 x 16 pixels; every token attends to every other one in each block,
    and the classifier reads their mean. Scores `(batch, classes)`.

    Args:
        kind: "s" or "b".
        frames: a multiple of 2.
        size: pixels, or `(height, width)`, multiples of 16.
        width: factor on all channels, rounded to a multiple of 8; the heads stay.
        heads: None for the size's own, 6 or 12. No weight's shape tells them: `config.json` beside
            published weights does, as `num_attention_heads`.
        dropout: rate before the classifier.

    Raises:
        ValueError: for frames or a size that do not divide into tokens, or channels into heads.
    Reference: Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for
    Self-Supervised Video Pre-Training", NeurIPS 2022. Its weights are for non-commercial use.
    """
    channels, blocks, own_heads = SIZES[kind]
    channels, heads = scaled(channels, width), heads or own_heads
    name = name or f"videomae_{kind}"
    height, width_px = (size, size) if isinstance(size, int) else size
    if frames % TUBELET[0] or height % TUBELET[1] or width_px % TUBELET[2]:
        raise ValueError(
            f"{name} cuts clips into tokens of 2 x 16 x 16; {frames} x {height} x {width_px} does "
            "not divide into them: give an even number of frames and multiples of 16 pixels."
        )
    if channels % heads:
        raise ValueError(f"{channels} channels do not divide into heads={heads} equal parts.")
    clips, x = clips_input(frames, size, preprocessing)
    x = kl.Conv3D(channels, TUBELET, TUBELET, name="stem_conv")(x)
    x = kl.Reshape((-1, channels), name="stem_tokens")(x)
    x = SinePositions(name="stem_positions")(x)
    for number in range(1, blocks + 1):
        x = _block(x, heads, f"stage1_block{number}")
    x = kl.GlobalAveragePooling1D(name="head_pool")(x)
    x = kl.LayerNormalization(epsilon=EPSILON, name="head_norm")(x)
    if dropout:
        x = kl.Dropout(dropout, name="head_dropout")(x)
    scores = classifier(classes, classifier_activation, kernel_initializer=small_normal())(x)
    return keras.Model(clips, scores, name=name)


def _block(x: keras.KerasTensor, heads: int, name: str) -> keras.KerasTensor:
    kept, channels = x, x.shape[-1]
    x = kl.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm1")(x)
    # A bias of the keys would add the same to all products of a query, which softmax takes away.
    q, k, v = (
        dense(x, channels, f"{name}_{part}", use_bias=part != "key")
        for part in ("query", "key", "value")
    )
    x = Attention(heads, name=f"{name}_attention")(q, k, v)
    x = kept = kl.Add(name=f"{name}_add1")([kept, dense(x, channels, f"{name}_project")])
    x = kl.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm2")(x)
    x = dense(x, 4 * channels, f"{name}_mlp1", activation="gelu")
    return kl.Add(name=f"{name}_add2")([kept, dense(x, channels, f"{name}_mlp2")])
