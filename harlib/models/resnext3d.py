"""3D ResNeXt: bottlenecks whose 3x3x3 convolution is grouped."""

import keras
from keras import layers as kl

from harlib.models.blocks import clips_input, conv_norm, scaled
from harlib.models.layers import Conv3D, GroupedConv3D, classifier

# Bottlenecks of the four stages, by the network's depth. Reference: Hara et al., table 1.
BLOCKS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def resnext3d(
    depth: int,
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 112,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    cardinality: int = 32,
    stem: int = 64,
    dropout: float = 0.0,
    preprocessing: str = "hara",
    name: str | None = None,
) -> keras.Model:
    """3D ResNeXt on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    Args:
        depth: 26, 50 or 101 layers.
        size: pixels, or `(height, width)`.
        width: factor on all filters; a bottleneck's middle has `128 * width * 2 ** stage`.
        cardinality: groups of the 3x3x3 convolutions.
        stem: filters of the first convolution at width 1 (128 in a later branch of the paper's
            code).
        dropout: rate before the classifier.
        preprocessing: "hara", as the published weights know pixels, or "residual" (what changes
            from frame to frame).

    Raises:
        ValueError: if a bottleneck's middle does not divide into `cardinality` groups.

    Reference:
        Hara et al., "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?", CVPR
        2018.
    """
    clips, x = clips_input(frames, size, preprocessing)
    x = conv_norm(x, Conv3D, scaled(stem, width), 7, (1, 2, 2), "stem_conv", "stem_bn")
    x = kl.ReLU(name="stem_relu")(x)
    x = kl.ZeroPadding3D(1, name="stem_pad")(x)  # after ReLU, zeros never win the maximum
    x = kl.MaxPooling3D(3, 2, name="stem_pool")(x)
    for stage, blocks in enumerate(BLOCKS[depth], 1):
        middle = scaled(64 * 2**stage, width)
        if middle % cardinality:
            raise ValueError(
                f"cardinality={cardinality} does not divide the {middle} filters of stage {stage} "
                f"at width={width}; take a divisor, such as {_divisor(middle, cardinality)}."
            )
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            x = _bottleneck(x, middle, stride, cardinality, f"stage{stage}_block{block}")
    x = kl.GlobalAveragePooling3D(name="head_pool")(x)
    if dropout:
        x = kl.Dropout(dropout, name="head_dropout")(x)
    scores = classifier(classes, classifier_activation)(x)
    return keras.Model(clips, scores, name=name or f"resnext3d_{depth}")


def _bottleneck(
    x: keras.KerasTensor, middle: int, stride: int, cardinality: int, name: str
) -> keras.KerasTensor:
    shortcut = x
    x = conv_norm(x, Conv3D, middle, 1, 1, f"{name}_conv1", f"{name}_bn1")
    x = kl.ReLU(name=f"{name}_relu1")(x)
    x = conv_norm(
        x, GroupedConv3D, middle, 3, stride, f"{name}_conv2", f"{name}_bn2", groups=cardinality
    )
    x = kl.ReLU(name=f"{name}_relu2")(x)
    x = conv_norm(x, Conv3D, 2 * middle, 1, 1, f"{name}_conv3", f"{name}_bn3")
    if stride != 1 or shortcut.shape[-1] != 2 * middle:
        shortcut = conv_norm(
            shortcut, Conv3D, 2 * middle, 1, stride, f"{name}_shortcut", f"{name}_shortcut_bn"
        )
    x = kl.Add(name=f"{name}_add")([x, shortcut])
    return kl.ReLU(name=f"{name}_relu3")(x)


def _divisor(number: int, at_most: int) -> int:
    return max(n for n in range(1, at_most + 1) if number % n == 0)
