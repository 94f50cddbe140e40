"""The arithmetic of a network's layers: sizes of their outputs, weights, multiply-adds."""

import math
from dataclasses import dataclass

import keras

from harlib.models.layers import Conv3D
from harlib.models.summary import walk


@dataclass(frozen=True)
class Convolution:
    """One convolution of a built network; axes in order: (frames,) height, width.

    channels, filters: of its input and its output. before, after: positions in its input and
    its output. padding: zeros on either side of each axis; None where Keras pads one side more.
    times: how often a clip passes it, a frame CNN's once a frame.
    """

    layer: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | None
    groups: int
    channels: int
    filters: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    times: int = 1

    @property
    def weights(self) -> int:
        """Of its kernel, without biases: kernel · channels / groups · filters."""
        return math.prod(self.kernel) * self.channels // self.groups * self.filters

    @property
    def macs(self) -> int:
        """Multiply-adds of a clip: its weights at every position of the output."""
        return self.weights * math.prod(self.after) * self.times


def convolutions(model: keras.Model) -> list[Convolution]:
    """The ordinary and grouped convolutions of a network in order, those of nested models too.

    Depthwise and separable ones, which some of Keras's own backbones have, are left out.
    """
    kinds = (keras.layers.Conv2D, keras.layers.Conv3D)
    return [
        Convolution(
            layer=layer.name,
            kernel=tuple(layer.kernel_size),
            stride=tuple(layer.strides),
            padding=_padding(layer),
            groups=layer.groups,
            channels=int(layer.input.shape[-1]),
            filters=layer.filters,
            before=tuple(layer.input.shape[1:-1]),
            after=tuple(layer.output.shape[1:-1]),
            times=times,
        )
        for layer, times in walk(model)
        if isinstance(layer, kinds)
    ]


def _padding(layer: keras.layers.Layer) -> tuple[int, ...] | None:
    """Half of the kernel for harlib's own layers; for Keras's what "same" or "valid" means."""
    if layer.padding == "valid":
        own = isinstance(layer, Conv3D)
        return tuple(kernel // 2 if own else 0 for kernel in layer.kernel_size)
    if max(layer.strides) > 1 or any(kernel % 2 == 0 for kernel in layer.kernel_size):
        return None
    return tuple(kernel // 2 for kernel in layer.kernel_size)
