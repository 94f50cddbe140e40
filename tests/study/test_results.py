"""What notebook 05 says about several runs, from scores made by hand."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harlib import figures
from harlib.evaluation import comparison
from harlib.study.report import run_page
from harlib.study.steps import results
from harlib.study.wording import sentences
from harlib.text import percent

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import hand_made_study

pytestmark = pytest.mark.quick
TABLE = pd.DataFrame({"run": ["a", "b", "c"], "video_top1": [0.5, 0.9, 0.8]})


@pytest.fixture
def shown(monkeypatch):
    """The alt texts of what was shown."""
    texts = []
    monkeypatch.setattr(figures, "show", lambda drawn: texts.append(figures.alt(drawn)))
    return texts


@pytest.fixture
def scores():
    return {name: hand_made_study.scores(n, 1.0 + n) for n, name in enumerate("abc")}


def test_calibration_and_mistakes_are_shown(scores, shown):
    results.show_reliability(scores)
    results.show_most_confused(scores["a"], "a", 4)
    assert shown[0].startswith("Reliability diagram") and len(shown) == 2


def test_the_ensemble_is_told_beside_the_best_run(scores):
    said = results.ensemble(scores, "c")
    right = comparison.right_videos(comparison.ensemble(scores)).mean()
    assert f"all 3 runs names the action in {percent(right)}" in said
    assert "against c alone" in said
    assert "one run" in results.ensemble({"c": scores["c"]}, "c")


def test_a_training_tells_its_memory():
    history = pd.DataFrame({"loss": [2.0, 1.0, 0.5], "seconds": [1.0] * 3,
                            "memory_bytes": [2e9, 2.2e9, 2.1e9]})  # fmt: skip
    said = "2.0 GB of memory after the first epoch, 2.1 GB after the last and 2.2 GB at most"
    assert said in sentences.training(history)


def test_unknown_groups_are_said_beside_the_accuracies(scores, tmp_path):
    known = {name: replace(s, group=np.array([f"g{v}" for v in s.video_id]))
             for name, s in scores.items()}  # fmt: skip
    unknown = {name: replace(s, group=s.video_id) for name, s in scores.items()}
    assert results.groups(known, {}) == (
        "No group of videos that belong together lies on two sides of the split."
    )
    assert results.groups(unknown, {}).startswith("Warning: the groups of all videos are unknown")
    for said, own in (("", known["a"]), ("Warning: the groups of all", unknown["a"])):
        own.save(tmp_path)
        warning = run_page._groups_warning(tmp_path)
        assert warning.startswith(said) and bool(warning) == bool(said)
