"""Where a run was computed: versions, hardware and commit."""

import contextlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from typing import Any

import psutil

from harlib import __version__, machine, shipped

_PACKAGES = ("keras", "grain", "numpy", "h5py", "av", "opencv-python", "pandas", "scikit-learn")


def describe() -> dict[str, Any]:
    """Versions, hardware and git commit, as a report needs them."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    return {
        "versions": _versions(backend),
        "backend": backend,
        "system": f"{platform.system()} {platform.machine()}",
        **machine.describe(),
        "cores": len(psutil.Process().cpu_affinity())
        if sys.platform == "linux"
        else psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "accelerators": accelerators(),
        "commit": _commit(),
    }


def _versions(backend: str) -> dict[str, str]:
    """Of harlib, Python, the backend and the packages that compute; of those installed here."""
    versions = {"harlib": __version__}
    for name in (backend, *_PACKAGES):
        # another package may stand in for one, as opencv-python-headless
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions | {"python": platform.python_version()}


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
