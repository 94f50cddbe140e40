"""Runs and studies by what a person types."""

import pytest
from click.testing import CliRunner

from harlib.cli import main
from harlib.study.params.notebooks import ParamsError
from harlib.study.runs import named

pytestmark = pytest.mark.quick


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two studies with a run of one name each, and one of its own."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("mine/02_frame_cnn", "yours/02_frame_cnn", "mine/03_c3d", "mine/before/03_c3d"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "params.yaml").write_text("study: mine")
        (folder / f"{folder.name}.ipynb").write_text("{}")
        if "before" not in name:
            file = tmp_path / "params" / f"{name}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("")
            (file.parent / "common.yaml").write_text("")
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("03_c3d", "mine/03_c3d"),
        ("yours/02_frame_cnn", "yours/02_frame_cnn"),
        ("runs/mine/02_frame_cnn/", "mine/02_frame_cnn"),
        ("mine/before/03_c3d", "mine/before/03_c3d"),
    ],
)
def test_a_run_by_its_name(project, name, place):
    assert named.run_folder(name) == project / "runs" / place
    assert named.run_folder(project / "runs" / place) == project / "runs" / place


def test_a_run_that_lies_elsewhere(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("usb") / "03_c3d"
    (project / "runs" / "mine" / "03_c3d").rename(folder)
    assert named.run_folder(folder) == folder


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("02_frame_cnn", "'02_frame_cnn' is a run of several studies; give one of mine/02_frame"),
        ("03_c3dd", "no run '03_c3dd'; nearest valid name: '03_c3d'; there are mine/02_frame_cnn,"),
        ("mine/03_cd3", "no run 'mine/03_cd3'; nearest valid name: 'mine/03_c3d'; there are"),
        ("mine", "no run 'mine': mine is a study, its runs are 02_frame_cnn, 03_c3d; there are"),
        ("data", "'data': the folder is there, but holds no params.yaml, which every run leaves"),
        ("*", "no run '*'; there are"),
    ],
)
def test_what_is_no_run_is_told_with_the_nearest(project, name, words):
    with pytest.raises(ParamsError) as caught:
        named.run_folder(name)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_study_by_its_name_or_folder(project):
    wanted = project / "runs" / "mine"
    assert {named.study_runs(n) for n in ("mine", "runs/mine", str(wanted))} == {wanted}
    assert named.study_runs("mine/03_c3d") is None


def test_parameter_files_by_a_runs_name(project):
    folder = project / "params" / "mine"
    pair = [folder / "common.yaml", folder / "03_c3d.yaml"]
    for name in ("mine/03_c3d", "runs/mine/03_c3d"):
        assert named.parameter_files((name,)) == pair
    assert named.parameter_files(tuple(map(str, pair))) == pair
    with pytest.raises(ParamsError, match="no parameter file or run 'mine/03_cd3'; nearest valid"):
        named.parameter_files(("mine/03_cd3",))


def test_preflight_takes_a_run_by_its_name_as_its_help_says(monkeypatch):
    monkeypatch.setattr("harlib.study.steps.model_run.preflight_run", lambda p: (p.study, p.run))
    done = CliRunner().invoke(main, ["preflight", "demo/03_c3d", "--set", "epochs=2"])
    assert done.output == "('demo', '03_c3d')\n" and done.exit_code == 0
