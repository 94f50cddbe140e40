"""`progress.json`: what it says of a stage, and when a time left is known."""

import json

import pytest

from harlib import progress
from harlib.progress import Pace, Stage

pytestmark = pytest.mark.quick


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def stage(tmp_path):
    clock = Clock()
    stage = Stage(tmp_path, "scoring val", clock)
    stage.clock = clock
    return stage


def state(stage):
    return json.loads(stage.path.read_text())


def test_the_slow_first_pieces_are_no_measure():
    pace = Pace()
    for seconds in (100.0, 1.0, 1.0):
        pace.add(seconds)
        assert pace.seconds() is None
    pace.add(1.3)
    assert pace.seconds() == pytest.approx(1.1)
    twice = Pace()  # a backend that compiles twice
    for seconds in (100.0, 80.0, 1.0, 1.0, 1.0):
        twice.add(seconds)
    assert twice.seconds() == pytest.approx(1.0)
    for _ in range(500):
        twice.add(2.0)
    assert twice.seconds() == pytest.approx(2.0)  # the latest count


def test_bursts_after_the_first_piece_are_speed():
    pace = Pace()
    for number in range(100):  # a reader that hands over eight batches at once
        pace.add(9.0 if number % 8 == 0 else 1.0)
    assert pace.seconds() == pytest.approx(2.0, rel=0.05)


def test_a_stage_says_nothing_before_it_knows(stage):
    """The first of 40 batches builds the graph: 100 s, the others 2 s each."""
    stage.begin(0, 40)
    assert state(stage) == {"stage": "scoring val", "done": 0, "total": 40, "seconds_left": None}
    for done in range(1, 41):
        stage.clock.now += 100.0 if done == 1 else 2.0
        stage.at(done)
        left = state(stage)["seconds_left"]
        assert left is None if done < 4 else left == pytest.approx(2.0 * (40 - done), rel=0.2)
    assert state(stage)["seconds_left"] == 0.0


def test_pieces_of_several_processes_come_in_bursts(stage):
    """Four processes, 8 s a piece: nothing in the first 8 s, then four at once."""
    stage.begin(0, 100, together=4)
    for done in range(1, 101):
        stage.clock.now += 8.0 if done % 4 == 1 else 0.0
        stage.at(done)
        left = state(stage)["seconds_left"]
        assert (
            left is None if done < 9 else left == pytest.approx(2.0 * (100 - done), rel=0.2, abs=8)
        )


def test_what_was_done_before_is_no_speed(stage):
    stage.begin(900, 1000)
    for done in range(901, 906):
        stage.clock.now += 10.0
        stage.at(done)
    assert state(stage)["seconds_left"] == pytest.approx(10.0 * 95)


def test_it_is_written_once_a_second_at_most(stage):
    stage.begin(0, 10)
    for done in range(1, 10):
        stage.clock.now += 0.1
        stage.at(done)
    assert state(stage)["done"] == 0
    stage.at(10)  # the end is always told
    assert state(stage)["done"] == 10


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stage = Stage(None, "scoring val")
    stage.begin(0, 2)
    stage.at(2)
    assert stage.done == 2 and list(tmp_path.iterdir()) == []


def test_an_older_file_is_not_this_run(stage):
    stage.begin(3, 10)
    assert progress.read(stage.path.parent)["done"] == 3
    assert progress.read(stage.path.parent, since=stage.path.stat().st_mtime + 1) is None
    assert progress.read(stage.path.parent / "nothing") is None


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"stage": "drawing videos", "done": 1320, "total": 4000, "seconds_left": 65.0},
         "drawing videos 1,320/4,000, 1:05 min left"),
        ({"stage": "checks before training", "done": 0, "total": 60, "seconds_left": None},
         "checks before training 0/60"),
        ({"stage": "Grad-CAM", "done": None, "total": None, "seconds_left": None}, "Grad-CAM"),
        ({"stage": "training", "done": 5, "total": 60, "seconds_left": None, "epoch": 1,
          "epochs": 4, "loss": 2.3451}, "epoch 1/4, loss 2.345"),
        ({"stage": "training on stills", "done": 5, "total": 60, "seconds_left": 7500.0,
          "epoch": 1, "epochs": 4, "loss": 2.3451},
         "training on stills, epoch 1/4, loss 2.345, 2 h 05 min left"),
    ],
)  # fmt: skip
def test_a_state_in_words(given, line):
    assert progress.told(given) == line
