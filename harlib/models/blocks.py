"""What several networks are built of."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers as kl

from harlib.models.layers import BatchNorm, Conv3D, preprocess


def clips_input(
    frames: int, size: int | tuple[int, int], preprocessing: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input, uint8 `(batch, frames, height, width, 3)`, and its pixels as a network knows them.

    Args:
        size: pixels, or `(height, width)`.
        preprocessing: see `layers.preprocess`.
    """
    height, width = (size, size) if isinstance(size, int) else size
    clips = keras.Input((frames, height, width, 3), dtype="uint8", name="clips")
    return clips, preprocess(preprocessing)(clips)


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
    *,
    norm: Callable[..., keras.layers.Layer] = BatchNorm,
    **options: Any,
) -> keras.KerasTensor:
    """A convolution `layer` without bias, started as the originals are, and its batch `norm`."""
    initializer = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    x = layer(filters, kernel_size, strides, kernel_initializer=initializer, name=name, **options)(
        x
    )
    return norm(name=bn_name)(x)


def bottleneck(
    x: keras.KerasTensor, middle: int, time: int, stride: int, name: str
) -> keras.KerasTensor:
    """1x1 over `time` frames, 1x3x3 with the stride in space, 1x1x1 to four times the middle."""
    shortcut, out = x, 4 * middle
    x = conv_norm(x, Conv3D, middle, (time, 1, 1), 1, f"{name}_conv1", f"{name}_bn1")
    x = kl.ReLU(name=f"{name}_relu1")(x)
    strides = (1, stride, stride)
    x = conv_norm(x, Conv3D, middle, (1, 3, 3), strides, f"{name}_conv2", f"{name}_bn2")
    x = kl.ReLU(name=f"{name}_relu2")(x)
    x = conv_norm(x, Conv3D, out, 1, 1, f"{name}_conv3", f"{name}_bn3")
    if stride != 1 or shortcut.shape[-1] != out:
        shortcut = conv_norm(
            shortcut, Conv3D, out, 1, strides, f"{name}_shortcut", f"{name}_shortcut_bn"
        )
    x = kl.Add(name=f"{name}_add")([x, shortcut])
    return kl.ReLU(name=f"{name}_relu3")(x)


def squeeze_and_excite(x: keras.KerasTensor, squeezed: int, name: str) -> keras.KerasTensor:
    """Channels times a weight in 0..1 that their means over the clip give, by `squeezed` units.

    Reference: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018.
    """
    gate = kl.GlobalAveragePooling3D(keepdims=True, name=f"{name}_mean")(x)
    gate = kl.Dense(squeezed, activation="relu", name=f"{name}1")(gate)
    gate = kl.Dense(x.shape[-1], activation="sigmoid", name=f"{name}2")(gate)
    return kl.Multiply(name=name)([x, gate])


def average_pool(x: keras.KerasTensor, window: Sequence[int], name: str) -> keras.KerasTensor:
    """Means of windows one step apart, `(frames, rows, columns)`, cut to what there is."""
    window = tuple(map(min, window, x.shape[1:-1]))
    if window == tuple(x.shape[1:-1]):
        return kl.GlobalAveragePooling3D(keepdims=True, name=name)(x)
    return kl.AveragePooling3D(window, 1, name=name)(x)


def small_normal() -> keras.Initializer:
    """How transformers' matrices start."""
    return keras.initializers.TruncatedNormal(stddev=0.02)


def dense(x: keras.KerasTensor, units: int, name: str, **options: Any) -> keras.KerasTensor:
    """A dense layer, started as transformers' are."""
    return kl.Dense(units, kernel_initializer=small_normal(), name=name, **options)(x)


def sometimes(x: keras.KerasTensor, rate: float, name: str) -> keras.KerasTensor:
    """`x`, in training left out for a whole clip at this `rate`.

    Reference: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016.
    """
    shape = (None, *(1,) * (len(x.shape) - 1))
    return kl.Dropout(rate, noise_shape=shape, name=name)(x) if rate else x
