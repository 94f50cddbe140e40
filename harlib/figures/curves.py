"""Curves: learning, the learning rate's schedule, calibration."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from harlib.figures.axes import in_percent, legend_below
from harlib.figures.style import (
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
from harlib.text import percent

_BOUNDS = {"accuracy_low", "accuracy_high"}


def best_epoch(history: pd.DataFrame) -> pd.Series | None:
    """The row of the best epoch: highest val_accuracy, else lowest val_loss, else None."""
    for column, sign in (("val_accuracy", 1), ("val_loss", -1)):
        if column in history and history[column].notna().any():
            return history.loc[(sign * history[column]).idxmax()]
    return None


@styled
def learning_curves(
    history: pd.DataFrame | Mapping[str, pd.DataFrame], *, ax: np.ndarray | None = None
) -> np.ndarray:
    """Loss and accuracy of training and validation by epoch, with the best epoch marked.

    Args:
        history: table with `epoch, loss, accuracy` and, where there was validation, `val_loss,
            val_accuracy`; or {run: table}, one colour a run.
        ax: two axes.

    Returns:
        Both axes.
    """
    axes = np.asarray(new_axes(9.6, 3.9, 1, 2) if ax is None else ax)
    several = isinstance(history, Mapping)
    runs = dict(history) if several else {"": history}
    said = []
    for number, (name, table) in enumerate(runs.items()):
        color = PALETTE[number % len(PALETTE)]
        best = best_epoch(table)
        for panel, column in zip(axes, ("loss", "accuracy"), strict=True):
            _curve(panel, table, column, color, name, several, best)
        said.append(_learning_text(name, table, best))
    for panel, title in zip(axes, ("Loss", "Accuracy"), strict=True):
        panel.set(title=title, xlabel="epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[0].set_ylabel("cross-entropy (nats)")
    # The usual margin is a share of the curves' own range, which may be a sliver at the top.
    highest = axes[0].dataLim.ymax
    axes[0].set_ylim(0, 1.06 * highest if np.isfinite(highest) and highest > 0 else None)
    axes[1].set_ylabel("share of clips right")
    axes[1].set_ylim(0, 1.02)
    in_percent(axes[1].yaxis)
    handles, labels = axes[1].get_legend_handles_labels()
    if axes[1].figure.axes[:2] == list(axes):
        axes[0].figure.legend(
            handles, labels, loc="outside lower center", ncols=min(4, len(labels))
        )
    else:
        axes[1].legend()
    return describe(axes, "Learning curves. " + " ".join(said))


def _curve(
    panel: Axes,
    table: pd.DataFrame,
    column: str,
    color: str,
    name: str,
    several: bool,
    best: pd.Series | None,
) -> None:
    prefix = f"{short(name)}: " if several else ""
    marker = "o" if len(table) < 3 else None
    panel.plot(
        table["epoch"],
        table[column],
        color=color if several else QUIET,
        ls=(0, (4, 2)),
        lw=1.4,
        marker=marker,
        ms=4,
        label=f"{prefix}training",
    )
    valid = f"val_{column}"
    if valid not in table or table[valid].notna().sum() == 0:
        return
    known = table[table[valid].notna()]
    panel.plot(
        known["epoch"], known[valid], color=color, marker=marker, ms=4, label=f"{prefix}validation"
    )
    if best is not None and np.isfinite(best[valid]):
        label = None if several else f"best epoch: {int(best['epoch'])}"
        panel.plot(
            best["epoch"],
            best[valid],
            "o",
            ms=8,
            mfc="white",
            mec=color if several else WRONG,
            mew=2,
            label=label,
        )


def _learning_text(name: str, table: pd.DataFrame, best: pd.Series | None) -> str:
    lead = f"{name}: " if name else ""
    last = table.iloc[-1]
    text = (
        f"{lead}after {int(last['epoch'])} epochs the training loss is {last['loss']:.3g} and the "
        f"training accuracy {percent(last['accuracy'])}."
    )
    if best is not None and "val_accuracy" in table:
        text += (
            f" The best validation accuracy is {percent(best['val_accuracy'])} in epoch "
            f"{int(best['epoch'])}."
        )
    return text


@styled
def schedule(
    recipe: Any,
    *,
    steps: int | None = None,
    steps_per_epoch: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The learning rate over training, as planned (a plateau rule may lower it sooner).

    Args:
        recipe: has `lr_at(step)`, or is such a function.
        steps: of the training; by default the recipe's (`epochs * steps_per_epoch`).
        steps_per_epoch: by default the recipe's.
    """
    rate = getattr(recipe, "lr_at", recipe)
    steps_per_epoch = steps_per_epoch or getattr(recipe, "steps_per_epoch", None)
    steps = steps or steps_per_epoch * recipe.epochs
    # at most 600 points: a schedule of a million steps need not be called a million times
    where = np.unique(np.linspace(0, max(steps - 1, 0), min(steps, 600)).astype(int))
    rates = np.array([float(rate(int(step))) for step in where])
    ax = ax or new_axes(6.4, 3.2)
    x = where / steps_per_epoch if steps_per_epoch else where
    ax.plot(x, rates, color=RIGHT, label="planned")
    for number, level in enumerate(getattr(recipe, "levels", ())[1:4]):
        ax.axhline(
            recipe.lr * level,
            color=WRONG,
            ls=(0, (1, 2)),
            lw=1.4,
            label=None if number else f"next levels, when {recipe.monitor} stalls",
        )
    # drops by tens read on a logarithmic axis; a cosine, which ends at 0, does not
    if 0 < rates.min() < rates.max() / 20 and not getattr(recipe, "cosine", False):
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0, top=rates.max() * 1.08)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    unit = "epoch" if steps_per_epoch else "step"
    name = getattr(recipe, "name", "")
    ax.set(
        xlabel=unit,
        ylabel="learning rate",
        title=f"Learning rate{f' of {short(name)}' if name else ''}",
    )
    if len(ax.get_legend_handles_labels()[0]) > 1:
        legend_below(ax)
    return describe(
        ax,
        f"The learning rate {name} over {steps} steps: it begins at {rates[0]:.3g}, its highest "
        f"is {rates.max():.3g}, it ends at {rates[-1]:.3g}.",
    )


@styled
def reliability(
    table: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    error: float | Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How often a model is right when it says how sure it is; on the diagonal it knows.

    A point per bin, its area the number of videos; no line joins bins of different weight.

    Args:
        table: `calibration.equal_counts(scores)`, whose intervals are drawn, or
            `calibration.reliability(scores)`; or {model: table}.
        error: the calibration error, or {model: error}, for the legend.
    """
    tables = dict(table) if isinstance(table, Mapping) else {"": table}
    errors = error if isinstance(error, Mapping) else {"": error}
    ax = ax or new_axes(5.4, 5.6)
    ax.plot([0, 1], [0, 1], color=QUIET, ls=(0, (4, 2)), lw=1.2, label="perfectly calibrated")
    said = []
    for number, (name, bins) in enumerate(tables.items()):
        color = PALETTE[number % len(PALETTE)]
        known = bins[bins["videos"] > 0]
        note = errors.get(name) if errors else None
        label = (short_run(name) or "this model") + (f" (error {percent(note)})" if note else "")
        if set(known) >= _BOUNDS:
            low, high = known["accuracy_low"], known["accuracy_high"]
            ax.vlines(known["confidence"], low, high, color=color, lw=1.3, alpha=0.7)
        ax.scatter(
            known["confidence"],
            known["accuracy"],
            color=color,
            marker="osD^vPX"[number % 7],
            alpha=0.85,
            lw=0,
            s=18 + 300 * known["videos"] / known["videos"].sum(),
            label=label,
        )
        last = known.iloc[-1]
        said.append(
            f"{name or 'The model'}: where it is {percent(last['confidence'], 0)} sure it is right "
            f"in {percent(last['accuracy'], 0)} of {int(last['videos'])} videos."
        )
    ax.set(
        xlim=(0, 1.04),
        ylim=(0, 1.04),
        aspect="equal",
        title="Is it as right as it is sure?",
        xlabel="score of the predicted category",
        ylabel="share of those videos right",
    )
    in_percent(ax.xaxis, ax.yaxis)
    legend_below(ax, columns=1)
    return describe(ax, "Reliability diagram. " + " ".join(said))
