"""What a network says of each moment of an untrimmed video -> the segments in which it acts."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from harlib.data.catalog import background
from harlib.evaluation import segments
from harlib.evaluation.predict import logarithms
from harlib.inference.predictor import Prediction, Predictor

COLUMNS = ["video", "label", "start_s", "end_s", "score"]
WINDOWS = 4  # that lie over each moment: a window begins every quarter of a clip
_EVERY_S = 0.5  # where a clip's length depends on the video
_UNSURE = 0.5  # the threshold where validation videos told none
_SMOOTHED = (0.0, 0.5, 1.0)  # clips
_SHORTEST = (0.25, 0.5)  # of the tenth part of the labelled segments that is shortest
_THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


class _Run(NamedTuple):
    """Neighbouring windows of one label, by their places, and the time that they speak for."""

    label: str
    start: float
    end: float
    places: np.ndarray


@dataclasses.dataclass(frozen=True)
class Finding:
    """How windows become segments.

    Attributes:
        smooth_s: the time over which probabilities are averaged; 0 = each window alone.
        shortest_s: shorter segments are none, and pauses inside one action as short are part of it.
        threshold: a moment whose best category is less probable belongs to no segment.
    """

    smooth_s: float
    shortest_s: float
    threshold: float

    def __str__(self) -> str:
        """In words."""
        mean = f"averaged over {self.smooth_s:.2g} s" if self.smooth_s else "of single windows"
        return (
            f"probabilities {mean}, {100 * self.threshold:.0f} % or more, "
            f"segments of {self.shortest_s:.2g} s or more"
        )


def every_s(predictor: Predictor) -> float:
    """Seconds from one window to the next: a quarter of a clip."""
    span = predictor.span_s()
    return _EVERY_S if span is None else span / WINDOWS


def usual(predictor: Predictor) -> Finding:
    """How segments are found where no labelled video chooses: half a clip, the run's threshold."""
    span = every_s(predictor) * WINDOWS
    sure = predictor.confidence
    return Finding(span / 2, span / 2, sure.threshold if sure else _UNSURE)


def find(said: Prediction, how: Finding) -> pd.DataFrame:
    """The segments of a video, in order of time: a table of `COLUMNS`.

    The category `background`, and what is less probable than the threshold, is no segment. A
    window tells of its middle; `score` is the mean probability over the segment, calibrated where
    the temperature is known.
    """
    order = np.argsort(said.start_s, kind="stable")
    start_s, end_s = said.start_s[order], said.end_s[order]
    middle = (start_s + end_s) / 2
    scores = _smoothed(_probabilities(said)[order], middle, how.smooth_s)
    best = scores.argmax(axis=1)
    labels = np.array(said.categories, dtype=object)[best]
    none = background.named(pd.Series(said.categories))
    labels[(labels == none) | (scores.max(axis=1) < how.threshold)] = ""
    # a window speaks for the time up to half-way to its neighbours
    edges = np.concatenate([start_s[:1], (middle[:-1] + middle[1:]) / 2, end_s[-1:]])
    runs = [
        _Run(labels[own[0]], edges[own[0]], edges[own[-1] + 1], own)
        for own in _same(labels)
        if labels[own[0]]
    ]
    for _ in range(2):  # again, without the short ones between them
        runs = [
            run for run in _joined(runs, how.shortest_s) if run.end - run.start >= how.shortest_s
        ]
    rows = []
    for run in runs:
        score = float(scores[run.places, said.categories.index(run.label)].mean())
        times = (round(float(run.start), 3), round(float(run.end), 3))
        rows.append((said.video, run.label, *times, score))
    return pd.DataFrame(rows, columns=COLUMNS)


def found(predictions: Mapping[str, Prediction], how: Finding) -> pd.DataFrame:
    """The segments of several videos, by their names."""
    each = [find(one, how).assign(video=name) for name, one in predictions.items()]
    each = [table for table in each if len(table)]
    return pd.concat(each, ignore_index=True) if each else pd.DataFrame(columns=COLUMNS)


def choose(predictions: Mapping[str, Prediction], labelled: pd.DataFrame, span: float) -> Finding:
    """The `Finding` with the best mean F1 over `segments.OVERLAPS` on labelled videos.

    They must be others than those whose result is told. Of equals the first in order is taken.

    Args:
        labelled: `video, label, start_s, end_s` of the predictions' videos.
        span: seconds of a clip.
    """
    short = float((labelled["end_s"] - labelled["start_s"]).quantile(0.1))
    grid = [
        Finding(smooth * span, round(share * short, 2), threshold)
        for smooth, share, threshold in itertools.product(_SMOOTHED, _SHORTEST, _THRESHOLDS)
    ]

    def goodness(how: Finding) -> float:
        own = found(predictions, how)
        return sum(segments.f1(labelled, own, overlap) for overlap in segments.OVERLAPS)

    return max(grid, key=goodness)


def _probabilities(said: Prediction) -> np.ndarray:
    """float64 (windows, classes), calibrated where the temperature is known."""
    if said.confidence is None:
        return said.windows.astype(np.float64)
    return said.confidence.calibrated(logarithms(said.windows)[:, None])


def _smoothed(scores: np.ndarray, middle: np.ndarray, seconds: float) -> np.ndarray:
    """The mean of the windows whose middle is at most half of `seconds` away."""
    first = np.searchsorted(middle, middle - seconds / 2 - 1e-6)
    behind = np.searchsorted(middle, middle + seconds / 2 + 1e-6)
    sums = np.concatenate([np.zeros((1, scores.shape[1])), scores.cumsum(axis=0)])
    return (sums[behind] - sums[first]) / (behind - first)[:, None]


def _same(labels: np.ndarray) -> list[np.ndarray]:
    """The places of neighbours of one label."""
    breaks = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    return np.split(np.arange(len(labels)), breaks)


def _joined(runs: list[_Run], shortest: float) -> list[_Run]:
    """Runs of one label as one where less than `shortest` lies between them."""
    kept: list[_Run] = []
    for run in runs:
        before = kept[-1] if kept else None
        if before and before.label == run.label and run.start - before.end < shortest:
            places = np.concatenate([before.places, run.places])
            kept[-1] = _Run(run.label, before.start, run.end, places)
        else:
            kept.append(run)
    return kept
