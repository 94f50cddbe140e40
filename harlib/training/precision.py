"""The precision of arithmetic: one call sets it, one checks what a model makes of it."""

import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pandas as pd

from harlib import machine

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "auto")
# The first NVIDIA generation with bfloat16 arithmetic (Ampere).
_BF16_CAPABILITY = (8, 0)


def use(policy: str) -> str:
    """Set Keras' global policy, before a model is built.

    Args:
        policy: "float32", "mixed_bfloat16", "mixed_float16", or "auto": mixed_bfloat16 where
            the GPU, or without one the CPU, computes bfloat16 itself, else float32.

    Returns:
        The policy's name that was set.
    Raises:
        ValueError: for another policy, or one that this device cannot train in.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy={policy!r} is unknown; it is one of {', '.join(POLICIES)}.")
    if policy == "auto":
        policy = "mixed_bfloat16" if has_bfloat16() else "float32"
    if problem := missing(policy):
        raise ValueError(problem)
    keras.mixed_precision.set_dtype_policy(policy)
    return policy


def has_bfloat16() -> bool:
    """Whether the device computes bfloat16 in hardware (slower than float32 where not)."""
    capability = _gpu_capability()
    return machine.has_bfloat16() if capability is None else capability >= _BF16_CAPABILITY


@functools.cache
def missing(policy: str) -> str:
    """A line that says what this device lacks to train in `policy`; "" where it lacks nothing.

    A tiny convolution, batch norm and pool are trained for the answer, once per process.
    """
    if policy in ("float32", "auto") or _gpu_capability() is not None:
        return ""
    dtype = policy.removeprefix("mixed_")
    try:
        _train_a_little(dtype)
    except RuntimeError as error:
        reason = " ".join(str(error).partition("[")[0].split())
        return (
            f"{policy}: {machine.kernels()} on this CPU ({machine.cpu()}) cannot train in {dtype} "
            f"({reason}); set precision: float32, or auto"
        )
    return ""


def lacking(model: keras.Model) -> str:
    """A line where this device lacks the half precision that a trained network computes in; or "".

    In float32 the same weights score as well, and faster: `evaluation.predict.network`.
    """
    dtypes = {layer.compute_dtype for layer in _layers(model)}
    lacks = [dtype for dtype, there in (("bfloat16", has_bfloat16()),
                                        ("float16", _gpu_capability() is not None))
             if dtype in dtypes and not there]  # fmt: skip
    if not lacks:
        return ""
    return (
        f"The network was trained in mixed {lacks[0]}, which this device has no instructions for: "
        "it scores in float32, by which probabilities change in the third digit."
    )


def slow() -> list[str]:
    """Lines about what makes training slow on this device and can be mended, under the policy set.

    Without a GPU: bfloat16 that the CPU has no instructions for, and TensorFlow without oneDNN.
    """
    if _gpu_capability() is not None:
        return []
    lines = [machine.slow_kernels()]
    policy = keras.config.dtype_policy().name
    if policy == "mixed_bfloat16" and not has_bfloat16():
        # measured on an AMD EPYC with AVX2: ResNeXt-101, inference (benchmarks/results.md)
        lines.append(
            f"{policy} on a CPU without bfloat16 instructions: ResNeXt-101 scored 0.24 clips per "
            "second where float32 reached 1.33. Set precision: auto or float32."
        )
    return [line for line in lines if line]


def check(model: keras.Model) -> pd.DataFrame:
    """Confirm that what must be float32 is float32 under the model's policy.

    Returns:
        DataFrame `kind, compute, variables, layers`: dtypes and number of layers by kind.
    Raises:
        ValueError: naming each layer whose weights are not float32, each batch norm whose
            statistics are not, and a classifier or loss input that is not.
    """
    wrong, rows = [], []
    for layer in _layers(model):
        variables = sorted({str(v.dtype) for v in layer.weights if _is_float(v.dtype)})
        wrong += [f"{layer.name}: weights in {v}" for v in variables if v != "float32"]
        if layer.name == "classifier" and layer.compute_dtype != "float32":
            wrong.append(f"classifier: computes in {layer.compute_dtype}")
        rows.append((type(layer).__name__, layer.compute_dtype, ", ".join(variables)))
    for output in model.outputs:
        if output.dtype != "float32":
            wrong.append(f"output {output.name}, which the loss reads: {output.dtype}")
    optimizer = getattr(model, "optimizer", None)
    float16 = any(compute == "float16" for _, compute, _ in rows)
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if optimizer is not None and scaled != float16:
        wrong.append(
            f"loss scaling is {'on' if scaled else 'off'}, though float16 is "
            f"{'in use' if float16 else 'not in use'} (it is for float16 alone)"
        )
    if wrong:
        raise ValueError(f"{model.name} is not float32 where it must be: {'; '.join(wrong)}.")
    table = pd.DataFrame(rows, columns=["kind", "compute", "variables"])
    return table.value_counts(sort=False).rename("layers").reset_index()


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Layers that compute, those of nested models too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _is_float(dtype: Any) -> bool:
    return "float" in str(dtype)


def _gpu_capability() -> tuple[int, int] | None:
    """(major, minor) of the first NVIDIA GPU the backend sees, or None."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            return None
        major, minor = tf.config.experimental.get_device_details(gpus[0])["compute_capability"]
        return major, minor
    if backend == "jax":
        import jax

        capability = getattr(jax.devices()[0], "compute_capability", None)
        if capability is None:
            return None
        major, minor = str(capability).split(".")
        return int(major), int(minor)
    import torch

    return torch.cuda.get_device_capability() if torch.cuda.is_available() else None


def _train_a_little(dtype: str) -> None:
    """One gradient of a small network's operations in `dtype`, on the CPU by Keras' backend.

    Raises:
        RuntimeError: the backend has no kernel for one of them.
    """
    clips = np.ones((1, 4, 4, 4, 2), "float32")
    kernel = np.ones((3, 3, 3, 2, 2), "float32")

    def loss(clips: Any, kernel: Any) -> Any:
        x = keras.ops.conv(keras.ops.cast(clips, dtype), keras.ops.cast(kernel, dtype))
        x = keras.ops.max_pool(keras.ops.relu(x), (2, 2, 2), (2, 2, 2))
        return keras.ops.sum(keras.ops.cast(x, "float32"))

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        kernel = tf.constant(kernel)
        try:
            with tf.GradientTape() as tape:
                tape.watch(kernel)
                value = loss(clips, kernel)
            tape.gradient(value, kernel)
        except tf.errors.OpError as error:
            raise RuntimeError(error.message) from error
    elif backend == "jax":
        import jax

        jax.grad(loss, 1)(clips, kernel)
    else:
        import torch

        kernel = torch.tensor(kernel, requires_grad=True)
        loss(torch.tensor(clips), kernel).backward()
