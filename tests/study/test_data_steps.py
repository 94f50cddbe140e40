"""Which videos a study takes, by its parameters."""

import pytest

from harlib.data import actions
from harlib.study import data_steps, files, tell

pytestmark = pytest.mark.quick


@pytest.fixture
def actors(tmp_path):
    """Three files of each of six actors, as params/weizmann9 expects them."""
    for category in ("bend", "jack", "run"):
        folder = tmp_path / "clips_80x64" / category
        folder.mkdir(parents=True)
        for actor in ("daria", "denis", "eli", "ido", "ira", "lena"):
            (folder / f"{actor}_{category}.mp4").touch()
    return tmp_path


def params(actors, **overrides):
    folder = files.study_folder("weizmann9")
    overrides = {"data_root": str(actors), **overrides}
    path = folder / "01_data_prep.fold1.yaml"
    return files.load_run([folder / "common.yaml", path], overrides).params


def test_the_held_out_actors_are_val_and_no_other(actors):
    frame = data_steps.catalog(params(actors)).frame
    held = frame[frame["split"] == "val"]
    assert set(held["group"]) == {"daria", "denis", "eli"} and len(held) == 9
    assert set(frame["split"]) == {"train", "val"} and len(frame) == 18


def test_an_actor_who_is_not_there_is_named(actors):
    with pytest.raises(ValueError, match="no group denys; there are 6: daria, denis"):
        data_steps.catalog(params(actors, held_out=["denys"]))


def test_the_three_folds_hold_out_each_actor_once():
    held = []
    for fold in (1, 2, 3):
        path = files.study_folder("weizmann9") / f"01_data_prep.fold{fold}.yaml"
        held += files._mapping(path)["held_out"]
    assert len(held) == len(set(held)) == 9


@pytest.mark.parametrize(
    ("error", "removed"),
    [(actions.AnotherDataset("other seed"), True), (ValueError("no such categories: x"), False)],
)
def test_drawn_videos_are_replaced_for_other_settings_alone(tmp_path, monkeypatch, error, removed):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = files.study_folder("demo")
    p = files.load_run([folder / "common.yaml", folder / "01_data_prep.yaml"]).params
    left = p.data_dir / "source" / "dataset.json"
    left.parent.mkdir(parents=True)
    left.touch()
    answers = [error, tmp_path / "none.csv"]

    def write_dataset(*_, **__):
        answer = answers.pop(0)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    monkeypatch.setattr(actions, "write_dataset", write_dataset)
    with pytest.raises((ValueError, OSError)):  # there is no CSV in the end
        data_steps.catalog(p)
    assert left.exists() != removed


def test_unknown_groups_are_said_beside_what_was_left_out(actors):
    known = data_steps.catalog(params(actors))
    assert tell.listed(known) == (
        "Every video that lies there is listed, and which videos belong together is known."
    )
    (actors / "clips_80x64/run/notes.dav").touch()
    plain = data_steps.catalog(params(actors, group="", held_out=[]))
    assert "Left out: 1 file whose ending is of no video" in tell.listed(plain)
    assert "Warning: the groups of all videos are unknown" in tell.listed(plain)
    assert tell.groups(plain.frame).startswith("Warning: the groups of all videos are unknown")
    assert tell.groups(known.frame) == (
        "No group of videos that belong together lies on two sides of the split."
    )
