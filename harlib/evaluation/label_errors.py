"""Which labels are likely to be wrong: confident learning.

Reference:
    Northcutt, Jiang, Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, Journal
    of Artificial Intelligence Research 70, 2021, arXiv:1911.00068. Kuan, Mueller, Model-Agnostic
    Label Quality Scoring to Detect Real-World Label Errors, ICML DataPerf workshop, 2022 (the
    normalised margin as a rank). The order is that of cleanlab's `get_label_quality_scores` with
    `method="normalized_margin", adjust_pred_probs=True`.
"""

import numpy as np
import pandas as pd


def thresholds(probabilities: np.ndarray, label: np.ndarray) -> np.ndarray:
    """How probable a category is on average in the videos that have its label: (classes,).

    1, which nothing is above, for a category without a video. The paper's equation 2.

    >>> thresholds(np.array([[0.9, 0.1], [0.7, 0.3]]), np.array([0, 0])).tolist()
    [0.8, 1.0]
    """
    own = probabilities[np.arange(len(label)), label].astype(float)
    number = np.bincount(label, minlength=probabilities.shape[1])
    total = np.bincount(label, weights=own, minlength=probabilities.shape[1])
    return np.divide(total, number, out=np.ones(len(number)), where=number > 0)


def suspected(probabilities: np.ndarray, label: np.ndarray) -> pd.DataFrame:
    """The videos whose label is suspected to be wrong, the most suspicious first.

    From each probability the category's threshold is taken away, so that a category of which the
    networks are seldom sure is not suspected more often. Suspected is a video in which another
    category than its label then leads; the rank is by how far (the normalised margin).

    Args:
        probabilities: float (videos, classes), of networks that have not learned from the videos.
            Of several networks their mean.
        label: int (videos,), the given labels.

    Returns:
        A row per suspected video: `video` (a row of `probabilities`), `suggested` (the most
        probable class but its label, as a person would look for it) and `margin` (below 0; the
        smaller the more suspicious).
    """
    rows = np.arange(len(label))
    adjusted = probabilities - thresholds(probabilities, label).astype(np.float32)
    own = adjusted[rows, label].copy()
    adjusted[rows, label] = -np.inf
    margin = own - adjusted.max(axis=1)
    found = np.flatnonzero(margin < 0)
    found = found[np.argsort(margin[found], kind="stable")]
    others = probabilities[found].copy()
    others[np.arange(len(found)), label[found]] = -1
    return pd.DataFrame(
        {"video": found, "suggested": others.argmax(axis=1), "margin": margin[found]}
    )
