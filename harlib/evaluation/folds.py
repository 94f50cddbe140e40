"""Cross-validation: the scores of several folds as those of one run."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from harlib.evaluation.scores import ScoreError, Scores

_NAME = re.compile(r"(.+)\.fold\d+")


def of_names(names: Sequence[str]) -> Mapping[str, list[str]]:
    """{run: its folds} of the runs that are folds, `RUN.fold1` and on; one fold alone is none.

    >>> of_names(["03_c3d.fold1", "03_c3d.fold2", "04_resnext101"])
    {'03_c3d': ['03_c3d.fold1', '03_c3d.fold2']}
    """
    found: dict[str, list[str]] = {}
    for name in names:
        if match := _NAME.fullmatch(name):
            found.setdefault(match[1], []).append(name)
    return {run: folds for run, folds in found.items() if len(folds) > 1}


def pooled(folds: Sequence[Scores]) -> Scores:
    """All folds' videos in one, each scored by the network that did not learn from its fold.

    Raises:
        ScoreError: the folds have other categories, or a video or group in common.
    """
    first = folds[0]
    for other in folds[1:]:
        if list(other.truths) != list(first.truths):
            raise ScoreError("the folds have not the same categories, so they cannot be pooled")
    seen: set[str] = set()
    for fold in folds:
        groups = {*fold.group.tolist(), *fold.missing_group.tolist()}
        if shared := sorted(seen & groups):
            raise ScoreError(f"group {shared[0]!r} is held out in two folds: it would count twice")
        seen |= groups
    views = max(fold.view_scores.shape[1] for fold in folds)
    logged = any(fold.view_logs.size for fold in folds)
    joined = {
        name: np.concatenate([getattr(fold, name) for fold in folds])
        for name in ("video_id", "label", "video_scores", "group", "missing_id", "missing_label",
                     "missing_group")
    }  # fmt: skip
    joined["view_scores"] = np.concatenate([_padded(fold.view_scores, views) for fold in folds])
    if logged:
        joined["view_logs"] = np.concatenate([_padded(_logs(fold), views) for fold in folds])
    return Scores(categories=first.categories, label_sets=first.label_sets, **joined)


def _padded(scores: np.ndarray, views: int) -> np.ndarray:
    """NaN for the views that other folds' videos have and these have not."""
    lacking = views - scores.shape[1]
    return np.pad(scores, ((0, 0), (0, lacking), (0, 0)), constant_values=np.nan)


def _logs(fold: Scores) -> np.ndarray:
    if fold.view_logs.size:
        return fold.view_logs
    with np.errstate(divide="ignore"):
        return np.log(fold.view_scores)
