"""The curve of accuracy against labels, and what is said of an order's lead."""

import math

import numpy as np
import pandas as pd
import pytest

from harlib import HarlibError
from harlib.bench import label
from harlib.labelling import ranking

pytestmark = pytest.mark.quick


@pytest.fixture
def pool():
    """120 videos of three actions, a third of them held out."""
    rng = np.random.default_rng(0)
    which = np.arange(120) % 3
    features = (4 * rng.normal(size=(3, 10)))[which] + 3 * rng.normal(size=(120, 10))
    listed = pd.DataFrame(
        {
            "category": np.array(["jump", "run", "walk"])[which],
            "split": np.where(np.arange(120) < 80, "train", "val"),
        }
    )
    return label._Pool(features.astype("float32"), listed)


@pytest.mark.parametrize("way", ranking.WAYS)
def test_a_curve_has_a_point_a_round_and_takes_training_videos_alone(pool, way):
    begin = pool.first(6, np.random.default_rng(1))
    assert begin.sum() == 6 and not begin[80:].any() and set(pool.labels[begin]) == {
        "jump", "run", "walk"}  # fmt: skip
    curve = pool.curve(way, begin, 3, 10, 0)
    assert [point["labels"] for point in curve] == [6, 16, 26, 36]
    assert begin.sum() == 6  # the next order begins from the same
    assert all(0 <= point["accuracy"] <= 1 for point in curve)
    assert curve[-1]["accuracy"] > 0.6 and pool.ceiling()["labels"] == 80


def test_no_label_of_a_held_out_video_is_looked_at(pool):
    begin = pool.first(6, np.random.default_rng(1))
    before = pool.curve("unsure-groups", begin, 2, 10, 0)
    right = pool.labels.copy()
    pool.labels[80:] = "jump"
    after = pool.curve("unsure-groups", begin, 2, 10, 0)
    assert [p["labels"] for p in before] == [p["labels"] for p in after]
    assert before != after
    pool.labels[:] = right
    assert pool.curve("unsure-groups", begin, 2, 10, 0) == before


def test_a_lead_is_of_pairs_from_one_beginning_after_the_first_round():
    rows = [
        {"seed": seed, "way": way, "labels": labels, "accuracy": accuracy}
        for seed, gains in enumerate([(0.1, 0.2), (0.0, 0.1), (0.2, 0.3)])
        for way, gain in (("random", (0, 0)), ("typical", gains))
        for labels, accuracy in ((20, 0.5), (40, 0.6 + gain[0]), (60, 0.7 + gain[1]))
    ]
    rows.append({"seed": -1, "way": "all", "labels": 700, "accuracy": 0.95})
    mean, low, high = label.lead(rows, "typical")
    assert mean == pytest.approx(0.15)  # of 0.15, 0.05 and 0.25
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert (low, high) == (pytest.approx(0.15 - half), pytest.approx(0.15 + half))
    said = label.table(rows)
    assert "all 700 labels: 95.0 %" in said
    assert "typical leads random by +15.0 points" in said
    alone = [row for row in rows if row["seed"] <= 0]
    assert all(map(math.isnan, label.lead(alone, "typical")[1:]))


def test_wrong_asks_are_said(pool, tmp_path):
    with pytest.raises(HarlibError, match="2 videos to begin with: give 3 .* to 80"):
        pool.first(2, np.random.default_rng(0))
    with pytest.raises(HarlibError, match="no order 'best'; known are"):
        label.run(tmp_path, ways=["best"])
    pool.own = pool.own[pool.labels[pool.own] != "run"]
    with pytest.raises(HarlibError, match="no training video that can be read is of run: every"):
        pool.first(6, np.random.default_rng(0))
