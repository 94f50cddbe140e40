"""The demo's bars, on the study as a newcomer runs it: minutes, so `make soak` only."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny_study import har

from harlib.data.demo import dataset
from harlib.evaluation import Scores, metrics
from harlib.study.runs import scored_videos

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A project that holds nothing but the demo's files, after `har study demo`."""
    root = tmp_path_factory.mktemp("demo")
    for folder in ("params/demo", "notebooks", "reports/template"):
        shutil.copytree(ROOT / folder, root / folder)
    done = har(root, "study", "demo")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return root


def result(root, run):
    run_dir = root / "runs" / "demo" / run
    reached = json.loads((run_dir / "metrics.json").read_text())["video"]["top1"]
    pairs = metrics.pair_accuracy(Scores.load(run_dir), dataset.PAIRS)
    (together,) = pairs[pairs["pair"] == "all pairs"].itertuples()
    assert together.videos >= 80
    return reached, together.accuracy


@pytest.mark.parametrize(("run", "bar"), [("03_c3d", 0.90), ("04_resnext101", 0.90)])
def test_3d_networks_see_motion(demo, run, bar):
    top1, pairs = result(demo, run)
    assert top1 >= bar and pairs >= 0.85


def test_single_frames_hold_no_direction(demo):
    assert 0.35 <= result(demo, "02_frame_cnn")[1] <= 0.65


def test_five_swapped_labels_are_suspected(demo, tmp_path):
    """Of scored videos, of which no network has learned; in the first 20 at least four of five."""
    runs = shutil.copytree(demo / "runs" / "demo", tmp_path / "runs" / "demo")
    swapped = np.random.default_rng(0).choice(180, 5, replace=False)
    names = set()
    for run in ("02_frame_cnn", "03_c3d", "04_resnext101"):
        own = Scores.load(runs / run)
        label = own.label.copy()
        label[swapped] = (label[swapped] + 5) % len(own.categories)
        names = set(own.video_id[swapped])
        replace(own, label=label).save(runs / run)
    videos = scored_videos.load(runs).videos
    first = videos[videos["suspicion"].between(1, 20)]
    assert len(names & set(first["id"])) >= 4


def test_shuffled_training_labels_end_at_chance(demo):
    """A better result would mean that the val videos leak into the training."""
    files = [str(demo / "params" / "demo" / name) for name in ("common.yaml", "03_c3d.yaml")]
    done = har(demo, "train", *files, "--set", "shuffle_labels=true", "--set", "run=03_shuffled")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    run_dir = demo / "runs" / "demo" / "03_shuffled"
    assert yaml.safe_load((run_dir / "params.yaml").read_text())["shuffle_labels"] is True
    video = json.loads((run_dir / "metrics.json").read_text())["video"]
    chance = 1 / len(dataset.CATEGORIES)
    sigma = math.sqrt(chance * (1 - chance) / video["n"])
    assert abs(video["top1"] - chance) <= 2 * sigma
