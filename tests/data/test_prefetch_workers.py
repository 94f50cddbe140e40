import contextlib
import gc
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import grain
import numpy as np
import psutil
import pytest
from fake_store import FakeStore
from reading_left import nothing_left, readers, shared_maps  # noqa: F401 (used by every test)

from harlib.data import ClipSpec, ReadError, buffers, iterate, training_batches
from harlib.data.loading import workers


def training(**options):
    return training_batches(FakeStore([20, 5, 40, 17, 30], **options), ClipSpec(4, size=8), batch=3)


def large(number):
    return np.random.default_rng(number).integers(0, 256, (200, 300), np.uint8)


class Arrays:
    """Arrays that are not the loader's: large, small, empty, turned, with steps, read-only."""

    def __len__(self):
        return 30

    def __getitem__(self, i):
        whole = large(i)
        fixed = whole.copy()
        fixed.flags.writeable = False
        return whole, whole.astype(np.float32).T, whole[::2, ::3], fixed, whole[:0], str(i)


def test_any_arrays_come_as_they_are():
    dataset = grain.MapDataset.source(Arrays())
    kept = list(iterate(dataset, workers=2))  # also what is kept to the end
    for i, (*arrays, name) in enumerate(kept):
        for one, other in zip(arrays, dataset[i], strict=False):
            assert one.dtype == other.dtype and np.array_equal(one, other)
            assert one.flags.writeable == other.flags.writeable
        assert name == str(i)
    assert len(kept) == 30


class Mixed:
    """Elements whose form changes, some with more than a pipe holds."""

    def __len__(self):
        return 16

    def __getitem__(self, i):
        if i % 3 == 0:
            return large(i)
        element = {"one": large(i), "two": large(i + 1)}
        if i < 8:
            small = [np.full(2, i), np.array(i), np.array(["a", i], object)]
            element |= {"small": small * i, "tuple": (large(i), i, None), "text": "x" * 200_000}
        return dict(reversed(element.items())) if i % 2 else element


def same(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        return [*one] == [*other] and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return np.array_equal(one, other)


@pytest.mark.parametrize("workers", [1, 3])
def test_elements_of_any_form_and_size_come_as_they_are(workers):
    dataset = grain.MapDataset.source(Mixed())
    read = list(iterate(dataset, workers=workers))
    assert len(read) == 16 and all(same(one, dataset[i]) for i, one in enumerate(read))


class Waiting:
    """Its first element cannot be read before its third."""

    def __init__(self, folder):
        self.seen = folder / "third"

    def __len__(self):
        return 6

    def __getitem__(self, i):
        if i == 2:
            self.seen.touch()
        until = time.monotonic() + 60
        while i == 0 and not self.seen.exists():
            assert time.monotonic() < until, "the third was not read"
            time.sleep(0.01)
        return i


def test_a_slow_element_holds_no_other_process_up(tmp_path):
    dataset = grain.MapDataset.source(Waiting(tmp_path))
    assert list(iterate(dataset, workers=2)) == [0, 1, 2, 3, 4, 5]


class Marked:
    """A batch of the loader's memory, with the number of its element."""

    def __len__(self):
        return 100

    def __getitem__(self, i):
        array = buffers.empty((400, 300))
        array[:] = i
        return array


def test_memory_is_used_again_once_no_view_is_left():
    places = []
    for i, array in enumerate(iterate(grain.MapDataset.source(Marked()), workers=2)):
        assert (array == i).all() and array.flags.writeable
        places.append(array.__array_interface__["data"][0])
        array[:] = 0  # it is the reader's own
        mapped = len(shared_maps())
    assert 2 <= len(set(places)) == mapped <= 12
    del array


def test_what_is_kept_stays_and_stops_nobody():
    iterator = iterate(grain.MapDataset.source(Marked()), workers=2)
    views = [array[::7, 5:] for array in iterator]
    assert len(views) == 100 and all((view == i).all() for i, view in enumerate(views))
    # few in the workers' memory, the others copies of this process's own
    assert len(shared_maps()) <= 2 * (workers.HELD + 6)


def test_a_forked_process_gives_no_memory_back_and_ends_no_worker():
    iterator = iterate(grain.MapDataset.source(Marked()), workers=1)
    array = next(iterator)
    child = os.fork()
    if not child:
        try:
            del array
            iterator.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert [other[0, 0] for other in iterator] == list(range(1, 100))
    assert (array == 0).all()
    del array


class NotSendable:
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return lambda: i


def test_what_cannot_be_sent_is_named():
    with pytest.raises(Exception, match="lambda"):
        next(iterate(grain.MapDataset.source(NotSendable()), workers=1))


def test_an_error_that_was_caught_holds_no_memory():
    gc.disable()
    try:
        with contextlib.suppress(ReadError):
            list(iterate(training(broken=[4]), stop=30, workers=2))
        assert not readers() and not shared_maps()
    finally:
        gc.enable()


def test_more_may_be_read_ahead_than_files_may_be_open():
    dataset = grain.MapDataset.source(Marked())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (here + 120, before[1]))
    try:
        assert [array[0, 0] for array in iterate(dataset, workers=1, prefetch=90)] == [*range(100)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_dataset_that_cannot_be_sent_starts_nothing():
    dataset = grain.MapDataset.source(Arrays()).map(lambda element: element)
    with pytest.raises(AttributeError, match="lambda"):
        next(iterate(dataset, workers=2))
    assert not readers()


class NotPortable(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class Failing:
    def __len__(self):
        return 9

    def __getitem__(self, i):
        if i == 5:
            raise NotPortable("this", "that")
        return np.full(3, i)


def test_an_error_of_any_kind_comes_after_what_was_read_before_it():
    read = []
    with pytest.raises(RuntimeError, match="NotPortable: this and that") as error:
        for array in iterate(grain.MapDataset.source(Failing()), workers=2):
            read.append(array[0])
    assert read == [0, 1, 2, 3, 4]
    assert "in a reading process" in error.value.__notes__[0]


def test_a_killed_worker_is_an_error_not_a_hang():
    iterator = iterate(training(), workers=1)
    next(iterator)
    for child in readers():
        child.kill()
    with pytest.raises(RuntimeError, match="a reading process was killed"):
        list(iterator)


SCRIPT = """
import signal, sys, time
from harlib.data import ClipSpec, iterate, training_batches

sys.path.insert(0, {folder!r})
from fake_store import FakeStore

if __name__ == "__main__":
    # also where these tests run in a shell's background, which ignores it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    dataset = training_batches(FakeStore([20, 5, 40]), ClipSpec(4, size=32), batch=3)
    iterator = iterate(dataset, workers=2)
    for _ in range(6):
        clips, labels = next(iterator)
    print("read", flush=True)
    {end}
"""


@pytest.fixture
def script(tmp_path):
    """Starts a script that reads with two workers; gives its process."""

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
        assert process.stdout.readline() == "read\n", process.stderr.read()
        return process

    return start


def test_an_iterator_left_open_at_the_end_leaves_nothing_and_says_nothing(script):
    process = script("pass")
    _, errors = process.communicate(timeout=60)  # also until its children closed the pipe
    assert process.returncode == 0 and errors == ""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_survives_a_killed_or_interrupted_parent(script, how):
    process = script("time.sleep(60)")
    children = psutil.Process(process.pid).children(recursive=True)
    sharing = [child for child in children if shared_maps(child.pid)]
    # memory without a name: when nobody maps it any more it is gone
    assert sharing and shared_maps(process.pid)  # the first to start may have read all
    assert all("(deleted)" in line for line in shared_maps(process.pid))
    if how == signal.SIGINT:
        os.killpg(process.pid, how)  # as the terminal's Ctrl-C does
        assert process.communicate(timeout=60)[1].count("Traceback") == 1
    else:
        process.kill()
        process.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
