"""What predictions look like as files."""

import json

import numpy as np
import pandas as pd
import pytest

from harlib import HarlibError
from harlib.evaluation.confidence import Confidence
from harlib.inference import NONE_OF_THESE, Prediction, timeline, writers

pytestmark = pytest.mark.quick

SURE = Confidence(temperature=1.0, threshold=0.5, videos=20, turned_away=0.1, accuracy=0.9)


def prediction(windows, video="a.mp4", confidence=SURE, step=2.0, length=2.0):
    start = step * np.arange(len(windows))
    return Prediction(video, ("run", "=sit\n", "walk"), start, start + length,
                      np.array(windows, np.float32), confidence)  # fmt: skip


RUNS = [[0.9, 0.1, 0.0], [0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3]]


def test_a_video_is_the_mean_of_its_windows():
    found = prediction(RUNS)
    assert found.probabilities == pytest.approx([0.525, 0.375, 0.1])
    assert found.label == "run" and found.sure
    assert found.top(2)["label"].tolist() == ["run", "=sit\n"]
    assert found.top()["calibrated"].tolist() == pytest.approx([0.525, 0.375, 0.1])


def test_below_the_threshold_a_video_is_none_of_these():
    found = prediction([[0.4, 0.35, 0.25]])
    assert not found.sure and found.label == NONE_OF_THESE
    assert timeline.sentence(found) == ("none of these (the most probable is run, 40.0 %)")
    assert prediction([[0.4, 0.35, 0.25]], confidence=None).label == "run"


def test_neighbouring_windows_of_one_label_are_one_segment():
    found = prediction(RUNS).segments()
    assert found["label"].tolist() == ["run", "=sit\n", NONE_OF_THESE]
    assert found["start_s"].tolist() == [0, 4, 6] and found["end_s"].tolist() == [4, 6, 8]
    assert found["probability"].tolist() == pytest.approx([0.8, 0.8, 0.4])
    overlapping = prediction(RUNS, step=1.0, length=3.0).segments()
    assert overlapping["end_s"].tolist() == [2, 3, 6]


def test_csv_and_parquet_hold_a_row_per_rank(tmp_path):
    every = [prediction(RUNS), prediction(RUNS[:1], "=b.mp4")]
    writers.write(tmp_path / "o.csv", every, {"c.mp4": "cut short"}, top=2)
    table = pd.read_csv(tmp_path / "o.csv")
    assert table.columns.tolist() == writers.COLUMNS
    assert len(table) == 2 * (1 + 4) + 2 * (1 + 1) + 1
    first = table[(table["video"] == "a.mp4") & (table["level"] == "video")]
    assert first["rank"].tolist() == [1, 2] and first["end_s"].tolist() == [8, 8]
    assert "'=sit\n" in table["label"].tolist() and "'=b.mp4" in table["video"].tolist()
    assert table["error"].dropna().tolist() == ["cut short"]
    pytest.importorskip("pyarrow")
    writers.write(tmp_path / "o.parquet", every, {}, top=1)
    assert pd.read_parquet(tmp_path / "o.parquet")["video"].tolist()[-1] == "=b.mp4"


def test_json_holds_an_object_per_video(tmp_path):
    writers.write(tmp_path / "o.json", [prediction(RUNS)], {"c.mp4": "cut short"}, top=2)
    found, failed = json.loads((tmp_path / "o.json").read_text())
    assert found["label"] == "run" and found["threshold"] == 0.5
    assert found["windows"][2]["start_s"] == 4 and len(found["windows"][2]["top"]) == 2
    assert failed == {"video": "c.mp4", "error": "cut short"}


def test_subtitles_say_what_is_when(tmp_path):
    writers.write(tmp_path / "o.srt", [prediction(RUNS)], {}, top=2)
    lines = (tmp_path / "o.srt").read_text().splitlines()
    assert lines[:4] == ["1", "00:00:00,000 --> 00:00:04,000", "run 80 %", ""]
    assert lines[6] == "=sit 80 %"  # on one line
    with pytest.raises(HarlibError, match="subtitles are of one video, and 2 were named"):
        writers.write(tmp_path / "p.srt", [prediction(RUNS)] * 2, {}, top=2)


def test_nothing_is_overwritten_unasked(tmp_path):
    (tmp_path / "o.csv").write_text("mine")
    with pytest.raises(HarlibError, match="is there already: name another file, or give --over"):
        writers.check(tmp_path / "o.csv")
    writers.check(tmp_path / "o.csv", overwrite=True)
    with pytest.raises(HarlibError, match="names no format: end it in .csv, .json, .parquet, .srt"):
        writers.check(tmp_path / "o.txt")
    with pytest.raises(HarlibError, match="name a new folder for the report"):
        timeline.check(tmp_path)


def several(windows, thresholds=(0.5, 0.35, np.nan)):
    """A video that may have several labels; nobody knows from where on it would have the third."""
    start = 2.0 * np.arange(len(windows))
    return Prediction("a.mp4", ("run", "sit", "walk"), start, start + 2, np.array(windows, "f4"),
                      thresholds=np.array(thresholds))  # fmt: skip


def test_a_video_has_every_label_that_reaches_its_threshold():
    found = several([[0.9, 0.4, 0.99]])
    assert found.label == "run|sit" and found.sure and found.named() == ["run", "sit"]
    assert timeline.sentence(found) == "run, 90.0 %; sit, 40.0 %"
    assert found.top()["label"].tolist() == ["walk", "run", "sit"]
    none = several([[0.4, 0.2, 0.9]])
    assert none.label == NONE_OF_THESE and not none.sure
    assert timeline.sentence(none) == "none of these (the most probable is walk, 90.0 %)"
    first, second = timeline.notes(none)
    assert "35.0 % to 50.0 %" in first and "No validation video has walk" in second
    (by_hand,) = timeline.notes(several([[0.4, 0.2, 0.9]], thresholds=[0.5] * 3))
    assert "each label from a probability of 50.0 % on" in by_hand


def test_windows_of_the_same_labels_are_one_segment(tmp_path):
    found = several([[0.9, 0.4, 0], [0.7, 0.6, 0], [0.6, 0.1, 0], [0.1, 0.1, 0]])
    parts = found.segments()
    assert parts["label"].tolist() == ["run|sit", "run", NONE_OF_THESE]
    assert parts["probability"].tolist() == pytest.approx([0.5, 0.6, 0.1])
    writers.write(tmp_path / "o.csv", [found], {}, top=2)
    table = pd.read_csv(tmp_path / "o.csv")
    own = table[(table["level"] == "window") & (table["start_s"] == 4)]
    assert own["label"].tolist() == ["run", "sit"] and own["sure"].tolist() == [True, False]
    writers.write(tmp_path / "o.json", [found], {}, top=2)
    (told,) = json.loads((tmp_path / "o.json").read_text())
    assert told["labels"] == ["run"] and told["thresholds"]["walk"] is None
    writers.write(tmp_path / "o.srt", [found], {})
    assert "run|sit 50 %" in (tmp_path / "o.srt").read_text()
