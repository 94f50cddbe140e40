"""Training and reading on an emulated CPU without AVX-512: minutes, so `make soak` only.

Unlike `ONEDNN_MAX_CPU_ISA`, this reaches code that asks the CPU itself (Debian's `qemu-user`).
"""

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
QEMU = shutil.which("qemu-x86_64")

TRAIN = """
import sys, tempfile, numpy as np, harlib
from harlib import machine, models
from harlib.training import recipes
from harlib.training import fit
assert machine.instructions() == ("avx", "avx2"), machine.instructions()
options = {"resnext3d_26": {"cardinality": 4}, "c3d_bn": {"dense": 8}}[sys.argv[1]]
model = models.build(sys.argv[1], 2, frames=4, size=16, width=0.125, **options)
clips = np.random.default_rng(0).integers(0, 256, (4, 4, 16, 16, 3), "uint8")
plan = recipes.build("study-adam", steps_per_epoch=1, epochs=1)
history = fit(model, [(clips, np.array([0, 1, 0, 1]))], plan, run_dir=tempfile.mkdtemp())
assert np.isfinite(history.loss).all() and len(history) == 1
print("trained", machine.kernels())
"""

READ = """
import sys, pathlib, tempfile, numpy as np, pandas as pd
from harlib.data.catalog.catalog import Catalog
from harlib.data.store.prepare import prepare
from harlib.data.store.clip_store import ClipStore
from harlib.data.video.files import encode
folder = pathlib.Path(tempfile.mkdtemp())
frames = np.random.default_rng(0).integers(0, 256, (1, 24, 32, 3), "uint8").repeat(20, 0)
rows = []
for name in ("a", "b"):
    encode(folder / f"{name}.mp4", frames, fps=25)
    rows.append((name, str(folder / f"{name}.mp4"), name, "train", name, np.nan, np.nan))
columns = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]
catalog = Catalog(pd.DataFrame(rows, columns=columns), "noise")
prepare(catalog, folder / "store", codec=sys.argv[1], size=24, workers=1, progress=False)
clip = ClipStore(folder / "store").read(0, np.arange(16))
assert clip.shape == (16, 24, 32, 3) and np.ptp(clip) > 100
print("read", sys.argv[1])
"""


def emulated(code, *arguments):
    """What Python prints on a Haswell: AVX2, no AVX-512, no bfloat16."""
    if QEMU is None:
        pytest.skip("no qemu-x86_64 here; install it (Debian: sudo apt install qemu-user)")
    done = subprocess.run(
        [QEMU, "-cpu", "Haswell", sys.executable, "-c", code, *arguments],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("name", ["resnext3d_26", "c3d_bn"])
def test_a_network_trains(name):
    assert "trained oneDNN" in emulated(TRAIN, name)


@pytest.mark.parametrize("codec", ["raw", "jpeg", "h264"])
def test_a_clip_of_each_codec_is_read(codec):
    assert f"read {codec}" in emulated(READ, codec)
