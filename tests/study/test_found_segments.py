"""`har segments`: which videos it looks at, what chooses, and what it leaves."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from harlib import HarlibError, MissingFile
from harlib.cli import main
from harlib.data import Catalog, VideoError
from harlib.inference import Prediction, segments
from harlib.study.steps import found_segments

pytestmark = pytest.mark.quick
CATEGORIES = ("background", "jump", "run")
TIMES = {"jump": (4.0, 8.0), "run": (12.0, 15.0)}  # in each of the videos


class Fake:
    """Knows what is in the videos, but for a flicker, and in `odd.mp4` finds nothing."""

    name, categories, confidence, note = "mine/03_c3d", CATEGORIES, None, ""
    thresholds = None

    def __init__(self):
        self.asked = []

    def span_s(self):
        return 2.0

    def __call__(self, path, *, every_s):
        self.asked.append(path.rpartition("/")[2])
        if path.endswith("broken.mp4"):
            raise VideoError(path, "no picture in it")
        start = np.arange(0, 18.5, every_s)
        windows = np.full((len(start), 3), 0.1, np.float32)
        best = np.zeros(len(start), int)
        for label, (begin, end) in TIMES.items():
            best[(start + 1 >= begin) & (start + 1 < end)] = CATEGORIES.index(label)
        best[np.isclose(start + 1, 6.0)] = 2  # one window in the middle of the jump
        best[:] = 0 if path.endswith("odd.mp4") else best
        windows[np.arange(len(start)), best] = 0.8
        return Prediction(path, CATEGORIES, start, start + 2, windows)


@pytest.fixture
def fake(monkeypatch):
    network = Fake()
    monkeypatch.setattr(found_segments, "load", lambda source, checkpoint: network)
    return network


@pytest.fixture
def table(tmp_path):
    lines = ["path,label,start,end,split,group"]
    for split, names in {"train": "ab", "val": "cd", "test": ("e", "f", "odd")}.items():
        for name in names:
            (tmp_path / f"{name}.mp4").touch()
            lines += [f"{name}.mp4,{x},{a},{b},{split},p{name}" for x, (a, b) in TIMES.items()]
            lines.append(f"{name}.mp4,background,0,2,{split},p{name}")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "list.csv"


def test_val_videos_choose_and_test_videos_are_told(fake, table, tmp_path):
    said = []
    page = found_segments.compare("x", table, split="test", out=tmp_path / "out", say=said.append)
    assert fake.asked == ["c.mp4", "d.mp4", "e.mp4", "f.mp4", "odd.mp4"]
    told = json.loads(page.with_name("segments.json").read_text())
    assert told["videos"] == 3 and told["network"] == "mine/03_c3d"
    half = told["overall"][1]
    assert (half["labelled"], half["found"], half["right"]) == (6, 4, 4)  # no background
    assert half["f1_low"] < half["f1"] < half["f1_high"]
    assert "Chosen on 2 val videos, which have F1 100.0 % at overlap 0.5." in told["notes"][1]
    rows = pd.read_csv(page.with_name("segments.csv"))
    assert set(rows["video"]) == {"e.mp4", "f.mp4", "odd.mp4"}
    assert said[-1] == (
        f"F1 80.0 % ({100 * half['f1_low']:.0f}–{100 * half['f1_high']:.0f}) at overlap 0.5: of 6 "
        "labelled segments 4 were found in 3 videos, and 0 others."
    )


def test_the_val_videos_choose_nothing_for_themselves(fake, table, tmp_path):
    page = found_segments.compare("x", table, split="val", out=tmp_path / "out", say=len)
    assert fake.asked == ["c.mp4", "d.mp4"]
    (_, how) = json.loads(page.with_name("segments.json").read_text())["notes"]
    assert how.startswith(f"Segments: {segments.usual(fake)}. Usual values: these are the val")


def test_what_cannot_be_compared_is_a_line(fake, table, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(HarlibError, match="^x is no run, in whose folder the page would lie"):
        found_segments.compare("x", table, split="val")
    whole = tmp_path / "whole.csv"
    whole.write_text("path,label,split\na.mp4,run,train\nc.mp4,run,val\n")
    with pytest.raises(HarlibError, match="^no row has start or end"):
        found_segments.compare("x", whole, split="val", out=out)
    both = tmp_path / "both.csv"
    both.write_text(
        "path,label,start,end,split,group\na.mp4,run,1,2,train,p\na.mp4,run,5,6,val,q\n"
    )
    with pytest.raises(HarlibError, match=r"^a\.mp4 has segments in several splits"):
        found_segments.compare("x", both, split="val", out=out)
    train = tmp_path / "train.csv"
    train.write_text("path,label,start,end,split\na.mp4,run,1,2,train\n")
    with pytest.raises(HarlibError, match="no segments in split 'test'; there are train$"):
        found_segments.compare("x", train, split="test", out=out)


def test_a_label_that_the_network_does_not_know_is_said_and_missed(fake, table, tmp_path):
    table.write_text(table.read_text().replace("f.mp4,run", "f.mp4,swim"))
    said = []
    page = found_segments.compare("x", table, split="test", out=tmp_path / "out", say=said.append)
    assert "Not among the network's categories, so all missed: swim." in said
    found = json.loads(page.with_name("segments.json").read_text())["categories"]
    assert [row["recall"] for row in found if row["label"] == "swim"] == [0, 0, 0]


def test_the_command_says_where_the_page_is(fake, table, tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    words = ["segments", str(tmp_path), str(table), "--split", "test", "--out", f"{tmp_path}/new"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert done.output.endswith(f"Report: {tmp_path}/new/index.html\n")
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1 and "or give --overwrite" in again.output
    assert CliRunner().invoke(main, [*words, "--overwrite"]).exit_code == 0


def test_a_runs_own_videos_need_no_table_and_learned_ones_are_said(
    fake, table, tmp_path, monkeypatch
):
    run = tmp_path / "runs" / "mine" / "03_c3d"
    run.mkdir(parents=True)
    (run / "params.yaml").write_text("study: mine\n")
    own = Catalog.from_table(table)
    monkeypatch.setattr(found_segments, "_own_catalog", lambda folder: own)
    page = found_segments.compare(run, None, split="val", say=len)
    assert page == run / "segments" / "val" / "index.html" and fake.asked == ["c.mp4", "d.mp4"]
    with pytest.raises(HarlibError, match="is there already: name a new folder, or give"):
        found_segments.compare(run, None, split="val", say=len)
    found_segments.compare(run, None, split="val", say=len, overwrite=True)
    page = found_segments.compare(run, None, split="test", say=len)
    assert page == run / "segments" / "test" / "index.html"
    said = []
    found_segments.compare(run, None, split="train", say=said.append)
    learned = "Warning: the network learned from 2 of 2 train videos, so the result is too good."
    assert said[0] == learned
    moved = table.with_name("moved.csv")
    text = table.read_text().replace("a.mp4", "x.mp4").replace(",train,", ",test,")
    moved.write_text(text + "x.mp4,jump,20,22,test,pa\n")
    (tmp_path / "x.mp4").touch()
    said = []
    page = found_segments.compare(run, moved, split="test", say=said.append)
    assert page.parent == run / "segments" / "moved-test"
    learned = "Warning: the network learned from 1 of 5 test videos, so the result is too good."
    assert said[0] == learned
    assert learned in json.loads(page.with_name("segments.json").read_text())["notes"]


def test_learned_videos_that_choose_are_said_too(fake, table):
    own = Catalog.from_table(table).frame
    choosing = own.assign(split=own["split"].replace("train", "val"))
    assert found_segments._learned(choosing, "test", own) == [
        "Warning: the network learned from 2 of 4 val videos, so how segments are found is chosen "
        "too well for others."
    ]


def test_missing_and_broken_videos_count_as_missed_and_are_said(fake, table, tmp_path):
    table.write_text(table.read_text().replace("odd.mp4", "broken.mp4"))
    (tmp_path / "broken.mp4").touch()
    (tmp_path / "f.mp4").unlink()
    said = []
    page = found_segments.compare("x", table, split="test", out=tmp_path / "out", say=said.append)
    assert any(line.startswith("Warning: 3 of 21 listed videos have no file") for line in said)
    lost = (
        "Of 6 labelled segments 4 are in videos that are missing or cannot be read, and count as "
        "missed."
    )
    told = json.loads(page.with_name("segments.json").read_text())
    assert lost in said and lost in told["notes"] and lost in page.read_text()
    half = told["overall"][1]
    assert (half["labelled"], half["found"], half["right"], told["videos"]) == (6, 2, 2, 1)


def test_where_no_listed_file_is_there_that_is_what_is_said(fake, table, tmp_path):
    for file in tmp_path.glob("*.mp4"):
        file.unlink()
    with pytest.raises(MissingFile, match=r"^none of the videos of .*list\.csv is there in its"):
        found_segments.compare("x", table, split="test", out=tmp_path / "out", say=len)


def test_videos_in_which_nothing_happens_are_looked_at(fake, table, tmp_path):
    lines = table.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("d.mp4,jump", "d.mp4,run", "f.mp4,jump",
                                                            "f.mp4,run"))]  # fmt: skip
    table.write_text("\n".join(kept) + "\n")
    page = found_segments.compare("x", table, split="test", out=tmp_path / "out", say=len)
    assert fake.asked == ["c.mp4", "d.mp4", "e.mp4", "f.mp4", "odd.mp4"]
    half = json.loads(page.with_name("segments.json").read_text())["overall"][1]
    assert (half["labelled"], half["found"], half["right"]) == (4, 4, 2)


def test_several_labels_are_refused(fake, table, tmp_path):
    how = {"split": "test", "out": tmp_path / "out", "say": len}
    fake.thresholds = np.full(3, 0.5)
    with pytest.raises(HarlibError, match="^har segments compares segments of one label each"):
        found_segments.compare("x", table, **how)
    fake.thresholds = None
    table.write_text(table.read_text().replace("f.mp4,run", "f.mp4,jump|run"))
    with pytest.raises(HarlibError, match="^har segments compares segments of one label each"):
        found_segments.compare("x", table, **how)
    assert not fake.asked


def test_a_video_on_another_drive_has_its_whole_path(monkeypatch, tmp_path):
    def elsewhere(*_):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", elsewhere)
    monkeypatch.setattr(os.path, "commonpath", elsewhere)
    assert found_segments._shown("/d/a.mp4", tmp_path) == "/d/a.mp4"
    assert found_segments._common(["/d", "/c"]) == "/d"
