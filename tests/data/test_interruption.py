import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
from stores import digests, make
from tqdm import tqdm

from harlib import progress
from harlib.data.store import parts
from harlib.data.store.category_file import StoreError
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.codecs import CODECS
from harlib.data.store.prepare import PrepareError

quick = pytest.mark.quick


@quick
def test_a_full_disk_keeps_what_is_done(tiny_catalog, tiny_store, tmp_path, monkeypatch):
    real, done = parts.write_text, []

    def full(path, text):
        if len(done) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(path)
        real(path, text)

    monkeypatch.setattr(parts, "write_text", full)
    with pytest.raises(PrepareError, match="the disk of .* is full; what is done stays"):
        make(tiny_catalog, tmp_path)
    assert (tmp_path / "train" / "run.h5").exists()
    monkeypatch.undo()
    make(tiny_catalog, tmp_path)
    assert digests(tmp_path) == digests(tiny_store.root)


@quick
def test_what_a_resumed_preparation_finds_is_no_speed(tiny_catalog, tmp_path, monkeypatch):
    bars = []
    monkeypatch.setattr(progress, "tqdm", lambda **o: bars.append(tqdm(**o)) or bars[-1])
    make(tiny_catalog, tmp_path)
    (tmp_path / "store.json").unlink()
    (tmp_path / "train/run.h5").unlink()
    make(tiny_catalog, tmp_path, progress=True)
    first, second = bars
    assert (first.initial, second.initial, second.n) == (0, 5, 8)


@quick
def test_begun_with_other_settings_and_resumed_with_these(tiny_catalog, tiny_store, tmp_path):
    make(tiny_catalog, tmp_path, size=24)
    (tmp_path / "store.json").unlink()  # as if killed just before the end
    make(tiny_catalog, tmp_path)
    assert digests(tmp_path) == digests(tiny_store.root)


KILLED = """
import os, signal, sys
from harlib.data.catalog.catalog import Catalog
from harlib.data.store.prepare import prepare
left, real = int(sys.argv[3]), os.replace
def replace(*names):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*names)
os.replace = replace
prepare(Catalog.from_csv(sys.argv[1]), sys.argv[2], size=32, workers=1, progress=False)
"""


@pytest.mark.parametrize("renames", [1, 6, 13])
def test_killed_between_any_two_files_and_resumed(tiny_catalog, tiny_store, tmp_path, renames):
    """Files are renamed into place 15 times: 4 x (part, record, category file), then 3."""
    tiny_catalog.to_csv(tmp_path / "squares.csv")
    store = tmp_path / "store"
    command = [sys.executable, "-c", KILLED, tmp_path / "squares.csv", store, str(renames)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    with pytest.raises(StoreError, match="no clip store"):
        ClipStore(store)
    make(tiny_catalog, store)
    assert digests(store) == digests(tiny_store.root)


RUN = """
import sys
from harlib.data.catalog.catalog import Catalog
from harlib.data.store.prepare import prepare
prepare(Catalog.from_csv(sys.argv[1]), sys.argv[2], size=32, workers=2, progress=False)
"""


def workers_of(process):
    """The preparing processes; the trackers of loky and Python end by themselves."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "popen_loky" in " ".join(child.cmdline())]


def test_no_worker_survives_a_killed_preparation(write_videos, tmp_path):
    write_videos(count=200).to_csv(tmp_path / "squares.csv")
    command = [sys.executable, "-c", RUN, tmp_path / "squares.csv", tmp_path / "store"]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("store/.parts/.part-*")) and time.monotonic() < deadline:
        time.sleep(0.01)  # until a worker packs
    workers = workers_of(process)
    process.kill()
    process.wait()
    assert len(workers) == 2
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


@pytest.mark.soak
def test_killed_at_random_moments_and_resumed(write_videos, tmp_path):
    catalog = write_videos(count=200)
    make(catalog, tmp_path / "whole")
    catalog.to_csv(tmp_path / "squares.csv")
    wanted = digests(tmp_path / "whole")
    rng = np.random.default_rng(0)
    begin = time.monotonic()
    command = [sys.executable, "-c", RUN, tmp_path / "squares.csv"]
    subprocess.run([*command, tmp_path / "timed"], check=True)
    usual = time.monotonic() - begin
    killed = 0
    for trial in range(20):
        store = tmp_path / f"store{trial}"
        process = subprocess.Popen([*command, store])
        try:
            process.wait(timeout=rng.uniform(0.3, 1) * usual)
        except subprocess.TimeoutExpired:
            process.kill()  # its workers live on for a moment, and may still write
            killed += 1
            process.wait()
        make(catalog, store, workers=2)
        assert digests(store) == wanted
        shutil.rmtree(store)
    assert killed >= 10


def test_a_dask_cluster_survives_a_killed_worker(write_videos, tmp_path):
    distributed = pytest.importorskip("dask.distributed", reason="extra cluster is not installed")
    catalog = write_videos(count=150)
    make(catalog, tmp_path / "whole", workers=2)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        victim = next(iter(cluster.workers.values())).process.pid
        parts = tmp_path / "store" / ".parts"

        def kill():
            while not list(parts.glob("*.json")):
                time.sleep(0.005)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        make(catalog, tmp_path / "store", scheduler=cluster.scheduler_address)
        assert not killer.is_alive()
    assert digests(tmp_path / "store") == digests(tmp_path / "whole")


WRITE = """
import errno, sys
import numpy as np
from harlib.data.store import category_file
room, source = int(sys.argv[2]), sys.argv[3]
class Disk(category_file._Sink):
    def _write(self, data):
        if self.tell() + len(data) > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super()._write(data)
category_file._Sink = Disk
record = {"video_id": "a", "frames": 100, "lengths": np.full(100, 5)}
try:
    category_file.write(category_file.Path(sys.argv[1]), {"key": "k"}, [(source, 0, record)])
    print("written")
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("room", [0, 100, 1000, 2500, 3500, 100_000])
def test_a_disk_that_fills_up_anywhere_in_a_category_file_ends_no_process(tmp_path, room):
    """HDF5 ends the process when it closes a file whose tables it could not write."""
    (tmp_path / "chunks").write_bytes(bytes(500))
    command = [sys.executable, "-c", WRITE, tmp_path / "a.h5", str(room), tmp_path / "chunks"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("written\n" if room == 100_000 else "No space left on device\n")
    left = ["a.h5", "chunks"] if room == 100_000 else ["chunks"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


LIMITED = """
import resource, signal, sys
from harlib.data.catalog.catalog import Catalog
from harlib.data.store.prepare import prepare
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond then fails, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    prepare(Catalog.from_csv(sys.argv[1]), sys.argv[2], size=32, workers=2, progress=False,
            codec=sys.argv[3])
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("codec", [*CODECS])
def test_writes_that_fail_in_two_workers_leave_no_halves(write_videos, tmp_path, codec):
    write_videos(count=200).to_csv(tmp_path / "squares.csv")  # several tasks for each
    command = [sys.executable, "-c", LIMITED, tmp_path / "squares.csv", tmp_path / "store", codec]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "File too large\n"), done.stderr
    assert not list(tmp_path.rglob(".part-*")) and not (tmp_path / "store" / ".lock").exists()
