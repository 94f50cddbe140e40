"""What is measured of each category, of one label per video or of several, in one table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harlib.evaluation import hits, metrics, multi_label, ranking
from harlib.evaluation.scores import Scores


def category_table(scores: Scores, split: str = ranking.CHOSEN_ON) -> pd.DataFrame:
    """Each category's accuracy with its interval, precision, recall and F1.

    Videos that were listed but could not be read are called nothing: they lower accuracy and
    recall. Precision is 0 where no video is called so.

    Args:
        split: of the scored videos, as `multi_label.given` takes it.

    Returns:
        DataFrame `category, n, missing, accuracy, low, high, precision, recall, f1`, a row per
        category; fractions in 0..1, low and high bound the 95 % interval of the accuracy, NaN of a
        category without a video. Of several labels `average_precision` stands in place of
        `accuracy`, with its interval, and `threshold` behind f1.
    """
    if scores.several:
        table = multi_label.per_label(scores, split).rename(columns={"support": "n"})
        columns = ["category", "n", "missing", "average_precision", "low", "high", "precision",
                   "recall", "f1", "threshold"]  # fmt: skip
        return table[columns]
    table = metrics.per_category(scores).rename(columns={"support": "n"})
    count = len(scores.categories)
    right = np.diag(metrics.confusion(scores))
    called = np.bincount(hits.called(scores), minlength=count)
    listed = np.bincount(hits.all_labels(scores), minlength=count)
    there = listed > 0
    rates = {
        "precision": right / np.maximum(called, 1),
        "recall": right / np.maximum(listed, 1),
        "f1": 2 * right / np.maximum(called + listed, 1),
    }
    for name, values in rates.items():
        table[name] = np.where(there, values, np.nan)
    return table.drop(columns="top5")
