from dataclasses import replace

import numpy as np
import pytest
from hand_made import LABELS, many, six
from scipy import stats

from harlib.evaluation import Scores, comparison
from harlib.evaluation.intervals import paired_intervals
from harlib.evaluation.metrics import top_k

RIGHT = np.eye(3)[LABELS]


def reordered(scores, order):
    fields = ("video_id", "label", "video_scores", "view_scores", "group")
    return six(**{name: getattr(scores, name)[order] for name in fields})


@pytest.mark.quick
def test_comparison_by_hand():
    # all right against a, c, e right: b, d, f only in the first
    found = comparison.compare(six(video_scores=RIGHT), six())
    assert found["difference"] == pytest.approx(0.5)
    assert (found["only_a"], found["only_b"], found["both"], found["neither"]) == (3, 0, 3, 0)
    assert found["p"] == pytest.approx(2 * 0.5**3)  # three coins, all heads or all tails
    # every group has one right and one wrong video: resampling groups changes nothing
    assert (found["low"], found["high"]) == pytest.approx((0.5, 0.5))


@pytest.mark.quick
@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 9), (20, 5), (50, 50)])
def test_mcnemar_is_the_exact_binomial_test(b, c):
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert comparison.mcnemar(b, c) == pytest.approx(expected)


@pytest.mark.quick
def test_order_of_the_videos_does_not_matter():
    order = [3, 5, 0, 1, 4, 2]
    other = reordered(six(video_scores=RIGHT), order)
    assert comparison.compare(six(), other) == comparison.compare(six(), six(video_scores=RIGHT))
    assert comparison.compare(six(), reordered(six(), order))["difference"] == 0


@pytest.mark.quick
def test_a_run_equals_itself():
    found = comparison.compare(many(), many())
    assert (found["difference"], found["low"], found["high"], found["p"]) == (0, 0, 0, 1)


@pytest.mark.quick
def test_missing_videos_are_paired_too():
    short = reordered(six(), [0, 1, 2, 3, 4])
    lost = type(short)(
        **{
            name: getattr(short, name)
            for name in ("video_id", "label", "categories", "group", "video_scores", "view_scores")
        },
        missing_id=["f"],
        missing_label=[2],
        missing_group=["g3"],
    )
    found = comparison.compare(six(video_scores=RIGHT), lost)
    assert found["only_a"] == 3 and found["difference"] == pytest.approx(0.5)
    together = comparison.ensemble([six(video_scores=RIGHT), lost])
    assert together.missing_id.tolist() == ["f"] and len(together.video_id) == 5


@pytest.mark.quick
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": ("bow", "clap", "swim")}, "categories that are not the same"),
        ({"video_id": list("abcdez")}, "2 of them not shared .such as 'f' of 'wave'"),
        ({"label": [0, 0, 1, 1, 1, 1]}, "2 of them not shared"),
    ],
)
def test_runs_on_other_videos_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        comparison.compare(six(), six(**changes))


@pytest.mark.quick
def test_one_group_tells_nothing_about_others():
    group = ["g"] * 6
    found = comparison.compare(six(video_scores=RIGHT, group=group), six(group=group))
    assert (found["low"], found["high"]) == (-1, 1)


def test_the_paired_interval_covers_the_difference():
    """Two models at 70 and 60 %, partly on the same videos, groups of two: nominal 95 %."""
    rng, covered = np.random.default_rng(0), 0
    shared = {
        "label": np.zeros(120, int),
        "categories": ("x", "y"),
        "group": np.arange(120) // 2,
        "video_id": np.arange(120),
    }
    for _ in range(200):
        luck = rng.random(120) * 0.6 + rng.random(60).repeat(2) * 0.4
        edges = [np.quantile(SUMS, share) for share in (0.7, 0.6)]
        runs = []
        for edge in edges:
            first = np.where(luck < edge, 0.9, 0.1)
            scores = np.stack([first, 1 - first], axis=1)
            runs.append(
                comparison.Scores(video_scores=scores, view_scores=scores[:, None], **shared)
            )
        found = comparison.compare(*runs, resamples=300)
        covered += found["low"] <= 0.1 <= found["high"]
    assert covered >= 180


@pytest.mark.parametrize(("groups", "least"), [(15, 185), (6, 184)])
def test_the_paired_interval_covers_the_difference_of_few_groups(groups, least):
    """Groups of eight videos that are easy or hard together; bare percentiles: 182 and 178."""
    rng, covered = np.random.default_rng(0), 0
    videos = 8 * groups
    shared = {
        "label": np.zeros(videos, int),
        "categories": ("x", "y"),
        "group": np.arange(videos) // 8,
        "video_id": np.arange(videos),
    }
    for _ in range(200):
        runs = []
        for mean in (0.7, 0.6):
            share = rng.beta(3 * mean, 3 * (1 - mean), groups).repeat(8)
            first = np.where(rng.random(videos) < share, 0.9, 0.1)
            scores = np.stack([first, 1 - first], axis=1)
            runs.append(
                comparison.Scores(video_scores=scores, view_scores=scores[:, None], **shared)
            )
        found = comparison.compare(*runs, resamples=300)
        covered += found["low"] <= 0.1 <= found["high"]
    assert covered >= least


SUMS = np.random.default_rng(1).random((2, 200_000)).T @ [0.6, 0.4]


@pytest.mark.quick
def test_compare_all_takes_every_pair():
    table = comparison.compare_all({"x": six(), "y": six(), "z": six(video_scores=RIGHT)})
    assert list(zip(table["a"], table["b"], strict=True)) == [("x", "y"), ("x", "z"), ("y", "z")]
    assert table["difference"].tolist() == pytest.approx([0, -0.5, -0.5])


@pytest.mark.quick
def test_category_difference_by_hand():
    table = comparison.category_difference(six(video_scores=RIGHT), six())
    assert table["category"].tolist() == ["wave", "bow", "clap"]
    assert table["difference"].tolist() == pytest.approx([1, 1 / 2, 1 / 3])


@pytest.mark.quick
def test_a_difference_in_a_category_has_an_interval():
    rng, videos, groups = np.random.default_rng(0), np.ones(15), np.arange(15)
    same = (rng.random(15) < 0.5).astype(float)
    ((low, high),) = paired_intervals(same, same, groups)
    assert low == pytest.approx(-high) and 0.05 < high < 0.4
    ((low, high),) = paired_intervals(videos, 0 * videos, groups)
    assert 0.6 < low < 1 == high  # all differ alike, and yet 15 videos are few
    assert paired_intervals(videos, same, 0 * groups) == [(-1, 1)]
    narrow, wide = paired_intervals(videos, same, groups, levels=(0.95, 0.999))
    assert wide[0] < narrow[0] and narrow[1] < wide[1]


@pytest.mark.quick
def test_the_interval_holds_the_difference_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):  # 20 videos, of which a has 90 %, b 60 %, each by itself
        a, b = (rng.random((2, 20)) < [[0.9], [0.6]]).astype(float)
        ((low, high),) = paired_intervals(a, b, np.arange(20), resamples=200)
        held += low <= 0.3 <= high
    assert held >= 184  # 95 % less two standard errors


@pytest.mark.quick
def test_equal_differences_are_told_from_their_rounding():
    for videos in (8, 10, 15):  # 1/3 and 2/3 of three seeds: of 10 and 15 the variance is 3e-33
        ((low, high),) = paired_intervals([2 / 3] * videos, [1 / 3] * videos, np.arange(videos))
        assert 0 < high - low < 1


@pytest.mark.quick
def test_seeds_that_are_equally_good_do_not_differ_by_a_rounding():
    rng, label = np.random.default_rng(0), np.arange(90) % 6
    plain = Scores(
        video_id=np.arange(90), label=label, categories=list("abcdef"), group=np.arange(90),
        video_scores=np.eye(6)[label], view_scores=np.empty((90, 0, 6)),
    )  # fmt: skip

    def seeds(counts):
        """Three, that have so many of each category's 45 answers right between them."""
        right = np.zeros((3, 90), bool)
        for category, number in enumerate(counts):
            right[:, label == category] = rng.permutation(np.arange(45) < number).reshape(3, 15)
        called = np.where(right, label, (label + 1) % 6)
        return [replace(plain, video_scores=np.eye(6)[own]) for own in called]

    for _ in range(20):
        counts = rng.integers(0, 46, 6)
        table = comparison.category_difference(seeds(counts), seeds(counts), resamples=20)
        assert (table["difference"] == 0).all()


@pytest.mark.quick
def test_only_what_outlasts_the_number_of_categories_is_clear():
    whole, half = many(240, 12), many(240, 12, skill=0.0)
    table = comparison.category_difference(whole, half)
    outside = (table["low"] > 0) | (table["high"] < 0)
    assert 0 < table["clear"].sum() <= outside.sum()
    assert (table["low"] <= table["difference"]).all() and table["clear"].dtype == bool
    assert not comparison.category_difference(whole, whole)["clear"].any()


@pytest.mark.quick
def test_seeds_are_compared_by_their_mean():
    seeds, other = [many(seed=number) for number in range(3)], many(seed=9, skill=1.0)
    found = comparison.compare(seeds, other)
    single = [comparison.compare(one, other) for one in seeds]
    for key in ("difference", "only_a", "only_b", "both", "neither"):
        assert found[key] == pytest.approx(np.mean([one[key] for one in single]))
    assert np.isnan(found["p"]) and found["low"] < found["difference"] < found["high"]
    apart = [many(seed=0, skill=skill) for skill in (0.5, 2.0, 3.5)]
    wide, narrow = comparison.compare(apart, other), comparison.compare(apart[1:2] * 3, other)
    assert wide["high"] - wide["low"] > 1.2 * (narrow["high"] - narrow["low"])
    table = comparison.category_difference(seeds, other)
    assert (table["support"] @ table["difference"]) / 120 == pytest.approx(found["difference"])
    wide, narrow = (comparison.category_difference(runs, other) for runs in (apart, apart[1:2] * 3))
    widths = [(table["high"] - table["low"]).mean() for table in (wide, narrow)]
    assert widths[0] > 1.2 * widths[1]


def drawn(rng, hardness, label, *, seed_effect):
    """A training of a network that is good by chance at some of twelve categories, 50 videos."""
    luck = rng.normal(scale=seed_effect, size=12)[label]
    wrong = 0.5 + luck + hardness + rng.logistic(size=len(label)) < 0
    scores = np.eye(12)[np.where(wrong, (label + 1) % 12, label)]
    return comparison.Scores(
        video_id=np.arange(len(label)), label=label, video_scores=scores,
        view_scores=scores[:, None], categories=tuple("abcdefghijkl"), group=np.arange(len(label)),
    )  # fmt: skip


@pytest.mark.quick
@pytest.mark.parametrize("seed_effect", [0.0, 0.8, 1.5])
def test_three_seeds_of_the_same_network_do_not_differ_in_a_category(seed_effect):
    """Nominal: 5 % of the intervals leave out 0, and 0.4 % of the categories are clear."""
    rng, label, tables = np.random.default_rng(0), np.arange(600) % 12, []
    for _ in range(15):
        hardness = rng.normal(size=600)
        a, b = (
            [drawn(rng, hardness, label, seed_effect=seed_effect) for _ in range(3)]
            for _ in range(2)
        )
        tables.append(comparison.category_difference(a, b, resamples=100))
    outside = np.concatenate([(table["low"] > 0) | (table["high"] < 0) for table in tables])
    assert outside.mean() < 0.08
    assert np.mean([table["clear"].mean() for table in tables]) < 0.03


@pytest.mark.quick
def test_a_pair_is_found_either_way():
    compared = comparison.compare_all({"x": six(), "y": six(video_scores=RIGHT)})
    row = comparison.of_pair(compared, "y", "x")
    assert row["difference"] == -compared["difference"][0] and row["low"] <= row["high"]
    assert (row["a"], row["only_a"], row["only_b"]) == ("y", 3, 0)
    assert comparison.of_pair(compared, "x", "y")["only_b"] == 3


@pytest.mark.quick
def test_the_videos_that_flip():
    lost = six(video_id=list("abcde"), label=LABELS[:5], video_scores=six().video_scores[:5],
               view_scores=six().view_scores[:5], group=["g"] * 5, missing_id=["f"],
               missing_label=[2], missing_group=["g"])  # fmt: skip
    table = comparison.flipped(six(video_scores=RIGHT), lost)
    assert table["video_id"].tolist() == ["d", "b", "f"]  # the surest wrong call first
    assert table["called_b"].tolist() == ["bow", "clap", comparison.UNREAD]
    assert table["confidence_b"].tolist()[:2] == pytest.approx([0.6, 0.5])
    assert set(table["right"]) == {"a"} and table["true"].tolist() == ["clap", "bow", "wave"]
    assert set(comparison.flipped(lost, six(video_scores=RIGHT))["right"]) == {"b"}


@pytest.mark.quick
def test_ensemble_by_hand():
    other = six(video_scores=RIGHT)
    both = comparison.ensemble({"one": six(), "two": other}, weights=[1, 3])
    assert both.video_scores == pytest.approx(0.25 * six().video_scores + 0.75 * RIGHT)
    assert top_k(both) == 1.0
    assert both.view_scores.shape == (6, 2, 3)
    single = six(view_scores=six().view_scores[:, :1])
    assert comparison.ensemble([six(), single]).view_scores.shape == (6, 0, 3)
    with pytest.raises(ValueError, match="2 runs and the weights"):
        comparison.ensemble([six(), other], weights=[1])
