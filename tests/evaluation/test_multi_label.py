"""Measures of several labels per video, each against scikit-learn or by hand."""

import dataclasses
import itertools

import numpy as np
import pytest
from sklearn import metrics as sk

from harlib.data import label_sets
from harlib.evaluation import ScoreError, Scores, comparison, folds, hits, multi_label

pytestmark = pytest.mark.quick

SETS = ["a", "a|b", "b|c", "c", "d"]


def hand_made(videos=60, groups=12, seed=0, missing=0, sure=1.0):
    """Scores that know something, rounded so that some are equal."""
    rng = np.random.default_rng(seed)
    label = rng.integers(len(SETS) - 1, size=videos + missing)  # no video has "d"
    targets = label_sets.members(SETS)[label[:videos]]
    views = 1 / (
        1 + np.exp(-(sure * (3 * targets[:, None] - 1.5) + rng.normal(size=(videos, 2, 4))))
    )
    views = views.round(2).astype(np.float32)
    group = np.array([f"g{number}" for number in rng.integers(groups, size=videos + missing)])
    ids = np.array([f"v{number}" for number in range(videos + missing)])
    return Scores(
        video_id=ids[:videos],
        label=label[:videos],
        categories=np.array(label_sets.classes(SETS)),
        label_sets=np.array(SETS),
        video_scores=views.mean(axis=1),
        view_scores=views,
        group=group[:videos],
        missing_id=ids[videos:],
        missing_label=label[videos:],
        missing_group=group[videos:],
    )


def test_average_precision_is_scikit_learns_with_ties_and_weights():
    rng = np.random.default_rng(1)
    for _ in range(40):
        n = rng.integers(2, 30)
        targets, scores = rng.random(n) < 0.4, rng.integers(0, 6, n) / 5
        targets[rng.integers(n)] = True
        weights = rng.integers(0, 3, n).astype(float)
        weights[targets.argmax()] = 1
        wanted = sk.average_precision_score(targets, scores)
        assert multi_label.average_precision(targets, scores) == pytest.approx(wanted, abs=1e-12)
        weighted = multi_label._weighted(targets, scores, weights[None])[0]
        wanted = sk.average_precision_score(targets, scores, sample_weight=weights)
        assert weighted == pytest.approx(wanted, abs=1e-12)
    assert np.isnan(multi_label.average_precision(np.zeros(3, bool), np.arange(3)))


def test_the_table_is_scikit_learns():
    scores = hand_made()
    table = multi_label.per_label(scores)
    known = table["category"] != "d"
    targets = scores.targets[:, known]
    wanted = sk.average_precision_score(targets, scores.video_scores[:, known], average=None)
    np.testing.assert_allclose(table["average_precision"][known], wanted, atol=1e-12)
    assert multi_label.mean_average_precision(scores) == pytest.approx(wanted.mean())
    given = multi_label.given(scores, "val")[:, known]
    precision, recall, f1, support = sk.precision_recall_fscore_support(targets, given)
    for name, values in {"precision": precision, "recall": recall, "f1": f1}.items():
        np.testing.assert_allclose(table[name][known], values)
    assert table["support"][known].tolist() == support.tolist()
    np.testing.assert_allclose(table["prevalence"], scores.targets.mean(axis=0))
    told = multi_label.summary(scores)["video"]
    assert told["micro_f1"] == pytest.approx(sk.f1_score(targets, given, average="micro"))
    assert told["macro_f1"] == pytest.approx(f1.mean())
    assert told["exact"] == pytest.approx(sk.accuracy_score(targets, given))
    tables = sk.multilabel_confusion_matrix(targets, given)
    found = multi_label.outcomes(scores)[known]
    names = ["rightly_not", "wrongly_named", "overlooked", "found"]
    np.testing.assert_array_equal(found[names].to_numpy(), tables.reshape(-1, 4))


def test_a_label_of_no_video_is_named_and_left_out():
    scores = hand_made()
    assert multi_label.without_video(scores) == ["d"]
    row = multi_label.per_label(scores).iloc[3]
    assert row["support"] == 0 and row[["average_precision", "low", "threshold", "f1"]].isna().all()
    assert multi_label.summary(scores)["without_video"] == ["d"]


def test_thresholds_are_best_and_lie_between_scores():
    scores = hand_made(seed=3)
    chosen = multi_label.thresholds(scores, "val")
    for label in range(3):
        own, column = scores.targets[:, label], scores.video_scores[:, label]
        precision, recall, _ = sk.precision_recall_curve(own, column)
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
        assert sk.f1_score(own, column >= chosen[label]) == pytest.approx(best)
        assert chosen[label] not in column
    assert multi_label.thresholds(scores, "test").tolist() == [0.5] * 4
    np.testing.assert_array_equal(multi_label.given(scores, "test"), scores.video_scores >= 0.5)


def test_nothing_leaks_into_a_videos_own_threshold():
    """Of scores that say nothing, thresholds chosen on all videos make something."""
    flattered, honest, group = [], [], np.repeat(np.arange(10), 6)
    for seed in range(30):
        scores = hand_made(seed=seed, sure=0.0, groups=10)
        scores = dataclasses.replace(scores, group=np.array([f"g{g}" for g in group]))
        own = scores.video_scores >= multi_label.thresholds(scores, "val")
        flattered.append(sk.f1_score(scores.targets[:, :3], own[:, :3], average="macro"))
        honest.append(multi_label.summary(scores, resamples=2)["video"]["macro_f1"])
    always = [2 * p / (1 + p) for p in hand_made().targets.mean(axis=0)[:3]]
    assert np.mean(flattered) > np.mean(honest) + 0.03
    assert np.mean(honest) < np.mean(always) + 0.01
    # a video's own label changes nothing about what it is given
    before = multi_label.cross_fitted(scores)
    changed = scores.label.copy()
    changed[group == 4] = (changed[group == 4] + 1) % 4
    after = multi_label.cross_fitted(dataclasses.replace(scores, label=changed))
    np.testing.assert_array_equal(before[group == 4], after[group == 4])


def test_videos_of_one_group_choose_no_threshold():
    scores = hand_made(groups=1)
    with pytest.raises(ScoreError, match="two groups"):
        multi_label.cross_fitted(scores)
    np.testing.assert_array_equal(multi_label.given(scores, "val"), scores.video_scores >= 0.5)
    bounds, mean = multi_label.intervals(scores)
    assert mean == (0.0, 1.0) and bounds[0].tolist() == [0.0, 1.0]


def test_intervals_resample_whole_groups():
    scores = hand_made(videos=120, groups=40, seed=5, sure=0.3)
    bounds, (low, high) = multi_label.intervals(scores)
    own = multi_label.average_precisions(scores)
    assert low < np.nanmean(own) < high and (bounds[:3, 0] < own[:3]).all()
    assert np.isnan(bounds[3]).all()
    # every video five times in its own group says hardly more than once
    five = {name: np.repeat(getattr(scores, name), 5, axis=0)
            for name in ("label", "video_scores", "view_scores", "group")}  # fmt: skip
    ids = np.array([f"v{number}" for number in range(5 * 120)])
    repeated = dataclasses.replace(scores, video_id=ids, **five)
    _, again = multi_label.intervals(repeated, resamples=300)
    assert again[1] - again[0] > 0.7 * (high - low)
    _, alone = multi_label.intervals(dataclasses.replace(repeated, group=ids), resamples=300)
    assert alone[1] - alone[0] < 0.6 * (high - low)


def test_intervals_hold_the_truth():
    """Groups that differ, each video of one or two of six labels."""
    truth, held = np.nanmean(multi_label.average_precisions(of_groups(600, 0))), []
    for seed in range(1, 41):
        _, (low, high) = multi_label.intervals(of_groups(9, seed), resamples=200)
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.9


def of_groups(groups, seed):
    rng = np.random.default_rng(seed)
    sets = sorted(["|".join(pair) for pair in itertools.combinations("abcdef", 2)] + list("abcdef"))
    label = np.tile(np.arange(len(sets)), groups)
    group = np.repeat(np.arange(groups), len(sets))
    known = 2.5 * label_sets.members(sets)[label] + rng.normal(size=(len(label), 6))
    known += rng.normal(0, 0.7, (groups, 6))[group]
    return Scores(
        video_id=np.arange(len(label)).astype(str),
        label=label,
        categories=np.array(list("abcdef")),
        label_sets=np.array(sets),
        video_scores=1 / (1 + np.exp(-known)),
        view_scores=np.empty((len(label), 0, 6)),
        group=group.astype(str),
    )


def test_missing_videos_are_never_found():
    whole = hand_made(videos=50, missing=10)
    table = multi_label.per_label(whole)
    assert table["missing"].sum() == whole.targets[50:].sum() > 0
    for label in range(3):
        own = whole.targets[:, label]
        read = sk.average_precision_score(own[:50], whole.video_scores[:, label])
        assert table["average_precision"][label] == pytest.approx(
            read * own[:50].mean() * 50 / own.sum()
        )
    assert not multi_label.given(whole, "val")[50:].any()
    told = multi_label.summary(whole)
    assert told["missing"] == 10 and told["video"]["n"] == 60
    assert 0 < told["clip"]["mean_average_precision"] < told["video"]["mean_average_precision"]


def test_the_files_stand_alone(tmp_path):
    scores = hand_made(missing=4)
    scores.save(tmp_path)
    again = Scores.load(tmp_path)
    assert again.several and again.truths.tolist() == SETS
    np.testing.assert_array_equal(again.targets, scores.targets)
    assert str(multi_label.summary(again)) == str(multi_label.summary(scores))  # NaN is no number


def test_label_sets_are_nowhere_taken_for_classes():
    scores = hand_made()
    for ask in (hits.right_videos, hits.view_counts):
        with pytest.raises(ScoreError, match="these have several"):
            ask(scores)
    with pytest.raises(ScoreError, match="not made of the categories"):
        dataclasses.replace(scores, label_sets=np.array(["a", "a|b", "b|c", "c", "e"]))


def test_runs_and_folds_are_put_together():
    scores, other = hand_made(), hand_made(seed=0, sure=0.5)
    other = dataclasses.replace(other, label=scores.label, group=scores.group)
    together = comparison.ensemble([scores, other])
    assert together.several and together.truths.tolist() == SETS
    halves = []
    for number in (0, 1):
        own = np.array([int(g[1:]) % 2 == number for g in scores.group])
        rows = ("video_id", "label", "video_scores", "view_scores", "group")
        halves.append(dataclasses.replace(scores, **{n: getattr(scores, n)[own] for n in rows}))
    pooled = folds.pooled(halves)
    assert pooled.several
    assert multi_label.mean_average_precision(pooled) == pytest.approx(
        multi_label.mean_average_precision(scores)
    )


def test_a_comparison_pairs_videos_whatever_each_run_could_read():
    whole = hand_made(videos=60)
    rows = ("video_id", "label", "video_scores", "view_scores", "group")
    lacking = dataclasses.replace(
        whole,
        **{name: getattr(whole, name)[6:] for name in rows},
        **{f"missing_{new}": getattr(whole, old)[:6]
           for new, old in (("id", "video_id"), ("label", "label"), ("group", "group"))},
    )  # fmt: skip
    there = comparison.compare(whole, lacking, resamples=200)
    back = comparison.compare(lacking, whole, resamples=200)
    assert there["difference"] == pytest.approx(-back["difference"])
    # the same groups are drawn for the same videos: the interval is as wide from both sides
    assert there["high"] - there["difference"] == pytest.approx(
        back["high"] - back["difference"], rel=0.2
    )


def test_videos_of_one_group_judge_no_other():
    scores = hand_made()
    alone = dataclasses.replace(scores, group=np.full(len(scores.label), "one"))
    assert multi_label.summary(scores)["video"]["cross_fitted"]
    assert not multi_label.summary(scores, "test")["video"]["cross_fitted"]
    assert not multi_label.summary(alone)["video"]["cross_fitted"]
    assert (multi_label.given(alone, "val") == (alone.video_scores >= 0.5)).all()
