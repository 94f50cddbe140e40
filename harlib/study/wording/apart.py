"""Sentences about two runs side by side: how often each is right, and in which categories."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from harlib.text import count, percent

_NAMED = 4  # categories that a sentence names
_LISTED = 20  # that a table has, of either sign of the difference


def cells(row: Any) -> str:
    """The four cells of a paired test in words; `row` of `comparison.compare_all`, one label."""
    both, only_a, only_b, neither = map(videos, (row.both, row.only_a, row.only_b, row.neither))
    text = (
        f"Both runs have {both} right, {row.a} alone {only_a}, {row.b} alone {only_b}, neither "
        f"{neither}"
    )
    if pd.isna(row.p):
        return f"{text}: means over the pairs of their seeds."
    apart = row.only_a + row.only_b
    if not apart:
        return f"{text}: they are right on the same videos."
    return (
        f"{text}. Were both equally good, a split of the {videos(apart)} at least as uneven would "
        f"come up with p = {row.p:.2g} (McNemar's exact test, each video by itself)."
    )


def difference(row: Any) -> str:
    """The difference of two runs in points with its interval, and what that says."""
    text = (
        f"{row.a} − {row.b}: {100 * row.difference:+.1f} points (95 % interval "
        f"{100 * row.low:+.1f} to {100 * row.high:+.1f})"
    )
    return f"{text}, which may be chance." if row.low <= 0 <= row.high else f"{text}."


def verdict(row: Any) -> str:
    """``+0.6 points, may be chance``."""
    chance = "may be chance" if row.low <= 0 <= row.high else "more than chance"
    return f"{100 * row.difference:+.1f} points, {chance}"


def tests(number: int, *, several: bool = False) -> str:
    """That several pairs were tested, and none of the tests allows for that; empty of one.

    several: of several labels per video, which have intervals alone.
    """
    which = "each interval is" if several else "each interval and each p is"
    return f"{number:,} tests: {which} as if it were the only one." if number > 1 else ""


def categories(table: pd.DataFrame, a: str, b: str, *, several: bool = False) -> str:
    """In which categories each of two runs is better, and where that is more than chance.

    table: `comparison.category_difference` of a and b.
    several: of several labels per video, which have no intervals.
    """
    apart = table[table["difference"] != 0]
    measure = "average precision" if several else "accuracy"
    if apart.empty:
        return f"{a} and {b} have the same {measure} in every category."
    ahead = "; ".join(
        f"{run} is better in {_list(own['category'])}"
        for run, own in ((a, apart[apart["difference"] > 0]), (b, apart[apart["difference"] < 0]))
        if len(own)
    )
    if several:
        return f"{ahead}. There are no intervals for a label's average precision."
    clear = apart[apart["clear"]]
    looked = f"with {count(len(table), 'category', 'categories')} looked at"
    one = len(apart) == 1
    if clear.empty:
        that = "That may be chance" if one else "None of that is more than chance"
        return f"{ahead}. {that}, {looked} (Bonferroni)."
    if len(clear) == len(apart):
        that = "that is" if one else "all of that is"
        return f"{ahead}: {that} more than chance, {looked} (Bonferroni)."
    return f"{ahead}. More than chance, {looked} (Bonferroni): {_list(clear['category'])}."


def category_table(table: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """`comparison.category_difference` as a reader wants it, a row where they differ most."""
    apart = _listed(table)
    surely = f"more than chance, of {len(table)} looked at"
    interval = [
        "–" if pd.isna(row.low) else f"{100 * row.low:+.0f} to {100 * row.high:+.0f}"
        for row in apart.itertuples()
    ]
    found = pd.DataFrame(
        {
            "category": apart["category"],
            "videos": apart["support"].astype(int),
            a: apart["a"].map(percent),
            b: apart["b"].map(percent),
            "difference, points": [f"{100 * value:+.0f}" for value in apart["difference"]],
            "95 % interval, points": interval,
            surely: np.where(apart["clear"], "yes", "no"),
        }
    )
    unknown = ["95 % interval, points", surely] if apart["low"].isna().all() else []
    return found.drop(columns=unknown)


def not_listed(table: pd.DataFrame) -> str:
    """How many categories that differ `category_table` leaves out; empty where none."""
    differing = int((table["difference"] != 0).sum())
    if len(_listed(table)) == differing:
        return ""
    return (
        f"{differing:,} categories differ; the {_LISTED} largest differences each way are listed."
    )


def _listed(table: pd.DataFrame) -> pd.DataFrame:
    ahead, behind = table[table["difference"] > 0], table[table["difference"] < 0]
    return pd.concat([ahead.head(_LISTED), behind.tail(_LISTED)])


def flipped_table(table: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """`comparison.flipped` as a reader wants it; of several labels without how sure."""
    first = table["right"] == "a"
    right, wrong = (np.where(first, *names) for names in ((a, b), (b, a)))
    sure = np.where(first, table["confidence_b"], table["confidence_a"])
    found = pd.DataFrame(
        {
            "video": table["video_id"],
            "true category": table["true"],
            "right": right,
            "wrong": wrong,
            "called": np.where(first, table["called_b"], table["called_a"]),
            "how sure": [percent(value) for value in sure],
        }
    )
    return found.drop(columns="how sure") if pd.isna(sure).all() else found


def videos(number: float) -> str:
    """A number of videos, or the mean of such numbers."""
    whole = isinstance(number, int) or float(number).is_integer()
    return f"{int(number):,}" if whole else f"{number:,.1f}"


def _list(names: Iterable[str]) -> str:
    """The names where they are few, else their number."""
    every = list(names)
    return ", ".join(every) if len(every) <= _NAMED else f"{len(every)} categories"
