"""The table of a study's scored videos, from its runs' files."""

import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harlib.evaluation import Scores, category_table, hits, label_errors, metrics, view_calls
from harlib.study.report import downloads
from harlib.study.runs import scored_videos
from harlib.study.widgets import video_data

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import videos_study


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return videos_study.write(tmp_path_factory.mktemp("scored"))


def test_each_video_is_a_row_with_what_the_runs_called_it(runs):
    scored = scored_videos.load(runs)
    assert len(scored.videos) == 24
    assert list(scored.calls) == list(videos_study.RUNS)
    by_id = scored.videos.set_index("id")
    assert by_id.at["v03", "file"] == "v03.mp4"
    assert by_id.at["v03", "seconds"] == pytest.approx(2.3)
    assert by_id.at["v03", "group"] == "g0"
    assert "v23" in by_id.index
    assert by_id.at["v23", "problem"]
    table = scored.table().set_index("id")
    own = Scores.load(runs / "03_c3d")
    for row, name in enumerate(own.video_id):
        called = own.video_scores[row].argmax()
        assert table.at[name, "03_c3d called"] == own.categories[called]
        assert table.at[name, "03_c3d right"] == (called == own.label[row])
        assert table.at[name, "03_c3d probability"] == own.video_scores[row].max()
        loss = -np.log(own.video_scores[row, own.label[row]])
        assert table.at[name, "03_c3d loss"] == pytest.approx(loss, rel=1e-5)
    assert table.at["v23", "03_c3d called"] == scored_videos.UNREAD
    assert not table.at["v23", "03_c3d right"]


def test_a_swapped_label_is_the_first_suspicion(runs):
    videos = scored_videos.load(runs).videos.set_index("id")
    assert videos.at[videos_study.SWAPPED, "suspicion"] == 1
    assert videos.at[videos_study.SWAPPED, "suggested"] == "waving <b>"
    assert videos.at[videos_study.SWAPPED, "agreement"] == 1


def test_views_are_read_in_pieces_and_as_the_scores_have_them(runs, tmp_path):
    own = Scores.load(runs / "03_c3d")
    called, probability = view_calls(runs / "03_c3d")
    assert (called == own.view_scores.argmax(axis=2)).all()
    assert (probability == own.view_scores.max(axis=2)).all()
    fewer = own.view_scores.copy()
    fewer[0, 2:] = np.nan
    replace(own, view_scores=fewer, view_logs=np.log(fewer)).save(tmp_path)
    called, probability = view_calls(tmp_path)
    assert called[0].tolist()[2:] == [-1, -1]
    assert np.isnan(probability[0, 2:]).all()
    assert probability[1:] == pytest.approx(own.view_scores.max(axis=2)[1:], rel=1e-5)
    assert Scores.load(runs / "03_c3d", views=False).view_scores.shape == (23, 0, 3)


def test_without_its_clip_store_files_and_lengths_are_unknown_and_said_so(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs" / "mine")
    scored = scored_videos.load(tmp_path / "runs" / "mine")
    assert set(scored.videos["file"]) == {""}
    assert scored.videos["seconds"].isna().all()
    assert any("no longer there" in text for text in scored.remarks)


def test_folds_are_one_run_and_runs_of_other_videos_leave_gaps(runs, tmp_path):
    own = Scores.load(runs / "03_c3d")
    place = tmp_path / "runs" / "mine"
    shutil.copytree(runs / "04_resnext101", place / "04_resnext101")
    for number, groups in enumerate((("g0", "g1", "g2"), ("g3", "g4")), 1):
        kept = np.isin(own.group, groups)
        names = ("video_id", "label", "video_scores", "view_scores", "group")
        rows = {name: getattr(own, name)[kept] for name in names}
        fold = Scores(categories=own.categories, **rows)
        videos_study.write_run(place / f"03_c3d.fold{number}", fold, "0" * 12)
    scored = scored_videos.load(place)
    assert list(scored.calls) == ["03_c3d", "04_resnext101"]
    assert scored.other_names == {"03_c3d.fold1": "03_c3d", "03_c3d.fold2": "03_c3d"}
    assert scored.calls["03_c3d"].listed.sum() == 20
    table = scored.table().set_index("id")
    assert table.at["v21", "03_c3d called"] == ""
    assert table.at["v21", "04_resnext101 called"]


def test_of_several_labels_a_call_is_a_set(tmp_path):
    sets = ["bowing", "bowing|clapping", "clapping"]
    own = Scores(
        video_id=["a", "b", "c"],
        label=[0, 1, 2],
        categories=["bowing", "clapping"],
        video_scores=[[0.9, 0.2], [0.8, 0.7], [0.6, 0.9]],
        view_scores=np.array([[[0.9, 0.2]], [[0.8, 0.7]], [[0.6, 0.9]]]),
        label_sets=sets,
    )
    videos_study.write_run(tmp_path / "runs" / "mine" / "03_c3d", own, "0" * 12)
    scored = scored_videos.load(tmp_path / "runs" / "mine")
    called = scored.table()["03_c3d called"].tolist()
    assert called == ["bowing", "bowing|clapping", "bowing|clapping"]
    assert scored.calls["03_c3d"].right.tolist() == [True, True, False]
    assert not scored.videos["suspicion"].any()
    assert any("one label each" in text for text in scored.remarks)


def test_how_sure_a_call_of_several_labels_is_counts_every_answer(tmp_path):
    own = Scores(
        video_id=["a", "b", "c"],
        label=[0, 1, 2],
        categories=["bowing", "clapping", "jumping"],
        video_scores=[[0.02, 0.99, 0.01], [0.6, 0.9, 0.1], [0.1, 0.2, 0.3]],
        view_scores=np.empty((3, 0, 3)),
        label_sets=["bowing|clapping", "clapping", "jumping"],
    )
    videos_study.write_run(tmp_path / "runs" / "mine" / "03_c3d", own, "0" * 12)
    scored = scored_videos.load(tmp_path / "runs" / "mine")
    calls = scored.calls["03_c3d"]
    assert calls.probability == pytest.approx([0.98, 0.6, 0.7])
    assert np.argsort(-calls.probability)[0] == 0  # the surest mistake
    table = scored.table()
    assert table["03_c3d called"].tolist() == ["clapping", "bowing|clapping", "(nothing)"]


def test_fewer_categories_than_five_are_filled_up(runs):
    calls = scored_videos.load(runs).calls["03_c3d"]
    assert calls.top.shape == calls.top_probability.shape == (24, scored_videos.TOP)
    assert (calls.top[0, 3:] == -1).all() and np.isnan(calls.top_probability[0, 3:]).all()
    assert sorted(calls.top[0, :3]) == [0, 1, 2]


def test_logarithms_decide_between_equals_here_too(tmp_path):
    views = np.array([[[0.5, 0.5]], [[0.0, 1.0]]], np.float32)
    logs = np.array([[[-0.8, -0.6]], [[-200.0, 0.0]]], np.float32)
    own = Scores(
        video_id=["a", "b"], label=[1, 1], categories=["bowing", "clapping"],
        video_scores=views[:, 0], view_scores=views, view_logs=logs,
    )  # fmt: skip
    run = tmp_path / "runs" / "mine" / "03_c3d"
    videos_study.write_run(run, own, "0" * 12)
    table = scored_videos.load(tmp_path / "runs" / "mine").table()
    assert table["03_c3d called"].tolist() == ["clapping", "clapping"]
    assert table["03_c3d right"].tolist() == [True, True]
    assert hits.called(own).tolist() == [1, 1] and hits.right_videos(own).all()
    assert metrics.confusion(own).tolist() == [[0, 0], [0, 2]]
    rates = category_table.category_table(own).set_index("category").loc["clapping"]
    assert rates[["accuracy", "precision", "recall"]].tolist() == [1, 1, 1]
    files = {file.name: file for file in downloads.write(run, tmp_path / "pages", tmp_path)}
    rows = pd.read_csv(files["predictions.csv"])
    assert rows["called"].tolist() == ["clapping", "clapping"] and rows["correct"].all()


def test_folds_of_which_some_have_logarithms_are_pooled_whole(tmp_path):
    for number, logs in enumerate((True, False), 1):
        views = np.array([[[0.5, 0.5]], [[0.1, 0.9]]], np.float32)
        own = Scores(
            video_id=[f"a{number}", f"b{number}"], label=[1, 1], group=[f"g{number}"] * 2,
            categories=["bowing", "clapping"], video_scores=views[:, 0], view_scores=views,
        )  # fmt: skip
        if logs:
            own = replace(own, view_logs=np.log(views) + np.float32([[[0, 0.1]], [[0, 0]]]))
        videos_study.write_run(tmp_path / "runs" / "mine" / f"03_c3d.fold{number}", own, "0" * 12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = scored_videos.load(tmp_path / "runs" / "mine").table()
    assert table["03_c3d right"].tolist() == [True, False, True, True]


def test_what_a_run_does_not_know_is_not_counted_as_nothing(runs, tmp_path):
    """A run of two categories beside one of three: of the third the other alone has a say."""
    place = tmp_path / "runs" / "mine"
    shutil.copytree(runs / "03_c3d", place / "03_c3d")
    own = Scores.load(place / "03_c3d")
    kept = own.label < 2
    names = ("video_id", "label", "group")
    rows = {name: getattr(own, name)[kept] for name in names}
    less = Scores(
        categories=own.categories[:2], video_scores=np.full((kept.sum(), 2), 0.5),
        view_scores=np.empty((kept.sum(), 0, 2)), **rows,
    )  # fmt: skip
    videos_study.write_run(place / "04_resnext101", less, "0" * 12)
    scored = scored_videos.load(place)
    mean = own.video_scores.copy()
    mean[np.ix_(kept, [0, 1])] = (mean[np.ix_(kept, [0, 1])] + 0.5) / 2
    wanted = own.video_id[label_errors.suspected(mean, own.label)["video"]].tolist()
    found = scored.videos[scored.videos["suspicion"] > 0].sort_values("suspicion")
    assert found["id"].tolist() == wanted and videos_study.SWAPPED in wanted
    told = video_data.told(video_data.packed("mine", scored))["runs"]
    assert [run.get("known") for run in told] == [None, [0, 1]]


def test_videos_that_were_learned_from_are_not_suspected(runs, tmp_path):
    place = tmp_path / "runs" / "mine"
    for name in videos_study.RUNS:
        shutil.copytree(runs / name, place / name)
    params = place / "03_c3d" / "params.yaml"
    params.write_text(params.read_text().replace("train_split: train", "train_split: test"))
    both, one = scored_videos.load(runs), scored_videos.load(place)
    assert any("without 03_c3d: the scored videos are those learned" in r for r in one.remarks)
    assert (one.videos["suspicion"] > 0).any()
    assert not any("learned" in text for text in both.remarks)
    params = place / "04_resnext101" / "params.yaml"
    params.write_text(params.read_text().replace("train_split: train", "train_split: test"))
    assert not scored_videos.load(place).videos["suspicion"].any()
