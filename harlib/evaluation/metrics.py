"""Accuracies of scores with their intervals, confusions, and the file metrics.json.

Videos that were listed but could not be read count as wrong everywhere, except in the confusion
matrix, which has no column for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from harlib import HarlibError
from harlib.evaluation import multi_label, naming, ranking
from harlib.evaluation.calibration import calibration_error
from harlib.evaluation.hits import (
    all_groups,
    all_labels,
    called,
    refuse_several,
    right_videos,
    video_logs,
    view_counts,
)
from harlib.evaluation.intervals import bootstrap_interval
from harlib.evaluation.scores import Scores
from harlib.files import write_json
from harlib.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

PROTOCOL = ("split", "clips", "crops", "frames", "stride", "size")
MODEL = ("name", "parameters", "gmacs")
ALL_PAIRS = "all pairs"
FIVE = 5


def top_k(scores: Scores, k: int = 1, *, level: str = "video") -> float:
    """Share 0..1 of videos (`level="video"`) or of single views ("clip") right within the best k.

    With fewer than k categories that is 1, as the definition says.

    >>> from harlib.evaluation.scores import Scores
    >>> views = np.array([[[0.9, 0.1]], [[0.6, 0.4]]])  # (videos, views, classes)
    >>> scores = Scores(["a", "b"], [0, 1], ["jump", "run"], views.mean(axis=1), views)
    >>> top_k(scores), top_k(scores, k=2)
    (0.5, 1.0)
    """
    right, weight = _right(scores, k, level)
    return float(right.sum() / weight.sum())


def mean_class(scores: Scores, *, level: str = "video") -> float:
    """Mean over categories of their top-1 accuracy; categories without a video are left out."""
    right, weight = _right(scores, 1, level)
    labels = all_labels(scores)
    sums, sizes = (np.bincount(labels, weights=values) for values in (right, weight))
    there = np.bincount(labels) > 0
    return float((sums[there] / sizes[there]).mean())


def _right(scores: Scores, k: int, level: str) -> tuple[np.ndarray, np.ndarray]:
    """What is right of each listed video, and of how much: of one video, or of its views."""
    if level == "clip":
        return view_counts(scores, k)
    if level != "video":
        raise ValueError(f"level={level!r}, expected one of ['clip', 'video']")
    right = right_videos(scores, k)
    return right, np.ones(len(right))


def _top5(scores: Scores, level: str) -> float | None:
    """Top-5 accuracy; None of up to five categories, where it is 1 whatever the network says."""
    return None if len(scores.categories) <= FIVE else top_k(scores, FIVE, level=level)


def majority(scores: Scores) -> float:
    """Accuracy 0..1 of always naming the split's most frequent category: the least to beat."""
    refuse_several(scores, "a majority")
    labels = all_labels(scores)
    return float(np.bincount(labels).max() / len(labels))


def per_category(
    scores: Scores | Mapping[str, Scores], *, resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Accuracy of each category, with its interval.

    Returns:
        DataFrame `category, support, missing, accuracy, low, high, top5`, one row per category;
        fractions in 0..1, low and high bound the 95 % interval of the top-1 accuracy. A category
        without a video has NaN, and so has the top-5 of up to five categories. {name: Scores} gives
        one table with the column `model` in front.
    """
    if isinstance(scores, Mapping):
        return _stacked(scores, per_category, resamples=resamples, seed=seed)
    right, best5 = right_videos(scores), right_videos(scores, FIVE)
    labels, groups = all_labels(scores), all_groups(scores)
    _, groups = np.unique(groups, return_inverse=True)
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(len(scores.categories) + 1))
    rows = []
    for index, category in enumerate(scores.categories):
        own = order[bounds[index] : bounds[index + 1]]
        low, high = bootstrap_interval(right[own], groups[own], resamples=resamples, seed=seed)
        some = len(own) > 0
        rows.append(
            {
                "category": str(category),
                "support": len(own),
                "missing": int((own >= len(scores.label)).sum()),
                "accuracy": right[own].mean() if some else np.nan,
                "low": low,
                "high": high,
                "top5": best5[own].mean() if some and len(scores.categories) > FIVE else np.nan,
            }
        )
    return pd.DataFrame(rows)


def confusion(scores: Scores) -> np.ndarray:
    """How many scored videos of each kind: int (classes true, classes predicted)."""
    refuse_several(scores, "a confusion matrix")
    predicted = called(scores)
    return confusion_matrix(scores.label, predicted, labels=np.arange(len(scores.categories)))


def most_confused(scores: Scores, n: int = 10) -> pd.DataFrame:
    """The most frequent confusions.

    Returns:
        DataFrame `true, predicted, videos, share` of at most n rows; share of the true category's
        videos.
    """
    matrix = confusion(scores)
    wrong = matrix - np.diag(np.diag(matrix))
    # stable: equal counts stay in the order of the categories
    order = np.argsort(-wrong, axis=None, kind="stable")[:n]
    true, predicted = np.unravel_index(order, wrong.shape)
    videos = wrong[true, predicted]
    table = pd.DataFrame(
        {
            "true": scores.categories[true],
            "predicted": scores.categories[predicted],
            "videos": videos,
            "share": videos / np.maximum(matrix.sum(axis=1)[true], 1),
        }
    )
    return table[table["videos"] > 0].reset_index(drop=True)


def pair_accuracy(
    scores: Scores | Mapping[str, Scores],
    pairs: Sequence[tuple[str, str]],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """How often the true category outscores its own reverse; chance is 0.5.

    Equal scores count as wrong, and so do missing videos. Of several labels per video, those
    videos count that have one of the two and not the other.

    Args:
        pairs: (forward, backward) category names.

    Returns:
        DataFrame `pair, videos, right, accuracy, low, high`, one row per pair and a last row "all
        pairs"; without pairs no row. {name: Scores} gives one table with the column `model` in
        front.

    Raises:
        ValueError: a name is no category of the scores.
    """
    if isinstance(scores, Mapping):
        return _stacked(scores, pair_accuracy, pairs, resamples=resamples, seed=seed)
    index = {str(name): number for number, name in enumerate(scores.categories)}
    unknown = sorted({name for pair in pairs for name in pair} - set(index))
    if unknown:
        raise ValueError(f"pairs name {unknown}, the categories are {sorted(index)}")
    targets, groups = scores.targets, all_groups(scores)
    lost = np.full((len(scores.missing_id), len(index)), np.nan)
    class_scores = np.concatenate([scores.video_scores, lost])
    logs = video_logs(scores)
    logs = class_scores if logs is None else np.concatenate([logs, lost])
    rows, every = [], np.zeros(len(targets), bool)
    wins = np.zeros(len(targets), bool)

    def row(name: str, own: np.ndarray) -> dict[str, Any]:
        low, high = bootstrap_interval(wins[own], groups[own], resamples=resamples, seed=seed)
        count, right = int(own.sum()), int(wins[own].sum())
        return {
            "pair": name,
            "videos": count,
            "right": right,
            "accuracy": right / count if count else np.nan,
            "low": low,
            "high": high,
        }

    for forward, backward in pairs:
        both = np.zeros(len(targets), bool)
        for true, reverse in ((forward, backward), (backward, forward)):
            chosen = targets[:, index[true]] & ~targets[:, index[reverse]]
            own, other = ((class_scores[chosen, index[name]], logs[chosen, index[name]])
                          for name in (true, reverse))  # fmt: skip
            wins[chosen] = (own[0] > other[0]) | ((own[0] == other[0]) & (own[1] > other[1]))
            both |= chosen
        every |= both
        rows.append(row(f"{forward} / {backward}", both))
    if not pairs:
        return pd.DataFrame(columns=["pair", "videos", "right", "accuracy", "low", "high"])
    return pd.DataFrame([*rows, row(ALL_PAIRS, every)])


def summary(
    scores: Scores, *, split: str = ranking.CHOSEN_ON, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """The accuracies of metrics.json as a dict: `clip`, `video`, and what puts them in place.

    The clip level counts single views, each the same, also where long videos have more of them.
    Of several labels per video what `multi_label.summary` gives for this split.
    """
    if scores.several:
        return multi_label.summary(scores, split, resamples=resamples, seed=seed)
    video = right_videos(scores)
    interval = bootstrap_interval(video, all_groups(scores), resamples=resamples, seed=seed)
    return {
        "clip": {
            "top1": top_k(scores, level="clip"),
            "top5": _top5(scores, "clip"),
            "mean_class": mean_class(scores, level="clip"),
            "n": int((~np.isnan(scores.view_scores[..., 0])).sum()),
        },
        "video": {
            "top1": float(video.mean()),
            "top5": _top5(scores, "video"),
            "mean_class": mean_class(scores),
            "n": len(video),
            "top1_interval": list(interval),
        },
        "categories": len(scores.categories),
        "missing": len(scores.missing_id),
        "majority": majority(scores),
        "calibration_error": calibration_error(scores),
    }


def write(
    run_dir: str | Path,
    scores: Scores,
    protocol: Mapping[str, Any],
    model: Mapping[str, Any] | keras.Model,
    minutes: float,
) -> dict[str, Any]:
    """Writes metrics.json into `run_dir` in one step and returns what it holds.

    Args:
        protocol: {"split", "clips", "crops", "frames", "stride", "size"}, more keys are legal.
        model: {"name", "parameters", "gmacs"}, more keys are legal, or a keras.Model.
        minutes: wall time of the run.
    """
    if not isinstance(model, Mapping):
        from harlib import models  # needs Keras, which reading scores does not

        model = {
            "name": model.name,
            "parameters": models.parameters(model),
            "trainable": models.trainable(model),
            "gmacs": models.gmacs(model),
        }
    for name, given, needed in (("protocol", protocol, PROTOCOL), ("model", model, MODEL)):
        absent = [key for key in needed if key not in given]
        if absent:
            raise ValueError(f"{name} has the keys {sorted(given)}, {absent} are missing")
    found = summary(scores, split=str(protocol["split"]))
    metrics = found | {"protocol": dict(protocol), "model": dict(model)}
    metrics["minutes"] = float(minutes)
    write_json(RunFolder(run_dir).metrics, _plain(metrics))
    return metrics


def table(run_dirs: Mapping[str, str | Path] | Sequence[str | Path]) -> pd.DataFrame:
    """Table of runs from their metrics.json, one row per run, in the order given.

    Args:
        run_dirs: {name: folder} or a list of folders, whose own names are taken.

    Returns:
        DataFrame `run, model, network` (see `naming.network`), `clip_top1, clip_top5,
        clip_mean_class, video_top1, low, high, video_top5, mean_class, videos, majority, views,
        parameters, gmacs, minutes`; fractions in 0..1. Of several labels per video `video_top1` and
        the other accuracies of one label are missing, and `mean_ap, clip_mean_ap, chance, micro_f1,
        macro_f1` are there; low and high are of what `ranking.measure` names.

    Raises:
        HarlibError: runs of one label per video and of several, which no number compares.
    """
    if not isinstance(run_dirs, Mapping):
        run_dirs = {Path(run_dir).name: run_dir for run_dir in run_dirs}
    rows = []
    for name, run_dir in run_dirs.items():
        metrics = naming.read(run_dir)
        if ranking.is_of_several(metrics):
            rows.append({"run": name} | _row_of_several(metrics))
            continue
        clip, video = metrics["clip"], metrics["video"]
        # earlier versions wrote 1 where there are no five wrong categories
        told = metrics.get("categories", FIVE + 1) > FIVE
        low, high = video["top1_interval"]
        rows.append(
            {
                "run": name,
                "model": metrics["model"]["name"],
                "network": naming.network(metrics),
                "clip_top1": clip["top1"],
                "clip_top5": clip["top5"] if told else None,
                "clip_mean_class": clip["mean_class"],
                "video_top1": video["top1"],
                "low": low,
                "high": high,
                "video_top5": video["top5"] if told else None,
                "mean_class": video["mean_class"],
                "videos": video["n"],
                "majority": metrics.get("majority"),
                # windows give long videos more views: their mean
                "views": clip["n"] / max(video["n"] - metrics.get("missing", 0), 1),
                "parameters": metrics["model"]["parameters"],
                "gmacs": metrics["model"]["gmacs"],
                "minutes": metrics["minutes"],
            }
        )
    one = [row["run"] for row in rows if "mean_ap" not in row]
    if one and len(one) < len(rows):
        raise HarlibError(
            f"{', '.join(one)}: of one label per video, and the other runs of several: no number "
            "compares them, so name runs of one kind (runs:)"
        )
    return pd.DataFrame(rows)


def _row_of_several(metrics: Mapping[str, Any]) -> dict[str, Any]:
    clip, video, model = metrics["clip"], metrics["video"], metrics["model"]
    low, high = video["interval"]
    return {
        "model": model["name"],
        "network": naming.network(metrics),
        "mean_ap": video["mean_average_precision"],
        "low": low,
        "high": high,
        "clip_mean_ap": clip["mean_average_precision"],
        "micro_f1": video["micro_f1"],
        "macro_f1": video["macro_f1"],
        "chance": video["chance"],
        "videos": video["n"],
        "views": clip["n"] / max(video["n"] - metrics["missing"], 1),
        "parameters": model["parameters"],
        "gmacs": model["gmacs"],
        "minutes": metrics["minutes"],
    }


def _stacked(
    scores: Mapping[str, Scores], measure: Callable[..., pd.DataFrame], *args: Any, **options: Any
) -> pd.DataFrame:
    tables = {name: measure(one, *args, **options) for name, one in scores.items()}
    return pd.concat(tables, names=["model"]).reset_index("model").reset_index(drop=True)


def _plain(value: Any) -> Any:
    """JSON has no NaN and no NumPy: NaN becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
