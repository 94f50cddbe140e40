"""Notebook 08 as `har study` runs it: headless, by a file of the study or by its name alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from harlib import shipped
from harlib.data.store.prepare import prepare
from harlib.evaluation import Scores, metrics
from harlib.study.params.notebooks import ParamsError, validate
from harlib.study.runs import environment, fingerprint, study_files

SMALL = "width: 0.125\ndense: 8\nframes: 8\nsize: 24\nbatch: 4\nepochs: 2\nclips: 2\n"


def project(root: Path, catalog, file: str = "") -> Path:
    """A project with a store, a complete run 03 made by hand, and perhaps a file for 08."""
    folder = root / "params" / "tiny"
    folder.mkdir(parents=True)
    (folder / "common.yaml").write_text("seed: 3")
    (folder / "03_c3d.yaml").write_text("")
    if file:
        (folder / "08_from_scratch.yaml").write_text(file)
    store = root / "data" / "tiny" / "store"
    prepare(catalog, store, size=32, workers=1, progress=False)
    val = catalog.frame[catalog.frame["split"] == "val"]
    label = [catalog.categories.index(name) for name in val["category"]]
    shares = np.eye(len(catalog.categories))[label][:, None]
    scores = Scores(val["video_id"], label, catalog.categories, shares[:, 0], shares, val["group"])
    run = root / "runs" / "tiny" / "03_c3d"
    scores.save(run)
    protocol = {"split": "val", "clips": 1, "crops": 1, "frames": 8, "stride": 1, "size": 24}
    network = {"name": "c3d_bn", "parameters": 1000, "gmacs": 0.5, "width": 0.25, "pixels": "rgb"}
    metrics.write(run, scores, protocol, network, 1.5)
    state = {"status": "complete", "notebook": "03_c3d", "fingerprint": "0" * 16}
    (run / "run.json").write_text(json.dumps(state))
    (run / "environment.json").write_text(json.dumps(environment.describe()))
    values = study_files.defaults("03_c3d") | {"study": "tiny", "frames": 8, "size": 24, "clips": 1}
    (run / "params.yaml").write_text(yaml.safe_dump(values))
    return root


def har(root, *arguments):
    environment = {key: value for key, value in os.environ.items() if key != "HARLIB_ROOT"}
    command = [sys.executable, "-m", "harlib.cli", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def test_it_trains_scores_and_stands_beside_run_03(tmp_path, write_videos):
    root = project(tmp_path, write_videos(8), SMALL)
    only = ("study", "tiny", "--only", "08_from_scratch", "--no-forecast")
    done = har(root, *only)
    assert done.returncode == 0, done.stdout + done.stderr
    run = root / "runs" / "tiny" / "08_from_scratch"
    assert Scores.load(run).view_scores.shape == (4, 2, 2)
    assert json.loads((run / "run.json").read_text())["status"] == "complete"
    page = (root / "reports" / "tiny" / "08_from_scratch.html").read_text()
    for words in ("epoch 2: loss ", "03_c3d", "loss of guessing", "Answer 3", "Source: harlib/"):
        assert words in page, words
    assert "Traceback" not in page
    # its links to notebooks of which the study has a page lead there, the others are text
    assert 'href="02_frame_cnn' not in page and "ipynb" not in page.partition("<details")[0]
    index = (root / "reports" / "tiny" / "index.html").read_text()
    assert "written out in plain Keras" in index
    assert "kept, complete with the same parameters" in har(root, *only).stdout


@pytest.mark.quick
def test_a_notebook_asked_for_by_name_needs_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = tmp_path / "params" / "tiny"
    folder.mkdir(parents=True)
    (folder / "common.yaml").write_text("seed: 7")
    (folder / "03_c3d.long.yaml").write_text("epochs: 3")
    runs = study_files.load_study(folder, {"epochs": 2}, only=("08_from_scratch",))
    assert [run.name for run in runs] == ["03_c3d.long", "08_from_scratch"]
    own = runs[1].params
    assert (own.seed, own.epochs, own.width, own.study) == (7, 2, 0.25, "tiny")
    assert runs[1].where == "params/tiny/08_from_scratch.yaml"
    assert len(study_files.load_study(folder)) == 1
    with pytest.raises(ParamsError, match="no run 03_c3d in tiny; there are 03_c3d.long"):
        study_files.chosen("tiny", only=("03_c3d",))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("a cosine", "the half of a cosine", True),  # text of the notebook
        ("of the training, 0 to 1", "0 to 1", True),  # a comment
        ("momentum=0.9", "momentum=0.8", False),
        ('study = \\"demo\\"', 'study = \\"mine\\"', True),  # of its parameters, that are settings
    ],
)
def test_the_code_of_its_cells_makes_it_another_run(old, new, same, tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    (tmp_path / "params").mkdir()
    (tmp_path / "notebooks").mkdir()
    own = tmp_path / "notebooks" / "08_from_scratch.ipynb"
    shutil.copy(shipped.FOLDER / "notebooks" / own.name, own)
    p = validate("08_from_scratch", study_files.defaults("08_from_scratch"))
    before, text = fingerprint.fingerprint(p), own.read_text()
    assert old in text
    own.write_text(text.replace(old, new))
    assert (fingerprint.fingerprint(p) == before) == same
    monkeypatch.setenv("HARLIB_ROOT", str(shipped.FOLDER))
    own.write_text(text)
    other = validate("03_c3d", study_files.defaults("03_c3d"))
    assert not study_files.NOTEBOOKS[fingerprint.notebook_of(other)].written_out
