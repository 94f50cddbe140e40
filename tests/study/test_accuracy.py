"""What the studies of real clips reach: hours on two cores, so only `make soak` asks."""

import shutil

import numpy as np
import pytest
from tiny_study import har

from harlib import shipped
from harlib.evaluation import Scores

pytestmark = [pytest.mark.soak, pytest.mark.real, pytest.mark.timeout(7200)]


def right(root, study, run):
    """Which of the run's videos were recognised."""
    scores = Scores.load(root / "runs" / study / run)
    return scores.video_scores.argmax(1) == scores.label


def study(root, name, data, *arguments):
    if not (root / "params" / name).exists():
        shutil.copytree(shipped.FOLDER / "params" / name, root / "params" / name)
    done = har(root, "study", name, "--set", f"data_root={data}", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_weizmann9_pooled_over_three_folds(tmp_path, real_data):
    study(tmp_path, "weizmann9", real_data / "weizmann9")
    pooled = np.concatenate(
        [right(tmp_path, "weizmann9", f"03_c3d.fold{fold}") for fold in (1, 2, 3)]
    )
    assert len(pooled) == 83, "each video is held out once"
    assert pooled.mean() >= 0.92


def test_ucf101_mini_mean_of_three_seeds(tmp_path, real_data):
    reached = []
    for seed in range(3):
        only = ("--only", "01_data_prep", "--only", "03_c3d", "--set", f"seed={seed}")
        study(tmp_path, "ucf101-mini", real_data / "ucf101_mini", *only)
        reached.append(right(tmp_path, "ucf101-mini", "03_c3d").mean())
    assert np.mean(reached) >= 0.84, reached
