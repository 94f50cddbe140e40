import numpy as np
import pandas as pd
import pytest

from harlib.evaluation import segments

pytestmark = pytest.mark.quick

LABELLED = [
    ("a", "jump", 0.0, 4.0), ("a", "jump", 10.0, 15.0), ("a", "run", 5.0, 9.0),
    ("b", "jump", 2.0, 6.0), ("b", "run", 8.0, 12.0), ("b", "run", 14.0, 20.0),
    ("c", "sit", 1.0, 3.0),
]  # fmt: skip
FOUND = [
    ("a", "jump", 0.5, 4.5, 0.95),  # 0.78 of the first
    ("a", "jump", 0.0, 3.8, 0.90),  # the same one again, and better, but less sure
    ("a", "jump", 11.0, 17.0, 0.60),  # 0.57 of the second
    ("a", "run", 5.0, 7.2, 0.80),  # 0.55
    ("b", "jump", 4.0, 9.0, 0.70),  # 0.29
    ("b", "run", 8.5, 12.5, 0.55),  # 0.78
    ("b", "run", 13.0, 17.0, 0.85),  # 0.43
    ("b", "run", 15.0, 20.0, 0.40),  # 0.83, but at 0.3 the segment is taken
    ("c", "jump", 1.0, 3.0, 0.99),  # of another category
    ("d", "run", 0.0, 3.0, 0.30),  # a video without labels
]
# What compute_average_precision_detection of ActivityNet's evaluation gives for this case at 0.3,
# 0.5 and 0.7 (github.com/activitynet/ActivityNet, Evaluation/eval_detection.py at ebc8aeb, with
# np.float read as float), and how many segments it counts as right.
PUBLISHED = {
    "jump": ([0.3, 0.3, 1 / 6], [2, 2, 1]),
    "run": ([1.0, 0.75, 1 / 3], [3, 3, 2]),
    "sit": ([0.0, 0.0, 0.0], [0, 0, 0]),
}
PUBLISHED_MAP = [0.43333333, 0.35, 0.16666667]


def labelled(rows):
    return pd.DataFrame(rows, columns=["video", "label", "start_s", "end_s"])


def found(rows):
    return pd.DataFrame(rows, columns=["video", "label", "start_s", "end_s", "score"])


def test_average_precision_is_that_of_activitynets_evaluation():
    result = segments.measure(labelled(LABELLED), found(FOUND))
    assert result.overall["overlap"].tolist() == [0.3, 0.5, 0.7]
    assert result.overall["map"].to_numpy() == pytest.approx(PUBLISHED_MAP)
    for label, (ap, right) in PUBLISHED.items():
        own = result.categories[result.categories["label"] == label]
        assert own["ap"].to_numpy() == pytest.approx(ap)
        assert own["right"].tolist() == right


def test_rates_by_hand():
    half = segments.measure(labelled(LABELLED), found(FOUND)).overall.iloc[1]
    assert (half["labelled"], half["found"], half["right"]) == (7, 10, 5)
    assert half["precision"] == 5 / 10 and half["recall"] == 5 / 7
    assert half["f1"] == pytest.approx(2 * 5 / (7 + 10))
    assert segments.f1(labelled(LABELLED), found(FOUND)) == half["f1"]


def test_each_labelled_segment_is_matched_once_and_the_surest_chooses():
    match = segments.matched(labelled(LABELLED), found(FOUND), 0.5)
    assert match.tolist() == [0, -1, 1, 2, -1, 4, -1, 5, -1, -1]


def test_the_order_of_the_rows_changes_nothing():
    rng = np.random.default_rng(0)
    first = segments.measure(labelled(LABELLED), found(FOUND))
    again = segments.measure(
        labelled([LABELLED[i] for i in rng.permutation(len(LABELLED))]),
        found([FOUND[i] for i in rng.permutation(len(FOUND))]),
    )
    pd.testing.assert_frame_equal(first.overall, again.overall)
    pd.testing.assert_frame_equal(first.categories, again.categories)


def test_nothing_found_is_no_precision_and_no_recall():
    row = segments.measure(labelled(LABELLED), found([])).overall.iloc[0]
    assert np.isnan(row["precision"]) and row["recall"] == row["f1"] == row["map"] == 0


def test_all_found_is_all_right():
    sure = found([(*row, 0.5) for row in LABELLED])
    result = segments.measure(labelled(LABELLED), sure)
    assert (result.overall[["precision", "recall", "f1", "map"]] == 1).all(axis=None)
    # 7 segments of 3 videos: a small sample, however right it is
    assert (result.overall["f1_low"] < 0.8).all() and (result.overall["f1_high"] == 1).all()


def test_intervals_resample_whole_groups():
    """Two persons with ten videos each hold no more than two videos, where a person decides."""
    there = labelled([(f"v{i}", "run", 0, 4) for i in range(40)])
    seen = found([(f"v{i}", "run", 0, 4, 0.9) for i in range(20)])
    alone = segments.measure(there, seen).overall.iloc[0]
    persons = pd.Series({f"v{i}": f"p{i // 10}" for i in range(40)})
    grouped = segments.measure(there, seen, persons).overall.iloc[0]
    wide, narrow = (row["recall_high"] - row["recall_low"] for row in (grouped, alone))
    assert wide > 2 * narrow
    assert alone["recall_low"] < 0.5 < alone["recall_high"]


def test_one_group_tells_nothing_of_others():
    there = labelled([("v", "run", 0, 4), ("v", "run", 6, 9)])
    row = segments.measure(there, found([("v", "run", 0, 4, 0.9)])).overall.iloc[0]
    assert (row["recall_low"], row["recall_high"]) == (0, 1)
