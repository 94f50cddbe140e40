"""Depthwise 3D convolution on TensorFlow, which has a fast one of 2D alone.

A kernel `(kd, kh, kw, 1, channels)` is several 2D depthwise kernels whose results are summed. Where
the stride is 1, frames and rows are the image and a row's columns stand beside each other in the
channels: that needs no zeros between clips, and a column's neighbours are a roll away. With a
stride in space, frames are the images, and the slices are of frames. Zeros are `k // 2` on both
sides.
"""

from collections.abc import Sequence

import numpy as np

from harlib.models.conv3d_ops import Tensor, padded_size


def fits(kernel_size: Sequence[int], strides: Sequence[int], size: Sequence[int | None]) -> bool:
    """Whether `convolve` computes it: odd sizes, no stride in time, one in space, a known clip."""
    return (
        all(k % 2 for k in kernel_size)
        and strides[0] == 1
        and strides[1] == strides[2]
        and None not in size
    )


def convolve(inputs: Tensor, kernel: Tensor, strides: Sequence[int]) -> Tensor:
    """`(batch, frames, height, width, channels)` to `(batch, *padded_size, channels)`."""
    kd, kh, kw, _, _ = kernel.shape
    if (kh, kw) == (1, 1) and max(strides) == 1:
        return _over_time(inputs, kernel)
    return _strided(inputs, kernel, strides) if max(strides) > 1 else _by_columns(inputs, kernel)


def _depthwise(x: Tensor, kernel: Tensor, stride: int, padding: str) -> Tensor:
    """A kernel `(k1, k2, 1, channels)` over images `(batch, rows, columns, channels)`."""
    import tensorflow as tf

    return tf.nn.depthwise_conv2d(
        x, tf.transpose(kernel, (0, 1, 3, 2)), (1, stride, stride, 1), padding
    )


def _over_time(inputs: Tensor, kernel: Tensor) -> Tensor:
    import tensorflow as tf

    _, frames, height, width, channels = inputs.shape
    x = tf.reshape(inputs, (-1, frames, height * width, channels))
    return tf.reshape(_depthwise(x, kernel[:, 0], 1, "SAME"), tf.shape(inputs))


def _by_columns(inputs: Tensor, kernel: Tensor) -> Tensor:
    import tensorflow as tf

    _, frames, height, width, channels = inputs.shape
    x = tf.reshape(inputs, (-1, frames, height, width * channels))
    total = None
    for column in range(kernel.shape[2]):
        shift = kernel.shape[2] // 2 - column
        if abs(shift) >= width:
            continue  # beside the frame
        # the columns that the roll brings to the other edge get no weight; slices and zeros
        # instead are several copies more
        target = np.arange(width) + shift
        inside = np.repeat((target >= 0) & (target < width), channels)
        weights = tf.tile(kernel[:, :, column], (1, 1, 1, width)) * tf.constant(inside, x.dtype)
        part = _depthwise(x, weights, 1, "SAME")
        if shift:
            part = tf.roll(part, shift * channels, axis=3)
        total = part if total is None else total + part
    return tf.reshape(total, tf.shape(inputs))


def _strided(inputs: Tensor, kernel: Tensor, strides: Sequence[int]) -> Tensor:
    import tensorflow as tf

    _, frames, height, width, channels = inputs.shape
    kd, kh, kw, _, _ = kernel.shape
    _, rows, columns = padded_size((frames, height, width), (kd, kh, kw), strides)
    x = tf.reshape(inputs, (-1, height, width, channels))
    x = tf.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))
    total = None
    for frame in range(kd):
        shift = frame - kd // 2
        if abs(shift) >= frames:
            continue  # beside the clip
        part = _depthwise(x, kernel[frame], strides[1], "VALID")
        part = tf.reshape(part, (-1, frames, rows, columns, channels))
        if shift:
            # not part[:, …], whose gradient is several times slower than this one's, a pad
            part = tf.slice(
                part, (0, max(shift, 0), 0, 0, 0), (-1, frames - abs(shift), -1, -1, -1)
            )
            part = tf.pad(part, ((0, 0), (max(-shift, 0), max(shift, 0)), (0, 0), (0, 0), (0, 0)))
        total = part if total is None else total + part
    return total
