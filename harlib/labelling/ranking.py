"""Which videos to label next: those that teach a network the most, by its features of all.

Each way takes `count` videos at once, as a person labels some before anything is learned anew:

- `typical`: the most typical video of the largest groups of videos in which none is labelled.
- `unsure`: least between the two most probable categories.
- `different`: each time the one farthest from all that is labelled or taken.
- `badge`: unsure and different in one, by the gradients that the network's own guess would give.
- `unsure-groups`: groups of unsure videos, from each the one in the middle.
- `random`: what the others must beat.

References:
    typical: TypiClust, Hacohen et al., ICML 2022. different: k-center greedy of Sener and Savarese,
    ICLR 2018. badge: Ash et al., ICLR 2020. unsure-groups: Zhdanov, "Diverse mini-batch Active
    Learning", 2019.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from harlib import HarlibError

Rng = np.random.Generator
_WIDTH = 64  # principal components that distances are measured in
_NEIGHBOURS = 20  # of typicality, as in its paper
_MOST_GROUPS = 500  # as there
_CONSIDERED = 10  # times as many unsure videos as are taken, as in its paper


def space(features: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """The features as points between which distances mean something: float32 (videos, <= 64).

    Standardised, the main components of it, each video's vector of length 1.

    Args:
        features: float32 (videos, features), of `looking`.
        own: bool (videos,): those by which all are standardised; None: all.
    """
    learned = features if own is None else features[own]
    spread = learned.std(axis=0)
    varied = spread > 0  # a feature that is always the same says nothing
    width = min(_WIDTH, len(learned) - 1, int(varied.sum()))
    if not width > 0:
        return np.zeros((len(features), 1), "float32")
    points = (features[:, varied] - learned[:, varied].mean(axis=0)) / spread[varied]
    if width < points.shape[1]:
        main = PCA(width, random_state=0).fit(points if own is None else points[own])
        points = main.transform(points)
    return normalize(points)


def order(
    points: np.ndarray,
    labelled: np.ndarray,
    count: int,
    *,
    by: str,
    probabilities: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """int (<= count,): the videos to label next, the one that teaches most first.

    Args:
        points: float (videos, width), of `space`.
        labelled: bool (videos,): what is labelled, or was set aside.
        by: a name of `WAYS`.
        probabilities: float (videos, classes); of `GUESSING` ways only.

    Raises:
        HarlibError: no such way, or one that needs probabilities and has none.
    """
    if by not in WAYS:
        raise HarlibError(f"no order {by!r}; known are {', '.join(WAYS)}")
    if by in GUESSING and probabilities is None:
        raise HarlibError(f"the order {by} needs probabilities; without them: {', '.join(BLIND)}")
    count = min(count, int((~labelled).sum()))
    if not count:
        return np.zeros(0, int)
    rng = np.random.default_rng(seed)
    guesses = np.zeros((len(points), 1)) if probabilities is None else np.asarray(probabilities)
    return WAYS[by](points, labelled, count, guesses, rng)


def _random(
    points: np.ndarray,
    labelled: np.ndarray,
    count: int,
    guesses: np.ndarray,
    rng: Rng,
) -> np.ndarray:
    return rng.permutation(np.flatnonzero(~labelled))[:count]


def _margin(guesses: np.ndarray) -> np.ndarray:
    """The most probable category's lead; a single category leads by all."""
    if guesses.shape[1] < 2:
        return np.ones(len(guesses))
    best = np.partition(guesses, -2, axis=1)
    return best[:, -1] - best[:, -2]


def _unsure(
    points: np.ndarray,
    labelled: np.ndarray,
    count: int,
    guesses: np.ndarray,
    rng: Rng,
) -> np.ndarray:
    open_ = np.flatnonzero(~labelled)
    return open_[np.argsort(_margin(guesses[open_]), kind="stable")[:count]]


def _different(
    points: np.ndarray,
    labelled: np.ndarray,
    count: int,
    guesses: np.ndarray,
    rng: Rng,
) -> np.ndarray:
    if labelled.any():
        known = points[labelled]
        nearest = np.min([((points - one) ** 2).sum(axis=1) for one in known], axis=0)
    else:  # begins in the middle
        nearest = -((points - points.mean(axis=0)) ** 2).sum(axis=1) + 1e6
    nearest[labelled] = -np.inf
    taken: list[int] = []
    for _ in range(count):
        one = int(nearest.argmax())
        taken.append(one)
        away = ((points - points[one]) ** 2).sum(axis=1)
        nearest = np.minimum(nearest, away)
        nearest[labelled] = nearest[taken] = -np.inf
    return np.array(taken)


def _typical(
    points: np.ndarray,
    labelled: np.ndarray,
    count: int,
    guesses: np.ndarray,
    rng: Rng,
) -> np.ndarray:
    groups = min(int(labelled.sum()) + count, _MOST_GROUPS, len(points))
    group = _groups(points, groups, rng)
    left = ~labelled
    known = np.bincount(group[labelled], minlength=groups)
    taken: list[int] = []
    while len(taken) < count:
        sizes = np.bincount(group[left], minlength=groups)
        # fewest labels first, of these the largest
        chosen = min(np.flatnonzero(sizes), key=lambda g: (known[g], -sizes[g]))
        members = np.flatnonzero((group == chosen) & left)
        one = members[_typicality(points[group == chosen], points[members]).argmax()]
        taken.append(int(one))
        left[one] = False
        known[chosen] += 1
    return np.array(taken)


def _typicality(group: np.ndarray, members: np.ndarray) -> np.ndarray:
    """How near the nearest others of the group are to each member; higher is nearer."""
    away = np.sqrt(((members[:, None] - group[None]) ** 2).sum(axis=2))
    away.sort(axis=1)
    near = away[:, 1 : 1 + _NEIGHBOURS]  # the first is the video itself
    return -near.mean(axis=1) if near.shape[1] else np.zeros(len(members))


def _badge(
    points: np.ndarray,
    labelled: np.ndarray,
    count: int,
    guesses: np.ndarray,
    rng: Rng,
) -> np.ndarray:
    open_ = np.flatnonzero(~labelled)
    error = guesses[open_].copy()
    error[np.arange(len(open_)), error.argmax(axis=1)] -= 1
    inputs = points[open_]
    # a gradient is the outer product of error and input, of which products are enough
    length = (error**2).sum(axis=1) * (inputs**2).sum(axis=1)
    taken = [int(length.argmax())]
    nearest = np.full(len(open_), np.inf)
    while len(taken) < count:
        one = taken[-1]
        along = (error @ error[one]) * (inputs @ inputs[one])
        nearest = np.minimum(nearest, np.maximum(length + length[one] - 2 * along, 0))
        nearest[taken] = 0
        weights = (
            nearest if nearest.sum() > 0 else np.isin(np.arange(len(open_)), taken, invert=True)
        )
        taken.append(int(rng.choice(len(open_), p=weights / weights.sum())))
    return open_[taken]


def _unsure_groups(
    points: np.ndarray,
    labelled: np.ndarray,
    count: int,
    guesses: np.ndarray,
    rng: Rng,
) -> np.ndarray:
    unsure = _unsure(points, labelled, _CONSIDERED * count, guesses, rng)
    weights = 1 - _margin(guesses[unsure])
    weights = weights if weights.sum() > 0 else np.ones(len(unsure))
    seed = int(rng.integers(2**31))
    found = KMeans(min(count, len(unsure)), n_init=3, random_state=seed)
    group = found.fit_predict(points[unsure], sample_weight=weights + 1e-9)
    away = ((points[unsure] - found.cluster_centers_[group]) ** 2).sum(axis=1)
    middles = [members[away[members].argmin()] for members in
               (np.flatnonzero(group == g) for g in range(count)) if len(members)]  # fmt: skip
    rest = [one for one in range(len(unsure)) if one not in middles]
    return unsure[[*sorted(middles), *rest][:count]]


def _groups(points: np.ndarray, count: int, rng: Rng) -> np.ndarray:
    seed = int(rng.integers(2**31))
    return KMeans(count, n_init=3, random_state=seed).fit_predict(points)


Way = Callable[[np.ndarray, np.ndarray, int, np.ndarray, Rng], np.ndarray]
WAYS: dict[str, Way] = {
    "random": _random,
    "typical": _typical,
    "different": _different,
    "unsure": _unsure,
    "unsure-groups": _unsure_groups,
    "badge": _badge,
}
BLIND = ("random", "typical", "different")  # those that need no probabilities
GUESSING = tuple(name for name in WAYS if name not in BLIND)
