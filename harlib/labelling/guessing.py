"""What labels so far say of the other videos: a linear classifier on their points (`ranking`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

_STRENGTH = 10.0
# scikit-learn's C, chosen by `har bench label` on other people's videos than those it is scored on.
# The folds of `training.probe` need two groups a category, and there is a label or two at first.
_STEPS = 300


def probabilities(
    points: np.ndarray, labelled: np.ndarray, labels: Sequence[str], categories: Sequence[str]
) -> np.ndarray | None:
    """float64 (videos, categories); None below two categories with a label.

    Args:
        points: float (videos, width), of `ranking.space`.
        labelled: int (n,), the videos with a label.
        labels: (n,), theirs.
        categories: in the order of the columns; one without a label has 0.
    """
    names = list(categories)
    if len(set(labels)) < 2:
        return None
    solver = LogisticRegression(C=_STRENGTH, max_iter=_STEPS)
    solver.fit(points[labelled], np.array([names.index(label) for label in labels]))
    answer = np.zeros((len(points), len(names)))
    answer[:, solver.classes_] = solver.predict_proba(points)
    return answer
