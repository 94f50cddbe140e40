"""Measures of networks that name several labels per video.

Each label is a question of its own: is it in the video? Videos that were listed but could not be
read answer no question: none of their labels is found, in every measure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from harlib.evaluation.hits import all_groups
from harlib.evaluation.intervals import wilson
from harlib.evaluation.ranking import CHOSEN_ON
from harlib.evaluation.scores import ScoreError, Scores

HALF = 0.5  # the threshold where no validation videos chose one
FOLDS = 5  # of cross-fitting
_NUMBERS = 4_000_000  # held in memory at once by the bootstrap


def average_precision(targets: np.ndarray, scores: np.ndarray) -> float:
    """Area under the precision-recall steps, 0..1; NaN without a positive video.

    The sum over the scores that occur, highest first, of the recall gained there times the
    precision there. Videos of equal scores count together, so that their order does not matter.
    The same as scikit-learn's `average_precision_score`.

    Args:
        targets: bool (videos,). scores: (videos,), higher is likelier.

    >>> round(average_precision(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])), 3)
    0.833
    """
    weights = np.ones((1, len(scores)))
    return float(_weighted(np.asarray(targets, bool), np.asarray(scores), weights)[0])


def _weighted(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average precision with each row of weights (resamples, videos): (resamples,)."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    # the last of each run of equal scores
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    found = np.cumsum(weights[:, order] * targets[order], axis=1)[:, ends]
    named = np.cumsum(weights[:, order], axis=1)[:, ends]
    gained = np.diff(found, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(named > 0, found / named, 0.0)
        return (gained * precision).sum(axis=1) / found[:, -1]


def average_precisions(scores: Scores) -> np.ndarray:
    """Average precision of each label, float (classes,); NaN of labels that no video has.

    A video that could not be read is never found: it lowers the recall that can be reached.
    """
    return _precisions(scores, np.ones((1, len(scores.targets))))[0]


def _precisions(scores: Scores, weights: np.ndarray) -> np.ndarray:
    """Average precision by each row of weights (resamples, videos + missing), and label."""
    targets, read = scores.targets, len(scores.video_id)
    found = np.empty((len(weights), len(scores.categories)))
    for label, own in enumerate(targets.T):
        column = scores.video_scores[:, label].astype(float)
        precision = _weighted(own[:read], column, weights[:, :read])
        there, listed = weights[:, :read] @ own[:read], weights @ own
        with np.errstate(invalid="ignore", divide="ignore"):
            found[:, label] = np.where(there > 0, precision, 0.0) * there / listed
    return found


def mean_average_precision(scores: Scores) -> float:
    """Mean of the average precision over the labels that a video has; see `without_video`."""
    return float(np.nanmean(average_precisions(scores)))


def without_video(scores: Scores) -> list[str]:
    """The labels that no listed video has, of which nothing can be measured."""
    return scores.categories[~scores.targets.any(axis=0)].tolist()


def intervals(
    scores: Scores, *, resamples: int = 1000, seed: int = 0
) -> tuple[np.ndarray, tuple[float, float]]:
    """95 % intervals: of each label's average precision (classes, 2), and of their mean.

    As the intervals of accuracies: whole groups are drawn with replacement, which gives the
    variance; Wilson's score with Student's t for the number of groups gives the bounds. As trials
    count at most, of a label, its own videos and as many others; of the mean, all videos' labels:
    in simulations of 5 and 9 groups they then hold the true value in 95 to 100 % of the cases, and
    without in as few as 76 %. NaN of labels that no video has.
    """
    _, group = np.unique(all_groups(scores), return_inverse=True)
    count, targets = int(group.max()) + 1, scores.targets
    own = average_precisions(scores)
    if count < 2:
        bounds = np.tile([0.0, 1.0], (len(own), 1))
        bounds[np.isnan(own)] = np.nan
        return bounds, (0.0, 1.0)
    rng = np.random.default_rng(seed)
    drawn, step = [], max(1, _NUMBERS // len(group))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        times = rng.multinomial(count, np.full(count, 1 / count), size=size)
        drawn.append(_precisions(scores, times[:, group].astype(float)))
    every = np.concatenate(drawn)
    quantile = float(stats.t.ppf(0.975, count - 1))
    bounds = np.full((len(own), 2), np.nan)
    for label, videos in enumerate(targets.sum(axis=0)):
        if videos:
            bounds[label] = _bounds(own[label], every[:, label], 2 * videos, count, quantile)
    means = np.nanmean(every[:, targets.any(axis=0)], axis=1)
    most = int(targets.sum())
    return bounds, _bounds(float(np.nanmean(own)), means, most, count, quantile)


def _bounds(
    mean: float, drawn: np.ndarray, most: int, groups: int, quantile: float
) -> tuple[float, float]:
    # drawing from the sample itself understates the variance by (groups - 1) / groups
    variance = np.nanvar(drawn) * groups / (groups - 1)
    effective = float(most)
    if 0 < mean < 1:
        effective = min(effective, mean * (1 - mean) / max(variance, 1e-12))
    return wilson(mean, effective, quantile)


def best_thresholds(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of each label the threshold with the best F1 on these videos, float (classes,).

    It lies half-way between two scores that occur; a video has the label from there on. NaN of a
    label that no video has: nobody knows from where on it would be there.

    Args:
        targets: bool (videos, classes). scores: (videos, classes).
    """
    return np.array([_best(*pair) for pair in zip(targets.T, scores.T, strict=True)])


def _best(targets: np.ndarray, scores: np.ndarray) -> float:
    if not targets.any():
        return np.nan
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(float)
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    found = np.cumsum(targets[order])[ends]
    place = int(np.argmax(2 * found / (ends + 1 + targets.sum())))
    below = ranked[ends[place] + 1] if ends[place] + 1 < len(ranked) else 0.0
    return float((ranked[ends[place]] + below) / 2)


def cross_fitted(scores: Scores, *, folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """Which labels each video is given by thresholds of others: bool (videos + missing, classes).

    The groups are dealt into folds; the videos of a fold are judged by the thresholds that are
    best on all other folds. So what chose a threshold is never counted by it.

    Raises:
        ScoreError: the videos are of one group, so that there are no others.
    """
    names, group = np.unique(scores.group, return_inverse=True)
    if len(names) < 2:
        raise ScoreError("thresholds need videos of two groups: one chooses, the other is judged")
    dealt = np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names))
    fold, given = dealt[group], np.zeros_like(scores.targets)
    read = len(scores.video_id)
    for number in range(dealt.max() + 1):
        own = fold == number
        chosen = best_thresholds(scores.targets[:read][~own], scores.video_scores[~own])
        given[:read][own] = scores.video_scores[own] >= chosen
    return given


def thresholds(scores: Scores, split: str) -> np.ndarray:
    """Of each label the threshold for new videos, float (classes,); NaN: it is never named.

    split: of the scored videos; those that are no validation videos choose nothing, and it is
        one half.
    """
    if split != CHOSEN_ON:
        return np.full(len(scores.categories), HALF)
    return best_thresholds(scores.targets[: len(scores.video_id)], scores.video_scores)


def can_cross_fit(scores: Scores, split: str) -> bool:
    """Whether the thresholds of some videos can judge others: validation videos of two groups."""
    return split == CHOSEN_ON and len(set(scores.group.tolist())) > 1


def given(scores: Scores, split: str) -> np.ndarray:
    """Which labels each listed video is given: bool (videos + missing, classes).

    As `cross_fitted` where that can be done; else from one half on.
    """
    if can_cross_fit(scores, split):
        return cross_fitted(scores)
    found = np.zeros_like(scores.targets)
    found[: len(scores.video_id)] = scores.video_scores >= HALF
    return found


def per_label(
    scores: Scores, split: str = CHOSEN_ON, *, resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Each label's measures.

    Args:
        split: of the scored videos, as `thresholds` and `given` take it.

    Returns:
        DataFrame `category, support, missing, prevalence` (share of the videos that have it: the
        average precision of guessing), `average_precision, low, high` (95 % interval),
        `threshold, precision, recall, f1`; fractions in 0..1. NaN where no video has the label;
        precision is 0 where no video is given it.
    """
    targets, read = scores.targets, len(scores.video_id)
    bounds, _ = intervals(scores, resamples=resamples, seed=seed)
    precision, recall, f1 = _rates(targets, given(scores, split))
    support = targets.sum(axis=0)
    return pd.DataFrame(
        {
            "category": scores.categories,
            "support": support,
            "missing": targets[read:].sum(axis=0),
            "prevalence": support / len(targets),
            "average_precision": average_precisions(scores),
            "low": bounds[:, 0],
            "high": bounds[:, 1],
            "threshold": thresholds(scores, split),
            "precision": np.where(support, precision, np.nan),
            "recall": np.where(support, recall, np.nan),
            "f1": np.where(support, f1, np.nan),
        }
    )


def _rates(targets: np.ndarray, named: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each column; 0 where they divide by none."""
    both = (targets & named).sum(axis=0)
    true, told = targets.sum(axis=0), named.sum(axis=0)
    return (
        both / np.maximum(told, 1),
        both / np.maximum(true, 1),
        2 * both / np.maximum(true + told, 1),
    )


def compare(
    a: Scores, b: Scores, order: np.ndarray, *, resamples: int = 2000, seed: int = 0
) -> dict[str, float]:
    """How much higher the mean average precision of `a` is than that of `b`, on the same videos.

    Args:
        order: int (videos + missing,): the row of `b` of each listed video of `a`.

    Returns:
        `difference` (-1..1), `low`, `high` (95 % interval: standard error by paired bootstrap over
        groups, times Student's t for the number of groups; one group alone tells nothing: -1, 1).
    """
    _, group = np.unique(all_groups(a), return_inverse=True)
    other = np.empty_like(group)
    other[order] = group
    count, half = int(group.max()) + 1, np.inf
    difference = mean_average_precision(a) - mean_average_precision(b)
    if count > 1:
        rng, drawn = np.random.default_rng(seed), []
        step = max(1, _NUMBERS // len(group))
        for start in range(0, resamples, step):
            size = min(step, resamples - start)
            times = rng.multinomial(count, np.full(count, 1 / count), size=size)
            apart = _precisions(a, times[:, group].astype(float))
            apart -= _precisions(b, times[:, other].astype(float))
            drawn.append(np.nanmean(apart[:, a.targets.any(axis=0)], axis=1))
        variance = np.concatenate(drawn).var() * count / (count - 1)
        half = np.sqrt(variance) * stats.t.ppf(0.975, count - 1)
    return {
        "difference": difference,
        "low": float(max(difference - half, -1.0)),
        "high": float(min(difference + half, 1.0)),
    }


def outcomes(scores: Scores, split: str = CHOSEN_ON) -> pd.DataFrame:
    """Each label's two-by-two table in videos.

    Returns:
        DataFrame `category, found` (has it and is given it), `overlooked, wrongly_named,
        rightly_not`.
    """
    targets, named = scores.targets, given(scores, split)
    return pd.DataFrame(
        {
            "category": scores.categories,
            "found": (targets & named).sum(axis=0),
            "overlooked": (targets & ~named).sum(axis=0),
            "wrongly_named": (~targets & named).sum(axis=0),
            "rightly_not": (~targets & ~named).sum(axis=0),
        }
    )


def summary(
    scores: Scores, split: str = CHOSEN_ON, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """What metrics.json holds of several labels per video: `clip`, `video`, and what places them.

    `chance` is the mean prevalence, the mean average precision of guessing; `exact` the share of
    videos that are given exactly their labels; `cross_fitted` whether by thresholds of others. F1:
    of all answers together (micro), and the mean over the labels that a video has (macro).
    """
    table = per_label(scores, split, resamples=resamples, seed=seed)
    _, (low, high) = intervals(scores, resamples=resamples, seed=seed)
    targets, named = scores.targets, given(scores, split)
    micro = _rates(targets.reshape(-1, 1), named.reshape(-1, 1))
    some = table["support"] > 0
    labels = table.drop(columns=["missing"]).to_dict("records")
    return {
        "clip": {
            "mean_average_precision": _of_views(scores),
            "n": int((~np.isnan(scores.view_scores[..., 0])).sum()),
        },
        "video": {
            "mean_average_precision": float(np.nanmean(table["average_precision"])),
            "interval": [low, high],
            "chance": float(table["prevalence"][some].mean()),
            "micro_f1": float(micro[2][0]),
            "macro_f1": float(table["f1"].mean()),
            "exact": float((targets == named).all(axis=1).mean()),
            "cross_fitted": can_cross_fit(scores, split),
            "n": len(targets),
        },
        "categories": len(scores.categories),
        "label_sets": len(set(np.concatenate([scores.label, scores.missing_label]).tolist())),
        "without_video": without_video(scores),
        "missing": len(scores.missing_id),
        "labels": labels,
    }


def _of_views(scores: Scores) -> float | None:
    """Mean average precision of single views; None without views.

    A video that could not be read counts as the others' mean number of views.
    """
    if not scores.view_scores.shape[1]:
        return None
    there = ~np.isnan(scores.view_scores[..., 0])
    read = len(scores.video_id)
    targets = np.repeat(scores.targets[:read], there.sum(axis=1), axis=0)
    views, lost = scores.view_scores[there], scores.targets[read:].sum(axis=0)
    found = []
    for label, own in enumerate(targets.T):
        listed = own.sum() + lost[label] * there.sum() / read
        if listed:
            precision = average_precision(own, views[:, label]) if own.any() else 0.0
            found.append(precision * own.sum() / listed)
    return float(np.mean(found))
