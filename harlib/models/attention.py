"""Attention among the tokens of a clip, as its video transformers need it."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from harlib.models.blocks import small_normal
from harlib.models.conv3d_ops import Tensor, padded_size
from harlib.models.layers import GroupedConv3D

_register = keras.saving.register_keras_serializable(package="harlib")
_KERNEL = (3, 3, 3)
_Shape = tuple[Any, ...]  # of ints, and None for the batch


@_register
class Attention(keras.layers.Layer):
    """Scaled dot-product attention of several heads, which has no weights of its own.

    Shapes: queries, keys and values `(batch, tokens, channels)` each, channels of a head next to
    each other; the result as the queries.
    """

    def __init__(self, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads

    def call(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        channels = queries.shape[-1] // self.heads
        q, k, v = (
            ops.transpose(ops.reshape(x, (-1, x.shape[1], self.heads, channels)), (0, 2, 1, 3))
            for x in (queries, keys, values)
        )
        x = attend(q / math.sqrt(channels), k, v)
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, *queries.shape[1:]))

    def compute_output_shape(
        self, queries_shape: _Shape, keys_shape: _Shape, values_shape: _Shape
    ) -> _Shape:
        return queries_shape

    def macs(self) -> int:
        """Multiply-adds of one clip."""
        queries, keys, _ = (x.shape[1] for x in self.input)
        return 2 * queries * keys * self.output.shape[-1]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"heads": self.heads}


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Of each query the mean of `v`, weighted by the softmax of its products with the keys.

    `q` and `k` are `(..., queries, channels)` and `(..., keys, channels)`.
    """
    return ops.matmul(ops.softmax(ops.matmul(q, ops.swapaxes(k, -1, -2)), axis=-1), v)


@_register
class SinePositions(keras.layers.Layer):
    """Adds sines and cosines of a token's number, which are fixed: `(batch, tokens, channels)`.

    Channels 2 i and 2 i + 1 have the wavelength `2 pi 10000 ** (2 i / channels)`.

    Reference: Vaswani et al., "Attention Is All You Need", NeurIPS 2017.
    """

    def build(self, shape: _Shape) -> None:
        _, tokens, channels = shape
        even = np.arange(channels) // 2 * 2
        angles = np.arange(tokens)[:, None] / 10000 ** (even / channels)
        self._table = np.where(np.arange(channels) % 2, np.cos(angles), np.sin(angles))

    def call(self, tokens: Tensor) -> Tensor:
        return tokens + ops.convert_to_tensor(self._table, tokens.dtype)

    def compute_output_shape(self, shape: _Shape) -> _Shape:
        return shape


@_register
class ClassToken(keras.layers.Layer):
    """A learned token before the others: `(batch, n, channels)` to `(batch, n + 1, channels)`."""

    def build(self, shape: _Shape) -> None:
        self.token = self.add_weight((shape[-1],), small_normal(), name="class_token")

    def call(self, tokens: Tensor) -> Tensor:
        token = ops.broadcast_to(self.token, (ops.shape(tokens)[0], 1, tokens.shape[-1]))
        return ops.concatenate([token, tokens], axis=1)

    def compute_output_shape(self, shape: _Shape) -> _Shape:
        return (shape[0], shape[1] + 1, shape[2])


@_register
class MaxPoolTokens(keras.layers.Layer):
    """The maximum over neighbours in a clip's `grid` of tokens; the class token stays.

    Shapes: `(batch, 1 + frames * height * width, channels)`, with `grid` (frames, height, width).
    The kernel of an axis of stride s > 1 is s + 1, so that neighbours overlap.
    """

    def __init__(self, grid: Sequence[int], strides: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grid, self.strides = tuple(grid), tuple(strides)
        self.kernel_size = tuple(s + 1 if s > 1 else 1 for s in self.strides)
        self.grid_out = padded_size(self.grid, self.kernel_size, self.strides)

    def call(self, tokens: Tensor) -> Tensor:
        channels = tokens.shape[-1]
        x = ops.reshape(tokens[:, 1:], (-1, *self.grid, channels))
        around = [(0, 0), *((k // 2, k // 2) for k in self.kernel_size), (0, 0)]
        x = ops.pad(x, around, constant_values=-math.inf)
        x = ops.max_pool(x, self.kernel_size, self.strides, padding="valid")
        x = ops.reshape(x, (-1, math.prod(self.grid_out), channels))
        return ops.concatenate([tokens[:, :1], x], axis=1)

    def compute_output_shape(self, shape: _Shape) -> _Shape:
        return (shape[0], 1 + math.prod(self.grid_out), shape[2])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"grid": self.grid, "strides": self.strides}


@_register
class PooledAttention(keras.layers.Layer):
    """Attention whose queries, keys and values are pooled over a clip's `grid` of tokens.

    A depthwise 3x3x3 convolution, the same for each head, thins out each of the three; what a
    query sees of a key also depends on how far apart they lie in each axis of the clip; and the
    pooled queries are added to the result (not the class token's).

    Args:
        channels: of the result. grid: (frames, height, width) of the tokens that come.
        stride_q, stride_kv: steps of the pooling, in (frames, height, width).
        epsilon: of the layer norms.

    Shapes: `(batch, 1 + positions of grid, in)` to `(batch, 1 + positions of grid_q, channels)`;
    the class token is the first of each.
    Reference: Li et al., "MViTv2: Improved Multiscale Vision Transformers for Classification and
    Detection", CVPR 2022.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        grid: Sequence[int],
        stride_q: Sequence[int],
        stride_kv: Sequence[int],
        epsilon: float = 1e-6,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels, self.heads, self.epsilon = channels, heads, epsilon
        self.grid = tuple(grid)
        self.stride_q: _Shape = tuple(stride_q)
        self.stride_kv: _Shape = tuple(stride_kv)
        self.grid_q, self.grid_k = (
            padded_size(self.grid, _KERNEL, strides) for strides in (self.stride_q, self.stride_kv)
        )

    def build(self, shape: _Shape) -> None:
        width, policy = self.channels // self.heads, self.dtype_policy
        start = {"kernel_initializer": small_normal(), "dtype": policy}
        self.qkv = keras.layers.Dense(3 * self.channels, name="qkv", **start)
        self.qkv.build(shape)
        self.project = keras.layers.Dense(self.channels, name="project", **start)
        self.project.build((*shape[:-1], self.channels))
        self.pools, self.norms = [], []
        for name, strides in (
            ("q", self.stride_q), ("k", self.stride_kv), ("v", self.stride_kv)
        ):  # fmt: skip
            pool = GroupedConv3D(
                width, _KERNEL, strides, groups=width, name=f"pool_{name}", **start
            )
            pool.build((None, *self.grid, width))
            norm = keras.layers.LayerNormalization(
                epsilon=self.epsilon, name=f"norm_{name}", dtype=policy
            )
            norm.build((None, self.heads, None, width))
            self.pools.append(pool)
            self.norms.append(norm)
        self.distances = [
            self.add_weight((length, width), small_normal(), name=f"distance_{axis}")
            for axis, length in zip("thw", self._lengths(), strict=True)
        ]
        self._places = _places(self.grid_k)

    def _lengths(self) -> tuple[int, int, int]:
        """Of the tables of distances; height's and width's are the larger one's, as published."""
        frames, side = self.grid[0], max(self.grid[1:])
        side = max(side // self.stride_q[1], side // self.stride_kv[1], 1)
        return 2 * frames - 1, 2 * side - 1, 2 * side - 1

    def call(self, tokens: Tensor) -> Tensor:
        width = self.channels // self.heads
        x = ops.reshape(self.qkv(tokens), (-1, tokens.shape[1], 3, self.heads, width))
        x = ops.transpose(x, (2, 0, 3, 1, 4))
        q, k, v = (self._pooled(x[i], self.pools[i], self.norms[i]) for i in range(3))
        places = ops.broadcast_to(
            ops.convert_to_tensor(self._places, k.dtype), (*ops.shape(k)[:-1], sum(self.grid_k))
        )
        x = attend(
            ops.concatenate([q / math.sqrt(width), self._nearness(q)], axis=-1),
            ops.concatenate([k, places], axis=-1),
            v,
        )
        x = x + ops.pad(q[:, :, 1:], [(0, 0), (0, 0), (1, 0), (0, 0)])
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, x.shape[2], self.channels))
        return self.project(x)

    def _pooled(self, x: Tensor, pool: keras.layers.Layer, norm: keras.layers.Layer) -> Tensor:
        """`(batch, heads, tokens, width)`, pooled but for the class token, and normalised."""
        y = pool(ops.reshape(x[:, :, 1:], (-1, *self.grid, x.shape[-1])))
        y = ops.reshape(y, (-1, self.heads, math.prod(y.shape[1:4]), x.shape[-1]))
        return norm(ops.concatenate([x[:, :, :1], y], axis=2))

    def _nearness(self, q: Tensor) -> Tensor:
        """What a query adds to its product with a key for the key's place in each axis.

        `(batch, heads, queries, frames + height + width of grid_k)`. The product with `_places`
        adds the three up for every key, so that no array of all pairs is made an axis.
        """
        x = ops.reshape(q[:, :, 1:], (-1, *self.grid_q, q.shape[-1]))
        parts = []
        for axis, table, queries, keys in zip(
            "thw", self.distances, self.grid_q, self.grid_k, strict=True
        ):
            length = 2 * max(queries, keys) - 1
            if table.shape[0] != length:
                stretch = ops.convert_to_tensor(_stretch(table.shape[0], length), q.dtype)
                table = ops.matmul(stretch, table)
            near = ops.take(table, _apart(queries, keys), axis=0)
            parts.append(ops.einsum(f"bthwc,{axis}kc->bthwk", x, near))
        x = ops.concatenate(parts, axis=-1)
        x = ops.reshape(x, (-1, self.heads, math.prod(self.grid_q), sum(self.grid_k)))
        return ops.pad(x, [(0, 0), (0, 0), (1, 0), (0, 0)])

    def compute_output_shape(self, shape: _Shape) -> _Shape:
        return (shape[0], 1 + math.prod(self.grid_q), self.channels)

    def macs(self) -> int:
        """Multiply-adds of one clip."""
        tokens, channels = self.input.shape[1:]
        queries, keys = math.prod(self.grid_q), math.prod(self.grid_k)
        dense = tokens * channels * 3 * self.channels + (1 + queries) * self.channels**2
        pooling = math.prod(_KERNEL) * self.channels * (queries + 2 * keys)
        near = queries * self.channels * sum(self.grid_k)
        return dense + pooling + near + 2 * (1 + queries) * (1 + keys) * self.channels

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "channels": self.channels,
            "heads": self.heads,
            "grid": self.grid,
            "stride_q": self.stride_q,
            "stride_kv": self.stride_kv,
            "epsilon": self.epsilon,
        }


def _apart(queries: int, keys: int) -> np.ndarray:
    """How far each query lies from each key on an axis, `(queries, keys)`, from 0 on."""
    # In float32, in which the published networks were trained, as fractions are cut off.
    step_q = np.float32(max(keys / queries, 1.0))
    step_k = np.float32(max(queries / keys, 1.0))
    q, k = np.arange(queries, dtype="float32"), np.arange(keys, dtype="float32")
    return (q[:, None] * step_q - (k[None] + np.float32(1.0 - keys)) * step_k).astype("int32")


def _places(grid: Sequence[int]) -> np.ndarray:
    """Of each key, the class token first: 1 at its frame, its row and its column."""
    at = np.indices(grid).reshape(3, -1)
    ones = np.concatenate([np.eye(n)[where] for n, where in zip(grid, at, strict=True)], axis=1)
    return np.pad(ones, [(1, 0), (0, 0)]).astype("float32")


def _stretch(rows: int, length: int) -> np.ndarray:
    """The matrix that interpolates a table of `rows` rows linearly to `length` ones."""
    at = np.clip((np.arange(length) + 0.5) * rows / length - 0.5, 0, rows - 1)
    below = np.minimum(at.astype(int), max(rows - 2, 0))
    matrix = np.zeros((length, rows), "float32")
    matrix[np.arange(length), below] = 1 - (at - below)
    matrix[np.arange(length), np.minimum(below + 1, rows - 1)] += at - below
    return matrix
