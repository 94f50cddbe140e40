"""What a study says where videos have several labels: sentences, tables, pages, refusals."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harlib import HarlibError, figures
from harlib.evaluation import comparison, metrics
from harlib.models import export_readme
from harlib.study import new_study
from harlib.study.params.notebooks import DataPrep, FromScratch
from harlib.study.params.trained import C3D
from harlib.study.runs import session
from harlib.study.steps import by_category, comparing, example_videos, results, transfer
from harlib.study.widgets import controls
from harlib.study.wording import sentences

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))
from test_multi_label import SETS, hand_made

pytestmark = pytest.mark.quick

PROTOCOL = {"split": "val", "clips": 2, "crops": 1, "frames": 8, "stride": 1, "size": 32}
MODEL = {"name": "c3d_bn", "parameters": 10, "trainable": 10, "gmacs": 0.5}


def scored(folder, split="val", **options):
    """A run's folder with scores and metrics."""
    scores = hand_made(**options)
    scores.save(folder)
    metrics.write(folder, scores, PROTOCOL | {"split": split}, MODEL, minutes=1.0)
    return scores


def test_the_answer_of_a_run(tmp_path):
    scored(tmp_path, missing=2)
    told = json.loads((tmp_path / "metrics.json").read_text())
    said = sentences.answer(told)
    value = 100 * told["video"]["mean_average_precision"]
    assert f"finds 3 labels in 62 val videos with a mean average precision of {value:.1f} %" in said
    assert "No video has d: left out." in said and "thresholds chosen on other groups'" in said
    assert "2 listed videos that could not be read" in said and "top-1" not in said
    assert told["labels"][3]["average_precision"] is None
    scored(tmp_path, split="test")
    said = sentences.answer(json.loads((tmp_path / "metrics.json").read_text()))
    assert "a threshold of one half, as no other validation videos chose one" in said


def test_runs_are_ranked_and_compared_by_mean_average_precision(tmp_path):
    best = scored(tmp_path / "03_c3d", sure=1.0)
    other = hand_made(sure=0.2)
    other.save(tmp_path / "04_resnext101")
    metrics.write(tmp_path / "04_resnext101", other, PROTOCOL, MODEL, minutes=2.0)
    table = metrics.table([tmp_path / "04_resnext101", tmp_path / "03_c3d"])
    assert example_videos.best_run(table) == "03_c3d"
    both = {"03_c3d": best, "04_resnext101": other}
    compared = comparison.compare_all(both)
    said = sentences.comparison(table, compared)
    assert said.startswith("03_c3d is best with") and "mean average precision" in said
    assert "Guessing would give" in said and "of the videos" not in said
    assert "points of mAP" in repr(results.comparison_table(compared))
    assert "video mAP" in repr(results.accuracy_table(table))
    assert "mean average precision" in results.cost_reading(table)
    assert "mean average precision" in results.ensemble(both, "03_c3d")
    assert "each label has a threshold" in results.show_reliability(both)
    for draw in (figures.accuracy_bars, figures.accuracy_compute):
        assert "mean average precision" in figures.alt(draw(table))
    apart = comparison.category_difference(best, other)
    assert sorted(apart["category"]) == ["a", "b", "c"] and apart["difference"].iloc[0] > 0


def test_the_order_of_videos_does_not_matter_in_a_comparison():
    a, b = hand_made(missing=3), hand_made(missing=3, sure=0.5)
    order = np.random.default_rng(0).permutation(len(b.video_id))
    rows = ("video_id", "label", "video_scores", "view_scores", "group")
    shuffled = dataclasses.replace(b, **{name: getattr(b, name)[order] for name in rows})
    first, second = (comparison.compare(a, one, resamples=50) for one in (b, shuffled))
    assert first == pytest.approx(second)


def test_runs_of_one_label_are_not_mixed_with_them(tmp_path):
    scored(tmp_path / "03_c3d")
    one = {"video": {"top1": 0.5, "n": 4, "top1_interval": [0, 1], "top5": None, "mean_class": 0.5},
           "clip": {"top1": 0.5, "top5": None, "mean_class": 0.5, "n": 4},
           "model": MODEL | {"width": 1}, "protocol": PROTOCOL, "minutes": 1.0}  # fmt: skip
    (tmp_path / "02_frame_cnn").mkdir()
    (tmp_path / "02_frame_cnn" / "metrics.json").write_text(json.dumps(one))
    with pytest.raises(HarlibError, match="02_frame_cnn: of one label per video"):
        metrics.table([tmp_path / "02_frame_cnn", tmp_path / "03_c3d"])


def test_tables_and_figures_of_each_label():
    scores = hand_made()
    shown = by_category.mistakes(scores, "val", n=8)
    assert list(shown.frame)[:4] == ["label", "videos", "average_precision", "95 % interval"]
    assert len(by_category.show_categories(scores, "val").frame) == 4
    assert "cross-fitting" in by_category.reading(scores, "val")
    assert "one half" in by_category.reading(scores, "test")
    drawn = figures.average_precisions(by_category.multi_label.per_label(scores))
    assert "guessing reaches" in figures.alt(drawn)
    assert [text.get_text() for text in drawn.get_yticklabels()][0].endswith(")")
    by_run = results.show_confusions({"one": scores, "two": hand_made(sure=0.1)})
    assert by_run.frame["run"].tolist() == ["one"] * 4 + ["two"] * 4
    assert "answered by itself" in results.confused_table({"one": scores}, 4)


def test_examples_are_judged_by_all_their_labels():
    scores = hand_made(sure=0.4)
    table = example_videos.chosen(scores, 3)
    wrong, right = table[~table["right"]], table[table["right"]]
    assert len(wrong) == len(right) == 3 and wrong["title"].str.contains("✗").all()
    given = by_category.multi_label.given(scores, "val")
    for row in table.itertuples():
        assert row.right == bool((given[row.row] == scores.targets[row.row]).all())
    assert "✓" in controls.likeliest("x", scores, 0, 0)


def test_actions_against_their_reverse():
    scores = hand_made()
    (row, _) = metrics.pair_accuracy(scores, [("a", "c")]).itertuples()
    own = scores.targets[:, [0, 2]]
    one = own.sum(axis=1) == 1
    pair = scores.video_scores[:, [0, 2]]
    right = np.where(own[:, 0], pair[:, 0] > pair[:, 1], pair[:, 1] > pair[:, 0])[one]
    assert row.videos == one.sum() and row.right == right.sum()


def test_har_compare(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    for name, sure in (("03_a", 1.0), ("03_b", 0.3)):
        folder = tmp_path / "runs" / "mine" / name
        scored(folder, sure=sure)
        (folder / "params.yaml").write_text(f"study: mine\nrun: {name}\nepochs: 1\n")
    said = comparing.compare(["mine/03_a", "mine/03_b"])
    assert "Mean average precision with its 95 % interval" in said and "McNemar" not in said
    assert "A − B: +" in said


def test_notebooks_of_one_label_refuse(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    p = FromScratch(study="mine", run="08_from_scratch")
    session.refuse_several(p, ["a", "b"])
    with pytest.raises(HarlibError, match="these have several: train with notebooks 02"):
        session.refuse_several(p, SETS)
    probe = C3D(study="mine", run="03_c3d", recipe="modern")
    transfer.refuse_probe(probe, type("Store", (), {"categories": SETS}))  # takes steps


def test_a_new_study_counts_labels():
    frame = pd.DataFrame({"category": ["a|b", "a", "b|c"], "group": ["x", "y", "z"]})
    assert new_study._counts(frame).to_dict() == {"a": 2, "b": 2, "c": 1}
    frame = pd.DataFrame({"category": ["a|b", "a", "b", "a|b"], "group": list("wxyz")})
    assert len(new_study._folds(frame, 2)) == 2  # the set a|b alone would lack a side less often


def test_what_is_drawn_is_part_of_a_run_only_where_it_is_asked():
    from harlib.study.runs import fingerprint

    one, two = (
        DataPrep(study="x", run="01_data_prep"),
        DataPrep(study="x", run="01_data_prep", people=2),
    )
    assert "people" not in fingerprint.settings(one) and fingerprint.settings(two)["people"] == 2


def test_the_example_of_an_export_prints_every_label(tmp_path, capsys):
    facts = {"categories": ["a", "b", "c"], "thresholds": {"a": 0.5, "b": 0.2, "c": None}}
    for scores, wanted in ([0.6, 0.3, 0.9], "a|b"), ([0.1, 0.1, 0.9], "none of these"):
        exec(export_readme._SEVERAL, {"np": np, "about": facts, "scores": np.array([scores])})
        assert capsys.readouterr().out.strip() == wanted


def test_videos_are_counted_by_label():
    frame = pd.DataFrame({"category": ["a|b", "a", "b|c"], "split": ["train", "train", "val"]})
    said = figures.alt(figures.category_counts(frame))
    assert said.startswith("3 labels with 2 train, 1 val videos; the smallest label has 1")
