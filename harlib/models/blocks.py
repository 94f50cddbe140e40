"""What several networks are built of."""

from typing import Any

import keras

from harlib.models.layers import BatchNorm


def scaled(filters: int, width: float) -> int:
    """`filters * width`, to a multiple of 8 (whole vectors of the arithmetic), at least 8."""
    return filters if width == 1 else max(8, 8 * round(filters * width / 8))


def conv_norm(
    x: keras.KerasTensor,
    layer: type[keras.layers.Layer],
    filters: int,
    kernel_size: int | tuple[int, int, int],
    strides: int | tuple[int, int, int],
    name: str,
    bn_name: str,
    **options: Any,
) -> keras.KerasTensor:
    """A convolution `layer` without bias, started as the originals are, and its batch norm."""
    initializer = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    x = layer(filters, kernel_size, strides, kernel_initializer=initializer, name=name, **options)(
        x
    )
    return BatchNorm(name=bn_name)(x)
