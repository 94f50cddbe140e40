"""The few axes that bars and dots share."""


import numpy as np
from matplotlib.ticker import PercentFormatter

from harlib.evaluation.style import (
    short,
)


def whiskers(ax, rows, accuracy, low, high, color):
    low, high = np.asarray(low, float), np.asarray(high, float)
    ax.hlines(rows, low, high, color=color, lw=1.6)
    ax.plot(np.stack([low, high]), np.stack([rows, rows]), "|", color=color, ms=6)


def named(ax, rows, names, escaped=False):
    ax.set_yticks(rows, [name if escaped else short(name) for name in names])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)


def share_axis(ax, label, right=1.02):
    ax.set_xlim(0, right)
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel(label)


def legend_below(ax):
    handles, labels = ax.get_legend_handles_labels()
    if handles and ax.get_legend() is None and len(ax.figure.axes) == 1:
        ax.figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    elif handles:
        ax.legend(handles, labels, loc="lower right")
