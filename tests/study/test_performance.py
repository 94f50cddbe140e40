"""Notebook 06: rows of `har bench`, the study's figures beside them, Kinetics-600 by them."""

import json

import pandas as pd
import pytest
from bench_rows import model_rows, write_rows
from tiny_study import har, write_study

from harlib.study.params.notebooks import ParamsError, validate
from harlib.study.runs import fingerprint, study_files
from harlib.study.steps import measurements, performance


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The notebook's parameters in a project of their own, with two files of results."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    write_rows(tmp_path)
    given = study_files.defaults("06_performance") | {"results": ["data.json", "models.json"]}

    def run(**changes):
        p = validate("06_performance", given | changes)
        p.run_dir.mkdir(parents=True, exist_ok=True)
        return p

    return run


def column(table, name):
    return table.frame.set_index(table.frame.columns[0])[name]


@pytest.mark.quick
def test_rows_of_all_files_and_nothing_measured(run, monkeypatch):
    monkeypatch.setattr(measurements, "_measure", lambda *_: pytest.fail("measured"))
    p = run()
    rows = performance.measured(p)
    assert {kind: len(own) for kind, own in rows.items()} == {"data": 7, "train": 4, "batch": 2}
    assert json.loads((p.run_dir / "measured.json").read_text()) == rows
    sources = performance.source_table(p, rows).frame
    assert sources["from"].tolist() == ["data.json", "models.json", "models.json"]
    assert set(sources["machine"]) == {"a desk, 4 cores"}


@pytest.mark.quick
def test_the_study_is_quoted_and_this_machine_measured(run):
    table = performance.beside_the_study(performance.measured(run()))
    quoted, here = column(table, "the study, Titan RTX (quoted)"), column(table, "here (measured)")
    assert (quoted["largest batch, float32"], here["largest batch, float32"]) == (37, 40)
    assert here["half precision fits, times as many"] == "2.25"
    assert quoted["half precision fits, times as many"] == "2.16"
    # 350,000 clips at 25 and at 50 a second
    assert here["epoch of Kinetics-600, float32"] == "3.9 h"
    assert here["epoch of Kinetics-600, half precision"] == "1.9 h"
    assert here["Kinetics-600 on disk"] == "7.2 TB as raw, 0.5 TB as jpeg, 0.045 TB as h264"


@pytest.mark.quick
def test_the_slower_of_loader_and_network_sets_the_epoch(run):
    table = performance.projection(performance.measured(run())).set_index("codec")
    assert table["limited_by"].tolist() == ["model", "model", "loader"]
    assert table["loader_clips_per_s"].tolist() == [20_000, 2000, 40]
    assert table.loc["raw", "epoch_h"] == pytest.approx(350_000 / 50 / 3600)
    assert table.loc["h264", "epoch_h"] == pytest.approx(350_000 / 40 / 3600)
    said = performance.projected(table.reset_index())
    assert "0.045 TB as h264" in said and "1.9 hours" in said and "the model sets the pace" in said


@pytest.mark.quick
def test_without_the_studys_network_there_is_no_epoch(run):
    rows = performance.measured(run())
    for row in (*rows["train"], *rows["batch"]):
        row["size"] = 48
    assert performance.projection(rows)["epoch_h"].isna().all()
    assert "at 16 × 112 × 112" in performance.projected(performance.projection(rows))
    here = column(performance.beside_the_study(rows), "here (measured)")
    assert pd.isna(here.iloc[:6]).all()


@pytest.mark.quick
def test_what_no_file_holds_is_measured_in_a_process_of_its_own(run, monkeypatch):
    called = []

    def fake(*arguments):
        called.append([str(argument) for argument in arguments])
        if arguments[0] == "bench":
            rows = [row for row in model_rows() if row["bench"] == arguments[1]]
            arguments[3].write_text(json.dumps(rows))

    monkeypatch.setattr(measurements, "_har", fake)
    rows = performance.measured(run(results=["data.json"], models=["c3d"], most=8))
    assert [call[:2] for call in called] == [["bench", "train"], ["bench", "batch"]]
    assert "c3d" in called[0] and called[1][-2:] == ["--most", "8"]
    assert [rows[kind][0]["small"] for kind in rows] == [False, True, True]


@pytest.mark.quick
def test_wrong_results_are_named(run, tmp_path):
    with pytest.raises(ParamsError, match="'results': names 'none.json', which is not there"):
        run(results=["none.json"])
    (tmp_path / "odd.json").write_text('[{"bench": "tea"}]')
    with pytest.raises(ValueError, match="odd.json holds rows of 'tea'; har bench writes rows of"):
        performance.measured(run(results=["odd.json"]))
    (tmp_path / "odd.json").write_text("no")
    with pytest.raises(ValueError, match="odd.json is no JSON"):
        performance.measured(run(results=["odd.json"]))


def test_a_measurement_that_fails_says_why():
    with pytest.raises(RuntimeError, match="har bench train failed: .*unknown"):
        measurements._har("bench", "train", "--engines", "unknown")


def test_the_notebook_and_its_page(machine_study, monkeypatch):
    root, done = machine_study
    assert done.returncode == 0, done.stdout + done.stderr
    reports = root / "reports" / "machine"
    page = (reports / "06_performance.html").read_text()
    for said in ("Bytes per video and clips per second", "resnext3d_101 training", "37",
                 "over 600 s", "the model sets the pace",
                 "The largest batch that trains"):  # fmt: skip
        assert said in page
    assert "how fast this machine" in (reports / "index.html").read_text()
    monkeypatch.setenv("HARLIB_ROOT", str(root))
    (kept,) = study_files.load_study(root / "params" / "machine")
    assert fingerprint.is_complete(kept.params)
    (root / "models.json").write_text(json.dumps(model_rows()[:-1]))
    assert not fingerprint.is_complete(kept.params)  # other results, another run


@pytest.mark.soak
def test_the_notebook_measures_by_itself(tmp_path):
    small = "models: [r3d_18]\nframes: 8\nsize: 32\nbatch: 2\nmost: 2\nseconds: 0.1"
    write_study(tmp_path, "machine", {"06_performance": small})
    done = har(tmp_path, "study", "machine")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "reports" / "machine" / "06_performance.html").read_text()
    assert page.count("this run, at a small size") == 3
