"""The order in which videos are labelled: each way does what its paper says."""

import numpy as np
import pytest

from harlib import HarlibError
from harlib.labelling import guessing, looking, ranking

pytestmark = pytest.mark.quick


def clusters(sizes=(40, 30, 10), seed=0):
    """Points around as many centres, and the number of each point's centre."""
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(len(sizes)), sizes)
    centres = 20 * rng.normal(size=(len(sizes), 6))
    return centres[which] + rng.normal(size=(len(which), 6)), which


def scores(points, which):
    odds = np.exp(-np.stack([((points - points[which == c].mean(0)) ** 2).sum(1) / 50
                             for c in range(3)], axis=1))  # fmt: skip
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("by", ranking.WAYS)
def test_each_way_gives_unlabelled_videos_once_and_the_same_again(by):
    points, which = clusters()
    space, guesses = ranking.space(points), scores(points, which)
    labelled = np.zeros(80, bool)
    labelled[[0, 45]] = True
    for count in (1, 7, 500):
        found = ranking.order(space, labelled, count, by=by, probabilities=guesses, seed=3)
        assert len(found) == len(set(found.tolist())) == min(count, 78)
        assert not labelled[found].any()
        again = ranking.order(space, labelled, count, by=by, probabilities=guesses, seed=3)
        assert found.tolist() == again.tolist()
    assert not len(ranking.order(space, ~np.zeros(80, bool), 5, by=by, probabilities=guesses))


@pytest.mark.parametrize("by", ranking.WAYS)
def test_each_way_works_with_videos_that_are_all_alike(by):
    space = ranking.space(np.ones((9, 4)))
    found = ranking.order(
        space, np.zeros(9, bool), 5, by=by, probabilities=np.full((9, 3), 1 / 3), seed=0
    )
    assert len(set(found.tolist())) == 5


@pytest.mark.parametrize("by", ["typical", "different"])
def test_the_first_labels_are_of_all_clusters(by):
    points, which = clusters()
    found = ranking.order(ranking.space(points), np.zeros(80, bool), 3, by=by)
    assert sorted(which[found]) == [0, 1, 2]


def test_typical_takes_the_largest_cluster_without_a_label_first():
    points, which = clusters()
    labelled = which == 0
    labelled[1:40] = False
    first = ranking.order(ranking.space(points), labelled, 2, by="typical")
    assert which[first].tolist() == [1, 2]


def test_different_is_farthest_from_all_labelled():
    points = np.array([[0.0, 0], [1, 0], [5, 0], [9, 0]])
    found = ranking.order(points, np.array([True, False, False, False]), 2, by="different")
    assert found.tolist() == [3, 2]


def test_unsure_is_the_smallest_lead():
    guesses = np.array([[0.9, 0.1, 0], [0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.34, 0.33, 0.33]])
    found = ranking.order(
        np.zeros((4, 2)), np.zeros(4, bool), 3, by="unsure", probabilities=guesses
    )
    assert found.tolist() == [3, 2, 1]


def sure_but_for_fifteen():
    """Points of three clusters, whose they are, guesses, and the five unsure ones of each."""
    points, which = clusters(sizes=(30, 30, 30))
    guesses = np.tile([0.9998, 0.0001, 0.0001], (90, 1))
    unsure = np.r_[0:5, 30:35, 60:65]
    guesses[unsure] = [0.4, 0.35, 0.25]
    return ranking.space(points), which, guesses, unsure


def test_unsure_groups_are_from_different_places():
    points, which, guesses, _ = sure_but_for_fifteen()
    found = ranking.order(
        points, np.zeros(90, bool), 3, by="unsure-groups", probabilities=guesses, seed=1
    )
    assert sorted(which[found]) == [0, 1, 2]


@pytest.mark.parametrize("seed", range(2))
def test_badge_takes_one_for_all_sure_videos_and_the_others_from_several_places(seed):
    points, which, guesses, unsure = sure_but_for_fifteen()
    found = ranking.order(
        points, np.zeros(90, bool), 4, by="badge", probabilities=guesses, seed=seed
    )
    assert len(set(found) - set(unsure)) <= 1  # their gradients are all next to nothing
    assert len(set(which[list(set(found) & set(unsure))])) >= 2


def test_wrong_asks_are_said():
    points = np.zeros((3, 2))
    with pytest.raises(HarlibError, match="no order 'best'; known are"):
        ranking.order(points, np.zeros(3, bool), 1, by="best")
    with pytest.raises(HarlibError, match="needs probabilities; without them: random, typical"):
        ranking.order(points, np.zeros(3, bool), 1, by="badge")


def test_guesses_are_of_the_categories_that_have_labels():
    points, which = clusters()
    names = ["a", "b", "c", "never"]
    known = np.array([0, 1, 40, 41, 70])
    labels = [names[which[one]] for one in known]
    points = ranking.space(points)
    found = guessing.probabilities(points, known, labels, names)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == which).all() and (found[:, 3] == 0).all()
    assert guessing.probabilities(points, known[:2], labels[:2], names) is None


@pytest.mark.parametrize("views", [1, 3, 5, 10, 11])
def test_parts_are_in_the_order_of_time(views):
    whole, *parts = looking.over_time(np.arange(views, dtype=float)[:, None])[:, 0]
    assert len(parts) == looking.PARTS and whole == pytest.approx((views - 1) / 2)
    assert (np.diff(parts) >= 0).all() and sum(parts) == pytest.approx(0)
    assert whole + parts[0] >= 0 and whole + parts[-1] <= views - 1
