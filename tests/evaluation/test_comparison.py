import numpy as np
import pytest
from hand_made import LABELS, many, six
from scipy import stats

from harlib.evaluation import comparison
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
