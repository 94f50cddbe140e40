"""Which groups of a folder's videos are held out: by their names and a seed alone."""

import hashlib
import math

import numpy as np
import pandas as pd

from harlib.data.catalog import names
from harlib.data.catalog.folder import CatalogError


def split(table: pd.DataFrame, keys: pd.Series, val: float, seed: int) -> tuple[np.ndarray, str]:
    """ "train" or "val" for each row, and a sentence about the share reached.

    A group's key and the seed give it a number from 0 to 1, and numbers below `val` are held out.
    So other videos that come or go move no group. There are two exceptions, at the border of a
    category: it has a group on each side, as long as it has two, and it holds out at most the
    double of its share.

    Args:
        table: rows with `category` and `group`.
        keys: names each row's group whatever other videos there are.
        val: share of the groups to hold out, in (0, 0.5].

    Raises:
        CatalogError: `val` is out of range, or no category has two groups.
    """
    if not 0 < val <= 0.5:
        raise CatalogError(f"val is {val}: the share of groups held out must be in (0, 0.5]")
    numbers = keys.map({key: _number(key, seed) for key in keys.unique()})
    groups = table[["category", "group"]].assign(number=numbers)
    groups = groups.sort_values(["number", "group"]).drop_duplicates(["category", "group"])
    ordered = dict(list(groups.groupby("category")))
    held = set()
    for own in ordered.values():
        held.update(own["group"][: _count(own["number"].to_numpy(), val)])
    for own in ordered.values():  # groups that span categories may have left one without training
        if held.issuperset(own["group"]):
            held.discard(own["group"].iloc[-1])
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
    if without:
        said += f" None in {names.first(without, 8)}, with too few groups."
    return np.where(table["group"].isin(held), "val", "train"), said


def _number(key: str, seed: int) -> float:
    data = f"{seed}/{names.composed(key)}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data).digest()[:8]) / 2**64


def _count(numbers: np.ndarray, val: float) -> int:
    """How many of a category's groups, by their sorted numbers, are held out."""
    most = min(len(numbers) - 1, math.ceil(round(2 * val * len(numbers), 9)))
    return min(max(int((numbers < val).sum()), 1), most)
