"""What this machine computes with: its CPU, the CPU's instructions, the kernels that use them."""

import functools
import os
import platform
import sys
import warnings
from pathlib import Path

_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
# Measured on an AMD EPYC with AVX2; see docs/cpu.md.
_SLOWER = "three to five times as long, that of a ResNeXt up to twenty times"
_CAP = "ONEDNN_MAX_CPU_ISA"
# The instructions that decide how fast a network is computed, by their names in /proc/cpuinfo
# (x86, then ARM) where those are not the usual ones.
_INSTRUCTIONS = (
    "avx", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16",
    "asimd", "asimdhp", "sve", "bf16",
)  # fmt: skip
_USUAL_NAMES = {"asimd": "neon", "asimdhp": "neon_fp16"}
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
# What oneDNN may be held to that leaves it without AVX-512, or with it but without bfloat16.
# Reference: oneDNN's documentation, "CPU Dispatcher Control".
_CAPS_WITHOUT_AVX512 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"}
_CAPS_WITHOUT_BFLOAT16 = _CAPS_WITHOUT_AVX512 | {"AVX512_CORE", "AVX512_CORE_VNNI"}


def use_onednn() -> None:
    """Have TensorFlow compute with oneDNN, unless the environment says otherwise.

    By itself TensorFlow does so only on CPUs with AVX512-VNNI, AVX512-BF16 or AMX, though with
    AVX2 it trains three to twenty times as fast too. It reads the variable when it is imported; too
    late for that, a warning says what it costs.
    """
    if _ONEDNN in os.environ:
        return
    os.environ[_ONEDNN] = "1"
    if backend() == "tensorflow" and "tensorflow" in sys.modules and kernels() == "Eigen":
        warnings.warn(
            "TensorFlow was imported before harlib, so it computes without oneDNN: training takes "
            f"{_SLOWER}. Import harlib first, or set {_ONEDNN}=1.",
            stacklevel=3,
        )


def backend() -> str:
    """Keras' backend: "tensorflow", "jax" or "torch"; Keras is not imported for it."""
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend()
    return os.environ.get("KERAS_BACKEND", "tensorflow")


@functools.cache
def cpu() -> str:
    """The CPU's name, as its maker gives it."""
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@functools.cache
def instructions() -> tuple[str, ...]:
    """What the CPU offers for arithmetic on vectors, such as `("avx", "avx2")`; empty if unknown.

    Those that NumPy, which asks the CPU itself, does not find are left out: an emulated CPU may
    show the file of the real one.
    """
    flags = next(
        (
            set(line.partition(":")[2].split())
            for line in _cpuinfo()
            if line.startswith(("flags", "Features"))
        ),
        set(),
    )
    if "avx512f" in flags and not _numpy_finds("AVX512F"):
        flags = {flag for flag in flags if not flag.startswith(("avx512", "amx"))}
    return tuple(_USUAL_NAMES.get(name, name) for name in _INSTRUCTIONS if name in flags)


def has_bfloat16() -> bool:
    """Whether the CPU computes bfloat16 itself, and the backend's kernels make use of it."""
    if _cap() in _CAPS_WITHOUT_BFLOAT16 or kernels() == "Eigen":
        return False
    return not _BFLOAT16.isdisjoint(instructions())


def has_avx512() -> bool:
    """Whether vectors of 16 float32 are computed, where oneDNN is not held to less."""
    return _cap() not in _CAPS_WITHOUT_AVX512 and "avx512f" in instructions()


def kernels() -> str:
    """Who computes on the CPU: "oneDNN" or "Eigen" (TensorFlow), "XLA" (JAX) or "ATen" (PyTorch).

    TensorFlow, where it was imported, is asked; it is not imported for it.
    """
    if backend() != "tensorflow":
        return {"jax": "XLA", "torch": "ATen"}[backend()]
    if "tensorflow" in sys.modules:
        from tensorflow.python.util import _pywrap_util_port

        on = _pywrap_util_port.IsMklEnabled()
    else:
        # TensorFlow's builds for macOS have no oneDNN.
        on = os.environ.get(_ONEDNN) == "1" and sys.platform != "darwin"
    return "oneDNN" if on else "Eigen"


def describe() -> dict[str, object]:
    """CPU, instructions and kernels as a run's `environment.json` keeps them."""
    cap = _cap()
    return {
        "cpu": cpu(),
        "instructions": list(instructions()),
        "kernels": kernels() + (f" (at most {cap}, by {_CAP})" if cap else ""),
    }


def slow_kernels() -> str:
    """A line about TensorFlow without oneDNN on a CPU: what it costs and how to mend it; or ""."""
    if kernels() != "Eigen" or sys.platform == "darwin":
        return ""
    why = f"{_ONEDNN}={os.environ[_ONEDNN]}" if _ONEDNN in os.environ else "an early import"
    return (
        f"TensorFlow computes without oneDNN ({why}): training takes {_SLOWER}. "
        f"Set {_ONEDNN}=1 before TensorFlow is imported."
    )


def _cap() -> str:
    """The instructions that oneDNN is held to by the environment; "" for all."""
    return os.environ.get(_CAP, "").upper()


@functools.cache
def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.is_file() else []


def _numpy_finds(feature: str) -> bool:
    from numpy._core._multiarray_umath import (  # type: ignore[import-not-found]  # no stub
        __cpu_features__,
    )

    return __cpu_features__.get(feature, True)
