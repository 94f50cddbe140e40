"""Does a model know how sure it may be? Reliability bins and the calibration error."""

import numpy as np
import pandas as pd

from harlib.evaluation.hits import refuse_several
from harlib.evaluation.intervals import bootstrap_interval
from harlib.evaluation.scores import Scores

FEWEST = 10  # videos of a bin of equal counts: fewer say little


def reliability(scores: Scores, bins: int = 10) -> pd.DataFrame:
    """How right the videos are that were named with a confidence, bin by bin.

    A video's bin is that of the score of its predicted category. Videos that could not be read
    have no score and are left out.

    Returns:
        DataFrame `low, high, videos, confidence, accuracy`, one row a bin of equal width over 0..1;
        confidence and accuracy are means over the bin's videos, NaN in an empty bin.
    """
    refuse_several(scores, "a calibration error")
    confidence = scores.video_scores.max(axis=1).astype(float)
    right = scores.video_scores.argmax(axis=1) == scores.label
    edges = np.linspace(0, 1, bins + 1)
    # half-open from below: a score of exactly 0.5 belongs to the bin that ends there
    number = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    videos = np.bincount(number, minlength=bins)
    some = np.where(videos, videos, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "videos": videos,
            "confidence": np.bincount(number, weights=confidence, minlength=bins) / some,
            "accuracy": np.bincount(number, weights=right, minlength=bins) / some,
        }
    )


def equal_counts(scores: Scores, bins: int = 10) -> pd.DataFrame:
    """How right the videos are by how sure they were named, in bins of as many videos each.

    Videos of the same confidence share a bin, so that their order decides nothing.

    Args:
        bins: at most, of at least `FEWEST` videos where there are so many.

    Returns:
        DataFrame `videos, confidence, accuracy` (means), `accuracy_low, accuracy_high` (95 %
        interval over groups), from the least sure bin to the surest.
    """
    refuse_several(scores, "a calibration error")
    confidence = scores.video_scores.max(axis=1).astype(float)
    right = scores.video_scores.argmax(axis=1) == scores.label
    order = np.argsort(confidence, kind="stable")
    rows = []
    for part in np.split(order, _cuts(confidence[order], bins)):
        low, high = bootstrap_interval(right[part], scores.group[part])
        means = {"confidence": confidence[part].mean(), "accuracy": right[part].mean()}
        rows.append({"videos": len(part)} | means | {"accuracy_low": low, "accuracy_high": high})
    return pd.DataFrame(rows)


def _cuts(confidence: np.ndarray, bins: int) -> list[int]:
    """Where the ascending confidences are cut into bins: each time where they change."""
    videos = len(confidence)
    even = np.array_split(np.arange(videos), min(bins, max(videos // FEWEST, 1)))
    changes = np.flatnonzero(np.diff(confidence)) + 1
    cuts = [0]
    for part in even[1:]:
        near = changes[np.argsort(np.abs(changes - part[0]), kind="stable")][:1].tolist()
        cuts += [cut for cut in near if cut - cuts[-1] >= FEWEST and videos - cut >= FEWEST]
    return cuts[1:]


def calibration_error(scores: Scores, bins: int = 15) -> float:
    """Expected calibration error 0..1: mean over videos of |confidence - accuracy| of their bin.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (15 bins).
    """
    table = reliability(scores, bins).dropna()
    gap = (table["confidence"] - table["accuracy"]).abs()
    return float((gap * table["videos"]).sum() / table["videos"].sum())
