"""Which videos a study takes, by its parameters."""

import json
import re
import shutil

import numpy as np
import pytest
from tiny_study import write_study

from harlib.data.catalog.corrections import Corrections
from harlib.data.demo import dataset
from harlib.data.store.audit import Audit
from harlib.data.store.clip_store import ClipStore
from harlib.run_folder import RunFolder
from harlib.study.runs import fingerprint, session, study_files
from harlib.study.steps import data_prep
from harlib.study.wording import sentences

pytestmark = pytest.mark.quick
CLIP = np.zeros((20, 48, 64, 3), np.uint8)


def digests(root):
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


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
    folder = study_files.study_folder("weizmann9")
    overrides = {"data_root": str(actors), **overrides}
    path = folder / "01_data_prep.fold1.yaml"
    return study_files.load_run([folder / "common.yaml", path], overrides).params


def test_the_held_out_actors_are_val_and_no_other(actors):
    frame = data_prep.catalog(params(actors)).frame
    held = frame[frame["split"] == "val"]
    assert set(held["group"]) == {"daria", "denis", "eli"} and len(held) == 9
    assert set(frame["split"]) == {"train", "val"} and len(frame) == 18


def test_an_actor_who_is_not_there_is_named(actors):
    with pytest.raises(ValueError, match="no group denys; there are 6: daria, denis"):
        data_prep.catalog(params(actors, held_out=["denys"]))


def test_the_three_folds_hold_out_each_actor_once():
    held = []
    for fold in (1, 2, 3):
        path = study_files.study_folder("weizmann9") / f"01_data_prep.fold{fold}.yaml"
        held += study_files._mapping(path)["held_out"]
    assert len(held) == len(set(held)) == 9


@pytest.fixture
def own(tmp_path, monkeypatch, write_videos):
    """Prepares the store of a study `own` from a folder of videos: (parameters, run 02's)."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    for row in write_videos(5, ["a", "b"]).frame.itertuples():
        target = tmp_path / "my" / row.category / f"{row.video_id}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(row.path, target)
    write_study(tmp_path, "own", {"01_data_prep": "workers: 1", "03_c3d": ""})
    folder = tmp_path / "params" / "own"

    def make(**values):
        base = {"source": "folder", "data_root": "my", "videos": ".", "store_size": 32}
        data = study_files.load_run([folder / "01_data_prep.yaml"], base | values).params
        fingerprint.claim(data)
        data_prep.prepare(data, data_prep.catalog(data))
        return data, study_files.load_run([folder / "03_c3d.yaml"]).params

    return make


def test_a_store_stays_and_another_one_goes_beside_it(own, tmp_path, capsys):
    first, model = own()
    kept = digests(first.store_asked)
    assert model.store_dir == first.store_asked == tmp_path / "data" / "own" / "store"
    capsys.readouterr()
    second, _ = own(store_size=24)
    assert digests(first.store_asked) == kept
    said = capsys.readouterr().out.splitlines()[-1]
    name = second.store_dir.relative_to(tmp_path).as_posix()
    assert re.fullmatch(r"data/own/store-[0-9a-f]{8}", name)
    made = r"data/own/store \([\d.]+ kB on disk\) was made of other videos or settings and stays; "
    assert re.fullmatch(f"{made}this run's files go to {name}", said)
    assert RunFolder(second.run_dir).read_state()["said"] == [said]
    assert model.store_dir == second.store_dir  # the study's 01 decides
    assert session.catalog_file(model).name == f"{second.store_dir.name}-catalog.csv"
    back, _ = own()
    assert back.store_dir == model.store_dir == first.store_asked
    assert own(store_size=24)[0].store_dir == second.store_dir
    assert len(list((tmp_path / "data" / "own").glob("store*/store.json"))) == 2


def test_what_a_killed_preparation_of_other_videos_left_stays(own):
    first, _ = own()
    (first.store_asked / "store.json").unlink()
    kept = digests(first.store_asked)
    second, _ = own(store_size=24)
    assert second.store_dir != first.store_asked and digests(first.store_asked) == kept
    assert own()[0].store_dir == first.store_asked  # resumed


def test_the_drawn_videos_stay_too_and_02_gets_the_stills_of_its_01(own, tmp_path, monkeypatch):
    drawn = {"source": "demo", "data_root": "", "videos": "videos"}
    monkeypatch.setattr(dataset, "draw", lambda *_, **__: (CLIP, 25))
    few = {"train_videos": 1, "val_videos": 1, "categories": ["waving", "walking"], "workers": 1}
    own(**drawn, **few, still_images=0)
    second, model = own(**drawn, **few | {"train_videos": 2}, still_images=0)
    usual = tmp_path / "data" / "own" / "source"
    assert len(list(usual.rglob("*.mp4"))) == 4
    beside = model.made(usual / "stills")
    assert re.fullmatch("source-[0-9a-f]{8}", beside.parent.name) and beside.name == "stills"
    assert len(list(beside.parent.rglob("*.mp4"))) == 6


def test_a_complete_01_without_its_store_is_made_again(own):
    data, _ = own()
    RunFolder(data.run_dir).write_state(
        status="complete", store_hash=ClipStore(data.store_dir).hash
    )
    assert fingerprint.is_complete(data)
    shutil.rmtree(data.store_dir)
    assert not fingerprint.is_complete(data)


def test_groups_are_found_in_names_and_unknown_ones_are_said(actors):
    known = data_prep.catalog(params(actors))
    assert "Groups: 6 from the pattern" in sentences.listed(known)
    found = data_prep.catalog(params(actors, group="", held_out=[]))
    assert "Groups: 6 from the first word of the names (daria, denis, eli" in sentences.listed(
        found
    )
    assert sentences.groups(found.frame) == (
        "No group of videos that belong together lies on two sides of the split."
    )
    assert found.frame["group"].tolist() != found.frame["video_id"].tolist()

    for folder in (actors / "clips_80x64").iterdir():
        for number, file in enumerate(sorted(folder.iterdir())):
            file.rename(file.with_name(f"clip_{number:04d}.mp4"))
    (actors / "clips_80x64/run/notes.dav").touch()
    plain = data_prep.catalog(params(actors, group="", held_out=[]))
    assert "Left out: 1 file whose ending is of no video" in sentences.listed(plain)
    assert "Warning: the groups of all videos are unknown" in sentences.listed(plain)
    assert sentences.groups(plain.frame).startswith("Warning: the groups of all videos are unknown")


def test_a_table_is_a_source(actors):
    folder = actors / "clips_80x64"
    rows = [f"{file},{file.parent.name}" for file in sorted(folder.rglob("*.mp4"))]
    (actors / "list.csv").write_text("\n".join(["path,label", *rows]))
    asked = params(actors, source="table", videos="list.csv", group="", held_out=[], val_share=0.4)
    found = data_prep.catalog(asked)
    assert len(found) == len(rows) and found.categories == ["bend", "jack", "run"]
    assert "Groups: 6 from the first word of the names" in sentences.listed(found)
    few = data_prep.catalog(asked.model_copy(update={"val_share": 0.1}))
    held = [set(c.frame.loc[c.frame["split"] == "val", "group"]) for c in (few, found)]
    assert held[0] < held[1]


def test_corrected_labels_make_another_store_and_are_listed(own, tmp_path):
    first, _ = own()
    kept = digests(first.store_asked)
    assert data_prep.corrected(first) is None
    table = Corrections(tmp_path / "params" / "own" / "corrections.csv")
    table.mark("a_00", "a", "b", "it is b")
    table.mark("b_01", "b", "drop")
    named = {"corrections": "params/own/corrections.csv"}
    second, model = own(**named)
    assert digests(first.store_asked) == kept and second.store_dir != first.store_asked
    videos = ClipStore(model.store_dir).videos.set_index("video_id")["category"]
    assert videos["a_00"] == "b" and "b_01" not in videos
    shown = data_prep.corrected(second).frame
    assert shown["correction"].tolist() == ["b", "drop"] and shown["note"][0] == "it is b"
    audit = Audit.load(second.store_dir).table.reset_index()
    RunFolder(second.run_dir).write_state(begun=0.0, seconds_before=0.0)
    data_prep.finish(second, ClipStore(second.store_dir), audit)
    summary = json.loads(second.folder.data.read_text())["summary"]
    assert re.search(
        r"Corrected by corrections.csv: 1 label \(1 \w+\): a_00 is b, not a; 1 vid", summary
    )


def test_a_note_restarts_nothing_and_another_correction_does(own, tmp_path):
    table = Corrections(tmp_path / "params" / "own" / "corrections.csv")
    table.mark("a_00", "a", "b")
    data, _ = own(corrections="params/own/corrections.csv")
    assert fingerprint.is_same(data)
    table.mark("a_00", "a", "b", "seen by two people")
    assert fingerprint.is_same(data)
    table.mark("b_00", "b", "a")
    assert not fingerprint.is_same(data)
    assert fingerprint.differences(data) == ["corrections.csv, which it reads, changed"]
    state = data.folder.read_state()
    del state["read"]
    data.folder.state.write_text(json.dumps(state))  # as an earlier harlib left it
    assert fingerprint.difference(data) == "corrections.csv changed"


def test_a_table_of_corrections_that_is_not_there_is_named(own):
    with pytest.raises(study_files.ParamsError, match="'corrections': names 'no.csv', which is no"):
        own(corrections="no.csv")


def test_selected_categories_are_those_after_the_correction(actors, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(actors))
    Corrections(actors / "fix.csv").mark("eli_run", "run", "bend")
    asked = params(actors, corrections="fix.csv", categories=["bend", "jack"])
    found = data_prep.catalog(asked).frame
    assert len(found) == 13 and set(found["category"]) == {"bend", "jack"}
