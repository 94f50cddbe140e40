"""What labels so far say of the other videos: a linear probe on the features of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harlib.training import probe

STRENGTH = 0.01  # scikit-learn's C: with a label or two a category there is nothing to choose it by


def probabilities(
    features: np.ndarray, labelled: np.ndarray, labels: Sequence[str], categories: Sequence[str]
) -> np.ndarray | None:
    """float64 (videos, categories) by a probe of the labelled videos; None below two categories.

    Args:
        features: float32 (videos, features), of all.
        labelled: int (n,), the videos with a label.
        labels: (n,), theirs.
        categories: in the order of the columns; without a label a category has 0.
    """
    known = [name for name in categories if name in set(labels)]
    if len(known) < 2:
        return None
    targets = np.array([known.index(label) for label in labels])
    learned = features[labelled]
    found = probe.fit(learned, targets, labelled, len(known), strength=STRENGTH)
    logits = features @ found.kernel.astype("float64") + found.bias
    logits -= logits.max(axis=1, keepdims=True)
    odds = np.exp(logits)
    answer = np.zeros((len(features), len(categories)))
    answer[:, [list(categories).index(name) for name in known]] = odds / odds.sum(1, keepdims=True)
    return answer
