"""`har new-study`: what it looks at, what it chooses, and what it writes."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from harlib import HarlibError
from harlib.cli import main
from harlib.data import ClipStore, encode
from harlib.data.catalog.corrections import Corrections
from harlib.study import new_study
from harlib.study.params.notebooks import DataPrep
from harlib.study.runs import study_files
from harlib.study.steps import data_prep

ACTORS = ("anna", "ben", "cleo", "dan", "eve", "finn")


@pytest.fixture(scope="module")
def clip(tmp_path_factory, moving_square):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    encode(path, moving_square(frames=50, height=48, width=64), fps=25)
    return path.read_bytes()


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "params").mkdir()
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    return tmp_path


def folder(root, clip, categories=("run", "sit"), actors=ACTORS, each=1):
    for category in categories:
        place = root / "my" / category
        place.mkdir(parents=True)
        for actor in actors:
            for number in range(each):
                (place / f"{actor}_{category}_{number}.mp4").write_bytes(clip)
    return root / "my"


def planned(seen, **options):
    return new_study.plan(seen, measure=lambda network: 0.1, **options)


def test_a_folder_of_actors_becomes_folds_that_load(root, clip):
    seen = new_study.look(folder(root, clip, each=3))
    assert (seen.height, seen.width, seen.fps, seen.seconds) == (48, 64, 25.0, 2.0)
    assert len(seen.catalog) == 36
    chosen = planned(seen)
    held = [group for fold in chosen.folds for group in fold]
    assert sorted(held) == sorted(ACTORS) and len(chosen.folds) == 3
    assert chosen.size == [64, 88] and chosen.store_size == [72, 96]
    assert chosen.clip_fps == pytest.approx(16 / 1.3, abs=0.01) and chosen.flip
    assert chosen.epochs == 120 and chosen.split == "val"

    files = new_study.write("mine", seen, chosen)
    assert {f.name for f in files} == {
        "common.yaml",
        *(f"01_data_prep.fold{n}.yaml" for n in (1, 2, 3)),
        *(f"03_c3d.fold{n}.yaml" for n in (1, 2, 3)),
        *(f.name for f in files if f.name.startswith("09_")),  # where weights are at hand
    }
    runs = study_files.chosen("mine", {}, ())[1]
    stores = {run.params.store_dir for run in runs if isinstance(run.params, DataPrep)}
    assert len(stores) == 3 and stores == {run.params.store_dir for run in runs}
    assert "# Folds: 3, by group" in (root / "params/mine/common.yaml").read_text()


def test_unknown_groups_and_few_videos_are_said(root, clip):
    seen = new_study.look(folder(root, clip, actors=[f"clip_{n:03d}" for n in range(4)]))
    chosen = planned(seen)
    assert not chosen.folds
    told = "\n".join(new_study.told(seen, chosen))
    assert "Warning: the groups of all videos are unknown" in told
    assert "Warning: fewer than 5 videos in run 4, sit 4." in told
    assert "Split: a fifth of the groups is held out" in told
    new_study.write("mine", seen, chosen)
    names = [run.name for run in study_files.chosen("mine", {}, ())[1]]
    assert names[0] == "01_data_prep" and "03_c3d" in names and "05_evaluation" in names


def test_a_pattern_for_the_groups_is_used_and_written(root, clip):
    place = folder(root, clip, actors=[f"{d}{n}" for d in "abc" for n in range(3)])
    seen = new_study.look(place, group="^([a-c])")
    assert set(seen.catalog.frame["group"]) == {"a", "b", "c"}
    new_study.write("mine", seen, planned(seen, folds=3))
    (data, *_) = study_files.chosen("mine", {}, ())[1]
    assert data.params.group == "^([a-c])" and data.params.held_out in (["a"], ["b"], ["c"])


def test_the_budget_bounds_the_epochs(root, clip):
    seen = new_study.look(folder(root, clip, each=3))
    short, long = (planned(seen, budget_s=s, folds=0) for s in (10, 6000))
    assert short.epochs == 15 < long.epochs == 120
    assert any("time for 120 epochs would be better: --budget" in line for line in short.why)


def test_stills_bring_a_network_on_frames(root, clip):
    place, stills = folder(root, clip), root / "stills"
    with pytest.raises(HarlibError, match="stills holds no videos"):
        stills.mkdir()
        new_study.look(place, stills=stills)
    for category in ("run", "sit"):
        (stills / category).mkdir()
        for number in range(5):
            (stills / category / f"{number}.jpg").touch()
    seen = new_study.look(place, stills=stills)
    new_study.write("mine", seen, planned(seen, folds=0))
    frames = study_files.chosen("mine", {}, ())[1][1].params
    assert frames.run == "02_frame_cnn" and frames.stills == "stills" and frames.size == (64, 88)


def test_names_of_sides_turn_mirroring_off_and_uneven_counts_are_balanced(root, clip):
    place = folder(root, clip, categories=("turn_left", "turn right"))
    for number in range(12):
        (place / "turn_left" / f"gil_turn_left_{number}.mp4").write_bytes(clip)
    chosen = planned(new_study.look(place))
    assert not chosen.flip and chosen.balanced


def test_a_given_split_is_kept_and_a_table_does_too(root, clip):
    place = folder(root, clip, each=2)
    rows = ["path,label,split"] + [
        f"my/{c}/{a}_{c}_{n}.mp4,{c},{'test' if a in ('anna', 'ben') else 'train'}"
        for c in ("run", "sit") for a in ACTORS for n in (0, 1)
    ]  # fmt: skip
    (root / "list.csv").write_text("\n".join(rows))
    chosen = planned(new_study.look(root / "list.csv"))
    assert chosen.split == "test" and not chosen.folds
    new_study.write("mine", new_study.look(root / "list.csv"), chosen)
    (data, *_) = study_files.chosen("mine", {}, ())[1]
    assert data.params.source == "table" and data.params.videos == "list.csv"
    assert place.is_dir()


def test_folds_keep_each_category_on_both_sides(root, clip):
    seen = new_study.look(folder(root, clip, actors=ACTORS[:2]))
    with pytest.raises(HarlibError, match="--folds 3: each category needs 3 groups or more"):
        planned(seen, folds=3)
    assert not planned(seen).folds
    rng = np.random.default_rng(0)
    import pandas as pd

    for _ in range(50):
        groups = rng.integers(0, 12, 60)
        frame = pd.DataFrame({"group": [f"g{g}" for g in groups],
                              "category": [f"c{c}" for c in rng.integers(0, 3, 60)]})  # fmt: skip
        held = new_study._folds(frame, 3)
        if held:
            assert sorted(sum(held, [])) == sorted(set(frame["group"]))
            for fold in held:
                own = frame["group"].isin(fold)
                assert frame[own]["category"].nunique() == frame[~own]["category"].nunique() == 3
            counts = [frame["group"].isin(fold).sum() for fold in held]
            assert max(counts) - min(counts) <= frame["group"].value_counts().max()


def test_what_cannot_become_a_study_is_one_line(root, clip, tmp_path):
    with pytest.raises(HarlibError, match="has one category, 'run': a network learns to tell"):
        new_study.look(folder(root, clip, categories=("run",)))
    (root / "bad" / "a").mkdir(parents=True)
    (root / "bad" / "b").mkdir()
    for category in "ab":
        for number in range(3):
            (root / "bad" / category / f"x{number}.mp4").write_bytes(b"no video")
    with pytest.raises(HarlibError, match="none of 6 videos of .*bad can be read: "):
        new_study.look(root / "bad")
    for name, words in (("../x", "is no name of a study"), ("my study", "is no name of a study")):
        with pytest.raises(HarlibError, match=words):
            new_study.refuse(name)
    (root / "runs" / "old").mkdir(parents=True)
    with pytest.raises(HarlibError, match="is there already: choose another name"):
        new_study.refuse("old")
    done = CliRunner().invoke(
        main, ["new-study", "x", "--videos", str(root / "bad"), "--budget", "?"]
    )
    assert done.exit_code == 2 and "'?' is no time above 0" in done.output


def test_the_command_measures_and_writes(root, clip):
    place = folder(root, clip, each=3)
    asked = ["new-study", "mine", "--videos", str(place)]
    done = CliRunner().invoke(main, [*asked, "--budget", "5min"])
    assert done.exit_code == 0, done.output
    assert "Next:  har study mine" in done.output and "a step of" in done.output
    assert "Groups: 6 from the first word of the names (anna, ben, cleo" in done.output
    again = CliRunner().invoke(main, asked)
    assert again.exit_code == 1 and "params/mine is there already" in again.output


def test_folders_of_frames_become_a_study_at_their_rate(root, clip, moving_square):
    for category in ("run", "sit"):
        for actor in ACTORS:
            place = root / "my" / category / f"{actor}_{category}"
            place.mkdir(parents=True)
            for number, frame in enumerate(moving_square(frames=12, height=48, width=64), 1):
                Image.fromarray(frame).save(place / f"{number:06d}.jpg")
    seen = new_study.look(root / "my", frame_fps=6)
    assert (seen.fps, seen.seconds, len(seen.catalog)) == (6.0, 2.0, 12)
    assert set(seen.catalog.frame["group"]) == set(ACTORS)
    files = new_study.write("mine", seen, planned(seen, folds=0))
    assert "frame_fps: 6" in next(f for f in files if f.name.startswith("01_")).read_text()
    (prepared,) = (run.params for run in study_files.chosen("mine", {}, ())[1]
                   if isinstance(run.params, DataPrep))  # fmt: skip
    listed = data_prep.catalog(prepared)
    assert listed.hash == seen.catalog.hash and listed.found == 12
    data_prep.prepare(prepared, listed)
    store = ClipStore(prepared.store_dir)
    assert set(store.videos["frames"]) == {12} and set(store.videos["fps"]) == {6.0}
    files = [path for path in (root / "my").rglob("*.jpg")]
    assert data_prep.sizes(listed, store)["video files"] == sum(f.stat().st_size for f in files)


def test_segments_of_long_videos_and_their_background(root, clip):
    """The clips are as short as the segments, and the parameter file lists the background."""
    (root / "my").mkdir()
    lines = ["path,label,start,end"]
    for actor in ACTORS:
        (root / "my" / f"{actor}.mp4").write_bytes(clip)
        lines += [f"{actor}.mp4,run,0,0.5", f"{actor}.mp4,sit,0.5,0.9"]
    table = root / "my" / "list.csv"
    table.write_text("\n".join(lines) + "\n")
    seen = new_study.look(table)
    assert seen.seconds == pytest.approx(0.45) and seen.shortest == pytest.approx(0.4)
    assert seen.catalog.categories == ["run", "sit"] and seen.background == 0
    seen = new_study.look(table, background=2)
    assert any(n.startswith("Background: none; no row leaves 1.5 s") for n in seen.catalog.notes)
    new_study.write("mine", seen, planned(seen, folds=0))
    (prepared, *_) = study_files.chosen("mine", {}, ())[1]
    assert prepared.params.background == 2 and prepared.params.source == "table"
    with pytest.raises(HarlibError, match="is a folder: --background is of a table with start"):
        new_study.look(root / "my", background=1)


def test_corrections_are_read_and_written_into_the_study(root, clip):
    table = Corrections(root / "fix.csv")
    table.mark("anna_run_0", "run", "sit")
    table.mark("ben_sit_0", "sit", "drop")
    seen = new_study.look(folder(root, clip), corrections=table.path)
    assert seen.catalog.frame["category"].value_counts().to_dict() == {"sit": 6, "run": 5}
    chosen = planned(seen, folds=0)
    assert any("Corrected by fix.csv: 1 label (" in line for line in new_study.told(seen, chosen))
    folded = "\n".join(new_study.told(seen, planned(seen, folds=2)))
    assert "Corrected by fix.csv: 1 label: anna_run_0 is sit, not run; 1 video left out: " in folded
    assert "Warning: folds score every video, the corrected ones too." in folded
    new_study.write("mine", seen, chosen)
    (prepared, *_) = study_files.chosen("mine", {}, ())[1]
    assert prepared.params.corrections == "fix.csv"
    assert data_prep.catalog(prepared.params).hash == seen.catalog.hash
    assert (root / "my/run/anna_run_0.mp4").is_file()  # the source stays
