"""EfficientNet-Lite0: an image network of few multiply-adds, for frames."""

import keras
from keras import layers as kl

from harlib.models.blocks import scaled
from harlib.models.layers import BatchNorm

# Of each stage: blocks, kernel, stride of the first block, expansion, filters.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def efficientnet_lite0(shape: tuple[int, int, int], width: float = 1.0) -> keras.Model:
    """Frames `(batch, height, width, 3)`, shifted and scaled, to features `(batch, 1280 * width)`.

    Args:
        width: factor on all filters, rounded to a multiple of 8.

    Reference:
        Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML
        2019; "Lite" as in tensorflow/tpu, `models/official/efficientnet/lite`: no squeeze and
        excitation, ReLU6 for swish.
    """
    inputs = keras.Input(shape, name="frames")
    x = _convolved(inputs, kl.Conv2D, "stem", filters=scaled(32, width), kernel_size=3, strides=2)
    for stage, (blocks, kernel, stride, expansion, filters) in enumerate(STAGES, 1):
        for block in range(1, blocks + 1):
            x = _block(x, kernel, stride if block == 1 else 1, expansion, scaled(filters, width),
                       f"stage{stage}_block{block}")  # fmt: skip
    x = _convolved(x, kl.Conv2D, "head", filters=scaled(1280, width), kernel_size=1)
    return keras.Model(inputs, kl.GlobalAveragePooling2D(name="pool")(x), name="backbone")


def _block(
    x: keras.KerasTensor, kernel: int, stride: int, expansion: int, filters: int, name: str
) -> keras.KerasTensor:
    shortcut, channels = x, x.shape[-1]
    if expansion > 1:
        x = _convolved(x, kl.Conv2D, name, "1", filters=expansion * channels, kernel_size=1)
    x = _convolved(x, kl.DepthwiseConv2D, name, "2", kernel_size=kernel, strides=stride)
    x = _convolved(x, kl.Conv2D, name, "3", active=False, filters=filters, kernel_size=1)
    if stride > 1 or channels != filters:
        return x
    return kl.Add(name=f"{name}_add")([x, shortcut])


def _convolved(
    x: keras.KerasTensor,
    kind: type[keras.layers.Layer],
    name: str,
    number: str = "",
    active: bool = True,
    **options: int,
) -> keras.KerasTensor:
    """Convolution, batch norm and, if `active`, ReLU6."""
    x = kind(padding="same", use_bias=False, name=f"{name}_conv{number}", **options)(x)
    x = BatchNorm(epsilon=1e-3, name=f"{name}_bn{number}")(x)
    return kl.ReLU(6.0, name=f"{name}_relu{number}")(x) if active else x
