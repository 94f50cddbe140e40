"""Several runs on the same videos: is the difference real, and what do they know together?"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from harlib.evaluation import multi_label
from harlib.evaluation.hits import all_groups, all_labels, right_videos
from harlib.evaluation.intervals import group_sums, variance_of_mean
from harlib.evaluation.predict import logarithms
from harlib.evaluation.scores import Scores


def same_videos(a: Scores, b: Scores) -> np.ndarray:
    """Row numbers of `b`'s listed videos in the order of `a`'s: int (videos + missing,).

    Raises:
        ValueError: the two do not list the same videos with the same true categories.
    """
    if list(a.truths) != list(b.truths):
        raise ValueError(
            f"the runs have {len(a.categories)} and {len(b.categories)} categories that are not "
            "the same; compare runs on one store"
        )
    first, second = (
        pd.MultiIndex.from_arrays(
            [np.concatenate([scores.video_id, scores.missing_id]), all_labels(scores)]
        )
        for scores in (a, b)
    )
    only = first.symmetric_difference(second)
    if len(only):
        video, label = only[0]
        raise ValueError(
            f"the runs were scored on {len(first)} and {len(second)} videos, {len(only)} of them "
            f"not shared (such as {video!r} of {str(a.truths[label])!r}); compare runs on one "
            "split with the same true categories"
        )
    return second.get_indexer(first)


def compare(a: Scores, b: Scores, *, resamples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Paired comparison of the top-1 accuracy of two runs on the same videos.

    McNemar's test takes videos as independent; where groups hold several videos the interval is the
    one to trust.

    Returns:
        `difference` (a - b, -1..1), `low`, `high` (95 % interval: standard error by paired
        bootstrap over groups, times Student's t for the number of groups; one group alone tells
        nothing about others: -1, 1), `only_a`, `only_b`, `both`, `neither` (videos right), and `p`
        (exact McNemar test, two-sided). Of several labels per video, whose mean average precision
        is compared: `difference, low, high` alone.

    Raises:
        ValueError: the runs are not of the same videos.
    """
    order = same_videos(a, b)
    if a.several:
        return dict(multi_label.compare(a, b, order, resamples=resamples, seed=seed))
    right_a, right_b = right_videos(a), right_videos(b)[order]
    difference = right_a.astype(float) - right_b
    sums, sizes = group_sums(all_groups(a), difference, np.ones(len(difference)))
    mean, half = difference.mean(), np.inf
    if len(sums) > 1:
        error = np.sqrt(variance_of_mean(sums, sizes, resamples=resamples, seed=seed))
        half = error * stats.t.ppf(0.975, len(sums) - 1)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return {
        "difference": float(mean),
        "low": float(max(mean - half, -1.0)),
        "high": float(min(mean + half, 1.0)),
        "only_a": only_a,
        "only_b": only_b,
        "both": int((right_a & right_b).sum()),
        "neither": int((~right_a & ~right_b).sum()),
        "p": mcnemar(only_a, only_b),
    }


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p of the exact McNemar test from the videos that only one of two runs has right.

    Reference:
        McNemar, Psychometrika 12 (1947), exact binomial form.
    """
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)


def compare_all(
    runs: Mapping[str, Scores], *, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """`compare` for every pair of {name: Scores}: a table with the columns `a, b` and its keys."""
    names = list(runs)
    rows = [
        {"a": a, "b": b} | compare(runs[a], runs[b], resamples=resamples, seed=seed)
        for number, a in enumerate(names)
        for b in names[number + 1 :]
    ]
    return pd.DataFrame(rows)


def category_difference(a: Scores, b: Scores) -> pd.DataFrame:
    """Accuracy (of several labels per video: average precision) of `a` minus that of `b`, sorted.

    Returns:
        DataFrame `category, support, a, b, difference`; support in videos, the others fractions.
    """
    order = same_videos(a, b)
    if a.several:
        own, other = map(multi_label.average_precisions, (a, b))
        return _sorted_difference(a.categories, a.targets.sum(axis=0), own, other)
    labels = all_labels(a)
    support = np.bincount(labels, minlength=len(a.categories))
    own = np.where(support, support, np.nan)
    shares = [
        np.bincount(labels, weights=right, minlength=len(support)) / own
        for right in (right_videos(a), right_videos(b)[order])
    ]
    return _sorted_difference(a.categories, support, *shares)


def _sorted_difference(
    categories: np.ndarray, support: np.ndarray, a: np.ndarray, b: np.ndarray
) -> pd.DataFrame:
    table = pd.DataFrame({"category": categories, "support": support, "a": a, "b": b})
    table["difference"] = table["a"] - table["b"]
    table = table.dropna().sort_values("difference", ascending=False, kind="stable")
    return table.reset_index(drop=True)


def ensemble(
    runs: Mapping[str, Scores] | Sequence[Scores], weights: Sequence[float] | None = None
) -> Scores:
    """The weighted mean of several runs' video scores, as Scores.

    Views are averaged too when all runs have equally many; otherwise the ensemble has none, and its
    clip-level accuracies are NaN. A video that one run lacks is missing in the ensemble.

    Args:
        runs: {name: Scores} or a list, on the same videos.
        weights: one a run, from 0; equal when None.

    Raises:
        ValueError: no runs, weights that do not fit them, or runs that are not of the same videos.
    """
    every = list(runs.values()) if isinstance(runs, Mapping) else list(runs)
    share = np.ones(len(every)) if weights is None else np.asarray(weights, dtype=float)
    if not every or len(share) != len(every) or share.min() < 0 or share.sum() <= 0:
        raise ValueError(
            f"{len(every)} runs and the weights {share.tolist()}; expected at least one run and "
            "a weight >= 0 for each, not all 0"
        )
    share = share / share.sum()
    first = every[0]
    ids = np.concatenate([first.video_id, first.missing_id])
    kept = np.ones(len(ids), bool)
    rows = []
    for run in every:
        row = same_videos(first, run)
        kept &= row < len(run.video_id)
        rows.append(row)
    video = sum(
        w * run.video_scores[row[kept]] for w, run, row in zip(share, every, rows, strict=True)
    )
    if len({run.view_scores.shape[1] for run in every}) == 1:
        views = sum(
            w * run.view_scores[row[kept]] for w, run, row in zip(share, every, rows, strict=True)
        )
        logs = _mean_logs(every, share, rows, kept)
    else:
        views, logs = np.empty((len(video), 0, len(first.categories))), np.empty((0, 0, 0))
    labels, groups = all_labels(first), all_groups(first)
    return Scores(
        video_id=ids[kept],
        label=labels[kept],
        categories=first.categories,
        video_scores=video,
        view_scores=views,
        view_logs=logs,
        group=groups[kept],
        missing_id=ids[~kept],
        missing_label=labels[~kept],
        missing_group=groups[~kept],
        label_sets=first.label_sets,
    )


def _mean_logs(
    runs: list[Scores], weights: np.ndarray, rows: list[np.ndarray], kept: np.ndarray
) -> np.ndarray:
    """Logarithms of the weighted mean of the runs' views; empty where no run needs them."""
    if not any(run.view_logs.size for run in runs):
        return np.empty((0, 0, 0))
    parts = [
        (run.view_logs if run.view_logs.size else logarithms(run.view_scores))[row[kept]]
        + np.log(w)
        for w, run, row in zip(weights, runs, rows, strict=True)
        if w
    ]
    return functools.reduce(np.logaddexp, parts)
