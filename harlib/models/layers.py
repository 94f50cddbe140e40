"""The few layers the networks need and Keras lacks; all run on every Keras backend."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from harlib.models import conv3d_ops, depthwise_conv3d, grouped_conv3d
from harlib.models.conv3d_ops import Tensor

_register = keras.saving.register_keras_serializable(package="harlib")

# RGB means of the training frames that Hara et al. subtract (no division), 0..255.
HARA_MEAN = (114.7748, 107.7354, 99.4750)


@_register
class Preprocess(keras.layers.Layer):
    """uint8 pixels to network input: `(pixel - mean) / std` in float32, then the compute dtype.

    Shapes: any `(..., 3)`, kept. `reverse` turns RGB into BGR first; `mean` and `std` are in
    the order of the result.
    """

    def __init__(
        self,
        mean: float | Sequence[float] | np.ndarray = HARA_MEAN,
        std: float | Sequence[float] | np.ndarray = 1.0,
        reverse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mean = [float(m) for m in np.broadcast_to(mean, 3)]
        self.std = [float(s) for s in np.broadcast_to(std, 3)]
        self.reverse = bool(reverse)

    def call(self, clips: Tensor) -> Tensor:
        x = ops.cast(clips, "float32")
        if self.reverse:
            x = ops.flip(x, axis=-1)
        x = (x - ops.convert_to_tensor(self.mean, "float32")) / ops.convert_to_tensor(
            self.std, "float32"
        )
        return ops.cast(x, self.compute_dtype)

    def compute_output_spec(self, clips: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(clips.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"mean": self.mean, "std": self.std, "reverse": self.reverse}


@_register
class ResidualFrames(keras.layers.Layer):
    """uint8 clips to what changes from frame to frame: `clip[t + 1] - clip[t]`, standardised.

    What stands still, above all the background, is gone, so that a network trained on few videos
    cannot learn them by it. Each clip's differences are brought to mean 0 and deviation 1 in
    float32 (2 grey levels are added to the deviation, so that noise stays small), then to the
    compute dtype.

    Shapes: `(batch, frames, height, width, 3)`, kept: the last difference comes twice.

    Reference:
        Tao et al., "Rethinking Motion Representation: Residual Frames with 3D ConvNets for Better
        Action Recognition", 2020 (there without standardisation).
    """

    def call(self, clips: Tensor) -> Tensor:
        x = ops.cast(clips, "float32")
        x = x[:, 1:] - x[:, :-1]
        axes = tuple(range(1, len(x.shape)))
        mean, std = ops.mean(x, axes, keepdims=True), ops.std(x, axes, keepdims=True)
        x = (x - mean) / (std + 2)
        return ops.cast(ops.concatenate([x, x[:, -1:]], axis=1), self.compute_dtype)

    def compute_output_spec(self, clips: keras.KerasTensor) -> keras.KerasTensor:
        if clips.shape[1] < 2:
            raise ValueError("a clip of 1 frame has no residual frames; give 2 frames or more.")
        return keras.KerasTensor(clips.shape, dtype=self.compute_dtype)


# what a network's weights expect of a pixel: mean, std, reverse of `Preprocess`
PREPROCESSING: dict[str, Callable[..., keras.layers.Layer]] = {
    "hara": partial(Preprocess, HARA_MEAN),
    "scaled": partial(Preprocess, HARA_MEAN, 64.0),  # about unit variance, without batch norm
    # the same authors' weights of 2020, on Kinetics-700 and Moments in Time
    "hara_2020": partial(Preprocess, (110.7975, 103.3005, 96.2625), (70.5840, 69.1815, 69.7935)),
    # torchvision's video networks: pixels over 255, less Kinetics' means, over its deviations
    "torchvision": partial(Preprocess, (110.2008, 100.6398, 95.9948), (58.1477, 56.4698, 55.3322)),
    # PyTorchVideo's networks, and the transformers that torchvision has of them
    "pytorchvideo": partial(Preprocess, 0.45 * 255, 0.225 * 255),
    "imagenet": partial(Preprocess, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "inception": partial(Preprocess, 127.0, 128.0),  # EfficientNet-Lite
    # The PyTorch ports of C3D read frames as BGR and subtract (90, 98, 102).
    "c3d_port": partial(Preprocess, (90.0, 98.0, 102.0), reverse=True),
    "residual": ResidualFrames,
}


def preprocess(name: str) -> keras.layers.Layer:
    """The layer "preprocess" of a network.

    Args:
        name: a key of `PREPROCESSING`.
    Raises:
        ValueError: for another name.
    """
    if name not in PREPROCESSING:
        raise ValueError(
            f"preprocessing={name!r} is unknown; it is one of {sorted(PREPROCESSING)}."
        )
    return PREPROCESSING[name](name="preprocess")


@_register
class Conv3D(keras.layers.Conv3D):
    """3D convolution with `k // 2` zeros on both sides of each axis, as PyTorch and Caffe pad.

    Never `padding="same"`: with it TensorFlow 2.21 computes a wrong bfloat16 kernel gradient
    where 2 <= frames < kernel frames, and its zeros are one-sided at stride 2.

    Shapes: `(batch, frames, height, width, in)` to `(batch, frames', height', width', filters)`,
    `n' = (n + 2 * (k // 2) - k) // stride + 1`; kernel `(kd, kh, kw, in / groups, filters)`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int, int],
        strides: int | tuple[int, int, int] = 1,
        use_bias: bool = False,
        **kwargs: Any,
    ) -> None:
        for fixed, value in (("padding", "valid"), ("data_format", "channels_last")):
            if kwargs.pop(fixed, value) != value:
                raise ValueError(f"{fixed} of Conv3D is fixed to {value!r}; leave it out.")
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding="valid",
            data_format="channels_last",
            use_bias=use_bias,
            **kwargs,
        )

    # Set by `folding.fold`: a graph holds the kernel as a constant, not a variable.
    constant = False

    def call(self, inputs: Tensor) -> Tensor:
        if not self.constant or self.kernel_size != (1, 1, 1) or self.groups > 1:
            return super().call(inputs)
        return conv3d_ops.multiply(
            inputs, as_constant(lambda: self.kernel), self.strides, self._finish
        )

    def _finish(self, rows: Tensor) -> Tensor:
        import tensorflow as tf

        if self.use_bias:
            rows = tf.nn.bias_add(rows, as_constant(lambda: self.bias))
        return self.activation(rows)

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        if self.constant:
            kernel = as_constant(lambda: kernel)
        way = conv3d_ops.multiply if self.kernel_size == (1, 1, 1) else conv3d_ops.convolve
        return way(inputs, kernel, self.strides)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        size = conv3d_ops.padded_size(input_shape[1:-1], self.kernel_size, self.strides)
        return (input_shape[0], *size, self.filters)


@_register
class GroupedConv3D(Conv3D):
    """Grouped 3D convolution that is fast on a CPU too; padding and shapes as `Conv3D`.

    The kernel is stored plainly, `(kd, kh, kw, in / groups, filters)`, whatever `method`
    computes with it: "auto" (by shape, backend and device), "time", "packs", "depthwise" or
    "native".

    Reference:
        Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017,
        section 3.3.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int, int],
        strides: int | tuple[int, int, int] = 1,
        groups: int = 1,
        method: str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, groups=groups, **kwargs)
        if method not in grouped_conv3d.METHODS:
            raise ValueError(
                f"method={method!r} is unknown; it is one of {grouped_conv3d.METHODS}."
            )
        self.method = method

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        method = self.method
        if method == "auto":
            _, frames, height, width, _ = inputs.shape
            pixels = None if None in (height, width) else height * width
            method = grouped_conv3d.choose(
                frames,
                kernel.shape[-2],
                self.kernel_size,
                pixels=pixels,
                dtype=self.compute_dtype,
                depthwise=self._depthwise(inputs.shape),
            )
        if not self.constant:
            return grouped_conv3d.convolve(inputs, kernel, self.strides, self.groups, method)
        shape = tuple(kernel.shape)
        laid = as_constant(
            lambda: grouped_conv3d.lay(
                ops.convert_to_tensor(kernel), inputs.shape[1], self.strides, self.groups, method
            )
        )
        return grouped_conv3d.convolve_laid(inputs, laid, shape, self.strides, self.groups, method)

    def _depthwise(self, shape: Sequence[int | None]) -> bool:
        """Whether every channel has a kernel of its own, of a kind that is fast so."""
        alone = self.groups == self.filters == shape[-1]
        return alone and depthwise_conv3d.fits(self.kernel_size, self.strides, shape[1:-1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"method": self.method}


@_register
class BatchNorm(keras.layers.BatchNormalization):
    """Batch normalisation over all axes but channels; statistics, gamma, beta in float32.

    Keras' own is several times slower on 5-D tensors: TensorFlow's fused kernel takes 4-D ones,
    so frames are viewed as part of the batch. Defaults are the published networks'.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        fused = keras.backend.backend() == "tensorflow" and self.compute_dtype != "float64"
        if not fused or len(inputs.shape) not in (4, 5):
            return ops.cast(super().call(inputs, training=training, mask=mask), inputs.dtype)
        import tensorflow as tf

        *_, height, width, channels = inputs.shape
        x = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, (-1, height, width, channels))
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if not (training and self.trainable):
            y, _, _ = tf.compat.v1.nn.fused_batch_norm(
                x,
                gamma,
                beta,
                tf.convert_to_tensor(self.moving_mean),
                tf.convert_to_tensor(self.moving_variance),
                epsilon=self.epsilon,
                is_training=False,
            )
        else:
            if tf.distribute.get_strategy().num_replicas_in_sync > 1:
                # The fused kernel sees one device's part of the batch, others see the rest.
                # (Keras' synchronised moments lose digits: mean of squares less square of mean.)
                group = tf.distribute.get_replica_context()
                y = tf.cast(x, "float32")
                mean = group.all_reduce("mean", tf.reduce_mean(y, (0, 1, 2)))
                y = y - mean
                variance = group.all_reduce("mean", tf.reduce_mean(tf.square(y), (0, 1, 2)))
                y = y * (gamma * tf.math.rsqrt(variance + self.epsilon)) + beta
                y = tf.cast(y, x.dtype)
            else:
                y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                    x, gamma, beta, epsilon=self.epsilon, is_training=True
                )
                # The fused kernel gives the unbiased variance; the other backends' is biased.
                count = tf.cast(tf.size(x) / channels, "float32")
                variance = variance * (count - 1) / count
            self.moving_mean.assign(self.momentum * self.moving_mean + (1 - self.momentum) * mean)
            self.moving_variance.assign(
                self.momentum * self.moving_variance + (1 - self.momentum) * variance
            )
        return tf.reshape(y, tf.shape(inputs)) if len(inputs.shape) == 5 else y


@_register
class ZeroChannels(keras.layers.Layer):
    """`(..., channels)` to `(..., filters)`, the new ones behind and all zero."""

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters

    def call(self, x: Tensor) -> Tensor:
        return ops.pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, self.filters - x.shape[-1])])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"filters": self.filters}


@_register
class FoldFrames(keras.layers.Layer):
    """`(batch, frames, height, width, channels)` to `(batch * frames, height, ...)`."""

    def call(self, clips: Tensor) -> Tensor:
        return ops.reshape(clips, (-1, *clips.shape[2:]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (None, *input_shape[2:])


@_register
class SlowFrames(keras.layers.Layer):
    """Every `step`-th frame of clips `(batch, frames, height, width, channels)`: `frames // step`.

    They are spread over the whole clip, first and last frame included, as PyTorchVideo's
    SlowFast takes them.
    """

    def __init__(self, step: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step

    def indices(self, frames: int) -> np.ndarray:
        """Of the frames taken: float32, counted from the nearer end and cut off, as there."""
        taken = frames // self.step
        if taken == 1:
            return np.zeros(1, "int32")
        last, i = np.float32(frames - 1), np.arange(taken, dtype="float32")
        apart = last / np.float32(taken - 1)
        places = np.where(i < taken // 2, apart * i, last - apart * (taken - 1 - i))
        return places.astype("float32").astype("int32")

    def call(self, clips: Tensor) -> Tensor:
        return ops.take(clips, self.indices(clips.shape[1]), axis=1)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (input_shape[0], input_shape[1] // self.step, *input_shape[2:])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"step": self.step}


@_register
class MeanOverFrames(keras.layers.Layer):
    """Scores of frames, `(batch * frames, classes)`, to their means, `(batch, classes)`."""

    def __init__(self, frames: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, scores: Tensor) -> Tensor:
        return ops.mean(ops.reshape(scores, (-1, self.frames, scores.shape[-1])), axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (None, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"frames": self.frames}


@_register
class Categories(keras.layers.Layer):
    """Scores `(batch, classes)`, unchanged; holds the `categories`' names, by class index."""

    def __init__(self, categories: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # A plain attribute would become a tracked list, which does not compare and serialise so.
        self._names = tuple(categories)

    @property
    def categories(self) -> list[str]:
        """The categories' names, by class index."""
        return list(self._names)

    def call(self, scores: Tensor) -> Tensor:
        return scores

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"categories": self.categories}


def as_constant(make: Callable[[], Tensor]) -> Tensor:
    """The value of `make()`, computed now, as a constant of the TensorFlow graph being traced."""
    import tensorflow as tf

    with tf.init_scope():
        value = tf.convert_to_tensor(make()).numpy()
    return tf.constant(value)


def classifier(
    classes: int, activation: str | None = "softmax", **kwargs: Any
) -> keras.layers.Dense:
    """The layer "classifier": dense, in float32 under every policy, as softmax needs."""
    return keras.layers.Dense(
        classes, activation=activation, dtype="float32", name="classifier", **kwargs
    )
