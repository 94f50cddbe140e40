"""Which groups of a folder's videos are held out: by their names and a seed alone."""

import hashlib
import math
from collections import defaultdict
from itertools import islice

import numpy as np
import pandas as pd

from harlib.data import label_sets
from harlib.data.catalog import names
from harlib.data.catalog.folder import CatalogError


def split(table: pd.DataFrame, keys: pd.Series, val: float, seed: int) -> tuple[np.ndarray, str]:
    """ "train" or "val" for each row, and a sentence about the share reached.

    A group's key and the seed give it a number from 0 to 1, and numbers below `val` are held out.
    So other videos that come or go move no group. There are two exceptions, at the border of a
    category: it has a group on each side, as long as it has two and shares none with categories
    that need it elsewhere, and it holds out at most the double of its share.

    Args:
        table: rows with `category` and `group`.
        keys: names each row's group whatever other videos there are.
        val: share of the groups to hold out, in (0, 0.5].

    Raises:
        CatalogError: `val` is out of range, or no group can be held out.
    """
    if not 0 < val <= 0.5:
        raise CatalogError(f"val is {val}: the share of groups held out must be in (0, 0.5]")
    numbers = keys.map({key: _number(key, seed) for key in keys.unique()})
    groups = table[["category", "group"]].assign(number=numbers)
    if label_sets.several(groups["category"].unique()):  # of each single label
        groups["category"] = groups["category"].map(label_sets.split)
        groups = groups.explode("category")
    groups = groups.sort_values(["number", "group"]).drop_duplicates(["category", "group"])
    ordered = dict(list(groups.groupby("category")))
    held = _held(ordered, val)
    if not held and any(len(own) > 1 for own in ordered.values()):
        raise CatalogError(
            "no group can be held out: each is the only one of some category, which would have "
            f"nothing to learn from, first {groups['group'].iloc[0]!r}; other groups are needed"
        )
    if not held:
        raise CatalogError(
            f"no video can be held out: each of {len(ordered)} categories has one group only, "
            f"first {next(iter(ordered))!r} with {groups['group'].iloc[0]!r}; at least two are "
            "needed, one to learn from and one to test on"
        )
    without = [category for category, own in ordered.items() if held.isdisjoint(own["group"])]
    count = groups["group"].nunique()
    said = (
        f"Held out: {len(held):,} of {count:,} groups ({len(held) / count:.0%}; asked: {val:.0%})."
    )
    videos = int(table["group"].isin(held).sum())
    if videos / len(table) > 1.5 * len(held) / count:  # a few groups hold most of the videos
        said += f" They hold {videos:,} of {len(table):,} videos ({videos / len(table):.0%})."
    if without:
        said += f" None in {names.first(without, 8)}, with too few groups."
    return np.where(table["group"].isin(held), "val", "train"), said


def _number(key: str, seed: int) -> float:
    data = f"{seed}/{names.composed(key)}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data).digest()[:8]) / 2**64


def _held(ordered: dict[str, pd.DataFrame], val: float) -> set[str]:
    """The groups held out, of each category's in the order of their numbers."""
    groups = {category: own["group"].tolist() for category, own in ordered.items()}
    held = set()
    for category, own in ordered.items():
        held.update(groups[category][: _count(own["number"].to_numpy(), val)])
    for own in groups.values():  # groups that span categories may have left one without training
        if held.issuperset(own):
            held.discard(own[-1])
    learned = {category: len(set(own) - held) for category, own in groups.items()}
    sharing = defaultdict(list)
    for category, own in groups.items():
        for group in own:
            sharing[group].append(category)
    for own in groups.values():
        if held.isdisjoint(own):
            free = (group for group in own if all(learned[c] > 1 for c in sharing[group]))
            for group in islice(free, 1):
                held.add(group)
                for category in sharing[group]:
                    learned[category] -= 1
    return held


def _count(numbers: np.ndarray, val: float) -> int:
    """How many of a category's groups, by their sorted numbers, are held out by `val` alone."""
    most = min(len(numbers) - 1, math.ceil(round(2 * val * len(numbers), 9)))
    return min(int((numbers < val).sum()), most)
