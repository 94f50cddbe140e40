"""3D convolution with symmetric zero padding, whose gradients can be trusted and are fast."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from harlib import machine

Tensor = Any  # an array of Keras' backend, or a KerasTensor

# Without AVX-512, oneDNN's gradient of a kernel with at least this many channels, in and out, is
# slower than matrix products, up to 3.5 times (`benchmarks/history.md`).
MANY_CHANNELS = 64


def padded_size(
    size: Sequence[int | None], kernel_size: Sequence[int], strides: Sequence[int]
) -> tuple[Any, ...]:
    """Output sizes of a convolution with `k // 2` zeros on both sides; None stays None."""
    return tuple(
        None if n is None else (n + 2 * (k // 2) - k) // s + 1
        for n, k, s in zip(size, kernel_size, strides, strict=True)
    )


def pad(inputs: Tensor, kernel_size: Sequence[int]) -> Tensor:
    """Zeros, `k // 2` on both sides of every axis between batch and channels."""
    if all(k == 1 for k in kernel_size):
        return inputs
    return ops.pad(inputs, [(0, 0), *((k // 2, k // 2) for k in kernel_size), (0, 0)])


def convolve(inputs: Tensor, kernel: Tensor, strides: Sequence[int]) -> Tensor:
    """Convolution of `inputs` `(batch, frames, height, width, in)` with `k // 2` zeros.

    `kernel` is `(kd, kh, kw, in, out)`; the result `(batch, *padded_size, out)`.
    """
    size = tuple(kernel.shape[:3])
    one_step = tuple(strides) == (1, 1, 1) and all(k % 2 for k in size)
    if one_step and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # A custom gradient takes tensors: the variable is read outside.
        return _tensorflow_same()(inputs, tf.convert_to_tensor(kernel))
    return ops.conv(pad(inputs, size), kernel, strides=tuple(strides), padding="valid")


def multiply(
    inputs: Tensor,
    kernel: Tensor,
    strides: Sequence[int],
    finish: Callable[[Tensor], Tensor] = lambda rows: rows,
) -> Tensor:
    """1x1x1 convolution as a matrix product; `kernel` is `(1, 1, 1, in, out)`.

    `finish`, such as bias and ReLU, is of the product's rows `(positions, out)`, where TensorFlow
    computes it in the product's own kernel.
    """
    if max(strides) > 1 and keras.backend.backend() == "jax":
        # On a GPU, XLA aborts where it joins a strided slice and a product of its rows, as in this
        # kernel's gradient (github.com/openxla/xla/issues/47381).
        return finish(ops.conv(inputs, kernel, strides=tuple(strides), padding="valid"))
    inputs = every(inputs, strides)
    rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
    shape = (-1, *inputs.shape[1:-1], kernel.shape[-1])
    return ops.reshape(finish(ops.matmul(rows, kernel[0, 0, 0])), shape)


def every(inputs: Tensor, strides: Sequence[int]) -> Tensor:
    """`inputs[:, ::d, ::h, ::w]` of `(batch, frames, height, width, channels)`.

    TensorFlow's own strided slice is 20 times slower on a CPU, and its gradient too: there blocks
    of `strides` are axes of their own, of which one contiguous slice takes the first of each.
    """
    d, h, w = strides
    size = inputs.shape[1:-1]
    if max(strides) == 1:
        return inputs
    if keras.backend.backend() != "tensorflow" or None in size:
        return inputs[:, ::d, ::h, ::w]
    import tensorflow as tf

    frames, rows, columns = (-(-n // step) for n, step in zip(size, strides, strict=True))
    whole = (frames * d, rows * h, columns * w)
    if whole != tuple(size):
        behind = ((0, n - m) for n, m in zip(whole, size, strict=True))
        inputs = tf.pad(inputs, ((0, 0), *behind, (0, 0)))
    channels = inputs.shape[-1]
    x = tf.reshape(inputs, (-1, d, rows * h * columns * w * channels))
    x = tf.slice(x, (0, 0, 0), (-1, 1, -1)) if d > 1 else x
    x = tf.reshape(x, (-1, h, columns, w * channels))
    x = tf.slice(x, (0, 0, 0, 0), (-1, 1, columns, channels))
    return tf.reshape(x, (-1, frames, rows, columns, channels))


@functools.cache
def _tensorflow_same() -> Callable[[Tensor, Tensor], Tensor]:
    import tensorflow as tf

    @tf.custom_gradient
    def same(x: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
        """Stride 1, "SAME" but for the kernel's gradient.

        With "SAME", TensorFlow 2.21 on a CPU fills a bfloat16 kernel gradient with garbage where
        2 <= frames < kernel frames; forward and input gradient are right, and 10 to 40 % faster
        than over explicitly padded frames.
        """
        zeros = [(0, 0), *((k // 2, k // 2) for k in kernel.shape[:3]), (0, 0)]

        def gradients(upstream: Tensor) -> tuple[Tensor, Tensor]:
            to_x = tf.raw_ops.Conv3DBackpropInputV2(
                input_sizes=tf.shape(x),
                filter=kernel,
                out_backprop=upstream,
                strides=[1] * 5,
                padding="SAME",
            )
            padded = tf.pad(x, zeros)
            if _by_products(kernel):
                return to_x, _kernel_gradient(padded, upstream, kernel.shape)
            to_kernel = tf.raw_ops.Conv3DBackpropFilterV2(
                input=padded,
                filter_sizes=tf.shape(kernel),
                out_backprop=upstream,
                strides=[1] * 5,
                padding="VALID",
            )
            return to_x, to_kernel

        return tf.nn.conv3d(x, kernel, [1] * 5, "SAME"), gradients

    return same


def _by_products(kernel: Tensor) -> bool:
    """Whether `_kernel_gradient` is the faster way: by shape and machine, never by a trial."""
    import tensorflow as tf

    return (
        min(kernel.shape[-2:]) >= MANY_CHANNELS
        and kernel.dtype == tf.float32
        and not machine.has_avx512()
        and not tf.config.list_logical_devices("GPU")
    )


def _kernel_gradient(padded: Tensor, upstream: Tensor, shape: Sequence[int]) -> Tensor:
    """The gradient of a kernel of `shape` `(kd, kh, kw, in, out)`: one matrix product per place.

    `padded` is the input with its zeros, stride 1.
    """
    import tensorflow as tf

    *size, channels, filters = shape
    frames, height, width = (tf.shape(upstream)[axis] for axis in (1, 2, 3))
    rows = tf.reshape(upstream, (-1, filters))
    products: list[Tensor] = []
    for d, h, w in np.ndindex(*size):
        # one after the other: each needs a copy of the input
        with tf.control_dependencies(products[-1:]):
            part = padded[:, d : d + frames, h : h + height, w : w + width]
            part = tf.reshape(part, (-1, channels))
        products.append(tf.matmul(part, rows, transpose_a=True))
    return tf.reshape(tf.stack(products), shape)
