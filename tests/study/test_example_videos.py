"""Which videos of a run are shown, and what is said when they cannot be."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from harlib import figures
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import prepare
from harlib.evaluation import Scores, gradcam
from harlib.study.runs import seeds
from harlib.study.runs.scored_store import scored_store
from harlib.study.steps import example_videos

pytestmark = pytest.mark.quick
CATEGORIES = ["bow", "clap", "wave"]


def six():
    """Video 1 is the hardest wrong one, then 3; video 4 the surest right one, then 0."""
    share = [[0.8, 0.1, 0.1], [0.05, 0.9, 0.05], [0.2, 0.6, 0.2], [0.5, 0.3, 0.2],
             [0.02, 0.03, 0.95], [0.2, 0.2, 0.6]]  # fmt: skip
    share = np.array(share)
    return Scores(list("abcdef"), [0, 0, 1, 1, 2, 2], CATEGORIES, share, share[:, None])


def test_the_hardest_wrong_come_first_then_the_surest_right():
    table = example_videos.chosen(six(), 2)
    assert table["row"].tolist() == [1, 3, 4, 0]
    assert table["right"].tolist() == [False, False, True, True]
    assert table["title"].tolist()[0] == "bow\n✗ clap, 90.0 %"
    assert table["title"].tolist()[2] == "wave\n✓ 95.0 %"


def test_a_run_without_mistakes_shows_what_it_has_right():
    scores = six()
    right = Scores(scores.video_id, scores.video_scores.argmax(1), CATEGORIES,
                   scores.video_scores, scores.view_scores)  # fmt: skip
    assert example_videos.chosen(right, 2)["right"].tolist() == [True, True]


@pytest.fixture
def run(write_videos, tmp_path):
    """(parameters, scores, folder) of a run that was scored on the val videos of a store."""
    root = tmp_path / "store"
    prepare(write_videos(4, CATEGORIES), root, size=32, workers=1, progress=False)
    store = ClipStore(root)
    videos = store.videos.iloc[store.rows("val")]
    share = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    scores = Scores(videos["video_id"], videos["label"], CATEGORIES, share, share[:, None])
    folder = tmp_path / "03_c3d"
    folder.mkdir()
    protocol = {"split": "val", "frames": 8, "stride": 1, "size": 32}
    metrics = {"protocol": protocol, "model": {"name": "small", "width": 1.0}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "params.yaml").write_text(yaml.safe_dump({"checkpoint": "last"}))
    (folder / "run.json").write_text(json.dumps({"store_hash": store.hash}))
    names = {"root": tmp_path, "study": "tiny", "run": "05_evaluation"}
    own = SimpleNamespace(store_dir=root, run_dir=tmp_path / "05_evaluation", **names)
    return own, scores, folder


def test_the_videos_are_shown_still_and_moving(run, monkeypatch):
    shown, moving = [], []
    monkeypatch.setattr(figures, "show", lambda drawn, *rest: shown.append(figures.alt(drawn)))
    monkeypatch.setattr(example_videos.strips, "display", lambda page: moving.append(page.data))
    assert example_videos.show(*run) is None
    assert "clap" in shown[0]
    assert moving[0].count("<img") == 3


def test_the_best_run_over_time_is_no_frame_cnn():
    table = pd.DataFrame({"run": ["02", "03", "04"], "video_top1": [0.9, 0.5, 0.7],
                          "model": ["frame_cnn (small)", "c3d", "resnext3d_26"]})  # fmt: skip
    assert example_videos.best_run(table) == "02"
    assert example_videos.best_run(table, over_time=True) == "04"
    assert example_videos.best_run(table[:1], over_time=True) == "02"


def test_the_best_run_is_the_middle_seed_of_the_best_line():
    table = pd.DataFrame({"run": ["03.a", "03.b", "03.c", "04", "05"],
                          "video_top1": [0.7, 0.9, 0.8, 0.85, 0.75],
                          "model": [*["frame_cnn"] * 3, "c3d", "c3d"],
                          "videos": 60, "parameters": 7})  # fmt: skip
    lines = seeds.lines(table, {"03": ["03.a", "03.b", "03.c"], "04": ["04"], "05": ["05"]})
    assert example_videos.best_run(table, lines) == "04"  # the seeds' mean is 80 %
    assert example_videos.best_run(table, lines[lines["run"] != "04"]) == "03.c"
    assert example_videos.best_run(table, lines, over_time=True) == "04"


def test_what_cannot_be_shown_is_said(run, tmp_path):
    p, scores, folder = run
    assert "no longer there" in example_videos.show(
        SimpleNamespace(store_dir=tmp_path), scores, folder
    )

    (folder / "run.json").unlink()
    assert "does not say on which clip store" in example_videos.show(p, scores, folder)
    (folder / "run.json").write_text(json.dumps({"store_hash": ClipStore(p.store_dir).hash}))
    other = Scores(["x", "y", "z"], [0, 1, 2], CATEGORIES, np.eye(3), np.eye(3)[:, None])
    with pytest.raises(ValueError, match="'x' is not among the val videos"):
        example_videos.show(p, other, folder)


def test_no_video_of_another_store_is_shown_under_the_scores(run, write_videos, monkeypatch):
    """The same names and categories, made at another size: only the hash tells them apart."""
    p, scores, folder = run
    earlier = ClipStore(p.store_dir).hash
    shutil.move(p.store_dir, p.store_dir.with_name("kept"))
    prepare(write_videos(4, CATEGORIES), p.store_dir, size=24, workers=1, progress=False)
    monkeypatch.setattr(figures, "show", lambda *drawn: pytest.fail("a video was shown"))
    for say in (example_videos.show, example_videos.show_attention):
        said = say(p, scores, folder)
        assert "\n" not in said
        assert f"03_c3d was scored on the clip store {earlier}, and " in said
        assert f"holds {ClipStore(p.store_dir).hash}: no video is shown" in said
        assert "notebook 01 with the earlier parameters makes the earlier one again" in said


def test_the_scored_store_is_found_beside_a_newer_one(run, write_videos, tmp_path):
    p, _, folder = run
    moved = tmp_path / "runs" / "demo" / "03_c3d"
    shutil.copytree(folder, moved)
    asked, beside = (tmp_path / "data" / "demo" / name for name in ("store", "store-56"))
    shutil.copytree(p.store_dir, beside)
    prepare(write_videos(1, CATEGORIES), asked, size=24, workers=1, progress=False)
    assert scored_store(moved).root == beside


def test_where_it_looked_is_shown_for_the_chosen_layer(run, monkeypatch):
    import keras

    p, scores, folder = run
    clips = keras.Input((8, 32, 32, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255, name="preprocess")(clips)
    for name in ("early", "late"):
        x = keras.layers.Conv3D(4, 3, activation="relu", name=name)(x)
    x = keras.layers.GlobalAveragePooling3D()(x)
    keras.Model(clips, keras.layers.Dense(3)(x), name="small").save(folder / "model.keras")
    shown, asked, look = [], [], gradcam.gradcam

    def asking(*given, layer, **options):
        asked.append(layer)
        return look(*given, layer=layer, **options)

    monkeypatch.setattr(gradcam, "gradcam", asking)
    monkeypatch.setattr(figures, "show", lambda drawn, text: shown.append((drawn, text)))
    assert example_videos.show_attention(p, scores, folder, layer="early") is None
    assert example_videos.show_attention(p, scores, folder) is None
    assert [text.count("by the maps of the layer early") for _, text in shown] == [1, 0]
    assert [drawn.get_title(loc="left") for drawn, _ in shown] == [
        f"03_c3d (small, width 1, 8 × 32 × 32)\nGrad-CAM, maps of {name}"
        for name in ("early", "late")
    ]
    assert list(dict.fromkeys(asked)) == ["early", "late"]
    with pytest.raises(ValueError, match="'lat' has no such maps in small; expected one of early, "
                       "late"):  # fmt: skip
        example_videos.show_attention(p, scores, folder, layer="lat")


def test_a_run_without_weights_says_so(run):
    assert "kept no weights" in example_videos.show_attention(*run)
