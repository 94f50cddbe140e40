"""Files that are cut or are pipes, processes that stand still: a line says so, nothing hangs."""

import os
import shutil
import signal
import subprocess
import sys
import time

import grain
import numpy as np
import pytest
from reading_left import nothing_left  # noqa: F401 (used by every test)

from harlib.data import ClipSpec, ReadError, iterate, training_batches
from harlib.data.loading import workers
from harlib.data.store import category_file
from harlib.data.store.category_file import StoreError
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.codecs import CODECS
from harlib.data.store.prepare import prepare
from harlib.data.store.verify import verify

quick = pytest.mark.quick


@pytest.fixture(params=[*CODECS])
def root(request, tiny_catalog, tmp_path):
    prepare(tiny_catalog, tmp_path, codec=request.param, size=32, workers=1, progress=False)
    return tmp_path


def cut(file, size):
    os.truncate(file, size)


@quick
def test_a_file_that_is_cut_while_it_is_in_use_is_told(root):
    store = ClipStore(root)
    for index in range(len(store)):
        store.read(index, [0])  # every file is mapped now
    file = root / "train" / "run.h5"
    whole = file.stat().st_size
    cut(file, 100)
    said = f"{file} was cut while it was in use: it has 100 bytes, the index says {whole}"
    with pytest.raises(StoreError) as caught:
        store.read(0, [0])
    assert str(caught.value) == said
    for options in ({"threads": 0}, {"threads": 2}):
        batches = training_batches(store, ClipSpec(2, size=16), batch=6)
        with pytest.raises(ReadError, match="was cut while it was in use"):
            list(iterate(batches, stop=4, **options))


@quick
def test_verify_names_the_videos_of_a_file_that_is_cut_meanwhile(root, monkeypatch):
    real = category_file.checksum

    def checksum(*arrays):
        cut(root / "val" / "run.h5", 10)
        return real(*arrays)

    monkeypatch.setattr(category_file, "checksum", checksum)
    problems = verify(root)
    lost = problems[problems["split"] == "val"]
    assert set(lost["category"]) == {"run"} and lost["problem"].str.contains("has 10 bytes").all()


@quick
@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["store.json", "index.csv", "train/run.h5"])
def test_a_pipe_in_a_files_place_is_refused_at_once(tiny_store, tmp_path, name):
    shutil.copytree(tiny_store.root, tmp_path / "store")
    file = tmp_path / "store" / name
    file.unlink()
    os.mkfifo(file)
    said = f"{file} is no file but a pipe, a device or a folder"
    with pytest.raises(StoreError, match=said):
        ClipStore(tmp_path / "store").read(0, [0])
    if name.endswith(".h5"):
        assert category_file.key(file) is None
        assert set(verify(tmp_path / "store")["problem"]) == {said}
    else:
        with pytest.raises(StoreError, match=said):
            verify(tmp_path / "store")


class Numbers:
    """Large elements; reading the third does something to the reading process."""

    def __init__(self, what):
        self.what = what

    def __len__(self):
        return 12

    def __getitem__(self, i):
        if i == 3:
            os.kill(os.getpid(), self.what)
            time.sleep(0.2)
        return np.full((200, 300), i, np.uint8)


def test_a_file_that_is_cut_under_a_reading_process_is_no_lack_of_memory():
    with pytest.raises(RuntimeError, match="ended by SIGBUS: a file of the store was cut while it"):
        list(iterate(grain.MapDataset.source(Numbers(signal.SIGBUS)), workers=2))


def test_a_stopped_reading_process_is_told_to_go_on(monkeypatch, capfd):
    monkeypatch.setattr(workers, "STILL_S", 1.0)
    got = list(iterate(grain.MapDataset.source(Numbers(signal.SIGSTOP)), workers=2))
    assert [element[0, 0] for element in got] == list(range(12))
    said = capfd.readouterr().err
    assert "stands stopped (SIGSTOP), and for 1 s nothing was read: it is told to go on" in said


def test_a_reading_process_that_is_stopped_again_is_an_error(monkeypatch):
    monkeypatch.setattr(workers, "STILL_S", 1.0)
    monkeypatch.setattr(workers.signal, "SIGCONT", 0)  # it does not go on
    with pytest.raises(RuntimeError, match="stands stopped, and again after it was told to go on"):
        list(iterate(grain.MapDataset.source(Numbers(signal.SIGSTOP)), workers=2))


def test_a_slow_reading_process_is_left_alone(monkeypatch, capfd):
    monkeypatch.setattr(workers, "STILL_S", 0.05)
    got = list(iterate(grain.MapDataset.source(Numbers(signal.SIGCONT)), workers=2))
    assert len(got) == 12 and "stopped" not in capfd.readouterr().err


BUS = """
import os
from harlib.cli import main
main(["models"], standalone_mode=False)
os.kill(os.getpid(), 7)
"""


def test_a_process_that_a_bus_error_ends_says_where_it_was():
    done = subprocess.run([sys.executable, "-c", BUS], capture_output=True, text=True)
    assert done.returncode == -signal.SIGBUS
    assert "Fatal Python error: Bus error" in done.stderr
