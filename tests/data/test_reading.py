import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import psutil
import pytest
from fake_store import FakeStore
from stores import make

from harlib.data import reading
from harlib.data.loader import (
    ReadError,
    evaluation_batches,
    iterate,
    steps_per_epoch,
    training_batches,
)
from harlib.data.store import ClipStore

LENGTHS = [20, 5, 40, 17, 30, 16, 50]


def training(**options):
    return training_batches(FakeStore(LENGTHS, **options), batch=3, frames=4, size=8)


@pytest.fixture
def shared(monkeypatch):
    """Names of the shared memory that was made; at the end of the test none may exist."""
    names = []

    def recorded(*args, **options):
        memory = SharedMemory(*args, **options)
        names.append(memory.name)
        return memory

    monkeypatch.setattr(reading, "SharedMemory", recorded)
    yield names
    assert not readers()
    assert not existing(names)


def readers():
    """The loader's processes; joblib keeps idle ones of its own for the next preparation."""
    children = multiprocessing.active_children()
    return [child for child in children if not child.name.startswith("Loky")]


def existing(names):
    return [name for name in names if os.path.exists(f"/dev/shm/{name}")]


@pytest.mark.parametrize("workers, start, stop", [(1, 0, 5), (2, 7, 20)])
def test_workers_and_resuming_do_not_change_the_order(shared, workers, start, stop):
    dataset = training()
    read = list(iterate(dataset, start=start, stop=stop, workers=workers))
    assert len(read) == stop - start and len(shared) == 2 * workers
    for i, (clips, labels) in enumerate(read, start):
        assert np.array_equal(clips, dataset[i][0]) and np.array_equal(labels, dataset[i][1])
        assert clips.flags.writeable


def test_elements_come_through_the_pipe_where_shared_memory_is_too_small(monkeypatch, shared):
    assert reading._slots(2, 10**15) == []
    monkeypatch.setattr(reading, "_slots", lambda count, size: [])
    dataset = evaluation_batches(FakeStore(LENGTHS), split="train", batch=4, size=8, crops=3)
    for i, element in enumerate(iterate(dataset, workers=1)):
        assert all(np.array_equal(element[name], dataset[i][name]) for name in element)
    assert i == 5 and not shared


def test_an_error_in_a_worker_names_the_video_and_stops_the_workers(shared):
    with pytest.raises(ReadError, match="video 'video_4' .* OSError: 12 bytes missing"):
        list(iterate(training(broken=[4]), stop=30, workers=2))


def test_a_killed_worker_is_an_error_not_a_hang(shared):
    iterator = iterate(training(), workers=1)
    next(iterator)
    for child in readers():
        child.kill()
    with pytest.raises(RuntimeError, match="a reading process was killed"):
        list(iterator)


SCRIPT = """
import sys, time
from harlib.data import reading
from harlib.data.loader import iterate, training_batches

sys.path.insert(0, {folder!r})
from fake_store import FakeStore
from stores import make

if __name__ == "__main__":
    make = reading.SharedMemory
    made = []
    reading.SharedMemory = lambda **options: made.append(make(**options)) or made[-1]
    dataset = training_batches(FakeStore([20, 5, 40]), batch=3, frames=4, size=8)
    iterator = iterate(dataset, workers=2)
    for _ in range(6):
        clips, labels = next(iterator)
    print(*(memory.name for memory in made), flush=True)
    made.clear()
    {end}
"""


@pytest.fixture
def script(tmp_path):
    """Starts a script that reads with two workers; gives its process and shared memory's names."""

    def start(end):
        path = tmp_path / "script.py"
        path.write_text(SCRIPT.format(folder=str(Path(__file__).parent), end=end))
        process = subprocess.Popen(
            [sys.executable, path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        names = process.stdout.readline().split()
        assert len(names) == 4, process.stderr.read()
        return process, names

    return start


def test_an_iterator_left_open_at_the_end_leaves_nothing_and_says_nothing(script):
    process, names = script("pass")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and errors == ""
    assert not existing(names)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_survives_a_killed_or_interrupted_parent(script, how):
    process, names = script("time.sleep(60)")
    readers = psutil.Process(process.pid).children(recursive=True)
    assert len(readers) >= 2 and existing(names) == names
    if how == signal.SIGINT:
        os.killpg(process.pid, how)  # as the terminal's Ctrl-C does
        assert process.communicate(timeout=60)[1].count("Traceback") == 1
    else:
        process.kill()
        process.communicate(timeout=60)
    _, alive = psutil.wait_procs(readers, timeout=10)
    assert not alive
    deadline = time.monotonic() + 10  # the tracker frees the memory when the last one is gone
    while existing(names) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not existing(names)


def tree_memory():
    """Resident bytes of this process and its children, shared memory counted once."""
    here = psutil.Process()
    infos = [process.memory_info() for process in (here, *here.children())]
    return sum(info.rss - info.shared for info in infos) + max(info.shared for info in infos)


@pytest.mark.soak
@pytest.mark.parametrize("readers", [{"workers": 2}, {"threads": 2}])
@pytest.mark.parametrize("codec", ["raw", "jpeg", "h264"])
def test_fifty_epochs_keep_their_memory(write_videos, tmp_path, shared, codec, readers):
    make(write_videos(count=60), tmp_path, codec=codec, size=128)
    store = ClipStore(tmp_path)
    steps = steps_per_epoch(store, "train", 20)
    dataset = training_batches(store, batch=20, size=112, color=0.2)
    memory = []
    for i, _ in enumerate(iterate(dataset, stop=60 * steps, **readers)):
        if i >= 10 * steps:  # after ten epochs everything is imported, mapped and cached
            memory.append(tree_memory())
    tenth = len(memory) // 10
    assert len(memory) == 50 * steps
    assert np.median(memory[-tenth:]) < 1.02 * np.median(memory[:tenth])
