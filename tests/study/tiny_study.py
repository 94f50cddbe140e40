"""A whole study at tiny size: its parameter files, and `har` as a person calls it."""

import os
import subprocess
import sys
from pathlib import Path

SMALL = """
frames: {frames}
size: 32
batch: 8
epochs: 1
precision: float32
clips: 2
score_batch: 8
"""
FILES = {
    "common": "seed: 1",
    "01_data_prep": """
categories: [sitting down, standing up, waving]
train_videos: 4
val_videos: 2
still_images: 4
store_size: 40
fps: 6.0
workers: 1
""",
    "02_frame_cnn": "width: 0.25\nstills: data/tiny/source/stills\nstills_epochs: 1"
    + SMALL.format(frames=1),
    "03_c3d": "model: c3d\nwidth: 0.125\ndense: 8" + SMALL.format(frames=8),
    "04_resnext101": "width: 0.125\ncardinality: 4" + SMALL.format(frames=8),
    "05_evaluation": "confused: 4",
}


def write_study(root: Path, name: str, contents: dict[str, str]) -> Path:
    """Writes params/<name>/ below root."""
    folder = root / "params" / name
    folder.mkdir(parents=True)
    for file, text in contents.items():
        (folder / f"{file}.yaml").write_text(text)
    return folder


def har(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Runs `har` in the folder root."""
    environment = {key: value for key, value in os.environ.items() if key != "HARLIB_ROOT"}
    return subprocess.run(
        [sys.executable, "-m", "harlib.cli", *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )
