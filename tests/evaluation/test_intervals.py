import numpy as np
import pytest

from harlib.evaluation.intervals import bootstrap_interval, group_sums, resampled_means, wilson


@pytest.mark.quick
def test_wilson_by_hand():
    # 8 of 10, z = 1.96: (0.8 + 0.19207) / 1.38415 = 0.71674 ± 0.22642 (Wilson's formula)
    assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


@pytest.mark.quick
def test_group_sums_by_hand():
    sums, sizes = group_sums(["b", "a", "b"], [1, 0, 1], [1, 1, 1])
    assert sums.tolist() == [0, 2] and sizes.tolist() == [1, 2]


@pytest.mark.quick
def test_bootstrap_variance_is_that_of_the_mean():
    rng = np.random.default_rng(0)
    right = rng.random(400) < 0.7
    means = resampled_means(right.astype(float), np.ones(400), resamples=4000)
    expected = np.sqrt(right.mean() * (1 - right.mean()) / 400)
    assert means.std() == pytest.approx(expected, rel=0.05)
    assert means.mean() == pytest.approx(right.mean(), abs=0.002)


@pytest.mark.quick
def test_the_seed_decides():
    right, groups = np.arange(60) % 10 > 3, np.arange(60) // 5
    assert bootstrap_interval(right, groups) == bootstrap_interval(right, groups)
    assert bootstrap_interval(right, groups) != bootstrap_interval(right, groups, seed=1)


@pytest.mark.quick
def test_videos_of_one_group_are_one_piece():
    # 12 recordings of 10 clips, each wholly right or wrong, hold as much as 12 videos
    right = np.repeat(np.arange(12) % 2, 10)
    low, high = bootstrap_interval(right, np.repeat(np.arange(12), 10))
    alone = bootstrap_interval(right)
    assert (low, high) == pytest.approx(bootstrap_interval(np.arange(12) % 2), abs=0.03)
    assert high - low > 2 * (alone[1] - alone[0])


@pytest.mark.quick
@pytest.mark.parametrize("right", [np.ones(15), np.zeros(15)])
def test_without_an_error_the_interval_still_has_a_width(right):
    low, high = bootstrap_interval(right)
    assert low <= right.mean() <= high
    assert high - low == pytest.approx(0.24, abs=0.05)  # the rule of three gives 3 / 15 = 0.2


@pytest.mark.quick
def test_edges():
    assert np.isnan(bootstrap_interval([])).all()
    assert bootstrap_interval([1, 1, 0], ["one", "one", "one"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("groups", "size", "spread"),
    [(15, 1, 0), (60, 1, 0), (180, 1, 0), (15, 12, 0.2), (60, 3, 0.2)],
)
@pytest.mark.parametrize("accuracy", [0.5, 0.8, 0.95])
def test_intervals_cover_the_truth(groups, size, spread, accuracy):
    """At least 91 % of 300 intervals hold the true accuracy: 95 % less 3.2 standard errors."""
    rng = np.random.default_rng([groups, size, int(100 * accuracy)])
    covered = 0
    for _ in range(300):
        share = np.full(groups, accuracy)
        if spread:  # correlation `spread` between the videos of a group
            scale = (1 - spread) / spread
            share = rng.beta(accuracy * scale, (1 - accuracy) * scale, groups)
        right = rng.random((groups, size)) < share[:, None]
        numbers = np.repeat(np.arange(groups), size)
        low, high = bootstrap_interval(right.ravel(), numbers, resamples=200)
        covered += low <= accuracy <= high
    assert covered >= 273
