"""Bars: the accuracy of runs, differences, and how much is in the data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullLocator

from harlib.data import label_sets
from harlib.evaluation.ranking import measure
from harlib.figures.areas import link, link_rows, run_of
from harlib.figures.axes import in_percent, legend_below, named, ranges, share_axis, whiskers
from harlib.figures.style import (
    LISTED,
    PALETTE,
    QUIET,
    RIGHT,
    WRONG,
    describe,
    new_axes,
    short,
    short_run,
    styled,
)
from harlib.text import percent, quantity

# what ranks runs: the same of single clips, of guessing, and in words
_MEASURES = {
    "video_top1": ("clip_top1", "majority", "top-1 accuracy"),
    "mean_ap": ("clip_mean_ap", "chance", "mean average precision"),
}


@styled
def accuracy_bars(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Top-1 accuracy of runs: bars with 95 % intervals for videos, a diamond for single clips.

    Of several labels per video, their mean average precision.

    Args:
        table: `metrics.table(run_dirs)`, at least `run, video_top1, low, high`; `clip_top1` and
            `majority` (the line of always naming the most frequent category) are drawn when there,
            and so are `lowest` and `highest`, of the seeds that a row stands for.
    """
    key = measure(table)
    clip, line, words = _MEASURES[key]
    ax = ax or new_axes(8.2, 1.5 + 0.5 * len(table))
    rows = np.arange(len(table))
    accuracy = table[key].to_numpy(float)
    ax.barh(
        rows,
        accuracy,
        height=0.6,
        label="video level, 95 % interval",
        color=[PALETTE[row % len(PALETTE)] for row in rows],
    )
    whiskers(ax, rows, table["low"], table["high"], "#222222")
    ranges(ax, rows, table)
    if clip in table and table[clip].notna().any():
        ax.plot(
            table[clip],
            rows,
            "D",
            ms=7,
            mfc="white",
            mec="#222222",
            mew=1.3,
            ls="",
            label="clip level",
        )
    if line in table and table[line].notna().any():
        ax.axvline(
            table[line].max(),
            color=QUIET,
            ls=(0, (4, 2)),
            lw=1.4,
            label="most frequent category" if line == "majority" else "guessing",
        )
    for row, (value, high) in enumerate(zip(accuracy, table["high"], strict=True)):
        ax.annotate(
            percent(value),
            (max(value, high), row),
            (6, 0),
            va="center",
            textcoords="offset points",
            fontsize=10,
            weight="bold",
        )
    named(ax, rows, map(short_run, table["run"]), escaped=True)
    share_axis(ax, words, right=1.12)
    ax.set_title("Accuracy of the runs")
    if key == "video_top1":
        for row, (name, value) in enumerate(zip(map(run_of, table["run"]), accuracy, strict=True)):
            if "seeds" in table and table["seeds"].iloc[row] > 1:
                continue  # no one run has them wrong
            wrong = (value, row - 0.4, 1.0, row + 0.4)
            link(ax, wrong, f"the videos that {name} has wrong", run=name, right="no")
            right = (0.0, row - 0.4, value, row + 0.4)
            link(ax, right, f"the videos that {name} has right", run=name, right="yes")
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.55 / (0.5 * len(table) + 0.6)), ncols=3)
    said = [
        f"{row['run']} {percent(row[key])} ({percent(row['low'])} to {percent(row['high'])})"
        for _, row in table.iterrows()
    ]
    return describe(ax, f"Video-level {words} with 95 % interval: " + "; ".join(said) + ".")


@styled
def accuracy_compute(table: pd.DataFrame, *, x: str = "gmacs", ax: Axes | None = None) -> Axes:
    """Video top-1 (of several labels mAP) with intervals against its cost, on a logarithmic axis.

    Args:
        table: `metrics.table(run_dirs)`.
        x: "gmacs" (of one video: GMACs of a clip × views), "minutes" or "parameters".
    """
    units = {
        "gmacs": "GMACs per video (one clip × views)",
        "minutes": "minutes of the run",
        "parameters": "parameters",
    }
    nouns = {"gmacs": "arithmetic", "minutes": "time", "parameters": "size"}
    if x not in units:
        raise ValueError(f"x={x!r}, expected one of {sorted(units)}")
    key = measure(table)
    words = _MEASURES[key][2]
    ax = ax or new_axes(8.2, 4.2)
    cost = table[x].to_numpy(float) * (table["views"].to_numpy(float) if x == "gmacs" else 1.0)
    for row, (place, run) in enumerate(zip(cost, table.to_dict("records"), strict=True)):
        color = PALETTE[row % len(PALETTE)]
        ax.plot([place, place], [run["low"], run["high"]], color=color, lw=2)
        if run.get("seeds", 1) > 1:
            ax.plot([place, place], [run["lowest"], run["highest"]], color=color, lw=9, alpha=0.3,
                    solid_capstyle="butt")  # fmt: skip
        ax.plot(
            place,
            run[key],
            "osD^vPX"[row % 7],
            ms=9,
            color=color,
            ls="",
            label=short_run(run["run"]),
        )
    ax.set_xscale("log")
    ax.margins(x=0.15)
    ax.xaxis.set_major_locator(_cost_ticks(cost))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: quantity(value))
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    ax.set(
        xlabel=units[x],
        ylabel=f"video {words}",
        ylim=(0, 1.04),
        title=f"Accuracy against {nouns[x]}",
    )
    in_percent(ax.yaxis)
    said = [
        f"{run} {percent(value)} at {quantity(place)}"
        for run, value, place in zip(table["run"], table[key], cost, strict=True)
    ]
    return describe(ax, f"Video {words} against {units[x]}: {'; '.join(said)}.")


def _cost_ticks(cost: np.ndarray) -> Locator:
    """Few enough for a panel of three: what LogLocator finds between two decades is crowded."""
    spread = np.nanmax(cost) / np.nanmin(cost)
    if spread < 5:
        return MaxNLocator(3)
    return LogLocator(subs=(1, 2, 5) if spread < 30 else (1, 3) if spread < 300 else (1,))


@styled
def category_difference(
    table: pd.DataFrame,
    *,
    names: tuple[str, str] = ("a", "b"),
    measure: str = "accuracy",
    n: int = 12,
    ax: Axes | None = None,
) -> Axes:
    """Where one model beats another: the n categories with the largest difference on each side.

    Bars have their 95 % intervals; those that may be chance are pale. Categories without a
    difference are left out.

    Args:
        table: `comparison.category_difference(a, b)`; `low, high` and `clear` may be missing.
        names: what to call a and b.
        measure: of what the difference is.
    """
    total, table = len(table), table[table["difference"] != 0]
    differing = f"{len(table)} of {total} categories differ{'s' * (len(table) == 1)}"
    if len(table) > 2 * n:
        differing += f", of which {2 * n} are shown"
        table = pd.concat([table.iloc[:n], table.iloc[-n:]])
    ax = ax or new_axes(8.2, 1.8 + 0.3 * len(table))
    rows = np.arange(len(table))
    better = table["difference"].to_numpy() > 0
    colors = np.where(better, RIGHT, WRONG)
    for clear in (True, False):
        own = (
            table["clear"].to_numpy(bool) == clear
            if "clear" in table
            else np.full(len(table), clear)
        )
        ax.barh(rows[own], table["difference"][own], color=colors[own], height=0.66,
                alpha=1.0 if clear else 0.45,
                label="more than chance" if clear else "may be chance")  # fmt: skip
    if "low" in table and table["low"].notna().any():
        whiskers(ax, rows, table["low"], table["high"], "#222222")
    named(ax, rows, table["category"])
    if measure == "accuracy":
        link_rows(ax, [(f"the videos of {name}", {"true": name}) for name in table["category"]])
    ax.axvline(0, color="#222222", lw=1)
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f}")
    ax.set(
        title="Categories where they differ",
        xlabel=f"← points in favour of {short(names[1], 90)}\n"
        f"points in favour of {short(names[0], 90)} →",
    )
    lead = f"{measure.capitalize()} of {names[0]} minus {names[1]} by category: "
    if table.empty:
        return describe(ax, f"{lead}the same in every one.")
    best, worst = table.iloc[0], table.iloc[-1]
    return describe(
        ax,
        f"{lead}from {100 * best['difference']:+.0f} points for {best['category']} to "
        f"{100 * worst['difference']:+.0f} for {worst['category']}; {differing}.",
    )


@styled
def category_counts(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many videos each category has in each split; of several labels each of a video's.

    Above 60 categories the sorted counts without names.

    Args:
        table: one row per video with `category, split` (`Catalog.frame`, `ClipStore.videos`).
    """
    several = label_sets.several(table["category"].astype(str).unique())
    sizes = table["split"].value_counts()
    if several:
        table = table[["category", "split"]].assign(
            category=table["category"].map(label_sets.split)
        )
        table = table.explode("category")
    noun = "label" if several else "category"
    counts = pd.crosstab(table["category"], table["split"])
    counts = counts[[name for name in ("train", "val", "test") if name in counts]]
    many = len(counts) > LISTED
    if many:
        counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    ax = ax or (new_axes(8.2, 3.6) if many else new_axes(8.2, 1.3 + 0.27 * len(counts)))
    places, start = np.arange(len(counts)), np.zeros(len(counts))
    for number, split in enumerate(counts):
        values = counts[split].to_numpy()
        label = f"{split} ({sizes[split]:,} videos)"
        options: dict[str, Any] = {"color": PALETTE[number], "label": label}
        if many:
            ax.bar(places, values, bottom=start, width=1.0, **options)
        else:
            ax.barh(places, values, left=start, height=0.7, **options)
        start = start + values
    if many:
        ax.set(
            xlabel=f"the {len(counts)} {'labels' if several else 'categories'}, by size",
            ylabel="videos",
            xlim=(-0.5, len(counts) - 0.5),
        )
    else:
        named(ax, places, counts.index)
        if not several:
            rows = [(f"the scored videos of {name}", {"true": name}) for name in counts.index]
            link_rows(ax, rows)
        ax.set_xlabel("videos")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.set_title("Videos by label (a video counts for each)" if several else "Videos by category")
    legend_below(ax)
    total = counts.sum(axis=1)
    said = ", ".join(f"{sizes[name]} {name}" for name in counts)
    return describe(
        ax,
        f"{len(counts)} {'labels' if several else 'categories'} with {said} videos; the smallest "
        f"{noun} has {total.min()}, "
        f"the largest {total.max()}.",
    )


@styled
def store_sizes(table: Mapping[str, float] | pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Sizes on disk side by side, the smallest marked with how many times smaller it is.

    Args:
        table: {name: bytes}, or a table with `name, bytes`.
    """
    sizes = (
        dict(table)
        if isinstance(table, Mapping)
        else dict(zip(table["name"], table["bytes"], strict=True))
    )
    values = np.array([float(value) for value in sizes.values()])
    ax = ax or new_axes(7.4, 1.2 + 0.42 * len(values))
    rows = np.arange(len(values))
    ax.barh(rows, values, color=RIGHT, height=0.62)
    named(ax, rows, sizes)
    for row, value in enumerate(values):
        share = "" if value in (0, values.max()) else f"  ({values.max() / value:.3g} × smaller)"
        ax.annotate(
            quantity(value, "B") + share,
            (value, row),
            (5, 0),
            va="center",
            textcoords="offset points",
            fontsize=10,
        )
    ax.xaxis.set_major_formatter(lambda value, _: quantity(value, "B") if value else "0")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set(title="Size on disk", xlabel="bytes", xlim=(0, max(values.max(), 1) * 1.3))
    said = ", ".join(
        f"{name} {quantity(value, 'B')}" for name, value in zip(sizes, values, strict=True)
    )
    return describe(ax, f"Size on disk: {said}.")
