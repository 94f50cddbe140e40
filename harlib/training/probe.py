"""A linear probe: the best linear classifier on what a network, kept as it is, says of clips."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold

# What is tried; weak ones first, so that a tie goes to the simpler classifier.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 3
_STEPS = 100  # of the solver, which begins at the last strength's result


@dataclass(frozen=True)
class Probe:
    """A linear classifier: probabilities are softmax(features @ kernel + bias).

    Attributes:
        kernel: float32 (features, classes). bias: float32 (classes,).
        strength: scikit-learn's C, the inverse of the penalty's weight.
        tried: a row per C: `C, cross_entropy, accuracy, chosen`, of held-out training videos.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float
    tried: pd.DataFrame


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    classes: int,
    *,
    balanced: bool = False,
    seed: int = 0,
) -> Probe:
    """Logistic regression on standardised features; C by folds of the training videos.

    Of `STRENGTHS` that one is taken whose cross-entropy on held-out groups is least.

    Args:
        features: float32 (views, features).
        labels: int (views,), 0..classes - 1; every class has a view.
        groups: (views,): what may not lie on both sides of a fold, as a video or its actor.
        balanced: rare classes weigh as much as the others.

    Raises:
        ValueError: features that are not finite, a class without views, or one whose views are all
            of one group, so that nothing of it can be held out.

    Reference:
        The protocol of Alain and Bengio, "Understanding intermediate layers using linear
        classifier probes", 2016; solver: L-BFGS of scikit-learn.
    """
    features = np.asarray(features, "float64")
    labels, groups = np.asarray(labels), np.asarray(groups)
    _check(features, labels, groups, classes)
    mean, std = features.mean(0), features.std(0)
    std[std == 0] = 1.0  # a feature that is always the same says nothing
    features = (features - mean) / std
    count = min(FOLDS, _groups_a_class(labels, groups).min())
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    probabilities = np.zeros((len(STRENGTHS), len(labels), classes))
    for learned, held_out in folds.split(features, labels, groups):
        solver = _solver(balanced)
        for number, strength in enumerate(STRENGTHS):
            solver.set_params(C=strength)
            _solve(solver, features[learned], labels[learned])
            found = solver.predict_proba(features[held_out])
            probabilities[np.ix_([number], held_out, solver.classes_)] = found
    tried = pd.DataFrame(
        {
            "C": STRENGTHS,
            "cross_entropy": [
                log_loss(labels, np.clip(p, 1e-15, 1), labels=range(classes)) for p in probabilities
            ],
            "accuracy": [(p.argmax(1) == labels).mean() for p in probabilities],
        }
    )
    best = int(tried["cross_entropy"].argmin())
    tried["chosen"] = np.arange(len(tried)) == best
    solver = _solver(balanced).set_params(C=STRENGTHS[best])
    _solve(solver, features, labels)
    weights, bias = solver.coef_.T, solver.intercept_
    if classes == 2:  # one column there: the second class against the first
        weights, bias = np.hstack([-weights / 2, weights / 2]), np.array([-bias[0], bias[0]]) / 2
    kernel = weights / std[:, None]
    return Probe(
        kernel.astype("float32"),
        (bias - mean @ kernel).astype("float32"),
        STRENGTHS[best],
        tried,
    )


def _solver(balanced: bool) -> LogisticRegression:
    weights = "balanced" if balanced else None
    return LogisticRegression(max_iter=_STEPS, warm_start=True, class_weight=weights)


def _solve(solver: LogisticRegression, features: np.ndarray, labels: np.ndarray) -> None:
    with warnings.catch_warnings():
        # The weakest penalties are far from converged on separable classes; folds judge them.
        warnings.simplefilter("ignore", ConvergenceWarning)
        solver.fit(features, labels)


def _check(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: int) -> None:
    if features.ndim != 2 or not len(features) == len(labels) == len(groups):
        raise ValueError(
            f"features are (views, features) with a label and a group per view; received "
            f"{features.shape}, {labels.shape} and {groups.shape}"
        )
    if not np.isfinite(features).all():
        raise ValueError("the features hold values that are not finite")
    counts = np.bincount(labels, minlength=classes)
    if len(counts) > classes or not counts.all():
        raise ValueError(f"labels are 0 to {classes - 1}, each at least once; received {counts}")
    of_class = _groups_a_class(labels, groups)
    if of_class.min() < 2:
        raise ValueError(
            f"category {int(of_class.argmin())} has training videos of one group alone, so none "
            "can be held out to choose the strength of the penalty; give videos of a second one"
        )


def _groups_a_class(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    return pd.DataFrame({"label": labels, "group": groups}).groupby("label")["group"].nunique()
