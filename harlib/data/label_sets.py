"""Several labels per video: a category that holds "|" is a set of labels, as "clapping|walking".

A clip store knows categories alone, and a video's `label` is the number of its category. What a
network tells apart are the single labels; `members` leads from one to the other.
"""

from collections.abc import Sequence

import numpy as np

SEPARATOR = "|"


def joined(labels: Sequence[str]) -> str:
    """The category of a video with these labels: each once, sorted.

    >>> joined(["walking", "clapping"])
    'clapping|walking'
    """
    return SEPARATOR.join(sorted(set(labels)))


def split(category: str) -> list[str]:
    """The labels of a category, without blanks around them.

    >>> split("walking | clapping"), split("walking")
    (['walking', 'clapping'], ['walking'])
    """
    return [label.strip() for label in category.split(SEPARATOR)]


def several(categories: Sequence[str]) -> bool:
    """Whether videos of such categories have several labels: any of them holds "|"."""
    return any(SEPARATOR in category for category in categories)


def classes(categories: Sequence[str]) -> list[str]:
    """What a network tells apart: the single labels, sorted; without "|" the categories.

    >>> classes(["clapping|walking", "waving"])
    ['clapping', 'walking', 'waving']
    """
    if not several(categories):
        return list(categories)
    return sorted({label for category in categories for label in split(category)})


def members(categories: Sequence[str]) -> np.ndarray:
    """Which label is in which category: bool (categories, classes).

    >>> members(["clapping|walking", "waving"]).astype(int)
    array([[1, 1, 0],
           [0, 0, 1]])
    """
    names = classes(categories)
    if not several(categories):
        return np.eye(len(names), dtype=bool)
    place = {name: number for number, name in enumerate(names)}
    found = np.zeros((len(categories), len(names)), bool)
    for row, category in zip(found, categories, strict=True):
        row[[place[label] for label in split(category)]] = True
    return found


def indices(categories: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """The class indices of each category's labels; empty where videos have one label each."""
    if not several(categories):
        return ()
    return tuple(tuple(np.flatnonzero(row).tolist()) for row in members(categories))
