"""Which labels are likely to be wrong: confident learning.

Reference:
    Northcutt, Jiang, Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, Journal
    of Artificial Intelligence Research 70, 2021, arXiv:1911.00068.
"""

import numpy as np
import pandas as pd


def thresholds(probabilities: np.ndarray, label: np.ndarray) -> np.ndarray:
    """How probable a category is on average in the videos that have its label: (classes,).

    1, which nothing is above, for a category without a video. The paper's equation 2.
    """
    found = np.ones(probabilities.shape[1])
    own = probabilities[np.arange(len(label)), label].astype(float)
    number = np.bincount(label, minlength=len(found))
    there = number > 0
    total = np.bincount(label, weights=own, minlength=len(found))
    found[there] = total[there] / number[there]
    return found


def suspected(probabilities: np.ndarray, label: np.ndarray) -> pd.DataFrame:
    """The videos whose label is suspected to be wrong, the most suspicious first.

    A video counts for the category that is the most probable one of those that are at least as
    probable in it as they are on average in videos with their label. Where that is another one than
    its label, it lies off the diagonal of the confident joint and is suspected (the paper's "prune
    by" that matrix). Suspected videos are ranked by the normalised margin, the probability of the
    label less that of the most probable other category.

    Args:
        probabilities: float (videos, classes), of networks that have not learned from the videos.
        label: int (videos,), the given labels.

    Returns:
        A row per suspected video: `video` (a row of `probabilities`), `suggested` (a class) and
        `margin` (-1..1, the smaller the more suspicious).
    """
    rows = np.arange(len(label))
    above = probabilities >= thresholds(probabilities, label) - 1e-6  # equal but for rounding
    counted = np.where(above, probabilities, -1).argmax(axis=1)
    off = above.any(axis=1) & (counted != label)
    others = probabilities.astype(float)
    own = others[rows, label].copy()
    others[rows, label] = -1
    margin = own - others.max(axis=1)
    found = np.flatnonzero(off)
    found = found[np.argsort(margin[found], kind="stable")]
    return pd.DataFrame({"video": found, "suggested": counted[found], "margin": margin[found]})
