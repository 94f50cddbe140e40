"""The checks before training: what they find, and that they leave no trace."""

import math
import random
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from tiny_training import CLASSES, Batches, Validation, run, tiny_model, tiny_recipe

from harlib.progress import Stage
from harlib.training import preflight, resources
from harlib.training.checkpoint import capture


def check(model=None, batches=None, **options):
    options = {"run_dir": "runs/none", "threads": 1, "seconds": 0.3, "steps": 60} | options
    table = preflight.check(
        model or tiny_model(), batches or Batches(), tiny_recipe("modern"), **options
    )
    return table.set_index("check")


def store(rows, root="nowhere", categories=("a", "b")):
    """A store's table from (category, split, group) a video."""
    videos = pd.DataFrame(rows, columns=["category", "split", "group"])
    videos["video_id"] = [f"video {row}" for row in videos.index]
    return SimpleNamespace(videos=videos, categories=list(categories), root=root)


@pytest.mark.quick
def test_a_sound_training_passes_and_nothing_changes(monkeypatch):
    monkeypatch.setattr(preflight, "_RATE", 0.1)  # for a network of 4 filters
    model, state = tiny_model(), random.getstate()
    model.layers[-1].kernel.assign(np.zeros((4, CLASSES), np.float32))  # all scores equal
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    before = capture(model)
    table = check(model, steps=200, seconds=20.0, validation=Validation())
    assert list(table.index) == ["loss at start", "one batch learned by heart", "speed", "memory",
                                 "disk", "estimated end"]  # fmt: skip
    assert table.verdict["loss at start"] == "ok"
    guess = f"{math.log(CLASSES):.3f}"
    assert table.found["loss at start"] == f"{guess}; guessing costs ln({CLASSES}) = {guess}"
    assert table.verdict["one batch learned by heart"] == "ok", table.found.to_list()
    after = capture(model)
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], err_msg=name)
    assert random.getstate() == state
    assert rates == [
        layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)
    ]


def test_training_after_it_is_the_same_bit_by_bit(tmp_path):
    checked, plain = tiny_model(), tiny_model()
    check(checked, steps=6)
    for name, model in (("checked", checked), ("plain", plain)):
        run(tmp_path / name, model=model)
    for a, b in zip(checked.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.quick
def test_a_network_that_cannot_learn_is_told():
    model = tiny_model()
    for layer in model.layers:
        layer.trainable = layer.name.startswith("batch")  # nothing that tells clips apart

    class Same(Batches):
        def __getitem__(self, i):
            clips, labels = super().__getitem__(i)
            return np.zeros_like(clips), np.arange(len(labels), dtype=np.int32) % CLASSES

    table = check(model, Same(), seconds=5.0, steps=30)
    assert table.verdict["one batch learned by heart"] == "stop", table.found.to_list()
    broken = tiny_model()
    broken.trainable_variables[0].assign(np.full((1, 3, 3, 3, 4), np.nan, np.float32))
    assert check(broken).verdict["loss at start"] == "stop"


@pytest.mark.quick
def test_slow_loader_and_full_disk_are_told(monkeypatch):
    import time

    class Slow(Batches):
        def __getitem__(self, i):
            time.sleep(0.1)
            return super().__getitem__(i)

    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda path: usage)
    table = check(batches=Slow(), steps=5)
    assert table.verdict["speed"] == "look" and "waits for the loader" in table.found["speed"]
    assert table.verdict["disk"] == "stop"
    # 20 steps of at least 0.1 s, on a CPU beside the network's own time
    assert float(table.found["estimated end"].split()[0]) >= 2


@pytest.mark.quick
def test_the_estimated_end_of_a_resumed_run_is_of_what_is_left(tmp_path):
    whole = check(run_dir=tmp_path, steps=5).found["estimated end"]
    assert "for 20 steps:" in whole
    (tmp_path / "checkpoints").mkdir()
    for step in (5, 15):
        (tmp_path / "checkpoints" / f"step-{step:09d}-0123456789abcdef.npz").touch()
    assert "for the last 5 of 20 steps:" in check(run_dir=tmp_path, steps=5).found["estimated end"]


@pytest.mark.quick
def test_a_stage_is_told_how_far_the_checks_are(tmp_path):
    told = []
    stage = Stage(tmp_path, "checks before training")
    stage.write = lambda done, total, *rest: told.append((done, total, *rest))
    check(steps=5, stage=stage)
    assert told[:2] == [(0, 5), (1, 5)] and len(told) <= 5  # no time: it may end at any step


@pytest.mark.quick
def test_labels_are_audited(tmp_path):
    rows = [("a", "train", "g1"), ("a", "train", "g2"), ("b", "train", "g3")]
    rows += [("a", "val", "g4"), ("a", "val", "g5"), ("b", "val", "g6")]
    sound = preflight.labels(store(rows), "train", "val").set_index("check")
    assert set(sound.verdict) == {"ok"}
    assert sound.found["majority class"] == "66.7% of val is a"
    assert sound.found["training videos"] == "3 in 2 categories, 1 to 2 each"
    even = preflight.labels(
        store([*rows, ("b", "train", "g7"), ("b", "val", "g8")]), "train", "val"
    )
    found = even.set_index("check").found
    assert found["majority class"] == "50.0% of val: its 2 categories are equally frequent"
    assert found["training videos"] == "4 in 2 categories, 2 each"

    leaking = preflight.labels(store([*rows, ("b", "val", "g1")]), "train", "val")
    assert leaking.set_index("check").verdict["shared groups"] == "stop"
    missing = preflight.labels(store(rows, categories="abc"), "train", "val")
    assert missing.verdict[0] == "stop" and "none in 1 categories: c" in missing.found[0]

    columns = "video_id,category,split,file,status,reason,same_as\n"
    lines = "x,a,train,f,ok,,\ny,a,val,f,ok,,train/a/x\nz,a,train,f,missing,gone,\n"
    (tmp_path / "audit.csv").write_text(columns + lines)
    audited = preflight.labels(store(rows, tmp_path), "train").set_index("check")
    assert audited.verdict["label audit"] == "stop"
    expected = "3 videos listed, 1 unreadable or missing, 1 equal to one of another split"
    assert audited.found["label audit"] == expected


@pytest.mark.quick
def test_unknown_groups_are_no_absence_of_shared_ones():
    rows = [("a", "train", "g1"), ("b", "train", "g2"), ("a", "val", "g3"), ("b", "val", "g4")]
    known = preflight.labels(store(rows), "train", "val").set_index("check")
    assert known.loc["shared groups"].tolist() == ["0 in train and val", "ok"]
    some = store(rows)
    some.videos.loc[1:, "group"] = some.videos["video_id"]
    some.videos["group"] = some.videos["group"].fillna("g1")
    found, verdict = preflight.labels(some, "train", "val").set_index("check").loc["shared groups"]
    assert found == (
        "unknown: of 3 of 4 videos no group is known; of the others 0 in train and val"
    )
    assert verdict == "look"


@pytest.mark.quick
def test_videos_of_both_sides_that_look_alike_are_to_look_at(tmp_path, monkeypatch):
    columns = "video_id,category,split,file,status,reason,same_as\n"
    (tmp_path / "audit.csv").write_text(columns)
    rows = [("a", "train", "g1"), ("b", "train", "g2"), ("a", "val", "g3"), ("b", "val", "g4")]
    own = store(rows, tmp_path)

    def row(*group):
        found = preflight.look_alikes.LookAlikes(own, np.array(group)) if group else None
        monkeypatch.setattr(preflight.look_alikes, "load", lambda store: found)
        return preflight.labels(own, "train", "val").set_index("check").loc["look-alikes"].tolist()

    assert row(-1, -1, -1, -1) == ["0 videos of train and val like one on the other side", "ok"]
    assert row(0, 0, 1, 1)[1] == "ok"
    found, verdict = row(0, -1, 0, -1)
    assert found.startswith("2 videos of train and val like one on the other side; har new-study")
    assert found.endswith("--videos STORE/look_alikes.csv keeps them together")
    assert verdict == "look"
    assert row() == ["unknown: har prepare, run again, compares the pictures", "look"]


def test_every_single_label_needs_training_videos():
    rows = [("a|b", "train", "g1"), ("b", "train", "g2"), ("a", "val", "g3"), ("a|c", "val", "g4")]
    sets = ("a", "a|b", "a|c", "b")
    table = preflight.labels(store(rows, categories=sets), "train", "val").set_index("check")
    assert table.loc["training videos", "verdict"] == "stop"
    assert table.loc["training videos", "found"] == "none with 1 of the labels: c"
    # a set that only validation has is fine, as long as its labels are known
    table = preflight.labels(store(rows[:3], categories=("a", "a|b", "b")), "train", "val")
    table = table.set_index("check")
    assert table.loc["training videos", "verdict"] == "ok"
    assert table.loc["training videos", "found"] == "2, of each of 2 labels 1 to 2"
    assert "majority class" not in table.index
