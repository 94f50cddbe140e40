"""Sentences about numbers say what the numbers say, whichever way these lie."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from harlib import shipped
from harlib.study.runs import study_files
from harlib.study.steps import data_prep, results
from harlib.study.wording import apart, sentences

pytestmark = pytest.mark.quick


def measured(top1, clip, interval, *, majority=None, views=4, **model):
    return {
        "clip": {"top1": clip, "n": 10 * views},
        "video": {"top1": top1, "n": 10, "top1_interval": interval},
        "protocol": {"split": "val", "frames": 16, "stride": 1, "size": 48},
        "model": {"name": "c3d", "width": 0.25, "pixels": "rgb"} | model,
        "majority": majority,
    }


@pytest.mark.parametrize(
    ("top1", "clip", "said"),
    [
        (0.9, 0.8, "a single view is right 80.0 % of the time, 10.0 points less than their mean."),
        (0.7, 0.8, "a single view is right 80.0 % of the time, 10.0 points more than their mean."),
        (0.8, 0.8, "a single view is right 80.0 % of the time."),
    ],
)
def test_clip_and_video_level_are_compared_as_they_lie(top1, clip, said):
    text = sentences.answer(measured(top1, clip, [0.1, 1.0]))
    assert said in text
    assert text.startswith("c3d, width 0.25, RGB frames, 16 × 48 × 48 names the action in")


def test_one_view_a_video_is_not_compared_with_itself():
    text = sentences.answer(measured(0.8, 0.8, [0.1, 1.0], views=1))
    assert "single view" not in text and "from 1 view per video" in text


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ([0.6, 0.9], "would give 50.0 %."),
        ([0.4, 0.9], "would give 50.0 %, which lies within the interval: nothing shows that more"),
        ([0.1, 0.3], "would give 50.0 %, which is more."),
    ],
)
def test_guessing_is_told_as_the_interval_lies(interval, said):
    assert said in sentences.answer(measured(0.5, 0.5, interval, majority=0.5))
    assert sentences.guess(*interval, None) == "" == sentences.guess(*interval, np.nan)
    table = pd.DataFrame({"run": ["a"], "video_top1": [0.5], "low": interval[:1],
                          "high": interval[1:], "majority": [0.5]})  # fmt: skip
    text = sentences.comparison(table, pd.DataFrame())
    assert text.startswith("a names the action in 50.0 %") and said in text


def compared(table):
    names = list(table["run"])
    rows = [
        {"a": a, "b": b, "low": -0.1, "high": 0.2}
        for number, a in enumerate(names)
        for b in names[number + 1 :]
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("top1", "said"),
    [
        ([0.1, 0.1], "a and b are equal, and none leads: each names the action in 10.0 %"),
        ([0.9, 0.9, 0.5], "a and b lead together"),
        ([0.9, 0.8], "a is best with 90.0 % of the videos, but its lead over b (80.0 %) may be"),
    ],
)
def test_runs_that_are_equal_lead_only_where_others_are_behind(top1, said):
    table = pd.DataFrame({"run": list("abc")[: len(top1)], "video_top1": top1})
    text = sentences.comparison(table, compared(table))
    assert said in text


@pytest.mark.parametrize(
    ("low", "high", "averaged", "said"),
    [
        (0.6, 0.9, False, "more than coin tosses could explain: it sees the direction of time"),
        (0.6, 0.9, True, "something beside the order gives them away"),
        (0.4, 0.6, False, "nothing shows that it sees the order of time"),
        (0.1, 0.3, False, "takes one for the other"),
    ],
)
def test_reversed_pairs_are_read_as_the_interval_lies(low, high, averaged, said):
    table = pd.DataFrame([{"accuracy": (low + high) / 2, "videos": 20, "low": low, "high": high}])
    text = sentences.pairs(table, averaged=averaged)
    assert said in text and text.startswith("Two actions that are each other's reverse hold")
    assert ("average" in text) == averaged
    assert "hold the same frames" not in sentences.pairs(pd.DataFrame())


def by_category(*accuracies):
    return pd.DataFrame({"category": [f"c{n}" for n in range(len(accuracies))],
                         "accuracy": accuracies, "support": 4})  # fmt: skip


NONE = pd.DataFrame({"true": [], "predicted": [], "videos": []})


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ((0.0, 0.0, 0.0), "It names each of its categories right equally often (0.0 %)."),
        ((0.5, 1.0), "Its best category is c1 (100.0 %). Its hardest category is c0 (50.0 %)."),
        ((0.5, 0.5, 1.0), "Its hardest categories are c0 and c1 (50.0 %)."),
        ((0.5, *[1.0] * 4), "Its best categories are 4 alike (100.0 %)."),
    ],
)
def test_the_best_category_is_one_only_where_it_is(accuracies, said):
    assert said in sentences.reading(by_category(*accuracies), NONE)


def test_the_most_frequent_mistake_is_one_of_several_where_others_are_as_frequent():
    wrong = pd.DataFrame({"true": ["a", "b"], "predicted": ["b", "a"], "videos": [3, 3]})
    table = by_category(0.5, 1.0)
    assert "One of its most frequent mistakes is to call a b (3 videos)." in sentences.reading(
        table, wrong
    )
    assert "Its most frequent mistake is" in sentences.reading(table, wrong.assign(videos=[3, 2]))


@pytest.mark.parametrize(
    ("top1", "said"),
    [
        ([0.5, 0.9], "b spends the most, 8 billion multiply-adds per video, and no run names more"),
        ([0.9, 0.5], "names 50.0 % of the videos; a spends 1 billion and names 90.0 %."),
    ],
)
def test_what_arithmetic_bought_is_computed(top1, said):
    table = pd.DataFrame({"run": ["a", "b"], "video_top1": top1, "gmacs": [1.0, 2.0],
                          "views": [1.0, 4.0]})  # fmt: skip
    assert said in results.cost_reading(table)
    assert "one run" in results.cost_reading(table[:1])


def test_frozen_parameters_are_counted_and_the_trained_ones_said_apart():
    assert sentences.parameters(1000, 1000) == "1,000 parameters" == sentences.parameters(1000)
    assert sentences.parameters(1000, 10) == "1,000 parameters, 10 of them trained"
    assert "has 1,000 parameters, 10 of them trained, and" in sentences.cost(1000, 1.0, 8, 1, 10)
    assert "shows it 8 clips in each of 3 epochs: about" in sentences.cost(1000, 1.0, 8, 3)
    assert "shows it 8 clips in one epoch: about" in sentences.cost(1000, 1.0, 8, 1)


def test_one_category_that_differs_is_no_several():
    table = pd.DataFrame({"category": ["a", "b"], "difference": [0.2, 0.0], "clear": [False, True]})
    said = apart.categories(table, "x", "y")
    assert said == (
        "x is better in a. That may be chance, with 2 categories looked at (Bonferroni)."
    )
    clear = apart.categories(table.assign(clear=True), "x", "y")
    assert clear.startswith("x is better in a: that is more than chance, with 2 categories")


def test_one_epoch_went_nowhere():
    one = pd.DataFrame({"epoch": [1], "loss": [2.0], "seconds": [60.0]})
    assert "training loss was 2.00." in sentences.training(one)


def test_top_5_stands_in_no_table_of_few_categories():
    row = {"run": "a", "video_top1": 0.5, "low": 0.4, "high": 0.6, "video_top5": None,
           "mean_class": 0.5, "clip_top1": 0.5, "clip_top5": None, "clip_mean_class": 0.5,
           "minutes": 1.0, "parameters": 1, "gmacs": 1.0}  # fmt: skip
    assert "top-5" not in repr(results.accuracy_table(pd.DataFrame([row])))
    many = pd.DataFrame([row | {"video_top5": 0.9}])
    assert "video top-5" in repr(results.accuracy_table(many))


def test_the_drawn_people_are_told_of_in_the_demo_alone(tmp_path):
    demo = study_files.load_study(study_files.study_folder("demo"))[0].params
    assert "people who sit down" in data_prep.about(demo)
    for source in ("folder", "kinetics", "ucf101"):
        text = data_prep.about(demo.model_copy(update={"source": source}))
        assert text.startswith("The videos are") and "draw" not in text and "reverse" not in text


# What a fixed text of a notebook may not say: it would stand above numbers that say otherwise, or
# above another person's videos.
CLAIMS = re.compile(
    r"higher than|lower than|lead together|sees? something they|does not always buy|"
    r"a point or more|sit down|sitting down|standing up|drawn (?:people|videos|actions)|"
    r"draws its own|millisecond|(?:three|four|two) seeds|50 %",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    "path",
    sorted((shipped.FOLDER / "notebooks").glob("0[1-57]*.ipynb")),
    ids=lambda p: p.stem,
)
def test_no_fixed_text_of_a_notebook_claims_numbers_or_speaks_of_the_drawn_videos(path):
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "markdown":
            found = CLAIMS.findall("".join(cell["source"]))
            assert not found, f"{found} in {''.join(cell['source'])[:200]}"
