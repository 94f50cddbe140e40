"""The table of a study's scored videos, from its runs' files."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harlib.evaluation import Scores, view_calls
from harlib.study.runs import scored_videos

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
