"""What lies at an export's place is kept unless an export wrote it; README.json and an example."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from test_export import NAMES, contents

import harlib
from harlib import models
from harlib.cli import main
from harlib.data.loading import clip_input
from harlib.data.video.files import encode
from harlib.models import export, export_readme

if keras.backend.backend() != "tensorflow":
    pytest.skip("export runs on TensorFlow", allow_module_level=True)


@functools.cache
def network():
    """A network of few layers, which no test changes."""
    keras.utils.set_random_seed(0)
    return models.build("c3d", 3, frames=4, size=16, width=0.0625, dense=4)


def plain(to="keras", **options):
    return lambda path: export.export(network(), path, to, NAMES, **options)


@pytest.mark.parametrize("to", ["keras", "saved_model", "onnx"])
def test_what_the_user_has_there_is_kept(to, tmp_path):
    folder, file, link = tmp_path / "thesis", tmp_path / "notes", tmp_path / "link"
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "a.txt").write_text("years of work")
    file.write_text("a page")
    link.symlink_to("thesis")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="is a folder and holds figures; it is kept. Give .*path"):
        plain(to)(folder)
    with pytest.raises(ValueError, match="is a folder and holds figures"):
        plain(to, overwrite=True)(folder)
    for path in (file, link):
        with pytest.raises(ValueError, match="no.*what an earlier export wrote.*--overwrite"):
            plain(to)(path)
    assert contents(tmp_path) == before and link.is_symlink()


@pytest.mark.parametrize("to", ["keras", "saved_model"])
def test_an_earlier_export_is_replaced_unless_it_was_changed(to, tmp_path):
    path = tmp_path / export.FORMATS[to]
    plain(to)(path)
    first = contents(tmp_path)
    plain(to)(path)  # the same network again
    assert contents(tmp_path).keys() == first.keys()
    inside = path / "saved_model.pb" if path.is_dir() else path
    inside.write_bytes(inside.read_bytes() + b" ")
    with pytest.raises(ValueError, match="is a folder|is not what an earlier export wrote"):
        plain(to)(path)
    plain(to, overwrite=True)(path)
    if to == "saved_model":
        (path / "my-notes.txt").write_text("kept")
        with pytest.raises(ValueError, match="holds assets|holds fingerprint|holds my-notes"):
            plain(to, overwrite=True)(path)
        assert (path / "my-notes.txt").read_text() == "kept"


@pytest.mark.parametrize("name", ["README.json", "example_keras.py"])
def test_foreign_files_beside_the_export_are_kept(name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"{name} is there and no export wrote it"):
        plain(overwrite=True)(tmp_path / "model.keras")
    assert contents(tmp_path) == {name: b"mine"}


def test_two_formats_share_a_readme_and_two_networks_do_not(tmp_path):
    plain()(tmp_path / "model.keras")
    about = json.loads((tmp_path / "README.json").read_text())
    (tmp_path / "README.json").write_text(json.dumps(about | {"remark": "of Tuesday"}))
    plain("saved_model")(tmp_path / "saved_model")
    about = json.loads((tmp_path / "README.json").read_text())
    assert set(about["files"]) == {"model.keras", "example_keras.py", "saved_model",
                                   "example_saved_model.py"}  # fmt: skip
    assert about["remark"] == "of Tuesday"
    assert "harlib" in about["files"]["model.keras"]["needs"]
    with pytest.raises(ValueError, match=r"tells of another network \(c3d, model.keras"):
        export.export(network(), tmp_path / "saved_model", "saved_model", [*"abc"])


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_export_keeps import plain
from harlib.models import export_readme
real, left = os.replace, int(sys.argv[3])
def replace(*given):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(*given)
export_readme.os.replace = replace
plain()(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_killed_export_leaves_nothing_after_the_next(moves, tmp_path):
    path = tmp_path / "model.keras"
    command = [sys.executable, "-c", KILLED, path, Path(__file__).parent, str(moves)]
    assert subprocess.run(command).returncode == -9
    (folder,) = (entry for entry in tmp_path.iterdir() if entry.name.startswith("."))
    assert folder.name.startswith(".model.keras.export-")
    assert export_readme.left(path) == [folder] and not export_readme.left(tmp_path / "other.keras")
    alive = export_readme.aside(path)
    alive.mkdir()
    assert export_readme.left(path) == [folder]  # of a process that still runs nothing is taken
    alive.rmdir()
    plain()(path)
    names = {"model.keras", "README.json", "example_keras.py"}
    assert {entry.name for entry in tmp_path.iterdir()} == names


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A scored run whose clips are 4 frames at 5 a second, the middle 16 of 19 pixels."""
    folder = tmp_path_factory.mktemp("project") / "runs" / "mine" / "03_c3d"
    folder.mkdir(parents=True)
    network().save(folder / "model.keras")
    np.savez(folder / "scores.npz", categories=np.array(NAMES))
    protocol = {"split": "val", "clips": 1, "crops": 1, "frames": 4, "stride": 1, "size": 16,
                "crop_scale": 0.857}  # fmt: skip
    model = {"name": "c3d", "parameters": 1, "gmacs": 1.0}
    metrics = {"protocol": protocol, "model": model}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    store = folder.parents[2] / "data" / "mine" / "store"
    store.mkdir(parents=True)
    settings = {"codec": "jpeg", "size": 32, "fps": 5.0, "quality": 90}
    (store / "store.json").write_text(json.dumps({"settings": settings}))
    (folder / "params.yaml").write_text(yaml.safe_dump({"store": "", "width": 0.125}))
    return folder


def test_har_export_says_what_is_missing(tmp_path):
    (tmp_path / "params.yaml").write_text("study: odd\nrun: 03_c3d\n")
    done = CliRunner().invoke(main, ["export", str(tmp_path)])
    assert done.exit_code == 1 and "model.keras is not there: train the run" in done.output
    network().save(tmp_path / "model.keras")
    done = CliRunner().invoke(main, ["export", str(tmp_path)])
    assert done.exit_code == 1 and "scores.npz is not there: har evaluate" in done.output
    np.savez(tmp_path / "scores.npz", categories=np.array(NAMES))
    done = CliRunner().invoke(main, ["export", str(tmp_path)])
    assert done.exit_code == 1 and "metrics.json is not there: har evaluate" in done.output


@pytest.mark.parametrize("to", ["keras", "saved_model", "onnx"])
def test_the_example_beside_an_export_prints_a_label(to, run_dir, tmp_path):
    if to == "onnx":
        pytest.importorskip("tf2onnx")
        pytest.importorskip("onnxruntime")
    done = CliRunner().invoke(main, ["export", str(run_dir), "--to", to, "--fold"])
    assert done.exit_code == 0, done.output
    assert "loaded and run; its logits differ" in done.output
    assert f"It needs {export_readme.NEEDS[to]}. README.json and example_{to}.py lie" in done.output
    folder = run_dir / "export"
    about = json.loads((folder / "README.json").read_text())
    wanted = {"network": "c3d", "frames": 4, "fps": 5.0, "stride": 1, "short_side": 19,
              "stretch": None, "crop": [16, 16], "crop_scale": 0.857, "channels": "RGB",
              "layout": "batch, frames, height, width, channels", "dtype": "uint8",
              "categories": NAMES, "harlib": harlib.__version__}  # fmt: skip
    assert {key: about[key] for key in wanted} == wanted
    assert about["run"] == "mine/03_c3d"
    assert len(about["files"][export.FORMATS[to]]["sha256"]) == 64
    rng = np.random.default_rng(0)
    encode(tmp_path / "clip.mp4", rng.integers(0, 256, (12, 40, 64, 3), dtype="uint8"), 10.0)
    script = folder / f"example_{to}.py"
    assert len(script.read_text().splitlines()) <= 17
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    out = subprocess.run([sys.executable, script, tmp_path / "clip.mp4"], cwd=tmp_path,
                         capture_output=True, text=True, env=environment)  # fmt: skip
    assert out.returncode == 0, out.stderr[-2000:]
    assert out.stdout.splitlines()[-1] in NAMES
    if to != "keras":
        assert "harlib" not in script.read_text()


def test_a_run_whose_store_is_gone_and_that_does_not_tell_is_refused(run_dir, tmp_path):
    for file in ("model.keras", "scores.npz", "metrics.json"):
        (tmp_path / file).write_bytes((run_dir / file).read_bytes())
    (tmp_path / "params.yaml").write_text("study: odd\nrun: 03_c3d\nstore: nowhere\n")
    done = CliRunner().invoke(main, ["export", str(tmp_path)])
    assert done.exit_code == 1 and "its clip store is gone: score the run once more" in done.output
    about = json.loads((run_dir / "metrics.json").read_text())
    about["protocol"]["stored"] = {"fps": None, "size": [128, 171]}
    about["protocol"]["size"] = 112
    (tmp_path / "metrics.json").write_text(json.dumps(about))
    found = clip_input.clip_input(tmp_path)
    assert found["stretch"] == [128, 171] and found["short_side"] is None
    assert clip_input.said(found) == (
        "4 frames at the video's own rate; brought to 128 × 171 pixels, then the middle 112 × 112 "
        "pixels"
    )
