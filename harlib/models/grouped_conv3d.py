"""Grouped 3D convolution, several ways, because no single one is fast everywhere.

All compute the same thing: clips `(batch, frames, height, width, groups * in)`, kernel
`(kd, kh, kw, in, groups * out)`, symmetric zero padding of `k // 2` (the published networks'),
result `(batch, frames', height', width', groups * out)`.

- `native`: the backend's own grouped convolution. TensorFlow compiles it with XLA on a CPU,
  which is 20 to 100 times slower than the other two.
- `packs`: dense convolutions over packs of groups, each with a block-diagonal kernel. Runs on
  every backend; wastes arithmetic by the number of groups in a pack.
- `time`: one grouped 2D convolution (which oneDNN has) over frames folded into each group's
  channels; the kernel's time axis becomes a block-Toeplitz matrix. Wastes arithmetic by about
  frames / kd, so it is for short clips and needs the number of frames to be known. Without
  oneDNN, or in a precision that the CPU lacks, TensorFlow has no gradient of it.
- `depthwise`: where every channel is a group, 2D depthwise convolutions (`depthwise_conv3d.py`).
"""

import functools
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from harlib import machine
from harlib.models import depthwise_conv3d
from harlib.models.conv3d_ops import Tensor, pad, padded_size
from harlib.models.conv3d_ops import convolve as convolve_dense

METHODS = ("auto", "time", "packs", "depthwise", "native")
# More channels than this in a group's folded frames waste more arithmetic than packs do; twice as
# many do not where the frames are so few that most of the Toeplitz matrix is kernel.
MAX_TIME_CHANNELS = 64
FEW_FRAMES = 4
# The fastest of 8, 16, 32 and 64, or within 15 % of it, wherever packs are the fastest way; without
# AVX-512, whose vectors are twice as wide, not more than two groups.
PACK_CHANNELS = 16
# Without AVX-512, `time` is slower than packs of so few channels per group in frames of at least so
# many pixels: a frame's folded channels no longer fit the cache.
FEW_CHANNELS = 8
MANY_PIXELS = 14 * 14


def choose(
    frames: int | None,
    channels: int,
    kernel_size: Sequence[int],
    *,
    pixels: int | None = None,
    dtype: str = "float32",
    depthwise: bool = False,
) -> str:
    """The fastest method for `frames` frames of `pixels` (None if unknown), `channels` per group.

    A rule, not a race at run time: a resumed run must compute as the first did. For TensorFlow on
    a CPU it is that of the rows of `har bench grouped` (`benchmarks/grouped.json`: the shipped
    ResNeXts, on CPUs with and without AVX-512), which a test holds it to; in those rows stride and
    dtype move no choice by more than 15 %. Not measured: `native` elsewhere, `packs` on a GPU, ARM.
    What has no gradient in `dtype` on this machine is not chosen.
    """
    if keras.backend.backend() != "tensorflow":
        return "native"
    if depthwise:
        return "depthwise"
    if _tensorflow_on_gpu():
        return "packs"
    most = MAX_TIME_CHANNELS * (2 if frames is not None and frames <= FEW_FRAMES else 1)
    fits = frames is not None and frames * channels <= most
    if not machine.has_avx512() and channels <= FEW_CHANNELS:
        fits = fits and pixels is not None and pixels < MANY_PIXELS
    return "time" if fits and kernel_size[0] > 1 and has_gradient(dtype) else "packs"


@functools.cache
def has_gradient(dtype: str) -> bool:
    """Whether TensorFlow trains a grouped 2D convolution in `dtype` on this CPU; tried once."""
    import tensorflow as tf

    # The operations by name: a tape records nothing inside an init_scope.
    with tf.init_scope(), tf.device("CPU:0"):
        x, kernel = tf.ones((1, 2, 2, 4), dtype), tf.ones((1, 1, 2, 4), dtype)
        options = {"out_backprop": x, "strides": [1] * 4, "padding": "SAME"}
        try:
            tf.raw_ops.Conv2DBackpropInput(input_sizes=x.shape, filter=kernel, **options)
            tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, **options)
        except tf.errors.OpError:
            return False
    return True


def convolve(
    inputs: Tensor, kernel: Tensor, strides: Sequence[int], groups: int, method: str
) -> Tensor:
    """Grouped convolution of `inputs` by `method` (one of `METHODS` but "auto")."""
    laid = lay(kernel, inputs.shape[1], strides, groups, method)
    return convolve_laid(inputs, laid, tuple(kernel.shape), strides, groups, method)


def lay(
    kernel: Tensor,
    frames: int,
    strides: Sequence[int],
    groups: int,
    method: str,
    pack_channels: int | None = None,
) -> Tensor:
    """The kernel as `method` multiplies with it, to be given to `convolve_laid`."""
    if method == "time":
        return _over_time(kernel, frames, strides[0], groups)
    return _packed(kernel, groups, pack_channels) if method == "packs" else kernel


def convolve_laid(
    inputs: Tensor,
    laid: Tensor,
    shape: Sequence[int],
    strides: Sequence[int],
    groups: int,
    method: str,
) -> Tensor:
    """Grouped convolution with a kernel from `lay` whose plain shape is `shape`."""
    ways = {"time": by_time, "packs": by_packs, "native": natively, "depthwise": by_channel}
    return ways[method](inputs, laid, shape, strides, groups)


def natively(
    inputs: Tensor, laid: Tensor, shape: Sequence[int], strides: Sequence[int], groups: int
) -> Tensor:
    """The backend's own grouped convolution (it reads `groups` off the kernel's shape)."""
    return ops.conv(pad(inputs, shape[:3]), laid, strides=strides, padding="valid")


def by_channel(
    inputs: Tensor, laid: Tensor, shape: Sequence[int], strides: Sequence[int], groups: int
) -> Tensor:
    """One 2D depthwise convolution per column or frame of the kernel (TensorFlow only)."""
    return depthwise_conv3d.convolve(inputs, laid, strides)


def by_packs(
    inputs: Tensor, laid: Tensor, shape: Sequence[int], strides: Sequence[int], groups: int
) -> Tensor:
    """Dense convolutions over packs of whole groups."""
    packs = laid.shape[-2]
    results = [
        convolve_dense(part, laid[..., index, :], strides)
        for index, part in enumerate(ops.split(inputs, packs, axis=-1))
    ]
    return ops.concatenate(results, axis=-1)


def pack_size(groups: int, channels: int, pack_channels: int | None = None) -> int:
    """Groups of `channels` in a pack of at most `pack_channels`; one group where it has more.

    None for as many as are fastest on this CPU.
    """
    if pack_channels is None:
        pack_channels = PACK_CHANNELS if machine.has_avx512() else min(PACK_CHANNELS, 2 * channels)
    return max(
        n
        for n in range(1, groups + 1)
        if groups % n == 0 and (n == 1 or n * channels <= pack_channels)
    )


def _packed(kernel: Tensor, groups: int, pack_channels: int | None) -> Tensor:
    """`(kd, kh, kw, pack * in, packs, pack * out)`: block-diagonal in each pack."""
    *size, channels, filters = kernel.shape
    out = filters // groups
    pack = pack_size(groups, channels, pack_channels)
    packs = groups // pack
    # (..., in, packs, pack, out) times the identity over (pack, pack): block-diagonal.
    blocks = ops.reshape(kernel, (*size, 1, channels, packs, pack, out))
    identity = ops.reshape(ops.eye(pack, dtype=kernel.dtype), (1, 1, 1, pack, 1, 1, pack, 1))
    return ops.reshape(blocks * identity, (*size, pack * channels, packs, pack * out))


def by_time(
    inputs: Tensor, laid: Tensor, shape: Sequence[int], strides: Sequence[int], groups: int
) -> Tensor:
    """One grouped 2D convolution over frames folded into channels (TensorFlow only)."""
    import tensorflow as tf

    kd, kh, kw, channels, filters = shape
    _, frames, height, width, _ = inputs.shape
    out = filters // groups
    frames_out, height_out, width_out = padded_size((frames, height, width), (kd, kh, kw), strides)
    x = tf.reshape(inputs, (-1, frames, height * width, groups, channels))
    x = tf.reshape(
        tf.transpose(x, (0, 2, 3, 1, 4)), (-1, height, width, groups * frames * channels)
    )
    if tuple(strides[1:]) == (1, 1) and kh % 2 and kw % 2:
        padding = "SAME"  # the same zeros, without a copy
    else:
        # An explicit padding list has no gradient on a CPU.
        x = tf.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))
        padding = "VALID"
    x = tf.nn.conv2d(x, laid, (1, *strides[1:], 1), padding)
    x = tf.reshape(x, (-1, height_out * width_out, groups, frames_out, out))
    return tf.reshape(
        tf.transpose(x, (0, 3, 1, 2, 4)), (-1, frames_out, height_out, width_out, filters)
    )


def _over_time(kernel: Tensor, frames: int, stride: int, groups: int) -> Tensor:
    """`(kh, kw, frames * in, groups * frames_out * out)`: Toeplitz over the frames."""
    import tensorflow as tf

    kd, kh, kw, channels, filters = kernel.shape
    out = filters // groups
    (frames_out,) = padded_size((frames,), (kd,), (stride,))
    matrix = tf.constant(toeplitz(kd, frames, frames_out, stride), kernel.dtype)
    # (frames * frames_out, kd) @ (kd, rest), then the axes in the order a grouped 2D kernel wants.
    folded = tf.matmul(matrix, tf.reshape(kernel, (kd, -1)))
    folded = tf.reshape(folded, (frames, frames_out, kh, kw, channels, groups, out))
    folded = tf.transpose(folded, (2, 3, 0, 4, 5, 1, 6))
    return tf.reshape(folded, (kh, kw, frames * channels, groups * frames_out * out))


def toeplitz(kd: int, frames: int, frames_out: int, stride: int) -> np.ndarray:
    """`(frames * frames_out, kd)`: 1 where the kernel's slice leads frame i to output o."""
    step = np.arange(frames)[:, None] - stride * np.arange(frames_out)[None] + kd // 2
    return (step.reshape(-1, 1) == np.arange(kd)).astype("float32")


def _tensorflow_on_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))
