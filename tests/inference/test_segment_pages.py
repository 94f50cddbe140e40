"""From probabilities over time to segments, and to the page that shows them."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harlib import HarlibError
from harlib.evaluation import Confidence
from harlib.evaluation import segments as evaluation
from harlib.inference import Prediction, segment_pages, segments
from harlib.inference.segments import Finding

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import page_checks

CATEGORIES = ("background", "jump", "run")
PLAIN = Finding(smooth_s=0.0, shortest_s=0.0, threshold=0.0)


def said(letters, sure=0.8, step=0.5, span=2.0, **facts):
    """A prediction whose window every `step` s says b, j or r as the letters do."""
    best = np.array(["bjr".index(letter) for letter in letters])
    windows = np.full((len(best), 3), (1 - sure) / 2, np.float32)
    windows[np.arange(len(best)), best] = sure
    start = step * np.arange(len(best))
    return Prediction("v.mp4", CATEGORIES, start, start + span, windows, **facts)


def spans(table):
    return [tuple(row) for row in table[["label", "start_s", "end_s"]].to_numpy()]


@pytest.mark.quick
def test_a_window_tells_of_its_middle_and_background_is_no_segment():
    found = segments.find(said("bbjjjjbbrrr"), PLAIN)
    # middles at 1, 1.5, 2 ...: the first j at 2 s, half-way from 1.5; the last r to the end
    assert spans(found) == [("jump", 1.75, 3.75), ("run", 4.75, 7.0)]
    assert found["score"].to_numpy() == pytest.approx(0.8)


@pytest.mark.quick
def test_the_first_and_last_windows_reach_the_ends():
    assert spans(segments.find(said("jjjj"), PLAIN)) == [("jump", 0.0, 3.5)]


@pytest.mark.quick
def test_what_is_less_probable_than_the_threshold_is_none():
    assert segments.find(said("jjjj", sure=0.6), Finding(0, 0, 0.7)).empty
    assert len(segments.find(said("jjjj", sure=0.6), Finding(0, 0, 0.5))) == 1


@pytest.mark.quick
def test_probabilities_are_calibrated_where_the_temperature_is_known():
    cold = Confidence(temperature=0.5, threshold=0.5, videos=9, turned_away=0.0, accuracy=1.0)
    (score,) = segments.find(said("jjjj", sure=0.6, confidence=cold), PLAIN)["score"]
    assert score == pytest.approx(0.36 / (0.36 + 2 * 0.04), abs=1e-4)  # squares, at half


@pytest.mark.quick
def test_one_odd_window_neither_makes_nor_breaks_a_segment():
    letters = "bbbjjjjrjjjjbbbrbbb"
    assert len(segments.find(said(letters), PLAIN)) == 4
    assert spans(segments.find(said(letters), Finding(0, 1.0, 0))) == [("jump", 2.25, 6.75)]
    assert spans(segments.find(said(letters), Finding(1.0, 0, 0))) == [("jump", 2.25, 6.75)]


@pytest.mark.quick
def test_how_segments_are_found_is_chosen_by_labelled_videos():
    letters = "bbbjjjjrjjjjbbbrbbb"
    there = pd.DataFrame([("v", "jump", 2.25, 6.75), ("w", "run", 2.0, 6.0)],
                         columns=["video", "label", "start_s", "end_s"])  # fmt: skip
    predictions = {"v": said(letters), "w": said("bbb" + "r" * 8 + "bbb")}
    how = segments.choose(predictions, there, 2.0)
    assert evaluation.f1(there, segments.found(predictions, how), 0.7) == 1
    assert evaluation.f1(there, segments.found(predictions, PLAIN), 0.7) < 1


@pytest.fixture
def page(tmp_path):
    there = pd.DataFrame(
        [("a.mp4", "jump", 1.0, 5.0), ("a.mp4", "run <b>", 8.0, 12.0), ("b.mp4", "=sit", 2.0, 6.0)],
        columns=["video", "label", "start_s", "end_s"],
    )
    found = pd.DataFrame(
        [("a.mp4", "jump", 1.2, 5.1, 0.9), ("a.mp4", "jump", 7.0, 9.0, 0.6)],
        columns=segments.COLUMNS,
    )
    result = evaluation.measure(there, found)
    lengths = {"a.mp4": 20.0, "b.mp4": 10.0}
    return segment_pages.write(tmp_path / "out", "mine/03_c3d", there, found, result, lengths,
                               ["2 val videos."])  # fmt: skip


@pytest.mark.quick
def test_the_files_beside_the_page(page):
    rows = pd.read_csv(page.with_name("segments.csv"))
    kinds = set(zip(rows["kind"], rows["right"], strict=True))
    assert kinds == {("labelled", True), ("labelled", False), ("found", True), ("found", False)}
    assert "'=sit" in set(rows["label"])
    told = json.loads(page.with_name("segments.json").read_text())
    half = told["overall"][1]
    assert (half["labelled"], half["found"], half["right"]) == (3, 2, 1)
    assert told["categories"][0]["precision"] is None  # of =sit nothing was found
    assert "F1 40.0 % (" in page.read_text() and "run &lt;b&gt;" in page.read_text()


@pytest.mark.quick
def test_nothing_that_a_person_put_there_is_replaced(page):
    folder = page.parent
    with pytest.raises(HarlibError, match="is there already: name a new folder, or give"):
        segment_pages.check(folder, overwrite=False)
    segment_pages.check(folder, overwrite=True)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(HarlibError, match="is there already: name a new folder$"):
        segment_pages.check(folder, overwrite=True)


def test_the_page_is_alone_and_axe_finds_nothing(browser, page):
    assert not re.findall(r'(?:src|href)="(?!data:)', page.read_text())
    with page_checks.opener(browser) as opened:
        for width in (390, 1280):
            shown = opened(page, width=width)
            assert not shown.said
            assert shown.evaluate("document.documentElement.scrollWidth") <= width
            assert shown.locator(".bars .bad").count() == 3
            page_checks.axe_finds_nothing(shown)
