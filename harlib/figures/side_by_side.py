"""Several runs in one figure: how they learned, and what their accuracy cost."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from harlib.evaluation.ranking import measure
from harlib.figures.axes import in_percent
from harlib.figures.bars import accuracy_compute
from harlib.figures.curves import best_epoch
from harlib.figures.style import PALETTE, describe, new_axes, short_run, styled
from harlib.text import percent

COSTS = ("gmacs", "minutes", "parameters")


@styled
def learning_of_runs(runs: Mapping[str, Sequence[pd.DataFrame]]) -> np.ndarray:
    """Accuracy of training (dashed) and validation by epoch and by minutes, a colour per run.

    Of several seeds the mean, in a band from the lowest to the highest.

    Args:
        runs: {run: the histories of its seeds}, tables with `epoch, accuracy, seconds` and, where
            there was validation, `val_accuracy`.

    Returns:
        Both axes.
    """
    axes = np.asarray(new_axes(9.6, 4.2 + 0.3 * len(runs), 1, 2, sharey=True))
    said = []
    for number, (name, histories) in enumerate(runs.items()):
        color = PALETTE[number % len(PALETTE)]
        for column, style in (("accuracy", (0, (4, 2))), ("val_accuracy", "-")):
            found = [one for one in histories if column in one and one[column].notna().any()]
            if not found:
                continue
            curves = pd.concat([one[["epoch", column]].dropna() for one in found])
            epochs = curves.groupby("epoch", as_index=False)
            mean, low, high = epochs.mean(), epochs[column].min(), epochs[column].max()
            mean["minutes"] = mean["epoch"].map(_minutes(found))
            for panel, x in zip(axes, ("epoch", "minutes"), strict=True):
                panel.plot(mean[x], mean[column], color=color, ls=style, marker="o", ms=2.5,
                           lw=1.8 if column != "accuracy" else 1.2,
                           label=short_run(name) if column == "val_accuracy" else None)  # fmt: skip
                if len(found) > 1:
                    panel.fill_between(mean[x], low[column], high[column], color=color, alpha=0.18)
        said.append(_said(name, histories))
    for panel, title in zip(axes, ("By epoch", "By minutes of training"), strict=True):
        panel.set(title=title, ylim=(0, 1.02))
    axes[0].set(xlabel="epoch", ylabel="share of clips right")
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[1].set_xlabel("minutes")
    in_percent(axes[0].yaxis)
    axes[0].plot([], [], color="#222222", label="validation")
    axes[0].plot([], [], color="#222222", ls=(0, (4, 2)), lw=1.2, label="training")
    handles, labels = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return describe(axes, f"Learning curves of {len(runs)} runs. {' '.join(said)}")


def _minutes(histories: Sequence[pd.DataFrame]) -> pd.Series:
    """Minutes to the end of each epoch, of epochs as long as their mean over the seeds that had it.

    The mean of the sums would go back in time after the end of a slow seed.
    """
    epochs = pd.concat([one[["epoch", "seconds"]] for one in histories]).groupby("epoch")
    return epochs["seconds"].mean().cumsum() / 60


def _said(name: str, histories: Sequence[pd.DataFrame]) -> str:
    best = [found["val_accuracy"] for one in histories
            if "val_accuracy" in one and (found := best_epoch(one)) is not None]  # fmt: skip
    epochs = max(len(one) for one in histories)
    minutes = np.mean([one["seconds"].sum() / 60 for one in histories])
    text = f"{name}: {epochs} epochs in {minutes:.1f} minutes"
    return f"{text}, best validation accuracy {percent(np.mean(best))}." if best else f"{text}."


@styled
def accuracy_costs(table: pd.DataFrame) -> np.ndarray:
    """Video accuracy against arithmetic, minutes and parameters, a panel each.

    Args:
        table: as `accuracy_compute` takes it.

    Returns:
        The three axes.
    """
    axes = np.asarray(new_axes(10.4, 3.9 + 0.3 * len(table), 1, 3, sharey=True))
    said = []
    for panel, x in zip(axes, COSTS, strict=True):
        accuracy_compute(table, x=x, ax=panel)
        said.append(panel.figure.alt_text)
        _short_labels(panel)
    handles, labels = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=2)
    for panel in axes[1:]:
        panel.set_ylabel("")
    axes[0].set_ylabel(f"video {'mAP' if measure(table) == 'mean_ap' else 'top-1'}")
    return describe(axes, " ".join(said))


def _short_labels(panel: Axes) -> None:
    if legend := panel.get_legend():
        legend.remove()
    panel.set_title("", loc="left")  # the axis says it
    panel.set_xlabel(panel.get_xlabel().partition(" (")[0])
