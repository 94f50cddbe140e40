"""Dots with intervals: accuracy by category and by reversed pair, of one model or several."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from harlib.evaluation.metrics import ALL_PAIRS
from harlib.figures.areas import link_rows, run_of
from harlib.figures.axes import in_percent, legend_below, named, share_axis, whiskers
from harlib.figures.style import (
    LISTED,
    PALETTE,
    QUIET,
    WRONG,
    describe,
    new_axes,
    short,
    short_run,
    styled,
)
from harlib.text import percent


@styled
def per_category(table: pd.DataFrame | Mapping[str, pd.DataFrame], *, ax: Any = None) -> Any:
    """Accuracy of each category with its 95 % interval, best first.

    Above 60 categories: the sorted curve, and beside it the best and the worst.

    Args:
        table: `metrics.per_category(scores)` (`category, support, accuracy, low, high`), with a
            column `model`, or {model: table}, for several.
        ax: axes; above 60 categories two of them.

    Returns:
        The axes; above 60 categories both.
    """
    tables = _by_model(table)
    first = next(iter(tables.values()))
    mean = pd.concat(tables.values()).groupby("category")["accuracy"].mean().dropna()
    order = mean.sort_values(ascending=False, kind="stable").index
    text = (
        f"Accuracy of {len(order)} categories of {', '.join(tables) or 'the model'}: best "
        f"{order[0]} with {percent(mean.max(), 0)}, worst {order[-1]} with "
        f"{percent(mean.min(), 0)}, median {percent(mean.median(), 0)}."
    )
    if len(order) > LISTED:
        axes = np.asarray(new_axes(11.0, 6.4, 1, 2, width_ratios=[1.15, 1]) if ax is None else ax)
        _ranked(axes[0], tables)
        ends = [*order[:12], *order[-12:]]
        _dots(axes[1], tables, "category", ends)
        axes[1].axhline(11.5, color=QUIET, lw=1)
        axes[1].set_title("The 12 best and the 12 worst")
        _link_categories(axes[1], ends, tables)
        return describe(axes, text)
    ax = ax or new_axes(8.2, 1.2 + (0.24 + 0.09 * (len(tables) - 1)) * len(order))
    support = first.set_index("category")["support"]
    labels = {name: f"{short(name)} ({support[name]})" for name in order}
    _dots(ax, tables, "category", order, labels)
    ax.set_title("Accuracy by category (videos in brackets)")
    _link_categories(ax, order, tables)
    legend_below(ax)
    return describe(ax, text)


@styled
def pairs(table: pd.DataFrame | Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """How often a category outscores its own reverse, pair by pair; chance is 50 %.

    Args:
        table: `metrics.pair_accuracy(scores, pairs)`, with a column `model`, or {model: table}.
    """
    tables = _by_model(table)
    order = list(dict.fromkeys(name for one in tables.values() for name in one["pair"]))
    if not order:
        return _no_pairs(ax)
    ax = ax or new_axes(8.6, 1.5 + (0.42 + 0.12 * (len(tables) - 1)) * len(order))
    ax.axvline(0.5, color=WRONG, lw=1.4, ls=(0, (4, 2)), label="chance")
    _dots(ax, tables, "pair", order, {name: _pair_label(name) for name in order})
    if order[-1] == ALL_PAIRS:
        ax.axhline(len(order) - 1.5, color=QUIET, lw=1)
    ax.set_title("An action against its reverse")
    ax.set_xlabel("videos whose true category outscores its reverse (95 % interval)")
    legend_below(ax)
    said = [
        f"{name or 'the model'} {percent(one['accuracy'].iloc[-1])}" for name, one in tables.items()
    ]
    count = sum(name != ALL_PAIRS for name in order)
    return describe(
        ax, f"Accuracy on {count} reversed pairs; {order[-1]}: {', '.join(said)}; chance 50 %."
    )


@styled
def average_precisions(
    table: pd.DataFrame | Mapping[str, pd.DataFrame], *, ax: Axes | None = None
) -> Axes:
    """Average precision of each label with its 95 % interval, best first, against guessing.

    Above 60 labels the 12 best and the 12 worst.

    A grey mark is the share of videos that have the label, which guessing reaches.

    Args:
        table: `multi_label.per_label(scores)`, with a column `model`, or {model: table}.
    """
    tables = _by_model(table)
    first = next(iter(tables.values())).set_index("category")
    every = pd.concat(tables.values())
    mean = every.groupby("category")["average_precision"].mean().dropna()
    order = every_one = mean.sort_values(ascending=False, kind="stable").index
    title = "Average precision by label (videos that have it in brackets)"
    if len(order) > LISTED:
        title = f"The 12 best and the 12 worst of {len(order)} labels (videos in brackets)"
        order = pd.Index([*order[:12], *order[-12:]])
    ax = ax or new_axes(8.2, 1.5 + (0.3 + 0.09 * (len(tables) - 1)) * len(order))
    labels = {name: f"{short(name)} ({first['support'][name]})" for name in order}
    _dots(ax, tables, "category", order, labels, "average_precision")
    prevalence = first["prevalence"].reindex(order)
    ax.plot(prevalence, np.arange(len(order)), "|", ms=14, mew=2.5, ls="", color=QUIET,
            label="guessing: share of videos with the label")  # fmt: skip
    ax.set_title(title)
    ax.set_xlabel("average precision (95 % interval)")
    legend_below(ax)
    return describe(
        ax,
        f"Average precision of {len(every_one)} labels of {', '.join(tables) or 'the model'}: best "
        f"{order[0]} with {percent(mean.max(), 0)}, worst {order[-1]} with "
        f"{percent(mean.min(), 0)}; guessing reaches {percent(prevalence.min(), 0)} to "
        f"{percent(prevalence.max(), 0)}.",
    )


def _link_categories(ax: Axes, order: Iterable[str], models: Iterable[str]) -> None:
    """Each row leads to its category's videos, of the one model where there is one."""
    names = list(models)
    run = run_of(names[0]) if len(names) == 1 else ""
    link_rows(ax, [(f"the videos of {name}", {"run": run, "true": name}) for name in order])


def _pair_label(name: str) -> str:
    """One line where it fits, else one a category."""
    halves = [short(half, 40) for half in str(name).split(" / ")]
    return (" / " if sum(map(len, halves)) < 40 else " /\n").join(halves)


def _no_pairs(ax: Axes | None) -> Axes:
    text = "These categories hold no two actions that are each other's reverse."
    ax = ax or new_axes(8.6, 0.9)
    ax.axis("off")
    ax.text(0, 0.5, text, va="center")
    return describe(ax, text)


def _by_model(table: pd.DataFrame | Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    if isinstance(table, Mapping):
        return dict(table)
    if "model" in table:
        return {str(name): own for name, own in table.groupby("model", sort=False)}
    return {"": table}


def _dots(
    ax: Axes,
    tables: Mapping[str, pd.DataFrame],
    key: str,
    order: Sequence[str],
    labels: Mapping[str, str] | None = None,
    value: str = "accuracy",
) -> None:
    rows = np.arange(len(order))
    for number, (name, one) in enumerate(tables.items()):
        color = PALETTE[number % len(PALETTE)]
        own = one.set_index(key).reindex(order)
        # models side by side within 60 % of the row
        shift = 0.6 * ((number + 0.5) / len(tables) - 0.5)
        accuracy = own[value].to_numpy(float)
        ax.plot(
            accuracy, rows + shift, "o", ms=6, ls="", color=color, label=short_run(name) or None
        )
        whiskers(ax, rows + shift, own["low"], own["high"], color)
    for row in rows[1::2]:
        ax.axhspan(row - 0.5, row + 0.5, color="#F3F4F6", zorder=0, lw=0)
    labels = labels or {name: short(name) for name in order}
    named(ax, rows, [labels[name] for name in order], escaped=True)
    share_axis(ax, "top-1 accuracy (95 % interval)")


def _ranked(ax: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    for number, (name, one) in enumerate(tables.items()):
        own = one.dropna(subset=["accuracy"]).sort_values("accuracy", ascending=False)
        rank, color = np.arange(1, len(own) + 1), PALETTE[number % len(PALETTE)]
        ax.fill_between(rank, own["low"], own["high"], color=color, alpha=0.18, lw=0)
        ax.plot(rank, own["accuracy"], color=color, label=short_run(name) or None)
    ax.set(
        title="All categories, best first",
        xlabel="rank of the category",
        ylabel="top-1 accuracy (95 % interval)",
        ylim=(0, 1.02),
    )
    in_percent(ax.yaxis)
    if any(tables):
        ax.legend(loc="upper right")
