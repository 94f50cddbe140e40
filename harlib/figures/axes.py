"""The few axes that bars and dots share."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis

from harlib.figures.style import short


def whiskers(ax: Axes, rows: Any, low: Any, high: Any, color: str) -> None:
    """Intervals from low to high, lying on rows."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    ax.hlines(rows, low, high, color=color, lw=1.6)
    ax.plot(np.stack([low, high]), np.stack([rows, rows]), "|", color=color, ms=6)


def ranges(ax: Axes, rows: np.ndarray, table: pd.DataFrame) -> None:
    """From the lowest to the highest seed of those rows that stand for several."""
    if "seeds" not in table or (table["seeds"] < 2).all():
        return
    several = (table["seeds"] > 1).to_numpy()
    own = table[several]
    ax.hlines(rows[several], own["lowest"], own["highest"], color="#222222", lw=9, alpha=0.35,
              label="range of its seeds")  # fmt: skip


def named(
    ax: Axes, rows: Sequence[float] | np.ndarray, names: Iterable[str], escaped: bool = False
) -> None:
    """Rows from the top down with names at the left; `escaped`: the names are ready to draw."""
    ax.set_yticks(rows, [name if escaped else short(name) for name in names])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)


def share_axis(ax: Axes, label: str, right: float = 1.02) -> None:
    """A horizontal axis of fractions 0..1, read as per cent."""
    ax.set_xlim(0, right)
    ax.set_xticks(np.linspace(0, 1, 6))
    in_percent(ax.xaxis)
    ax.set_xlabel(label)


def legend_below(ax: Axes, columns: int = 4) -> None:
    """A legend under a figure of our own; inside the axes where they share a figure."""
    handles, labels = ax.get_legend_handles_labels()
    if handles and ax.get_legend() is None and len(ax.figure.axes) == 1:
        columns = min(columns, len(labels))
        ax.figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    elif handles:
        ax.legend(handles, labels, loc="lower right")


def in_percent(*axes: Axis) -> None:
    """Fractions 0..1 on an axis read as per cent."""
    for axis in axes:
        axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
