"""Segments found in untrimmed videos against those labelled: precision, recall, F1, mAP.

Two tables are compared: `video, label, start_s, end_s`, a row per segment, and in the found one
`score`, the larger the surer. A found segment is right where it overlaps a labelled one of its
video and category enough, and each labelled one is matched once: a second segment on it is wrong.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from harlib.evaluation.intervals import group_sums, variance_of_mean, wilson

OVERLAPS = (0.3, 0.5, 0.7)
"""Temporal intersection over union from which on a found segment is right."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What was found of the labelled segments.

    Attributes:
        overall: a row per overlap: `overlap, labelled, found, right, precision, recall, f1, map`,
            and `_low`, `_high` of precision, recall and F1 (95 %, whole groups resampled).
        categories: the same numbers without intervals, a row per overlap and `label`, with `ap`.
    """

    overall: pd.DataFrame
    categories: pd.DataFrame


def overlaps(start: float, end: float, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Temporal intersection over union (segments,) of one segment with others.

    >>> overlaps(0, 4, np.array([2.0, 5.0]), np.array([6.0, 6.0])).round(2)
    array([0.33, 0.  ])
    """
    shared = np.clip(np.minimum(end, ends) - np.maximum(start, starts), 0, None)
    return shared / np.maximum((end - start) + (ends - starts) - shared, 1e-12)


def matched(labelled: pd.DataFrame, found: pd.DataFrame, overlap: float) -> np.ndarray:
    """The place in `labelled` of the segment that each found one matches, int (found,); -1: none.

    The surest choose first, each the one that it overlaps most of those still free.
    """
    match = np.full(len(found), -1)
    taken = np.zeros(len(labelled), bool)
    starts, ends = labelled["start_s"].to_numpy(float), labelled["end_s"].to_numpy(float)
    own = labelled.groupby(["video", "label"]).indices
    for place in _surest_first(found):
        row = found.iloc[place]
        places = own.get((row["video"], row["label"]), np.empty(0, int))
        places = places[~taken[places]]
        shared = overlaps(row["start_s"], row["end_s"], starts[places], ends[places])
        if len(shared) and shared.max() >= overlap:
            match[place] = best = places[shared.argmax()]
            taken[best] = True
    return match


def average_precision(right: np.ndarray, labelled: int) -> float:
    """Interpolated average precision of one category.

    Args:
        right: bool (found,), the surest first.
        labelled: how many there are to find.

    Reference:
        Everingham et al., The PASCAL VOC Challenge 2011, as in the evaluation of ActivityNet
        (Caba Heilbron et al., CVPR 2015).
    """
    if not len(right) or not labelled:
        return 0.0
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or a higher one
    return float(best[np.asarray(right, bool)].sum() / labelled)


def measure(
    labelled: pd.DataFrame,
    found: pd.DataFrame,
    groups: pd.Series | None = None,
    at: Sequence[float] = OVERLAPS,
) -> Result:
    """Compares found segments with labelled ones.

    Args:
        groups: of each video, which are resampled together; None = every video its own.
        at: the overlaps.
    """
    totals, single = [], []
    for overlap in at:
        match = matched(labelled, found, overlap)
        right = match >= 0
        seen = np.isin(np.arange(len(labelled)), match)
        rows = [
            {"overlap": overlap, "label": label}
            | _rates(len(own), right[(found["label"] == label).to_numpy()])
            | {"ap": _ap(found, right, label, len(own))}
            for label, own in labelled.groupby("label", sort=True)
        ]
        single += rows
        total = {"overlap": overlap} | _rates(len(labelled), right)
        total["map"] = float(np.mean([row["ap"] for row in rows])) if rows else np.nan
        totals.append(total | _intervals(labelled, found, seen, right, groups))
    return Result(pd.DataFrame(totals), pd.DataFrame(single))


def f1(labelled: pd.DataFrame, found: pd.DataFrame, overlap: float = 0.5) -> float:
    """F1 alone, 0..1: what settings are chosen by."""
    return _rates(len(labelled), matched(labelled, found, overlap) >= 0)["f1"]


def _surest_first(found: pd.DataFrame) -> np.ndarray:
    return np.argsort(-found["score"].to_numpy(float), kind="stable")


def _ap(found: pd.DataFrame, right: np.ndarray, label: str, labelled: int) -> float:
    order = _surest_first(found)
    own = (found["label"] == label).to_numpy()[order]
    return average_precision(right[order][own], labelled)


def _rates(labelled: int, right: np.ndarray) -> dict[str, float]:
    """Counts and rates; precision is NaN where nothing was found, recall where nothing is there."""
    hits = int(right.sum())
    return {
        "labelled": labelled,
        "found": len(right),
        "right": hits,
        "precision": hits / len(right) if len(right) else np.nan,
        "recall": hits / labelled if labelled else np.nan,
        "f1": 2 * hits / (labelled + len(right)) if labelled + len(right) else np.nan,
    }


def _intervals(
    labelled: pd.DataFrame,
    found: pd.DataFrame,
    seen: np.ndarray,
    right: np.ndarray,
    groups: pd.Series | None,
) -> dict[str, float]:
    """The bounds of precision, recall and F1."""
    of = groups.to_dict() if groups is not None else {}
    there, named = (frame["video"].map(lambda v: of.get(v, v)) for frame in (labelled, found))
    parts = {
        "precision": (named, right, 1),
        "recall": (there, seen, 1),
        # 2 x right / (labelled + found): both sides together, in which each match is twice
        "f1": (pd.concat([there, named]), np.concatenate([seen, right]), 2),
    }
    bounds: dict[str, float] = {}
    for name, (own, hits, times) in parts.items():
        low, high = _interval(own.astype(str).to_numpy(), hits, times)
        bounds |= {f"{name}_low": low, f"{name}_high": high}
    return bounds


def _interval(groups: np.ndarray, right: np.ndarray, times: int) -> tuple[float, float]:
    """As `intervals.bootstrap_interval`, of values that are counted `times` times."""
    if not len(right):
        return np.nan, np.nan
    sums, sizes = group_sums(groups, right.astype(float), np.ones(len(right)))
    if len(sums) < 2:
        return 0.0, 1.0
    mean, count = float(right.mean()), len(right) / times
    if 0 < mean < 1:
        variance = variance_of_mean(sums, sizes)
        count = min(count, mean * (1 - mean) / max(variance, 1e-12))
    return wilson(mean, count, stats.t.ppf(0.975, len(sums) - 1))
