"""The room that a training needs: memory, device memory and disk.

Keras is imported where a network is looked at: what `needed` says takes none.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import keras


def rows(
    memory: int, on_device: tuple[int, int] | None, sizes: tuple[int, int], run_dir: Path, keep: int
) -> list[tuple]:
    """Rows `check, found, verdict` about memory and disk; all sizes in bytes.

    Args:
        memory: of the process tree while training.
        on_device: peak and total of an accelerator, or None.
        sizes: of the model's weights and of the optimiser's state.
        keep: checkpoints that stay.
    """
    free = psutil.virtual_memory().available
    found = f"{_size(memory)} in use while training, {_size(free)} free beside it"
    found_rows = [("memory", found, "look" if free < 0.25 * memory else "ok")]
    if on_device:
        peak, total = on_device
        found = f"{_size(peak)} of {_size(total)} at most"
        found_rows.append(("device memory", found, "look" if peak > 0.95 * total else "ok"))
    need = needed(sizes, keep)
    home = run_dir
    while not home.exists():
        home = home.parent
    left = shutil.disk_usage(home).free
    verdict = "stop" if need > left else "look" if need > 0.5 * left else "ok"
    found_rows.append(
        ("disk", f"{_size(need)} for checkpoints and model, {_size(left)} free", verdict)
    )
    return found_rows


def sizes(model: keras.Model) -> tuple[int, int]:
    """Bytes of a compiled model's weights, and of its optimiser's state."""
    from harlib.training.checkpoint import capture

    found = {"model": 0, "optimizer": 0}
    for name, array in capture(model).items():
        for part in found:
            found[part] += array.nbytes * name.startswith(part)
    return found["model"], found["optimizer"]


def needed(sizes: tuple[float, float], keep: int) -> float:
    """Bytes on the disk of a training with such `sizes`, at most."""
    weights, optimizer = sizes
    # While a checkpoint is written, the kept ones are still there; then the last and the best.
    return (keep + 1) * (weights + optimizer) + 3 * weights


def device_memory() -> tuple[int, int] | None:
    """Peak and total bytes of the first accelerator; None without one."""
    import keras

    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        if not torch.cuda.is_available():
            return None
        return torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties(0).total_memory
    if backend == "jax":
        import jax

        stats = jax.local_devices()[0].memory_stats() or {}
        return (stats["peak_bytes_in_use"], stats["bytes_limit"]) if stats else None
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return peak, _nvidia_memory() or peak


def _nvidia_memory() -> int:
    """Total bytes of the first NVIDIA device by its driver; 0 when that does not answer."""
    if not shutil.which("nvidia-smi"):
        return 0
    question = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    asked = subprocess.run(question, capture_output=True, text=True)
    return int(asked.stdout.split()[0]) * 2**20 if asked.returncode == 0 else 0


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
