"""What can be said of a built network: parameters, multiply-adds, a table of its layers."""

import math
from collections.abc import Iterable, Iterator

import keras
import pandas as pd

from harlib.models.layers import FoldFrames, MeanOverFrames

# Weights that no gradient reaches in any network: of batch norms, input scalings and dropouts.
_NOT_LEARNED = {
    "moving_mean", "moving_variance", "mean", "variance", "count", "seed_generator_state"
}  # fmt: skip


def parameters(model: keras.Model) -> int:
    """Number of parameters, of frozen layers too: what gradients teach where nothing is frozen.

    Statistics, as a batch norm's moving mean, and states of random generators are none.
    """
    return sum(math.prod(w.shape) for w in model.weights if w.name not in _NOT_LEARNED)


def trainable(model: keras.Model) -> int:
    """Number of the parameters that are trained: all but those of frozen layers."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def gmacs(model: keras.Model) -> float:
    """Billions of multiply-adds of one clip's forward pass, attention included."""
    return sum(_macs(layer) * times for layer, times in walk(model)) / 1e9


def describe(model: keras.Model) -> pd.DataFrame:
    """The network as a table, one row per layer that computes or reshapes.

    Returns:
        DataFrame `stage, layer, kernel, output, parameters`; kernel as "3x3x3, 64, stride 2",
        output without the batch axis, as "16x56x56x64".
    """
    rows = []
    for layer, _ in walk(model):
        if isinstance(layer, (keras.layers.InputLayer, keras.layers.ReLU, keras.layers.Activation)):
            continue
        rows.append(
            {
                "stage": stage(layer.name),
                "layer": layer.name,
                "kernel": _kernel(layer),
                "output": _times(layer.output.shape[1:]),
                "parameters": parameters(layer),
            }
        )
    return pd.DataFrame(rows, columns=["stage", "layer", "kernel", "output", "parameters"])


def stage(name: str) -> str:
    """The stage of a layer by its name: "input", "stem", "stage1" and on, "head"."""
    if name in ("preprocess", "fold"):
        return "input"
    return name.split("_")[0] if name.startswith(("stem", "stage")) else "head"


def walk(model: keras.Model, times: int = 1) -> Iterator[tuple[keras.layers.Layer, int]]:
    """Every layer, nested ones too, and how often a clip passes it (a frame CNN's: per frame)."""
    for layer in model.layers:
        if isinstance(layer, FoldFrames):
            times = model.inputs[0].shape[1]
        if isinstance(layer, MeanOverFrames):
            times = 1
        if isinstance(layer, keras.Model):
            yield from walk(layer, times)
        else:
            yield layer, times


def _macs(layer: keras.layers.Layer) -> int:
    if hasattr(layer, "macs"):
        return layer.macs()
    kernels = [w for w in layer.weights if "kernel" in w.name and len(w.shape) > 1]
    # A convolution's kernel is applied at every output position, a dense one's once.
    positions = math.prod(layer.output.shape[1:-1]) if kernels else 1
    return sum(math.prod(kernel.shape) for kernel in kernels) * positions


def _kernel(layer: keras.layers.Layer) -> str:
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if size is None:
        return f"{layer.units}" if isinstance(layer, keras.layers.Dense) else ""
    text = _times(size)
    if getattr(layer, "filters", None):
        text += f", {layer.filters}"
    if getattr(layer, "groups", 1) > 1:
        text += f" in {layer.groups} groups"
    if max(layer.strides) > 1:
        equal = len(set(layer.strides)) == 1
        text += f", stride {layer.strides[0] if equal else _times(layer.strides)}"
    return text


def _times(numbers: Iterable[int | None]) -> str:
    return "x".join("?" if n is None else str(n) for n in numbers)
