"""Where the videos of each category lie: a number's quantiles, the splits side by side."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from harlib.data import label_sets
from harlib.figures.axes import legend_below, named
from harlib.figures.style import PALETTE, QUIET, describe, new_axes, short, styled

_ENDS = 4  # categories shown of each end of many
_SPLITS = ("train", "val", "test")
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@styled
def quantiles(
    table: pd.DataFrame,
    value: str,
    *,
    title: str,
    label: str,
    write: Callable[[float], str] = "{:.3g}".format,
    shares: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """A number of each category's videos by split: a dot at the middle, a bar over half of them.

    A thin line spans nine of ten. Categories are sorted by their middle, all videos stand on top;
    of more than 8 categories the lowest and the highest four are drawn.

    Args:
        table: `category, split` and `value`, a row per video; videos without it are left out.
        value: the column.
        label: of the axis, with its unit.
        write: how a number is written in the alt text.
        shares: numbers are fractions 0 to 1, which the axis shows as per cent.
    """
    table = table[table[value].notna()]
    splits = [name for name in _SPLITS if (table["split"] == name).any()]
    every = _by_label(table)
    middle = (
        every.groupby("category")[value].agg(["median", "mean"]).sort_values(["median", "mean"])
    )
    middle, count = middle["median"], len(middle)
    order = list(middle.index)
    noun = "labels" if label_sets.several(table["category"].unique()) else "categories"
    if many := count > 2 * _ENDS:
        order = [*order[:_ENDS], *order[-_ENDS:]]
    ax = ax or new_axes(8.2, 1.5 + (0.16 + 0.08 * len(splits)) * (len(order) + 1))
    parts = [table, *(every[every["category"] == name] for name in order)]
    for number, split in enumerate(splits):
        shift = 0.6 * ((number + 0.5) / len(splits) - 0.5)
        places = np.arange(len(parts)) + shift
        own = np.array([_quantiles(part.loc[part["split"] == split, value]) for part in parts]).T
        color = PALETTE[number]
        ax.hlines(places, own[0], own[4], color=color, lw=1.2)
        ax.hlines(places, own[1], own[3], color=color, lw=5, alpha=0.45)
        ax.plot(own[2], places, "o", ms=5, ls="", color=color,
                label=f"{split} ({int((table['split'] == split).sum()):,} videos)")  # fmt: skip
    ax.axhline(0.5, color=QUIET, lw=1)
    if many:
        ax.axhline(_ENDS + 0.5, color=QUIET, lw=1, ls=(0, (2, 3)))
        title += f": the {_ENDS} lowest and the {_ENDS} highest of {count} {noun}"
    names = [f"all {count} {noun}" if count > 1 else "all", *map(short, order)]
    named(ax, np.arange(len(parts)), names, escaped=True)
    if shares:
        ax.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    ax.set_title(title)
    ax.set_xlabel(f"{label}\ndot: median; bar: half of the videos; line: nine of ten")
    legend_below(ax)
    whole = _quantiles(table[value])
    return describe(
        ax,
        f"{title}. {label}, of {count} {noun}: lowest middle {order[0]} with "
        f"{write(middle.iloc[0])}, highest {order[-1]} with {write(middle.iloc[-1])}; of all "
        f"videos {write(whole[2])}, nine of ten from {write(whole[0])} to {write(whole[4])}.",
    )


def _by_label(table: pd.DataFrame) -> pd.DataFrame:
    """Of several labels per video a row for each of them."""
    if not label_sets.several(table["category"].unique()):
        return table
    return table.assign(category=table["category"].map(label_sets.split)).explode("category")


def _quantiles(values: pd.Series) -> np.ndarray:
    """Float (5,); NaN where there are no values."""
    return np.quantile(values, _QUANTILES) if len(values) else np.full(len(_QUANTILES), np.nan)
