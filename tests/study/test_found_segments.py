"""`har segments`: which videos it looks at, what chooses, and what it leaves."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from harlib import HarlibError
from harlib.cli import main
from harlib.data import Catalog
from harlib.inference import Prediction, segments
from harlib.study.steps import found_segments

pytestmark = pytest.mark.quick
CATEGORIES = ("background", "jump", "run")
TIMES = {"jump": (4.0, 8.0), "run": (12.0, 15.0)}  # in each of the videos


class Fake:
    """Knows what is in the videos, but for a flicker, and in `odd.mp4` finds nothing."""

    name, categories, confidence, note = "mine/03_c3d", CATEGORIES, None, ""

    def __init__(self):
        self.asked = []

    def span_s(self):
        return 2.0

    def __call__(self, path, *, every_s):
        self.asked.append(path.rpartition("/")[2])
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
        "labelled segments in 3 videos 4 were found, and 0 others."
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
    assert page == run / "segments" / "index.html" and fake.asked == ["c.mp4", "d.mp4"]
    assert found_segments.compare(run, None, split="test", say=len) == page  # its own, replaced
    moved = table.with_name("moved.csv")
    moved.write_text(table.read_text().replace("a.mp4", "x.mp4").replace(",train,", ",test,"))
    (tmp_path / "x.mp4").touch()
    said = []
    found_segments.compare(run, moved, split="test", say=said.append)
    assert said[0] == (
        "Warning: the network learned from 1 of these 5 videos, so the result is too good."
    )
