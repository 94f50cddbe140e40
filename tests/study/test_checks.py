"""Values that only a run would find wrong are told before anything is moved or begun."""

import json
import shutil

import pytest
from tiny_study import har, write_study

from harlib import machine
from harlib.data.catalog.corrections import Corrections
from harlib.data.demo import dataset
from harlib.study.runs import study_files
from harlib.study.steps import checks

MISTAKES = {
    "01_data_prep": ("categories: [wavving]", "no such categories: wavving; known are closing doo"),
    "01_data_prep.odd": ("store_size: 5\nstore: data/odd", "size is 5: it must be a short side of"),
    "01_data_prep.twice": (
        "store: data/odd\ncategories: [waving, walking]",
        "'store': another run 01",
    ),
    "01_data_prep.zother": ("store: data/other", ""),
    "02_frame_cnn": ("backbone: nosuchnet", "backbone, weights, frames, size, width (the network)"),
    "02_frame_cnn.stills": ("stills: data/nowhere", "key 'stills': no folder data/nowhere; leave"),
    "03_c3d": (
        "frames: 1\nsize: 4\nrecipe_options: {lrr: 1}",
        "has no number 'lrr'; nearest: 'lr'",
    ),
    "03_c3d.a": ("freeze_below: stage9", "has no stage 'stage9'; it has"),
    "03_c3d.b": ("lr_multipliers: {stag1: 0.1}", "has no stage 'stag1'"),
    "03_c3d.c": (
        "split: test\nstore: data/other",
        "key 'split': the data have no videos in 'test'; they have train,",
    ),
    "03_c3d.d": (
        "mix: none\nmix_share: 0.5\nsize: 32",
        "mix_share must be above 0, at most 1, and",
    ),
    "04_resnext101": ("cardinality: 7\nsize: 32", "model, weights, frames, size, width (the netw"),
    "04_resnext101.half": (
        "precision: mixed_float16",
        "precision: mixed_float16: oneDNN on this CPU"
        if machine.kernels() == "oneDNN"
        else "precision: mixed_float16: ",
    ),
    "05_evaluation": ("runs: [03_c3dd]", "key 'runs': the study has no run '03_c3dd'; nearest va"),
    "05_evaluation.a": ("layer: stage9_conv1", "key 'layer': no network has maps 'stage9_conv1'; "),
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    return tmp_path


def params(folder):
    return {run.where: run.params for run in study_files.load_study(folder)}


def test_every_mistake_is_told_with_its_file(root):
    folder = write_study(root, "odd", {name: text for name, (text, _) in MISTAKES.items()})
    todo = params(folder)
    said = checks.mistakes(todo, todo)
    for name, (_, words) in MISTAKES.items():
        own = [line for line in said if line.startswith(f"params/odd/{name}.yaml: ")]
        assert any(words in line for line in own) == bool(words), (name, said)
    assert all(len(line.splitlines()) == 1 for line in said)
    assert list(root.iterdir()) == [root / "params"]  # nothing is kept


def test_the_projects_own_studies_have_no_mistakes(root):
    for name in ("demo", "ablations"):
        todo = params(study_files.study_folder(name))
        assert checks.mistakes(todo, todo) == []


@pytest.mark.quick
def test_untrimmed_videos_have_a_test_split_and_their_background(root):
    actions = "untrimmed: true\nbackground: %s\ntrain_videos: 2\nval_videos: 1\nstill_images: 0\n"
    for share, more in (("0", []), ("1", ["background"])):
        folder = write_study(root, f"long{share}", {"01_data_prep": actions % share})
        (prep,) = params(folder).values()
        categories, splits = checks._data(prep)
        assert categories == sorted([*dataset.known(), *more])
        assert splits == {"train", "val", "test"}


@pytest.mark.quick
def test_corrections_are_read_before_videos_are_drawn(root):
    table = Corrections(root / "fix.csv")
    table.mark("a", "waving", "hopping", new=True)
    few = "categories: [waving, walking]\ncorrections: fix.csv\n"
    (prep,) = params(write_study(root, "few", {"01_data_prep": few})).values()
    assert checks._data(prep) == (["hopping", "walking", "waving"], {"train", "val"})
    table.mark("b", "waving", "wlaking")
    (said,) = checks.mistakes({"params/few/01_data_prep.yaml": prep})
    assert "fix.csv, row 3: catalog demo has no category 'wlaking'; nearest: 'walking'" in said


def test_own_videos_are_listed_first(root, monkeypatch):
    (root / "my" / "videos").mkdir(parents=True)
    own = "source: folder\ndata_root: my\n"
    folder = write_study(root, "own", {"01_data_prep": own, "03_c3d": ""})
    monkeypatch.setattr(checks, "_apart", lambda nets: [])
    said = checks.mistakes(params(folder))
    assert said[0].startswith("params/own/01_data_prep.yaml: ")
    for place in ("walk/IMG_1.mp4", "run/IMG_2.mp4"):
        (root / "my" / "videos" / place).parent.mkdir()
        (root / "my" / "videos" / place).touch()
    finished = root / "runs" / "own" / "01_data_prep" / "run.json"  # of other values
    finished.parent.mkdir(parents=True)
    finished.write_text('{"status": "complete"}')
    (folder / "01_data_prep.yaml").write_text(own + "group: (VID_.)")
    (said,) = checks.mistakes({k: p for k, p in params(folder).items() if "01" in k})
    assert "the group pattern '(VID_.)' finds no group in 'IMG_" in said


@pytest.mark.quick
def test_what_a_later_run_needs_is_looked_for_before_the_first(root, monkeypatch):
    monkeypatch.setattr(checks, "_apart", lambda nets: [])
    stills = {"02_frame_cnn": "stills: data/own/source/stills"}
    folder = write_study(root, "own", {"01_data_prep": "still_images: 0", **stills})
    (said,) = checks.mistakes(params(folder))
    assert said == (
        "params/own/02_frame_cnn.yaml: key 'stills': no folder data/own/source/stills; its run 01 "
        "draws no stills (still_images: 0); leave it empty to go without stills"
    )
    (folder / "01_data_prep.yaml").write_text("still_images: 4")
    assert checks.mistakes(params(folder)) == []
    (folder / "01_data_prep.yaml").unlink()
    (said,) = checks.mistakes(params(folder))
    assert "02_frame_cnn.yaml: no clip store at data/own/store: run notebook 01 with" in said


@pytest.mark.quick
def test_networks_that_end_the_check_are_a_mistake_too(root, monkeypatch):
    folder = write_study(root, "own", {"01_data_prep": "", "03_c3d": ""})

    class Killed:
        returncode, stdout, stderr = -9, "", ""

    monkeypatch.setattr(checks.subprocess, "run", lambda *_, **__: Killed)
    (said,) = checks.mistakes(params(folder))
    assert said.endswith("03_c3d.yaml: building the networks ended by SIGKILL, perhaps for memory")


def test_a_finished_run_stays_where_it_is_when_a_value_is_wrong(tiny_study, tmp_path):
    shutil.copytree(tiny_study[0], tmp_path, dirs_exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    for setting, words in (
        ("size=2x", "key 'size'"),
        ("lr_multipliers={stage7: 2.0}", "has no stage 'stage7'"),
        ("categories=[waving, wawing]", "no such categories: wawing"),
    ):
        done = har(tmp_path, "study", "tiny", "--set", setting)
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert done.stdout == "" and "Traceback" not in done.stderr
    # as a notebook in JupyterLab and `har train` do
    done = har(tmp_path, "train", "tiny/03_c3d", "--set", "lr_multipliers={stage7: 2.0}")
    assert done.returncode == 1 and "has no stage 'stage7'" in done.stderr, done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert json.loads((tmp_path / "runs/tiny/03_c3d/run.json").read_text())["status"] == "complete"
