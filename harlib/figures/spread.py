"""How far the seeds of a training lie apart."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from harlib.figures.axes import named, share_axis
from harlib.figures.style import PALETTE, describe, new_axes, styled
from harlib.text import percent


@styled
def seed_spread(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """One dot a training, a bar at each variant's mean, a line over its range.

    Args:
        table: `variant, seed, video_top1` a training, fractions in 0..1; the first variant on top.
    """
    order = list(dict.fromkeys(table["variant"]))
    ax = ax or new_axes(8.2, 1.3 + 0.42 * len(order))
    said = []
    for row, variant in enumerate(order):
        values = table.loc[table["variant"] == variant, "video_top1"].to_numpy(float)
        color = PALETTE[row % len(PALETTE)]
        ax.hlines(row, values.min(), values.max(), color=color, lw=2, alpha=0.4)
        ax.plot(values, np.full(len(values), row), "o", ms=5, ls="", color=color, alpha=0.7)
        ax.plot([values.mean()], [row], "|", ms=18, mew=2.5, color=color)
        said.append(f"{variant} {percent(values.mean())}")
    named(ax, np.arange(len(order)), order)
    share_axis(ax, "video top-1: a dot a seed, the bar is the mean")
    ax.set_title("Variants and their seeds")
    return describe(ax, f"Mean video top-1 over the seeds: {', '.join(said)}.")
