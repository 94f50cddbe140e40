"""Every long command, killed at random moments and given again: the same bytes, nothing left."""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from tiny_study import FILES, har, write_study

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

STUDY = ("study", "tiny", "--no-forecast")
TRAIN = ("train", "params/tiny/common.yaml", "params/tiny/03_c3d.yaml", "--set", "epochs=40")
# What must be the same after kills, whatever else may name a time or a folder.
EXACT = (".keras", "scores.npz", "views.npz", "store.json", ".h5", ".mp4")
ROUNDED = re.compile(rb"\b\d+\.\d\b")


def left(root):
    """{file: hash of its content} of all that commands made below root.

    Of a Keras file the weights count. Which steps have checkpoints depends on the clock, and so do
    the minutes on a page, which two runs may have in common by chance.
    """
    found = {}
    for path in filter(Path.is_file, sorted(root.rglob("*"))):
        name = str(path.relative_to(root))
        if re.search(r"checkpoints/step-\d+", name):
            continue
        content = hashlib.sha256()
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as file:
                content.update(file.read("model.weights.h5"))
        elif path.suffix == ".html":
            content.update(ROUNDED.sub(b"", path.read_bytes()))
        else:
            content.update(path.read_bytes())
        found[name] = content.hexdigest()
    return found


def killed(root, arguments, seconds):
    """Gives the command and kills its processes after so many seconds; False: it was done."""
    environment = {key: value for key, value in os.environ.items() if key != "HARLIB_ROOT"}
    process = subprocess.Popen(
        [sys.executable, "-m", "harlib.cli", *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        assert process.wait(seconds) == 0
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A project with parameter files alone, and one whose study is complete."""
    fresh = tmp_path_factory.mktemp("begun") / "fresh"
    write_study(fresh, "tiny", FILES)
    complete = shutil.copytree(fresh, fresh.with_name("complete"))
    done = har(complete, *STUDY)
    assert done.returncode == 0, done.stdout + done.stderr
    return {"fresh": fresh, "complete": complete}


def prepared(root):
    """Before a preparation: videos and their list, no store."""
    done = har(root, "catalog", "videos.csv", "--folder", "data/tiny/source/videos")
    assert done.returncode == 0, done.stdout + done.stderr


def untrained(root):
    shutil.rmtree(root / "runs")


@pytest.mark.parametrize(
    ("command", "kills", "state", "change"),
    [
        (("prepare", "videos.csv", "other-store", "--workers", "2"), 8, "complete", prepared),
        (TRAIN, 8, "complete", untrained),
        (("evaluate", "tiny/03_c3d", "--clips", "300"), 8, "complete", None),
        (("export", "tiny/03_c3d", "--to", "saved_model", "--output", "out"), 6, "complete", None),
        (("report", "tiny"), 4, "complete", None),
        (STUDY, 6, "fresh", None),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_killed_at_random_moments(begun, tmp_path, command, kills, state, change):
    def project(name):
        root = shutil.copytree(begun[state], tmp_path / name)
        if change:
            change(root)
        return root

    def complete(root):
        done = har(root, *command)
        assert done.returncode == 0, done.stdout + done.stderr
        return left(root)

    once = project("once")
    start = time.perf_counter()
    expected = complete(once)
    lasts = time.perf_counter() - start
    # What two runs without a kill do not have in common holds times or the project's own path.
    again = complete(project("again"))
    assert again.keys() == expected.keys()
    same = {name for name in expected if expected[name] == again[name]}
    assert not [name for name in expected.keys() - same if name.endswith(EXACT)]

    moments, count, tries = random.Random(7), 0, 0
    while count < kills:
        tries += 1
        root = project(f"killed-{tries}")
        while count < kills and killed(root, command, moments.uniform(0.05, 1) * lasts):
            count += 1
        found = complete(root)
        assert found.keys() == expected.keys()
        assert {name: found[name] for name in same} == {name: expected[name] for name in same}
        shutil.rmtree(root)
    print(f"{command[0]}: {count} kills in {tries} projects, {len(same)} of {len(expected)} files "
          f"compared byte by byte")  # fmt: skip
