"""A project's studies as a table, whatever people have done to its folders."""

import fcntl
import json
import os
import socket
import subprocess
import sys

import pandas as pd
import pytest
from tiny_study import FILES, write_study

from harlib import locks
from harlib.study.params.base import ParamsError
from harlib.study.runs import fingerprint, listing, study_files

pytestmark = pytest.mark.quick
METRICS = {
    "model": {"name": "c3d_bn", "width": 0.25, "pixels": "residual"},
    "protocol": {"frames": 16, "size": 48},
    "video": {"n": 1800, "top1": 0.5, "top1_interval": [0.4, 0.6]},
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_run(folder, metrics=None, **state):
    """A run's folder with its state, and metrics where it has some."""
    folder.mkdir(parents=True)
    state = {"status": "complete", "begun": 1_795_713_492.4, "results_version": {}} | state
    (folder / "run.json").write_text(json.dumps(state))
    if metrics:
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def row(**wanted):
    table = listing.listing()
    for name, value in wanted.items():
        table = table[table[name] == value]
    (found,) = table.to_dict("records")
    return found


def test_a_run_with_its_accuracy_and_size(project):
    folder = write_run(project / "runs" / "mine" / "03_c3d", METRICS)
    (folder / "model.keras").write_bytes(bytes(5_000_000))
    found = row(run="03_c3d")
    assert found["network"] == "c3d_bn, width 0.25, residual frames"
    assert (found["status"], found["videos"], found["top1"]) == ("complete", 1800, 0.5)
    assert (found["low"], found["high"]) == (0.4, 0.6) and found["trained"].year == 2026
    assert 5_000_000 < found["bytes"] < 5_001_000
    text = listing.text(listing.listing())
    assert text.splitlines()[0] == "mine: runs 5.0 MB"
    assert "complete      1,800  50.0 (40.0–60.0) %    2026-11-26" in text
    assert "      c3d_bn, width 0.25, residual frames\n" in f"{text}\n"


def test_what_is_usual_of_a_network_is_not_said(project):
    usual = METRICS | {"model": {"name": "r3d_18", "width": 1.0, "pixels": "rgb"}}
    write_run(project / "runs" / "mine" / "03_c3d", usual)
    assert row(run="03_c3d")["network"] == "r3d_18"


@pytest.mark.parametrize("status", ["started", "failed"])
def test_a_run_that_is_not_complete(project, status):
    write_run(project / "runs" / "mine" / "03_c3d", status=status, problem="the disk is full")
    assert row(run="03_c3d")["status"] == status
    assert "the disk is full" in listing.text(listing.listing())


def test_a_run_that_is_at_work(project):
    folder = write_run(project / "runs" / "mine" / "03_c3d", status="started", begun=0)
    told = {"stage": "training", "epoch": 2, "epochs": 8, "loss": 1.5, "seconds_left": 90}
    (folder / "progress.json").write_text(json.dumps(told))
    with locks.Lock(listing.run_lock(folder), "it"):
        assert row(run="03_c3d")["status"] == "running"
        assert "epoch 2/8, loss 1.500, 1:30 min left" in listing.text(listing.listing())
        assert listing.run_lock(folder).exists()
    assert row(run="03_c3d")["status"] == "started"


def test_the_lock_is_the_one_that_sessions_take(project):
    from harlib.study.params.base import Common
    from harlib.study.runs import session

    p = Common(study="mine", run="03_c3d")
    session.lock(p)
    try:
        assert listing.is_held(listing.run_lock(p.run_dir))
    finally:
        session.unlock(p)


def test_the_lock_of_a_process_that_is_gone(project, monkeypatch):
    monkeypatch.setattr(locks, "_ENDING_S", 0.1)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, check=True)  # fmt: skip
    holder = {"pid": int(gone.stdout), "host": socket.gethostname(), "since": 0, "command": "har"}
    lock = project / ".03_c3d.lock"
    lock.write_text(json.dumps(holder))
    with lock.open() as child:  # a kernel that the killed `har study` has started
        fcntl.flock(child, fcntl.LOCK_EX)
        assert listing.is_held(lock)
    assert not listing.is_held(lock) and not lock.exists()


def test_a_lock_that_says_nothing(project):
    lock = project / ".03_c3d.lock"
    lock.touch()
    assert listing.is_held(lock)  # its process is about to write to it
    os.utime(lock, (0, 0))
    assert not listing.is_held(lock)
    lock.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": 0, "command": ""}))
    assert listing.is_held(lock)


def test_a_complete_run_of_other_settings_says_which(project):
    folder = write_study(project, "tiny", FILES)

    def runs(**changes):
        return {run.name: run.params for run in study_files.load_study(folder, changes)}

    for name, seed in (("02_frame_cnn", 1), ("03_c3d", 7)):
        params = runs(seed=seed)[name]
        fingerprint.claim(params)
        params.folder.write_state(status="complete")
    (folder / "04_resnext101.yaml").unlink()
    assert row(run="02_frame_cnn")["status"] == "complete"
    found = row(run="03_c3d")
    assert found["status"] == "complete, other settings"
    assert found["note"] == "seed: 7 then, 1 now"
    assert "other settings: seed: 7 then, 1 now" in listing.text(listing.listing())
    params = runs()["02_frame_cnn"]
    params.folder.write_state(fingerprint="0")
    assert row(run="02_frame_cnn")["status"] == "complete, other store, runs or code"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", "{"),
        ("run.json", "[1]"),
        ("run.json", '"complete"'),
        ("run.json", "{}"),
        ("run.json", '{"status": "complete", "begun": "yesterday"}'),
        ("run.json", '{"status": "complete", "begun": NaN}'),
        ("run.json", '{"status": "complete", "begun": 1e300}'),
        ("run.json", b"\xff\xfe\x00"),
        ("metrics.json", "{}"),
        ("metrics.json", '{"model": 3}'),
        ("metrics.json", '{"model": {"name": 3}, "video": {"top1_interval": [null, null]}}'),
        ("metrics.json", "[]"),
    ],
)
def test_files_that_cannot_be_read_are_a_row_that_says_so(project, file, content):
    folder = write_run(project / "runs" / "mine" / "03_c3d", METRICS)
    write_run(project / "runs" / "mine" / "04_resnext101", METRICS)
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = row(run="03_c3d")
    assert found["status"] == ("unreadable" if file == "run.json" else "complete")
    assert found["note"] and "\n" not in found["note"] and str(project) not in found["note"]
    assert row(run="04_resnext101")["note"] == ""
    assert "03_c3d" in listing.text(listing.listing())


def test_a_file_that_is_a_folder_and_folders_of_others(project):
    runs = project / "runs" / "mine"
    (runs / "03_c3d" / "run.json").mkdir(parents=True)
    (runs / "notes").mkdir()
    (runs / ".ipynb_checkpoints").mkdir()
    (runs / "a file").touch()
    (runs / "nowhere").symlink_to(project / "gone")
    assert row(run="03_c3d")["status"] == row(run="notes")["status"] == "not a run"
    assert len(listing.listing()) == 2


def test_earlier_runs_stores_and_what_else_lies_there(project, tmp_path_factory):
    write_run(project / "runs" / "mine" / "03_c3d")
    for name in ("03_c3d", "03_c3d-2"):
        write_run(project / "runs" / "mine" / "before" / name)
    data = project / "data" / "mine"
    for name, file in (("store", "store.json"), ("store-1", ".sources.json"),
                       ("source", "dataset.json"), ("my-videos", "jump.mp4")):  # fmt: skip
        (data / name).mkdir(parents=True)
        (data / name / file).write_bytes(bytes(100))
    elsewhere = tmp_path_factory.mktemp("videos")
    (elsewhere / "huge.mp4").write_bytes(bytes(10_000))
    (data / "link").symlink_to(elsewhere)
    (data / "store" / "inner").symlink_to(elsewhere)
    assert row(kind="before")["status"] == "2 earlier runs"
    stores = listing.listing("mine").query("kind == 'store'").set_index("run")
    assert stores["status"].to_dict() == {
        "link": "a link",
        "my-videos": "another folder",
        "source": "half-drawn videos",
        "store": "clip store",
        "store-1": "unfinished clip store",
    }
    assert pd.isna(stores["bytes"]["link"]) and pd.isna(stores["bytes"]["my-videos"])
    assert 100 <= stores["bytes"]["store"] < 10_000


def test_studies_that_have_only_parameter_files(project):
    write_study(project, "tiny", FILES)
    write_study(project, "mine", FILES)
    write_run(project / "runs" / "mine" / "03_c3d")
    assert row(study="tiny")["status"] == "not run"
    assert listing.text(listing.listing()).endswith("\n\nNot run yet: tiny")
    assert listing.studies() == ["mine", "tiny"]
    assert set(listing.listing("runs/mine/")["study"]) == {"mine"}


def test_an_empty_project_and_a_wrong_name(project):
    assert listing.listing().empty
    assert "har study demo" in listing.text(listing.listing())
    write_run(project / "runs" / "mine" / "03_c3d")
    for name in ("mien", "..", "/", ""):
        with pytest.raises(ParamsError, match="no study .*there are mine") as caught:
            listing.listing(name)
        assert len(str(caught.value).splitlines()) == 1


def test_odd_names_stay_on_their_line_and_no_line_is_too_long(project):
    names = ("03_\x1b[31mred", "03_a\nb", "03_" + "long" * 40, os.fsdecode(b"03_\xff"))
    metrics = METRICS | {"model": {"name": "x " * 200}}
    for name in names:
        write_run(project / "runs" / "mine" / name, metrics, status="failed", problem="y " * 999)
    text = listing.text(listing.listing())
    assert text.replace("\n", "").isprintable() and text.encode()
    lines = [line for line in text.splitlines() if "long" not in line]
    assert max(map(len, lines)) <= 100
