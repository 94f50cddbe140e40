"""Files that harlib wrote and something cut or changed: one line says which and what to do."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harlib import HarlibError, cli
from harlib.files import read_json

sys.path.insert(0, str(Path(__file__).parent / "browser"))
import hand_made_study

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON (Expecting value"),
        ('{"model": 1', "is no JSON (Expecting ',' delimiter"),
        ("[1]", "holds no table of model, video"),
        ('{"model": 1}', "lacks video"),
    ],
)
def test_a_fault_names_the_file_and_the_way_out(tmp_path, text, words):
    file = tmp_path / "metrics.json"
    file.write_text(text)
    with pytest.raises(HarlibError) as caught:
        read_json(file, "model", "video")
    assert str(caught.value).startswith(f"{file} {words}")
    assert str(caught.value).endswith("take it from a copy, or make it again")


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "environment.json"])
def test_a_report_of_a_run_with_a_cut_file_is_one_line(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    file = tmp_path / "runs" / "mine" / "03_c3d" / name
    hand_made_study._model_run(file.parent, seed=1, skill=1.0)
    file.write_bytes(file.read_bytes()[:20])
    done = CliRunner().invoke(cli.main, ["report", "mine/03_c3d"])
    assert done.exit_code == 1
    assert len(done.output.strip().splitlines()) == 1, done.output
    assert str(file) in done.output and "is no JSON" in done.output
