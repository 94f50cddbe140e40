"""Ctrl-C of a command: one line that says where it stopped and what the same command does."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from tiny_study import FILES, har, write_study

from harlib.data.catalog.catalog import Catalog
from harlib.data.demo import dataset


def interrupted(root, *arguments, when, group=False):
    """Runs `har` in root until `when()`, then SIGINT: to it, or as a terminal does to its group.

    Returns the exit code, and all that it said.
    """
    environment = {key: value for key, value in os.environ.items() if key != "HARLIB_ROOT"}
    process = subprocess.Popen(
        [sys.executable, "-m", "harlib.cli", *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 240
    try:
        while not when() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it never came so far"
        (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=90)
    finally:
        process.kill()
    assert "Aborted" not in said and "Traceback" not in said, said
    return process.returncode, said


def test_demo_data_and_prepare(tmp_path):
    drawn = tmp_path / "drawn"
    draw = ("demo-data", "drawn", "--train", "30", "--val", "1", "--stills", "0")
    code, said = interrupted(
        tmp_path, *draw, when=lambda: len([*drawn.rglob("*.mp4")]) > 20, group=True
    )
    assert code == 130
    last = said.strip().splitlines()[-1]
    assert last.startswith("drawing: stopped after ")
    assert last.endswith(" of 372 files: the same command resumes there")
    assert not json.loads((drawn / "dataset.json").read_text())["complete"]

    table = dataset.write_dataset(
        tmp_path / "few", train=12, val=1, stills=0, categories=["waving"], progress=False
    )
    listed = Catalog.from_kinetics_csv(table, tmp_path / "few" / "videos")
    listed.to_csv(tmp_path / "videos.csv")
    begun = tmp_path / "store" / ".parts"
    prepare = ("prepare", "videos.csv", "store", "--workers", "2")
    code, said = interrupted(tmp_path, *prepare, when=lambda: any(begun.glob("*")), group=True)
    assert code == 130
    last = said.strip().splitlines()[-1]
    assert last == "prepare: stopped after 0 of 13 videos: the same command resumes there"
    done = har(tmp_path, *prepare)
    assert done.returncode == 0, done.stdout + done.stderr


def state(run_dir):
    """The run's progress.json; empty without one."""
    file = run_dir / "progress.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def newest(run_dir):
    """The step of the newest checkpoint."""
    return max(int(file.name.split("-")[1]) for file in run_dir.glob("checkpoints/step-*.npz"))


def test_a_study_and_a_training(tmp_path):
    contents = {name: FILES[name] for name in ("common", "01_data_prep", "03_c3d")}
    folder = write_study(tmp_path, "tiny", contents)
    run_dir = tmp_path / "runs" / "tiny" / "03_c3d"
    study = ("study", "tiny", "--no-forecast", "--set", "epochs=3000")

    def trains():
        return state(run_dir).get("epoch", 0) > 20

    code, said = interrupted(tmp_path, *study, when=trains)
    assert code == 130
    last = said.strip().splitlines()[-1]
    where = (
        r"\[2/2\] 03_c3d: stopped \(epoch \d+/3000, loss [\d.]+\): the same command resumes there"
    )
    assert re.fullmatch(where, last), said
    stopped = newest(run_dir)
    assert stopped >= 40  # two steps an epoch: the kernel had the time to save one
    assert json.loads((run_dir / "run.json").read_text())["status"] == "started"

    files = (str(folder / "common.yaml"), str(folder / "03_c3d.yaml"))
    # A training that has begun is not another command's: the same parameters go on from it.
    train = ("train", *files, "--set", "epochs=3000")
    code, said = interrupted(
        tmp_path, *train, when=lambda: state(run_dir).get("done", 0) > stopped + 40
    )
    assert code == 130
    assert f"resuming at step {stopped} of 6000" in said
    last = said.strip().splitlines()[-1]
    there = newest(run_dir)
    assert there > stopped
    assert last == f"training: stopped after step {there} of 6000: the same command resumes there"


def test_a_scoring(tiny_study, tmp_path):
    shutil.copytree(tiny_study[0], tmp_path / "project")
    root = tmp_path / "project"
    run_dir = root / "runs" / "tiny" / "03_c3d"
    evaluate = ("evaluate", str(run_dir), "--clips", "900", "--crops", "1")
    aside = run_dir / "scores-clips_900"  # another protocol's scores lie beside the study's own

    def scores():
        progress = aside / "progress.json"
        return progress.is_file() and state(aside)["done"] > 3

    code, said = interrupted(root, *evaluate, when=scores)
    assert code == 130
    last = said.strip().splitlines()[-1]
    assert re.fullmatch(
        r"scoring val: stopped after \d+ of 675 batches: the same command resumes there", last
    )
    assert [*(aside / "scoring.part").glob("*.npz")]


SLOW = """
import sys, time
import {module} as module
def slow(*given, **options):
    print("begun", flush=True)
    time.sleep(60)
module.{name} = slow
from harlib.cli import main
main(sys.argv[1:])
"""


@pytest.mark.quick
@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("harlib.data.store.prepare", "verify", ["verify", "store"]),
        ("harlib.bench.data", "run", ["bench", "data"]),
        ("harlib.models.weights.published", "text", ["models"]),
        ("harlib.study.report.index", "write_study", ["report", "demo"]),
    ],
)
def test_a_command_that_keeps_nothing_says_so(tmp_path, module, name, arguments):
    run_dir = tmp_path / "runs" / "demo" / "03_c3d"  # what `har report demo` looks for
    run_dir.mkdir(parents=True)
    (run_dir / "params.yaml").touch()
    code = SLOW.format(module=module, name=name)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    # TensorFlow writes some lines of its own before it reads TF_CPP_MIN_LOG_LEVEL.
    assert said.strip().splitlines()[-1] == "stopped: the same command begins anew"
