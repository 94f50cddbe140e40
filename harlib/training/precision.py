"""The precision of arithmetic: one call sets it, one checks what a model makes of it."""

from pathlib import Path

import keras
import pandas as pd

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "auto")
# The first NVIDIA generation with bfloat16 arithmetic (Ampere).
_BF16_CAPABILITY = (8, 0)


def use(policy):
    """Set Keras' global policy, before a model is built.

    Args:
        policy: "float32", "mixed_bfloat16", "mixed_float16", or "auto": mixed_bfloat16 where
            the GPU, or without one the CPU, computes bfloat16 itself, else float32.

    Returns:
        The policy's name that was set.
    Raises:
        ValueError: for another policy.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy={policy!r} is unknown; it is one of {', '.join(POLICIES)}.")
    if policy == "auto":
        policy = "mixed_bfloat16" if has_bfloat16() else "float32"
    keras.mixed_precision.set_dtype_policy(policy)
    return policy


def has_bfloat16():
    """Whether the device computes bfloat16 in hardware (slower than float32 where not)."""
    capability = _gpu_capability()
    if capability is not None:
        return capability >= _BF16_CAPABILITY
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return False
    flags = set(cpuinfo.read_text().split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def check(model):
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


def _layers(model):
    """Layers that compute, those of nested models too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _is_float(dtype):
    return "float" in str(dtype)


def _gpu_capability():
    """(major, minor) of the first NVIDIA GPU the backend sees, or None."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            return None
        return tuple(tf.config.experimental.get_device_details(gpus[0])["compute_capability"])
    if backend == "jax":
        import jax

        capability = getattr(jax.devices()[0], "compute_capability", None)
        return None if capability is None else tuple(map(int, str(capability).split(".")))
    import torch

    return torch.cuda.get_device_capability() if torch.cuda.is_available() else None
