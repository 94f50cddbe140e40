"""Sentences on what videos are like beside what they show, which a network may learn too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from harlib.data import label_sets
from harlib.data.store import properties
from harlib.study.wording.tables import Sentence
from harlib.text import count, percent


@dataclass(frozen=True)
class Quantity:
    """A column of `properties.measure` in words.

    `title` and `label` are of its figure; `more` and `less` compare two videos; `write` writes one
    value.
    """

    column: str
    title: str
    label: str
    more: str
    less: str
    write: Callable[[float], str]
    shares: bool = False  # fractions, read as per cent


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 100 else f"{value:.2g} s"


def _percent(value: float) -> str:
    return percent(value, 0 if value >= 0.1 else 1)


LENGTH = Quantity("seconds", "Length", "seconds", "longer", "shorter", _seconds)
BRIGHTNESS = Quantity(
    "brightness", "Brightness", "mean brightness, black 0 % to white 100 %", "brighter", "darker",
    _percent, shares=True,
)  # fmt: skip
MOTION = Quantity(
    "motion", "Motion", f"change of a pixel's brightness in {properties.APART_S:g} s",
    "more in motion", "less in motion", _percent, shares=True,
)  # fmt: skip
SIDE = Quantity(
    "side", "Picture size", "pixels of the shorter side, as recorded", "of larger pictures",
    "of smaller pictures", "{:.0f} pixels".format,
)  # fmt: skip
SHAPE = Quantity(
    "shape", "Picture shape", "width by height, as recorded", "wider", "narrower",
    "{:.2f} × as wide as high".format,
)  # fmt: skip
RATE = Quantity(
    "rate", "Frame rate", "frames per second, as recorded", "of a higher rate", "of a lower rate",
    "{:.4g} per second".format,
)  # fmt: skip
QUANTITIES = {one.column: one for one in (LENGTH, BRIGHTNESS, MOTION, SIDE, SHAPE, RATE)}


def standing_apart(table: pd.DataFrame, column: str) -> Sentence:
    """What is usual, and which category or split a number alone tells from the others.

    table: of `properties.measure`. column: one of `QUANTITIES`.
    """
    what = QUANTITIES[column]
    values = table[column].dropna()
    if values.empty:
        return Sentence("No video has two frames to compare.")
    low, middle, high = (what.write(values.quantile(q)) for q in (0.05, 0.5, 0.95))
    looked = ""
    if len(values) < len(table):
        looked = f" ({len(values):,} of {count(len(table), 'video')} looked at)"
    usual = f"Typically {middle}, nine of ten videos from {low} to {high}{looked}."
    return Sentence(f"{usual} {_said(table, [what]) or _nothing(table)}")


def recorded(table: pd.DataFrame, listed: int) -> Sentence:
    """At which sizes and rates videos were recorded, and whether that tells a category or split.

    table: of `properties.recorded`. listed: files in all.
    """
    if table.empty:
        return Sentence(
            "At which size and rate they were recorded is unknown: no file could be looked into "
            "(they are gone, or lie inside tar files)."
        )
    kinds = table["kind"].value_counts()
    which = f"All {listed:,} files" if len(table) == listed else (
        f"The {len(table):,} of {listed:,} files that were looked at")  # fmt: skip
    if len(kinds) == 1:
        return Sentence(f"{which} are of {kinds.index[0]}.")
    most = f"most often {kinds.index[0]} ({percent(kinds.iloc[0] / len(table), 0)})"
    found = _said(table, [SIDE, SHAPE, RATE]) or _nothing(table)
    return Sentence(f"{which} are of {len(kinds)} sizes and rates, {most}. {found}")


def _said(table: pd.DataFrame, whats: Sequence[Quantity]) -> str:
    """Which category and which split stand apart by these; empty where none does."""
    several = label_sets.several(table["category"].unique())
    categories, splits = [], []
    for what in whats:
        if found := properties.standing_apart(table, what.column, "category"):
            others = "videos without it" if several else "the others"
            text = _compared(what, found, "Videos of", others)
            if found.count > 1:
                many = found.count > 2
                noun = ("labels" if several else "categories") if many else _noun(table)
                text += f"; {found.count - 1} more {noun} {'stand' if many else 'stands'} apart"
            categories.append(f"{text}.")
        if found := properties.standing_apart(table, what.column, "split"):
            splits.append(f"{_compared(what, found, 'Those in', 'the others')}.")
    if categories:
        categories.append("A network may learn that in place of the action.")
    if splits:
        splits.append("What is learned on one side of the split may not hold on the other.")
    return " ".join([*categories, *splits])


def _nothing(table: pd.DataFrame) -> str:
    """What was looked for and not found, by the rule of `properties.standing_apart`."""
    return (
        f"No {_noun(table)} differs from the others by more than chance in nine of ten comparisons "
        "of two videos, and no split in seven of ten."
    )


def _noun(table: pd.DataFrame) -> str:
    return "label" if label_sets.several(table["category"].unique()) else "category"


def _compared(what: Quantity, found: properties.Apart, of: str, others: str) -> str:
    word, share = (what.more, found.share) if found.share > 0.5 else (what.less, 1 - found.share)
    return (
        f"{of} {found.name} are {word} than {others} in {percent(share, 0)} of the comparisons "
        f"(median {what.write(found.own)} against {what.write(found.others)})"
    )
