"""CPU time of every way to compute the shipped networks' grouped convolutions, side by side."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from harlib import files, machine, models
from harlib.bench.engines import device
from harlib.models import GroupedConv3D, grouped_conv3d
from harlib.training import precision

# A network with its options and the clips of a batch: about as many pixels of the full one each.
NETWORKS = (
    ("resnext3d_101", {"frames": 16, "size": 112}, 4),
    ("resnext3d_101", {"frames": 64, "size": 112}, 1),
    ("resnext3d_26", {"frames": 16, "size": 48, "width": 0.25}, 16),
)
DTYPES = ("float32", "bfloat16")
# `native` is left out: XLA compiles it, to run ten and more times longer.
WAYS = {
    "time": ("time", grouped_conv3d.PACK_CHANNELS),
    "packs8": ("packs", 8),
    "packs16": ("packs", 16),
    "packs32": ("packs", 32),
    "packs64": ("packs", 64),
}
# More channels in a group's folded frames take gigabytes for a Toeplitz kernel.
_MOST_TIME_CHANNELS = 256


def run(
    networks: Sequence[tuple[str, dict, int]] = NETWORKS,
    *,
    dtypes: Sequence[str] | None = None,
    turns: int = 3,
    json_file: Path | None = None,
    say: Callable[[str], object] = print,
) -> list[dict[str, Any]]:
    """Rows of CPU time, one a way, dtype and shape of a grouped convolution.

    The ways of a shape take turns, and the fastest turn counts: a machine that is in use makes
    turns slower, never faster. One thread, unless TensorFlow has started with more before.

    Args:
        networks: `(name, options of models.build, batch)`, one or more.
        dtypes: of the arithmetic; None for those of `DTYPES` that this CPU computes itself.

    Returns:
        List of dicts `bench, device, cpu, instructions, kernels, model, dtype, batch, frames,
        height, width, channels, filters, groups, kernel, strides, way, cpu_ms`: forward and both
        gradients. A way that has no gradient here has no row.
    Raises:
        ValueError: on a backend or device that has no choice of ways to measure.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"the ways differ on TensorFlow alone; KERAS_BACKEND is {keras.backend.backend()}."
        )
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    if tf.config.list_logical_devices("GPU"):
        raise ValueError("CPU time says nothing of a GPU; hide it with CUDA_VISIBLE_DEVICES=''.")
    if dtypes is None:
        dtypes = DTYPES if precision.has_bfloat16() else DTYPES[:1]
    rows, seen, here = [], set(), {"bench": "grouped", "device": device()} | machine.describe()
    for name, options, batch in networks:
        for shape in shapes(name, options, batch):
            key = str(shape)
            if key in seen:
                continue
            seen.add(key)
            for dtype in dtypes:
                times = _measure(shape, dtype, turns)
                common = here | {"model": name, "dtype": dtype}
                rows += [
                    common | shape | {"way": way, "cpu_ms": round(1e3 * seconds, 3)}
                    for way, seconds in times.items()
                ]
                say(line(rows[-len(times) :]))
            if json_file:
                files.write_json(json_file, rows)
    return rows


def shapes(name: str, options: dict, batch: int) -> list[dict[str, Any]]:
    """Each different grouped convolution of a network, as a dict of a row's numbers."""
    model = models.build(name, 400, **options)
    found: dict[str, dict[str, Any]] = {}
    for layer in model.layers:
        if isinstance(layer, GroupedConv3D):
            _, frames, height, width, channels = layer.input.shape
            shape = {
                "batch": batch,
                "frames": frames,
                "height": height,
                "width": width,
                "channels": channels,
                "filters": layer.filters,
                "groups": layer.groups,
                "kernel": list(layer.kernel_size),
                "strides": list(layer.strides),
            }
            found.setdefault(str(shape), shape)
    return list(found.values())


def line(rows: list[dict[str, Any]]) -> str:
    """The ways of one shape and dtype, in words."""
    row = rows[0]
    size = "x".join(str(row[name]) for name in ("frames", "height", "width", "channels"))
    ways = ", ".join(f"{row['way']} {row['cpu_ms']:.1f}" for row in rows)
    return f"{row['dtype']} {row['batch']} x {size}, stride {row['strides'][0]}: {ways} ms"


def _measure(shape: dict[str, Any], dtype: str, turns: int) -> dict[str, float]:
    """Seconds of CPU time by way, of those that this CPU can train; equal packs count once."""
    steps = {}
    packs = set()
    per_group = shape["channels"] // shape["groups"]
    for way, (method, most) in WAYS.items():
        if method == "time" and (
            shape["frames"] * per_group > _MOST_TIME_CHANNELS
            or not grouped_conv3d.has_gradient(dtype)
        ):
            continue
        if method == "packs":
            size = grouped_conv3d.pack_size(shape["groups"], per_group, most)
            if size in packs:
                continue
            packs.add(size)
        steps[way] = _step(shape, dtype, method, most)
    best: dict[str, float] = {}
    for turn in range(turns + 1):
        for way, step in steps.items():
            began = time.process_time()
            step()
            if turn:  # the first traces
                best[way] = min(best.get(way, np.inf), time.process_time() - began)
    return best


def _step(shape: dict[str, Any], dtype: str, method: str, most: int | None) -> Callable[[], Any]:
    """A function that computes the forward pass and both gradients once."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    groups, strides = shape["groups"], tuple(shape["strides"])
    size = [shape[name] for name in ("batch", "frames", "height", "width", "channels")]
    x = tf.constant(rng.standard_normal(size), dtype)
    kernel = (*shape["kernel"], shape["channels"] // groups, shape["filters"])
    variable = tf.Variable(rng.standard_normal(kernel).astype("float32"))

    @tf.function(autograph=False)
    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            plain = tf.cast(variable, dtype)
            laid = grouped_conv3d.lay(plain, shape["frames"], strides, groups, method, most)
            y = grouped_conv3d.convolve_laid(x, laid, kernel, strides, groups, method)
        return y, *tape.gradient(y, [x, variable])

    return step
