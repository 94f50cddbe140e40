"""The time left of a training, from recorded seconds: what comes once is no measure of the rest."""

import json

import pytest

from harlib.progress import Stage
from harlib.training.progress import Progress

pytestmark = pytest.mark.quick
EPOCHS, STEPS, BATCHES = 8, 20, 6


class Training:
    """A run by recorded seconds; `estimates` holds (seconds left as told, seconds left in truth).

    Its first step and the first batch of its first validation build graphs.
    """

    def __init__(self, folder, *, first=100.0, step=1.0, batch=0.7, end=0.5, save=(0, 0.0)):
        self.now = 0.0
        self.lines, self.told = [], []
        stage = Stage(folder, "training", clock=lambda: self.now)
        self.progress = Progress(folder, EPOCHS, STEPS, self.lines.append, stage)
        self.progress.validation = BATCHES
        self.first, self.step, self.batch, self.end, self.save = first, step, batch, end, save
        self.first_batch = first / 2

    def run(self, start=0):
        self.progress.saved(50.0)  # the first weights
        self.now += 50.0
        for step in range(start + 1, EPOCHS * STEPS + 1):
            seconds, self.first = (self.first or self.step), 0.0
            self.now += seconds
            self.progress.step(step, 1.0, seconds)
            self.note(step)
            if step % STEPS == 0:
                began = self.now
                for _ in range(BATCHES):
                    seconds, self.first_batch = (self.first_batch or self.batch), 0.0
                    self.now += seconds
                    self.progress.validated(step, 1.0, seconds)
                    self.note(step)
                self.now += self.end
                self.progress.epoch_end(self.now - began)
                row = {"epoch": step // STEPS, "loss": 1.0, "accuracy": 0.5, "lr": 0.1}
                row |= {"clips_per_s": 9.0, "wait_share": 0.0}
                self.progress.epoch([row], step)
                self.note(step)
            every, seconds = self.save
            if every and step % every == 0:
                self.now += seconds
                self.progress.saved(seconds)
        return [(left, self.now - at) for left, at in self.told]

    def note(self, step):
        self.told.append((self.progress.seconds_left(step), self.now))


def test_the_first_estimate_leaves_out_the_graph(tmp_path):
    """The first step takes 100 times as long as the others, the first validation 50 s more."""
    estimates = Training(tmp_path).run()
    assert [left for left, _ in estimates[:3]] == [None] * 3
    first, truth = next(pair for pair in estimates if pair[0] is not None)
    assert first == pytest.approx(truth, rel=0.25)  # 50 s of the truth are that validation's graph
    later = estimates[STEPS + BATCHES :]
    assert all(left == pytest.approx(truth, rel=0.1, abs=1) for left, truth in later)
    assert estimates[-1][0] == 0.0


def test_without_a_graph_to_come_the_first_estimate_is_close(tmp_path):
    training = Training(tmp_path)
    training.first_batch = 0.0
    known = [pair for pair in training.run() if pair[0] is not None]
    assert all(left == pytest.approx(truth, rel=0.2) for left, truth in known)


def test_checkpoints_take_their_share(tmp_path):
    training = Training(tmp_path, save=(10, 6.0))
    training.first_batch = 0.0
    known = [pair for pair in training.run() if pair[0] is not None]
    # A first estimate comes before the first checkpoint, so it cannot hold their cost.
    assert all(left == pytest.approx(truth, rel=0.2, abs=6) for left, truth in known[STEPS // 2 :])


@pytest.mark.parametrize("start", [2 * STEPS, 5 * STEPS + 7])
def test_a_resumed_run_estimates_what_is_left_of_it(tmp_path, start):
    training = Training(tmp_path)
    training.first_batch = 0.0
    known = [pair for pair in training.run(start) if pair[0] is not None]
    assert all(left == pytest.approx(truth, rel=0.2, abs=1) for left, truth in known)


def test_nothing_is_said_while_nothing_is_known(tmp_path):
    training = Training(tmp_path)
    training.now = 1.0
    training.progress.step(1, 1.0, 100.0)
    assert json.loads((tmp_path / "progress.json").read_text())["seconds_left"] is None
    training.progress.steps_per_epoch = 1
    training.progress.epoch_end(0.5)
    row = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "lr": 0.1, "clips_per_s": 9, "wait_share": 0}
    training.progress.epoch([row], 1)
    assert "left" not in training.lines[-1] and "epoch 1/8" in training.lines[-1]


def test_the_line_of_an_epoch_ends_in_the_time_left(tmp_path):
    training = Training(tmp_path)
    training.run()
    assert training.lines[0].endswith(" left") and training.lines[-1].endswith("  0 s left")
