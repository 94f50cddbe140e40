"""Attention within windows of a clip's grid of tokens, as Video Swin needs it."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from harlib.models.blocks import small_normal
from harlib.models.conv3d_ops import Tensor

_register = keras.saving.register_keras_serializable(package="harlib")
# Added to the product of two tokens that a shift has brought into one window from far apart.
_APART = -100.0


@_register
class WindowAttention(keras.layers.Layer):
    """Attention of several heads among the tokens of each window; the windows do not overlap.

    What a query sees of a key also depends on how far apart they lie. An axis that is no longer
    than the window is one window, unshifted; one that does not divide is filled up with zeros.

    Args:
        window: (frames, height, width) of a window, in tokens.
        shifted: windows begin half a window later, and wrap around.

    Shapes: `(batch, frames, height, width, channels)`, kept.
    Reference: Liu et al., "Video Swin Transformer", CVPR 2022.
    """

    def __init__(
        self, heads: int, window: tuple[int, int, int], shifted: bool, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.heads, self.window, self.shifted = heads, tuple(window), shifted

    def build(self, shape: tuple[Any, ...]) -> None:
        *grid, channels = shape[1:]
        start = {"kernel_initializer": small_normal(), "dtype": self.dtype_policy}
        self.qkv = keras.layers.Dense(3 * channels, name="qkv", **start)
        self.project = keras.layers.Dense(channels, name="project", **start)
        self.qkv.build(shape)
        self.project.build(shape)
        self.distances = self.add_weight(
            (math.prod(2 * n - 1 for n in self.window), self.heads), small_normal(), name="distance"
        )
        self._inside = tuple(min(n, w) for n, w in zip(grid, self.window, strict=True))
        self._shift = tuple(
            w // 2 if self.shifted and n > w else 0 for n, w in zip(grid, self.window, strict=True)
        )
        self._padded = tuple(-n % w + n for n, w in zip(grid, self._inside, strict=True))
        tokens = math.prod(self._inside)
        self._index = _distances(self.window)[:tokens, :tokens]
        self._parts = _parts(self._padded, self._inside, self._shift)

    def call(self, x: Tensor) -> Tensor:
        *grid, channels = x.shape[1:]
        ends = [(0, p - n) for n, p in zip(grid, self._padded, strict=True)]
        x = ops.pad(x, [(0, 0), *ends, (0, 0)])
        if any(self._shift):
            x = ops.roll(x, [-n for n in self._shift], axis=(1, 2, 3))
        x = self._attended(self._cut(x))
        x = self._joined(x, channels)
        if any(self._shift):
            x = ops.roll(x, self._shift, axis=(1, 2, 3))
        return x[:, : grid[0], : grid[1], : grid[2]]

    def _cut(self, x: Tensor) -> Tensor:
        """`(batch, frames, height, width, channels)` to `(batch * windows, tokens, channels)`."""
        counts = [n // w for n, w in zip(self._padded, self._inside, strict=True)]
        pairs = [n for pair in zip(counts, self._inside, strict=True) for n in pair]
        x = ops.transpose(ops.reshape(x, (-1, *pairs, x.shape[-1])), (0, 1, 3, 5, 2, 4, 6, 7))
        return ops.reshape(x, (-1, math.prod(self._inside), x.shape[-1]))

    def _joined(self, x: Tensor, channels: int) -> Tensor:
        counts = [n // w for n, w in zip(self._padded, self._inside, strict=True)]
        x = ops.reshape(x, (-1, *counts, *self._inside, channels))
        x = ops.transpose(x, (0, 1, 4, 2, 5, 3, 6, 7))
        return ops.reshape(x, (-1, *self._padded, channels))

    def _attended(self, x: Tensor) -> Tensor:
        tokens, channels = x.shape[1:]
        width = channels // self.heads
        qkv = ops.reshape(self.qkv(x), (-1, tokens, 3, self.heads, width))
        q, k, v = (qkv[:, :, i] for i in range(3))
        q, k, v = (ops.transpose(part, (0, 2, 1, 3)) for part in (q, k, v))
        near = ops.transpose(ops.take(self.distances, self._index, axis=0), (2, 0, 1))
        products = ops.matmul(q / math.sqrt(width), ops.swapaxes(k, -1, -2)) + near
        if self._parts.any():
            # here and not in `build`: all pairs of tokens are 79 MB at 32 frames of 224 x 224
            parts = ops.convert_to_tensor(self._parts[:, None], "float32")
            apart = ops.not_equal(parts[:, :, None], parts[..., None])
            mask = _APART * ops.cast(apart, products.dtype)
            by_clip = ops.reshape(products, (-1, len(self._parts), self.heads, tokens, tokens))
            products = ops.reshape(by_clip + mask, (-1, self.heads, tokens, tokens))
        x = ops.transpose(ops.matmul(ops.softmax(products, axis=-1), v), (0, 2, 1, 3))
        return self.project(ops.reshape(x, (-1, tokens, channels)))

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return shape

    def macs(self) -> int:
        """Multiply-adds of one clip."""
        tokens, channels = math.prod(self._padded), self.output.shape[-1]
        return tokens * channels * (4 * channels + 2 * math.prod(self._inside))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "heads": self.heads,
            "window": self.window,
            "shifted": self.shifted,
        }


@_register
class JoinNeighbours(keras.layers.Layer):
    """Each 2 x 2 tokens of a frame to one of four times the channels; odd sizes get zeros.

    Shapes: `(batch, frames, height, width, channels)` to `(batch, frames, height / 2, width / 2,
    4 * channels)`, rounded up; the channels are those of the upper left, lower left, upper right
    and lower right token.
    """

    def call(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:4]
        x = ops.pad(x, [(0, 0), (0, 0), (0, height % 2), (0, width % 2), (0, 0)])
        _, frames, rows, columns, channels = self.compute_output_shape((None, *x.shape[1:]))
        # not four strided slices: TensorFlow is slow at those (see `conv3d_ops.every`)
        x = ops.reshape(x, (-1, 2, columns, 2, channels // 4))
        x = ops.transpose(x, (0, 2, 3, 1, 4))
        return ops.reshape(x, (-1, frames, rows, columns, channels))

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        batch, frames, height, width, channels = shape
        return (batch, frames, -(-height // 2), -(-width // 2), 4 * channels)


def _distances(window: Sequence[int]) -> np.ndarray:
    """The row of the table for each query and key of a window, `(tokens, tokens)`."""
    at = np.indices(window).reshape(3, -1)
    apart = at[:, :, None] - at[:, None] + np.array(window)[:, None, None] - 1
    return np.ravel_multi_index(tuple(apart), [2 * n - 1 for n in window]).astype("int32")


def _parts(grid: Sequence[int], window: Sequence[int], shift: Sequence[int]) -> np.ndarray:
    """Numbers of the parts of the grid that tokens are from, `(windows, tokens)`.

    Tokens of a window that are of two parts were no neighbours before the shift.
    """
    parts = np.zeros(grid, int)
    for axis, (n, w, s) in enumerate(zip(grid, window, shift, strict=True)):
        part = np.digitize(np.arange(n), [n - w, n - s]) if s else np.zeros(n, int)
        parts = 3 * parts + part.reshape([-1 if i == axis else 1 for i in range(3)])
    counts = [n // w for n, w in zip(grid, window, strict=True)]
    pairs = [n for pair in zip(counts, window, strict=True) for n in pair]
    return parts.reshape(pairs).transpose(0, 2, 4, 1, 3, 5).reshape(math.prod(counts), -1)
