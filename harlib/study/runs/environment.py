"""Where a run was computed: versions, hardware and commit."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from typing import Any

import psutil

from harlib import machine, shipped

_PACKAGES = ("harlib", "tensorflow", "keras", "grain", "numpy", "h5py", "av", "opencv-python",
             "pandas", "scikit-learn")  # fmt: skip


def describe() -> dict[str, Any]:
    """Versions, hardware and git commit, as a report needs them."""
    return {
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "system": f"{platform.system()} {platform.machine()}",
        **machine.describe(),
        "cores": len(psutil.Process().cpu_affinity())
        if sys.platform == "linux"
        else psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "accelerators": accelerators(),
        "commit": _commit(),
    }


def accelerators() -> list[str]:
    """Names of the NVIDIA devices; asked of the driver, so that no framework is imported."""
    if not shutil.which("nvidia-smi"):
        return []
    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True
    )
    return asked.stdout.split("\n")[:-1] if asked.returncode == 0 else []


def _commit() -> str:
    """The checkout's commit, with ``+changes`` when files differ from it; empty outside git."""
    if not shipped.has_git():
        return ""
    git = ["git", "-C", str(shipped.FOLDER)]
    head, dirty = (
        subprocess.run([*git, *words], capture_output=True, text=True).stdout.strip()
        for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "-uno"))
    )
    return head + ("+changes" if dirty else "")
