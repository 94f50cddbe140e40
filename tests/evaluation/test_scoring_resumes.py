"""A scoring that is interrupted resumes, and ends in the same bytes."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tiny_store import bright_and_dark

from harlib.data import ClipSpec, Protocol
from harlib.evaluation import resume
from harlib.evaluation.scoring import score
from harlib.run_folder import RunFolder

CLIP, PROTOCOL = ClipSpec(4, size=16), Protocol("val", clips=3, crops=3)
OPTIONS = dict(clip=CLIP, protocol=PROTOCOL, batch=5, progress=False)
FILES = ("scores.npz", "views.npz")

# A child that scores slowly and keeps every batch.
CHILD = """
import sys, time
from harlib.data.store.clip_store import ClipStore
from harlib.evaluation import resume
from harlib.evaluation.scoring import score
sys.path.insert(0, sys.argv[3])
from test_scoring_resumes import OPTIONS, Bright

class Slow(Bright):
    def predict_on_batch(self, clips):
        time.sleep(0.2)
        return super().predict_on_batch(clips)

resume.EVERY_S = 0.0
score(Slow(), ClipStore(sys.argv[1]), run_dir=sys.argv[2], **OPTIONS)
"""


class Bright:
    """Gives the first of two categories the share of light in the clip; counts its batches."""

    def __init__(self, weight=1.0, stop=None):
        self.weights, self.calls, self.stop = [np.float32(weight)], 0, stop

    def predict_on_batch(self, clips):
        if self.calls == self.stop:
            raise KeyboardInterrupt
        self.calls += 1
        light = clips.mean(axis=(1, 2, 3, 4)) / 255 * self.weights[0]
        return np.stack([light, 1 - light], axis=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return bright_and_dark(tmp_path_factory.mktemp("partial"))[1]


def run(store, run_dir, model, **changes):
    return score(model, store, run_dir=run_dir, **OPTIONS | changes)


def interrupted(store, run_dir, batches):
    with pytest.raises(KeyboardInterrupt):
        run(store, run_dir, Bright(stop=batches))
    return sorted(RunFolder(run_dir).scoring.glob("*.npz"))


def same_bytes(one, two):
    return all((one / name).read_bytes() == (two / name).read_bytes() for name in FILES)


@pytest.mark.parametrize("every_s", [0.0, 3600.0])
def test_an_interrupted_scoring_does_the_rest_and_gives_the_same_bytes(
    store, tmp_path, monkeypatch, capsys, every_s
):
    monkeypatch.setattr(resume, "EVERY_S", every_s)
    whole = Bright()
    run(store, tmp_path / "whole", whole)
    kept = interrupted(store, tmp_path / "run", 4)
    assert len(kept) == (4 if every_s == 0 else 1)  # Ctrl-C keeps the last seconds in one
    rest = Bright()
    run(store, tmp_path / "run", rest)
    assert rest.calls == whole.calls - 4
    assert "resumes after 4 batches" in capsys.readouterr().out
    assert same_bytes(tmp_path / "run", tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == list(FILES)


def test_a_killed_scoring_does_the_rest_and_gives_the_same_bytes(store, tmp_path):
    whole = Bright()
    run(store, tmp_path / "whole", whole)
    command = [sys.executable, "-c", CHILD, store.root, tmp_path / "run", os.path.dirname(__file__)]
    child = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("run/scoring.part/*.npz"))) < 3:
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not (tmp_path / "run" / "scores.npz").exists()
    rest = Bright()
    run(store, tmp_path / "run", rest)
    assert 0 < rest.calls <= whole.calls - 3
    assert same_bytes(tmp_path / "run", tmp_path / "whole")
    assert not list(tmp_path.glob("run/.*"))


@pytest.mark.parametrize(
    "changes", [{"weight": 0.5}, {"protocol": Protocol("val", clips=2, crops=3)}, {"batch": 4}]
)
def test_answers_of_another_scoring_are_thrown_away(store, tmp_path, capsys, changes):
    interrupted(store, tmp_path / "run", 4)
    model = Bright(weight=changes.pop("weight", 1.0))
    run(store, tmp_path / "run", model, **changes)
    assert "other weights, videos or settings: scored from the start" in capsys.readouterr().out
    fresh = Bright(weight=model.weights[0])
    run(store, tmp_path / "fresh", fresh, **changes)
    assert model.calls == fresh.calls
    assert same_bytes(tmp_path / "run", tmp_path / "fresh")


def test_from_a_damaged_file_on_it_is_scored_again(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(resume, "EVERY_S", 0.0)
    run(store, tmp_path / "whole", Bright())
    kept = interrupted(store, tmp_path / "run", 5)
    kept[2].write_bytes(kept[2].read_bytes()[:40])
    interrupted(store, tmp_path / "run", 1)  # batch 2 again, then stopped
    assert len(list(RunFolder(tmp_path / "run").scoring.glob("*.npz"))) == 3
    run(store, tmp_path / "run", Bright())
    assert "is damaged" in capsys.readouterr().out
    assert same_bytes(tmp_path / "run", tmp_path / "whole")


def test_the_mark_tells_precision_and_weights_apart(store):
    import keras

    def network(policy, value):
        clips = keras.Input((4, 4, 3))
        layer = keras.layers.Dense(1, dtype=policy, kernel_initializer=keras.initializers.Ones())
        model = keras.Model(clips, layer(clips))
        layer.kernel.assign(layer.kernel * value)
        return model

    cases = (("float32", 1), ("mixed_bfloat16", 1), ("float32", 2))
    marks = [resume.mark(network(*case), store, split="val") for case in cases]
    assert len(set(marks)) == 3
    assert resume.mark(network("float32", 1), store, split="val") == marks[0]
