"""What harlib needs of a system: without what Windows lacks all modules import, and work is done.

It cannot run there, so what Windows does not have is taken away here; see `.github/workflows`.
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick
ROOT = Path(__file__).resolve().parents[1]

# Libraries come first: they know by the platform what they have. os.name stays for the same reason.
WITHOUT = """
import mmap, os, select, signal, sys
import harlib  # which chooses TensorFlow's kernels
import av, cv2, grain, h5py, ipywidgets, jinja2, joblib.externals.loky, keras, matplotlib.pyplot
import multiprocessing.reduction, multiprocessing.resource_tracker, nbconvert, pandas, papermill
import PIL.Image, psutil, pydantic, sklearn.metrics
for module in [m for m in sys.modules if m.startswith("harlib")]:
    del sys.modules[module]
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for module, names in ((os, ("fork", "memfd_create", "getuid", "sched_getaffinity", "killpg")),
                      (mmap, ("MAP_PRIVATE", "MAP_ANONYMOUS")), (select, ("poll",)),
                      (signal, ("SIGKILL", "SIGBUS", "pthread_sigmask"))):
    for name in names:
        delattr(module, name)
sys.modules["msvcrt"] = type(sys)("msvcrt")
"""


def run(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_every_module_imports():
    code = """
import importlib, pathlib
for path in sorted(pathlib.Path("harlib").rglob("*.py")):
    name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    if "bench" not in path.parts:  # needs the packages of an extra; refused there
        importlib.import_module(name)
print("done")
"""
    assert run(code).split()[-1] == "done"
