"""Several runs on the same videos: is the difference real, and what do they know together?"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from harlib.evaluation import hits, multi_label
from harlib.evaluation.hits import all_groups, all_labels, right_videos
from harlib.evaluation.intervals import (
    group_sums,
    half_width,
    paired_intervals,
    variance_of_mean,
)
from harlib.evaluation.predict import logarithms
from harlib.evaluation.scores import Scores

UNREAD = "(could not be read)"
NOTHING = "(nothing)"
"""What a video is called to which none of several labels is given; no label's name."""
# of one run, or of the seeds of one run
Seeds = Scores | Sequence[Scores] | Mapping[str, Scores]


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


def compare(a: Seeds, b: Seeds, *, resamples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Paired comparison of the top-1 accuracy of two runs on the same videos.

    McNemar's test takes videos as independent; where groups hold several videos the interval is the
    one to trust. Of seeds of a run the means are compared, and the interval holds their variance.

    Returns:
        `difference` (a - b, -1..1), `low`, `high` (95 % interval: standard error by paired
        bootstrap over groups, times Student's t for the number of groups; one group alone tells
        nothing about others: -1, 1), `only_a`, `only_b`, `both`, `neither` (videos right; of seeds
        the mean over their pairs), and `p` (exact McNemar test, two-sided; NaN of seeds). Of
        several labels per video, whose mean average precision is compared: `difference, low, high`
        alone, of seeds each the mean over their pairs.

    Raises:
        ValueError: the runs are not of the same videos.
    """
    own, other = _each(a), _each(b)
    first = own[0]
    if first.several:
        found = [
            multi_label.compare(one, two, same_videos(one, two), resamples=resamples, seed=seed)
            for one in own
            for two in other
        ]
        return {key: float(np.mean([pair[key] for pair in found])) for key in found[0]}
    hits_a, hits_b = _hits(first, own), _hits(first, other)
    right_a, right_b = hits_a.mean(axis=0), hits_b.mean(axis=0)
    difference = right_a - right_b
    sums, sizes = group_sums(all_groups(first), difference, np.ones(len(difference)))
    mean, half = difference.mean(), np.inf
    if len(sums) > 1:
        parts = [(variance_of_mean(sums, sizes, resamples=resamples, seed=seed), len(sums) - 1)]
        half = half_width(parts + _between_seeds(hits_a, hits_b))
    cells = {
        "only_a": (right_a * (1 - right_b)).sum(),
        "only_b": (right_b * (1 - right_a)).sum(),
        "both": (right_a * right_b).sum(),
        "neither": ((1 - right_a) * (1 - right_b)).sum(),
    }
    p = np.nan
    if len(own) == len(other) == 1:
        cells = {name: round(value) for name, value in cells.items()}
        p = mcnemar(cells["only_a"], cells["only_b"])
    bounds = {"low": float(max(mean - half, -1.0)), "high": float(min(mean + half, 1.0))}
    return {"difference": float(mean)} | bounds | cells | {"p": p}


def _each(runs: Seeds) -> list[Scores]:
    if isinstance(runs, Scores):
        return [runs]
    return list(runs.values() if isinstance(runs, Mapping) else runs)


def _hits(first: Scores, seeds: Sequence[Scores]) -> np.ndarray:
    """Which of the first one's listed videos each seed has right: bool (seeds, videos)."""
    return np.stack([right_videos(one)[same_videos(first, one)] for one in seeds])


def _between_seeds(*runs: np.ndarray) -> list[tuple[float, int]]:
    """(variance of the mean, degrees of freedom) of each run's seeds, by `_hits`; none of one."""
    return [
        (float(hits.mean(axis=1).var(ddof=1)) / len(hits), len(hits) - 1)
        for hits in runs
        if len(hits) > 1
    ]


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p of the exact McNemar test from the videos that only one of two runs has right.

    Reference:
        McNemar, Psychometrika 12 (1947), exact binomial form.
    """
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)


def compare_all(runs: Mapping[str, Seeds], *, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """`compare` for every pair of {name: scores}: a table with the columns `a, b` and its keys."""
    names = list(runs)
    rows = [
        {"a": a, "b": b} | compare(runs[a], runs[b], resamples=resamples, seed=seed)
        for number, a in enumerate(names)
        for b in names[number + 1 :]
    ]
    return pd.DataFrame(rows)


def of_pair(compared: pd.DataFrame, a: str, b: str) -> pd.Series:
    """The row of `compare_all` of two runs, as a - b whichever way it stands there."""
    there = compared[(compared["a"] == a) & (compared["b"] == b)]
    if len(there):
        return there.iloc[0]
    row = compared[(compared["a"] == b) & (compared["b"] == a)].iloc[0]
    turned = {"a": a, "b": b, "difference": -row["difference"], "low": -row["high"]}
    turned |= {"high": -row["low"]}
    if "p" in row:
        turned |= {"only_a": row["only_b"], "only_b": row["only_a"]}
    return pd.Series(row.to_dict() | turned)


def category_difference(
    a: Seeds, b: Seeds, *, resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Accuracy (of several labels per video: average precision) of `a` minus that of `b`, sorted.

    Returns:
        DataFrame `category, support, a, b, difference, low, high, clear`; support in videos, the
        others fractions. low and high bound the 95 % interval of the difference
        (`intervals.paired_intervals`; of seeds with the variance between them). `clear`: it is more
        than chance although so many categories were looked at, as the interval at 1 - 0.05 /
        categories leaves out 0 (Bonferroni). Of several labels per video there are no intervals:
        NaN, and not clear.
    """
    runs = _each(a), _each(b)
    first = runs[0][0]
    if first.several:
        for one in (*runs[0], *runs[1]):
            same_videos(first, one)
        precisions = [
            np.mean([multi_label.average_precisions(one) for one in seeds], axis=0).round(12)
            for seeds in runs
        ]
        table = _sorted_difference(first.categories, first.targets.sum(axis=0), *precisions)
        return table.assign(low=np.nan, high=np.nan, clear=False)
    labels, groups = all_labels(first), all_groups(first)
    support = np.bincount(labels, minlength=len(first.categories))
    right = [_hits(first, seeds) for seeds in runs]
    some = np.where(support, support, np.nan)
    shares = [
        # whole numbers first: what is equal must not differ by a rounding
        np.bincount(labels, weights=hits.sum(axis=0), minlength=len(support)) / (len(hits) * some)
        for hits in right
    ]
    rows, levels = [], (0.95, 1 - 0.05 / (support > 0).sum())
    for index in np.flatnonzero(support):
        own = labels == index
        hits_a, hits_b = (hits[:, own] for hits in right)
        (low, high), surely = paired_intervals(
            hits_a.mean(axis=0),
            hits_b.mean(axis=0),
            groups[own],
            beside=_between_seeds(hits_a, hits_b),
            levels=levels,
            resamples=resamples,
            seed=seed,
        )
        rows.append((first.categories[index], low, high, surely[0] > 0 or surely[1] < 0))
    bounds = pd.DataFrame(rows, columns=["category", "low", "high", "clear"])
    return _sorted_difference(first.categories, support, *shares).merge(bounds, on="category")


def _sorted_difference(
    categories: np.ndarray, support: np.ndarray, a: np.ndarray, b: np.ndarray
) -> pd.DataFrame:
    table = pd.DataFrame({"category": categories, "support": support, "a": a, "b": b})
    table["difference"] = table["a"] - table["b"]
    table = table.dropna().sort_values("difference", ascending=False, kind="stable")
    return table.reset_index(drop=True)


def called(scores: Scores, split: str = "") -> pd.DataFrame:
    """What a run called each listed video.

    Args:
        split: of these videos, which says by which thresholds several labels are given.

    Returns:
        DataFrame `video_id, true, called, confidence` (score of what it was called, of several
        labels NaN) and `right` (of several labels exactly), a row per video, missing ones last.
    """
    lost, labels = len(scores.missing_id), all_labels(scores)
    if scores.several:
        given = multi_label.given(scores, split)
        right = (given == scores.targets).all(axis=1)
        named = ["|".join(scores.categories[row]) or NOTHING for row in given[: len(given) - lost]]
        confidence = np.full(len(named), np.nan)
    else:
        best = hits.called(scores)
        named, right = scores.categories[best].tolist(), right_videos(scores)
        confidence = scores.video_scores[np.arange(len(best)), best]
    return pd.DataFrame(
        {
            "video_id": np.concatenate([scores.video_id, scores.missing_id]),
            "true": scores.truths[labels],
            "called": [*named, *[UNREAD] * lost],
            "confidence": np.concatenate([confidence, np.full(lost, np.nan)]),
            "right": right,
        }
    )


def flipped(a: Scores, b: Scores, split: str = "") -> pd.DataFrame:
    """The videos that only one of two runs has right, those first where the other was surest.

    Args:
        split: as of `called`.

    Returns:
        DataFrame `video_id, true, right` ("a" or "b"), `called_a, confidence_a, called_b,
        confidence_b`.
    """
    order = same_videos(a, b)
    own, other = called(a, split), called(b, split).iloc[order].reset_index(drop=True)
    table = pd.DataFrame(
        {
            "video_id": own["video_id"],
            "true": own["true"],
            "right": np.where(own["right"], "a", "b"),
            "called_a": own["called"],
            "confidence_a": own["confidence"],
            "called_b": other["called"],
            "confidence_b": other["confidence"],
        }
    )
    wrong = np.where(own["right"], other["confidence"], own["confidence"])
    table = table.assign(wrong=wrong)[(own["right"] != other["right"]).to_numpy()]
    table = table.sort_values("wrong", ascending=False, kind="stable", na_position="last")
    return table.drop(columns="wrong").reset_index(drop=True)


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
