"""Files of harlib: written whole or not at all; one line when something cut or changed them."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harlib import HarlibError, cli, files
from harlib.files import read_json

sys.path.insert(0, str(Path(__file__).parent / "browser"))
import hand_made_study

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_appears_whole_or_not_at_all(tmp_path, durable):
    file = tmp_path / "a" / "model.keras"
    with files.appearing(file, durable=durable, suffix=".keras") as part:
        part.write_text("one")
        assert part.suffix == ".keras" and not file.exists()
        assert list(files.strays(file.parent)) == [part]
    assert file.read_text() == "one"
    with pytest.raises(OSError, match="full"), files.appearing(file, durable=durable) as part:
        part.write_text("half")
        raise OSError("the disk is full")
    assert [*file.parent.iterdir()] == [file] and file.read_text() == "one"


def test_half_a_file_is_not_taken_for_one(tmp_path):
    with files.appearing(tmp_path / "part.json") as part:
        assert part.parent == tmp_path and not list(tmp_path.glob("*.json"))
        part.write_text("{}")
    assert files.read_json(tmp_path / "part.json") == {}


def test_json_of_no_number_is_refused_and_the_old_file_stays(tmp_path):
    files.write_json(tmp_path / "a.json", {"é": [1, None]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert files.read_json(tmp_path / "a.json") == {"é": [1, None]}
    assert (tmp_path / "a.json").read_text(encoding="utf-8").count("\n") == 6


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
