"""Confident learning finds the labels that were swapped on purpose."""

import numpy as np
import pytest

from harlib.evaluation import label_errors

pytestmark = pytest.mark.quick


def test_a_case_by_hand():
    """Thresholds (0.9 + 0.2) / 2 = 0.55 and (0.8 + 0.6) / 2 = 0.7."""
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.2, 0.8], [0.4, 0.6]])
    label = np.array([0, 0, 1, 1])
    assert label_errors.thresholds(probabilities, label) == pytest.approx([0.55, 0.7])
    found = label_errors.suspected(probabilities, label)
    # 0.2 - 0.55 against 0.8 - 0.7; the last one: 0.6 - 0.7 against 0.4 - 0.55, still its label's
    assert found["video"].tolist() == [1]
    assert found["suggested"].tolist() == [1]
    assert found["margin"].tolist() == pytest.approx([-0.45], abs=1e-6)


def test_suggested_is_the_most_probable_of_the_others():
    """Of (0.5, 0.3, 0.2) the third leads behind the thresholds, and no network would name it."""
    probabilities = np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.8, 0.1, 0.1]])
    label = np.array([0, 0, 1, 2])
    assert label_errors.thresholds(probabilities, label) == pytest.approx([0.7, 0.9, 0.1])
    found = label_errors.suspected(probabilities, label).set_index("video")
    assert found.at[0, "suggested"] == 1
    assert found.at[0, "margin"] == pytest.approx(-0.3, abs=1e-6)


def test_a_category_without_a_video_suspects_none():
    found = label_errors.suspected(np.array([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1]]), np.array([0, 1]))
    assert not len(found)


@pytest.mark.parametrize("seed", range(5))
def test_five_swapped_labels_are_among_the_first_twenty(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 12, 200)
    logits = rng.normal(size=(200, 12))
    logits[np.arange(200), truth] += 4  # right in nine of ten
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    swapped = rng.choice(200, 5, replace=False)
    label = truth.copy()
    label[swapped] = (truth[swapped] + rng.integers(1, 12, 5)) % 12
    first = label_errors.suspected(probabilities, label)["video"][:20]
    assert len(set(first) & set(swapped)) >= 4


def test_what_is_suspected_does_not_depend_on_the_order_of_the_videos():
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(4), 50)
    label = rng.integers(0, 4, 50)
    order = rng.permutation(50)
    found = label_errors.suspected(probabilities, label)["video"].tolist()
    again = label_errors.suspected(probabilities[order], label[order])["video"]
    assert order[again].tolist() == found
