"""What papermill and the pages add to a notebook, and the page of a run at Kinetics-600's size."""

import json
import os
import shutil
import subprocess
import sys
import time

import nbformat
import pytest
from tiny_study import FILES, har, write_study

pytestmark = pytest.mark.soak

# Writes a run of 27,000 videos × 10 views × 600 categories as notebook 03 would leave it.
LARGE_RUN = """
import json, sys, time
from pathlib import Path
import numpy as np
import yaml
from harlib.evaluation import metrics
from harlib.evaluation import Scores

folder, videos, classes, views = Path(sys.argv[1]), 27_000, 600, 10
rng = np.random.default_rng(0)
label = np.arange(videos) % classes
view_scores = np.full((videos, views, classes), 0.5 / classes, np.float16)
hit = np.where(rng.random((videos, views)) < 0.6, label[:, None],
               rng.integers(classes, size=(videos, views)))
np.put_along_axis(view_scores, hit[..., None], np.float16(0.5), axis=2)
video_scores = np.stack([one.mean(axis=0, dtype=np.float32) for one in view_scores])
scores = Scores(np.arange(videos), label, [f"category {n:03d}" for n in range(classes)],
                video_scores, view_scores, np.arange(videos) // 2)
scores.save(folder)
protocol = {"split": "val", "clips": views, "crops": 1, "frames": 16, "stride": 1, "size": 112}
network = {"name": "c3d_bn", "parameters": 65_000_000, "gmacs": 38.5}
began = time.perf_counter()
metrics.write(folder, scores, protocol, network, 100.0)
print(time.perf_counter() - began)
(folder / "params.yaml").write_text(yaml.safe_dump({
    "train_split": "train", "recipe": "modern", "epochs": 1, "frames": 16, "batch": 8, "seed": 0}))
(folder / "run.json").write_text(json.dumps({"status": "complete", "fingerprint": "0" * 16}))
"""

# Runs the command it is given; prints its seconds and the kilobytes of its largest process.
MEASURED = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("name", [name for name in FILES if name != "common"])
def test_papermill_and_the_page_add_ten_seconds_at_most(tiny_study, tmp_path, name):
    root = shutil.copytree(tiny_study[0], tmp_path / "project")
    folder = root / "runs" / "tiny" / name
    (folder / "run.json").unlink()  # so that it runs again
    began = time.perf_counter()
    again = har(root, "study", "tiny", "--only", name, "--no-forecast")
    whole = time.perf_counter() - began
    assert f"{name}: complete" in again.stdout, again.stdout + again.stderr
    cells = nbformat.read(folder / f"{name}.ipynb", as_version=4).cells
    own = sum(cell.metadata.papermill.duration or 0 for cell in cells)  # its imports among them
    print(f"{name}: {whole:.1f} s in all, {own:.1f} s its own, {whole - own:.1f} s added")
    assert own > 0.5  # the cells did work
    assert whole - own <= 10


def test_a_run_of_kinetics_600_is_compared_in_a_page_of_8_mb(tmp_path):
    runs = tmp_path / "runs" / "large"
    write_study(tmp_path, "large", {"05_evaluation": "confused: 8"})
    folder = runs / "03_c3d"
    made = subprocess.run(
        [sys.executable, "-c", LARGE_RUN, folder], check=True, capture_output=True, text=True
    )
    study = [sys.executable, "-m", "harlib.cli", "study", "large", "--no-forecast"]
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    environment = {key: value for key, value in os.environ.items() if key != "HARLIB_ROOT"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *study],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seconds, kilobytes = map(float, done.stdout.split())
    pages = sorted((tmp_path / "reports" / "large").glob("*.html"))
    print(f"metrics {made.stdout.strip()} s; notebook and pages {seconds:.1f} s, "
          f"{kilobytes / 1e6:.2f} GB; {[path.stat().st_size for path in pages]} bytes")  # fmt: skip
    assert [path.stem for path in pages] == ["05_evaluation", "index", "videos"]
    assert float(made.stdout) + seconds <= 60
    assert kilobytes <= 2_000_000
    assert all(path.stat().st_size <= 8_000_000 for path in pages)


ENVIRONMENT = {
    "versions": {"harlib": "1", "keras": "3"},
    "backend": "tensorflow",
    "cpu": "a processor",
    "cores": 2,
    "accelerators": [],
    "commit": "",
}
