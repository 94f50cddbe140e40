"""How sure a model may say it is, and when to say nothing: chosen on validation videos."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from harlib.evaluation import multi_label
from harlib.evaluation.hits import refuse_several
from harlib.evaluation.predict import logarithms
from harlib.evaluation.scores import Scores
from harlib.files import read_json
from harlib.run_folder import RunFolder

CHOSEN_ON = "val"  # the test videos choose nothing
KEPT = 0.95  # of the validation videos that are named rightly, this share stays named
_TEMPERATURES = (0.1, 10.0)


@dataclasses.dataclass(frozen=True)
class Confidence:
    """What validation videos tell of a model's probabilities.

    Attributes:
        temperature: by which logits are divided, so that the probabilities fit the accuracy.
        threshold: of the calibrated probability; a video whose best is below it is not named.
        videos: how many validation videos there were.
        turned_away: share of them that are not named. accuracy: of the others, 0..1.
    """

    temperature: float
    threshold: float
    videos: int
    turned_away: float
    accuracy: float

    def calibrated(self, logs: np.ndarray) -> np.ndarray:
        """`calibrated` by this temperature."""
        return calibrated(logs, self.temperature)


def calibrated(logs: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities float64 (…, classes), the mean over views of their scores after scaling.

    Args:
        logs: natural logarithms of the softmax, (…, views, classes); NaN for views there are not.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (temperature scaling), here
        of every view before a video's mean is taken.
    """
    scaled = np.maximum(np.asarray(logs, np.float64), np.log(np.finfo(np.float64).tiny))
    scaled = scaled / temperature
    scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.nanmean(scaled / scaled.sum(axis=-1, keepdims=True), axis=-2)


def measure(scores: Scores, crops: int = 1) -> Confidence:
    """The temperature with the least cross entropy of whole videos, and the threshold that follows.

    Targets are smoothed as if one of two further videos were named wrong: without an error among
    few videos the least cross entropy would else be at certainty. The threshold keeps `KEPT` of the
    videos that are named correctly.

    Args:
        crops: of each clip: the mean of their scores is what is scaled.

    Reference:
        Platt, Probabilistic Outputs for Support Vector Machines, 1999, section 2.2 (the targets).
    """
    refuse_several(scores, "a temperature")
    logs = scores.view_logs if scores.view_logs.size else logarithms(scores.view_scores)
    if not logs.shape[1]:  # of an ensemble: its videos are all there is
        logs = logarithms(scores.video_scores)[:, None]
    elif crops > 1:
        views = scores.view_scores
        logs = logarithms(views.reshape(len(views), -1, crops, views.shape[-1]).mean(axis=2))
    own = np.arange(len(scores.label)), scores.label
    target = (len(scores.label) + 1) / (len(scores.label) + 2)

    def cross_entropy(log_temperature: float) -> float:
        yes = calibrated(logs, np.exp(log_temperature))[own]
        yes, no = np.maximum(yes, 1e-12), np.maximum(1 - yes, 1e-12)
        return -float((target * np.log(yes) + (1 - target) * np.log(no)).mean())

    found = minimize_scalar(cross_entropy, bounds=np.log(_TEMPERATURES), method="bounded")
    temperature = float(np.exp(found.x))
    probabilities = calibrated(logs, temperature)
    named = scores.video_scores.argmax(axis=1)  # as the network's own probabilities have it
    sure, right = probabilities[np.arange(len(named)), named], named == scores.label
    threshold = float(np.quantile(sure[right], 1 - KEPT, method="lower")) if right.any() else 1.0
    kept = sure >= threshold
    return Confidence(
        temperature=temperature,
        threshold=threshold,
        videos=len(right),
        turned_away=float(1 - kept.mean()),
        accuracy=float(right[kept].mean()) if kept.any() else 0.0,
    )


def of_run(folder: str | Path, checkpoint: str = "last") -> Confidence | None:
    """What a run's scores tell of these weights.

    None where they are not of validation videos, or videos have several labels (`thresholds_of`).
    """
    how = _protocol(folder, checkpoint)
    if how is None or (scores := Scores.load(folder)).several:
        return None
    return measure(scores, how.get("crops", 1))


def is_known(folder: str | Path, checkpoint: str = "last") -> bool:
    """Whether `of_run` has an answer, without the arithmetic."""
    return _protocol(folder, checkpoint) is not None and not _is_of_several(folder)


def thresholds_of(folder: str | Path, checkpoint: str = "last") -> dict[str, float | None] | None:
    """{label: the probability from which on a video has it} where videos have several labels.

    None of a label that no validation video has: it is never named. Where the weights were not
    scored on validation videos each is one half. None for a run of one label per video.
    """
    if not _is_of_several(folder):
        return None
    scores = Scores.load(folder)
    split = CHOSEN_ON if _protocol(folder, checkpoint) is not None else ""
    chosen = multi_label.thresholds(scores, split).tolist()
    return {
        str(name): None if math.isnan(value) else value
        for name, value in zip(scores.categories, chosen, strict=True)
    }


def for_export(folder: str | Path, checkpoint: str = "last") -> dict[str, Any]:
    """`confidence` or `thresholds`, as an export's README.json holds them; empty of neither."""
    found: dict[str, Any] = {}
    if sure := of_run(folder, checkpoint):
        found["confidence"] = dataclasses.asdict(sure)
    if limits := thresholds_of(folder, checkpoint):
        found["thresholds"] = limits
    return found


def _is_of_several(folder: str | Path) -> bool:
    """Whether a run was scored on videos of several labels; its views need not be there."""
    if not (file := RunFolder(folder).scores).is_file():
        return False
    with np.load(file) as scores:
        return "label_sets" in scores


def _protocol(folder: str | Path, checkpoint: str) -> dict[str, Any] | None:
    """How these weights were scored on validation videos; None where they were not."""
    run = RunFolder(folder)
    if not (run.metrics.is_file() and run.scores.is_file() and run.views.is_file()):
        return None
    how = read_json(run.metrics, "protocol")["protocol"]
    if how.get("split") != CHOSEN_ON or how.get("checkpoint", "last") != checkpoint:
        return None
    return how
