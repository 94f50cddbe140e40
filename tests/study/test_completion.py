"""What the shell completes: names of studies and runs, without a framework, without an error."""

import os
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from harlib.cli import main
from harlib.study import completion

pytestmark = pytest.mark.quick


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two studies, one of them run: a data preparation, a trained network and one in training."""
    for name in ("mine/03_c3d", "mine/03_c3d.wide", "mine/01_data_prep", "other/02_frame_cnn"):
        file = tmp_path / "params" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    for name, files in {
        "mine/01_data_prep": (),
        "mine/03_c3d": ("model.keras", "scores.npz"),
        "mine/03_c3d.wide": (),
    }.items():
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        for file in ("params.yaml", *files):
            (folder / file).touch()
    (tmp_path / "runs" / ".hidden").mkdir()
    (tmp_path / "data" / "drawn").mkdir(parents=True)
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    return tmp_path


def completed(*words):
    """(kind, value) of each item that the last word may become."""
    *before, last = words
    asked = ShellComplete(main, {}, "har", "_HAR_COMPLETE")
    return [(item.type, item.value) for item in asked.get_completions(before, last)]


def names(*words):
    return [value for kind, value in completed(*words) if kind == "plain"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("study", "mi"), ["mine"]),
        (("study", "dem"), ["demo"]),  # comes with harlib
        (("study", "mine", "--only", "03"), ["03_c3d", "03_c3d.wide"]),
        (("predict", ""), ["mine/03_c3d"]),
        (("export", "m"), ["mine/03_c3d"]),
        (("evaluate", ""), ["mine/03_c3d"]),
        (("features", ""), ["mine/03_c3d"]),
        (("compare", "mine/03_c3d", "mi"), ["mine/03_c3d"]),
        (("train", "mine/03"), ["mine/03_c3d", "mine/03_c3d.wide"]),
        (("report", ""), ["drawn", "mine", "mine/01_data_prep", "mine/03_c3d", "mine/03_c3d.wide"]),
        (("clean", ""), ["drawn", "mine"]),
        (("list", "m"), ["mine"]),
        (("exp",), ["export"]),
    ],
)
def test_names_of_the_project(project, words, expected):
    assert names(*words) == expected


def test_where_no_name_fits_files_are_completed(project):
    assert completed("predict", "runs/mi") == [("file", "runs/mi")]


def test_nothing_is_raised(project, monkeypatch):
    (project / "runs").rename(project / "away")
    (project / "runs").write_text("a file in the place of the folder")
    assert completed("predict", "") == [("file", "")]

    def broken():
        raise RuntimeError

    monkeypatch.setattr(completion, "_root", broken)
    assert completed("study", "mine") == [("file", "mine")]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_asks_quickly(project, shell):
    """As the lines of docs/command-line.md have it ask."""
    code = (
        "import sys\nfrom harlib.cli import main\n"
        "try: main(prog_name='har')\n"
        "except SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras', 'pandas', 'av'} & set(sys.modules)))"
    )
    asks = {"COMP_WORDS": "har study mi", "COMP_CWORD": "2", "_HAR_COMPLETE": f"{shell}_complete"}
    if shell == "fish":
        asks["COMP_CWORD"] = "mi"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | asks,
                          capture_output=True, text=True)  # fmt: skip
    assert "mine" in done.stdout and not done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
