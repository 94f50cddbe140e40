"""What can be taken away of a run: exact, whole, the same twice, harmless in a spreadsheet."""

import csv
import dataclasses
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harlib.evaluation import Scores, metrics, multi_label
from harlib.study.report import downloads, index, run_page

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))
import hand_made_study
import test_multi_label

pytestmark = pytest.mark.quick
EVIL = ("=1+1", "+1", "-1", "@sum", "\tx", "\rx", "'=1", 'plain, with "quotes"')


def scored(folder, scores, split="val"):
    """A run's folder with these scores; returns it."""
    scores.save(folder)
    protocol = {"split": split, "clips": 4, "crops": 1, "frames": 8, "stride": 1, "size": 32}
    model = {"name": "c3d_bn", "parameters": 10, "gmacs": 0.5}
    metrics.write(folder, scores, protocol, model, minutes=1.0)
    (folder / "history.csv").write_text(f"epoch,note\n1,{folder}/x\n")
    return folder


@pytest.fixture
def run(tmp_path):
    """A run of 60 videos and two that could not be read."""
    scores = hand_made_study.scores(0, 1.0)
    scores = dataclasses.replace(
        scores, missing_id=["lost", "=lost()"], missing_label=[0, 1], missing_group=["g0", "g99"]
    )
    return scored(tmp_path / "runs" / "mine" / "03_c3d", scores)


def written(run, tmp_path):
    return {path.name: path for path in downloads.write(run, tmp_path / "pages", tmp_path)}


def rows(file):
    return list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))


def test_predictions_are_the_scores_and_the_metrics(run, tmp_path):
    files, scores = written(run, tmp_path), Scores.load(run)
    assert list(files) == list(downloads.NAMES)
    head, *body = rows(files["predictions.csv"])
    names = [f"p_{name}" for name in scores.categories]
    assert head == ["video", "file", "group", "split", "true", "called", "correct", *names]
    table = pd.read_csv(files["predictions.csv"], keep_default_na=False)
    assert len(body) == 62 and table["correct"].sum() == round(
        62 * json.loads((run / "metrics.json").read_text())["video"]["top1"]
    )
    values = table[names][:60].astype(float).to_numpy()
    np.testing.assert_allclose(values, scores.video_scores, atol=5.1e-6)
    assert (scores.categories[values.argmax(axis=1)] == table["called"][:60]).all()
    assert body[60][:7] == ["lost", "", "g0", "val", hand_made_study.HOSTILE[0], "", "false"]
    assert body[61][0] == "'=lost()" and not any(body[60][7:])


def test_parquet_is_the_same_table_as_scored(run, tmp_path):
    files, scores = written(run, tmp_path), Scores.load(run)
    table = pd.read_parquet(files["predictions.parquet"])
    told = pd.read_csv(files["predictions.csv"], keep_default_na=False)
    assert list(table) == list(told)
    assert table["called"].tolist() == told["called"].tolist()
    assert table["correct"].tolist() == told["correct"].tolist()
    numbers = table[[f"p_{name}" for name in scores.categories]]
    assert (numbers[:60].to_numpy() == scores.video_scores).all()
    assert numbers[60:].isna().all(axis=None)
    assert table["video"].iloc[-1] == "=lost()"  # no spreadsheet opens it


def test_categories_have_accuracy_interval_precision_recall_and_f1(run, tmp_path):
    table = pd.read_csv(written(run, tmp_path)["categories.csv"])
    wanted = metrics.per_category(Scores.load(run))
    np.testing.assert_allclose(table["accuracy"], wanted["accuracy"], rtol=1e-4)
    np.testing.assert_allclose(table["low"], wanted["low"], rtol=1e-4)
    from sklearn.metrics import precision_recall_fscore_support

    scores = Scores.load(run)
    true = np.concatenate([scores.label, scores.missing_label])
    called = np.concatenate([scores.video_scores.argmax(axis=1), [-1, -1]])
    found = precision_recall_fscore_support(true, called, labels=range(5), zero_division=0)
    for name, values in zip(["precision", "recall", "f1", "n"], found, strict=True):
        np.testing.assert_allclose(table[name], values, rtol=1e-4)


def test_a_spreadsheet_runs_nothing(tmp_path):
    count = len(EVIL)
    scores = Scores(
        video_id=list(EVIL), label=np.arange(count), categories=list(EVIL),
        video_scores=np.eye(count), view_scores=np.eye(count)[:, None], group=list(EVIL)[::-1],
    )  # fmt: skip
    files = written(scored(tmp_path / "runs" / "mine" / "03_c3d", scores), tmp_path)
    for name in ("predictions.csv", "categories.csv"):
        for row in rows(files[name]):
            assert not [cell for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")], row
    head, *body = rows(files["predictions.csv"])
    assert [row[0] for row in body] == [
        "'=1+1", "'+1", "'-1", "'@sum", r"\x09x", r"\x0dx", "''=1", EVIL[7]
    ]  # fmt: skip
    assert [row[7:] for row in body] == np.eye(count).astype(int).astype(str).tolist()
    assert pd.read_parquet(files["predictions.parquet"])["true"].tolist() == list(EVIL)


def test_several_labels_have_columns_of_their_own(tmp_path):
    scores = test_multi_label.hand_made(missing=2)
    run = scored(tmp_path / "runs" / "mine" / "03_c3d", scores)
    files = written(run, tmp_path)
    table = pd.read_csv(files["predictions.csv"], keep_default_na=False)
    given = multi_label.given(scores, "val")
    assert list(table)[7:] == [f"{kind}_{name}" for kind in ("p", "given") for name in "abcd"]
    assert set(table["true"]) <= set(test_multi_label.SETS)
    assert table["called"][0] == "|".join(scores.categories[given[0]])
    told = table[[f"given_{name}" for name in "abcd"]][: len(scores.video_id)]
    assert (told.astype(int).to_numpy() == given[: len(scores.video_id)]).all()
    exact = json.loads((run / "metrics.json").read_text())["video"]["exact"]
    assert table["correct"].sum() == round(exact * len(table))
    (told,) = set(pd.read_parquet(files["predictions.parquet"])["given_a"].dropna().map(type))
    assert told is bool
    assert "average_precision,low,high,precision,recall,f1,threshold" in (
        files["categories.csv"].read_text()
    )


def test_private_facts_are_hidden_and_the_same_files_give_the_same_bytes(run, tmp_path):
    first = {name: path.read_bytes() for name, path in written(run, tmp_path).items()}
    assert first["history.csv"] == b"epoch,note\n1,runs/mine/03_c3d/x\n"
    assert not [name for name, content in first.items() if str(tmp_path).encode() in content]
    assert {name: path.read_bytes() for name, path in written(run, tmp_path).items()} == first
    (run / "history.csv").unlink()
    assert "history.csv" not in written(run, tmp_path)
    assert not (tmp_path / "pages" / "03_c3d" / "history.csv").exists()


DOCS = Path(__file__).parents[2] / "docs" / "downloads.md"


@pytest.mark.parametrize("several", [False, True])
def test_every_column_is_explained(run, tmp_path, several):
    if several:
        run = scored(tmp_path / "runs" / "mine" / "03_c3d.several", test_multi_label.hand_made())
    epochs = "epoch,loss,accuracy,val_loss,val_accuracy,lr,seconds,clips_per_s,wait_share,"
    (run / "history.csv").write_text(f"{epochs}memory_bytes\n")
    files = written(run, tmp_path)
    said = downloads.columns(files, several=several)
    assert sum(len(names.split(", ")) for names in said) == len(files)
    for names, text in said.items():
        file = files[names.split(", ")[0]]
        own = json.loads(file.read_text()) if file.suffix == ".json" else rows(file)[0]
        for name in {re.sub("^(p|given)_.*", r"\1_", one) for one in own} - {"category"}:
            whole = "" if name.endswith("_") else r"(?![a-z_])"
            assert re.search(rf"(?<!\w){name}{whole}", text), name
            assert re.search(rf"`{name}[`<]", DOCS.read_text()), name
    assert list(downloads.columns(["history.csv"])) == ["history.csv"]


def test_page_and_index_link_what_lies_there(tmp_path):
    reports = hand_made_study.write(tmp_path)
    runs = tmp_path / "runs" / reports.name
    (runs / "03_c3d" / "03_c3d.ipynb").unlink()  # as `har train` leaves a run, which has no page
    (reports / "03_c3d" / "predictions.csv").unlink()
    run_page.write_report(runs / "02_frame_cnn")
    page = index.write_index(runs).read_text()
    for run in hand_made_study.RUNS:
        file = reports / run / "predictions.csv"
        size = f"{file.stat().st_size / 1000:.1f} kB"
        assert f'href="{run}/predictions.csv" download>predictions.csv</a> ({size})' in page
    own = (reports / "02_frame_cnn.html").read_text()
    assert 'href="02_frame_cnn/categories.csv"' in own and "history.csv" not in own
    assert "predictions.csv" not in (reports / "01_data_prep.html").read_text()
