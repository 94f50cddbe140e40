"""Clips called by numbers that look alike across the split: where it is said, and what mends it."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recordings import ALIKE, OTHERS
from tiny_study import write_study

from harlib.data import ClipStore, encode
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study import new_study
from harlib.study.report import run_page
from harlib.study.runs import fingerprint, session, study_files
from harlib.study.steps import data_prep, results

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import hand_made_study

pytestmark = pytest.mark.quick
WARNING = "Warning: 4 videos look like others across the split, first clip_0001 (train)"
MEND = "har new-study NAME --videos data/own/store/look_alikes.csv keeps them on one side."


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    return tmp_path


def prepared(file, **values):
    """Run 01 of a parameter file: (parameters, what it says of look-alikes, its page's head)."""
    p = study_files.load_run([file], {"store_size": 32, "workers": 1, "fps": None} | values).params
    fingerprint.claim(p)
    audit = data_prep.prepare(p, data_prep.catalog(p))
    store = session.open_store(p)
    said = data_prep.look_alikes(p, store)
    p.folder.write_state(begun=0.0, seconds_before=0.0)
    data_prep.finish(p, store, audit)
    return p, said, read_json(p.folder.data)["summary"]


def own(root, videos):
    for (split, category, name), (clip, crf) in videos.items():
        file = root / "my" / split / category / f"{name}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        encode(file, clip, fps=25, crf=crf)
    folder = write_study(root, "own", {"01_data_prep": "source: folder\ndata_root: my"})
    return prepared(folder / "01_data_prep.yaml", videos=".")


def test_the_data_report_says_it_and_a_new_study_mends_it(root):
    p, said, head = own(root, ALIKE | OTHERS)
    assert said.startswith(WARNING) and said.endswith(MEND) and said in head
    assert "Warning: the groups of all videos are unknown" in head

    seen = new_study.look(p.store_dir / "look_alikes.csv")
    chosen = new_study.plan(seen, folds=0, measure=lambda network: 0.1)
    files = new_study.write("mended", seen, chosen)
    data = next(file for file in files if file.name == "01_data_prep.yaml")
    files = [data.with_name("common.yaml"), data]
    p = study_files.load_run(files, {"store_size": 32, "workers": 1}).params
    listed = data_prep.catalog(p)
    sides = listed.frame.set_index("video_id")["split"]
    for one, other in ((1, 2), (3, 4), (5, 6)):
        assert sides[f"clip_{one:04d}"] == sides[f"clip_{other:04d}"]
    assert set(sides) == {"train", "val"}


def test_nothing_is_said_where_none_is_across(root):
    apart = {("train", *key[1:]): clip for key, clip in ALIKE.items()} | OTHERS
    p, said, head = own(root, apart)
    assert said == "No video looks like one on another side of the split."
    assert "look like" not in head and not (p.store_dir / "look_alikes.csv").exists()
    assert session.look_alikes(p, ClipStore(p.store_dir), "train", "val") == ""
    (p.store_dir / "look_alikes.json").unlink()  # as of a store that was made before
    store = ClipStore(p.store_dir)
    assert data_prep.look_alikes(p, store).startswith("Whether videos look alike is unknown")
    assert session.look_alikes(p, store) == ""


def test_a_trained_runs_page_and_notebook_05_say_it(tmp_path):
    runs = {}
    for name in ("03_c3d", "04_resnext101"):
        folder = runs[name] = tmp_path / "runs" / "own" / name
        hand_made_study._model_run(folder, seed=1, skill=1.0)
    scores = results.load_scores(runs)
    before = run_page._run_facts(runs["03_c3d"], "")["answer"]
    assert "look like" not in before and "look like" not in results.groups(scores, runs)
    for folder in runs.values():
        RunFolder(folder).write_state(look_alikes=f"{WARNING}.")
    assert run_page._run_facts(runs["03_c3d"], "")["answer"] == f"{before} {WARNING}."
    assert results.groups(scores, runs).count(WARNING) == 1


@pytest.mark.real
def test_real_clips_called_by_numbers_are_told_by_their_pictures(root, real_data):
    """UCF101's clips without their names, which say which recording each was cut from."""
    rng, groups = np.random.default_rng(0), {}
    for category in ("Punch", "PushUps"):
        place = root / "my" / category
        place.mkdir(parents=True)
        clips = sorted((real_data / "ucf101_mini" / "videos" / category).glob("*_g0[1-6]_*.avi"))
        for number, clip in enumerate(rng.permutation(clips)):
            name = f"clip_{number:04d}"
            (place / f"{name}.avi").symlink_to(clip)
            groups[category, name] = clip.stem.rpartition("_")[0]
    folder = write_study(root, "own", {"01_data_prep": "source: folder\ndata_root: my"})
    p, said, head = prepared(folder / "01_data_prep.yaml", videos=".", val_share=0.4)
    assert "Warning: the groups of all videos are unknown" in head
    assert said in head and "look like others across the split" in said and said.endswith(MEND)
    table = pd.read_csv(p.store_dir / "look_alikes.csv", keep_default_na=False)
    table = table[table["group"] != ""]
    truth = [groups[path.parent.name, path.stem] for path in map(Path, table["path"])]
    found = table.assign(truth=truth).groupby("group")["truth"]
    assert len(table) >= 12 and (found.nunique() == 1).all() and (found.size() > 1).all()
