"""Confusion matrices that stay readable from 3 to 600 categories."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from scipy.cluster import hierarchy

from harlib.figures.areas import link, link_rows, run_of
from harlib.figures.style import LISTED, QUIET, WRONG, describe, new_axes, short, styled
from harlib.text import count, percent

NUMBERS = 30  # up to this number of categories the cells carry their numbers


@styled
def confusion(
    matrix: np.ndarray,
    categories: Sequence[str],
    *,
    clustered: bool | None = None,
    title: str | None = None,
    run: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Rows: the true category; columns: the predicted one; shade: share of the row's videos.

    Right answers are blue, wrong ones orange.

    Args:
        matrix: int (classes true, classes predicted).
        categories: names by class index.
        clustered: order categories so that confused ones are neighbours; None = above 12
            categories.
        run: whose answers they are, for what the cells lead to.
    """
    matrix = np.asarray(matrix)
    classes = len(matrix)
    if matrix.shape != (classes, classes) or len(categories) != classes:
        raise ValueError(
            f"a matrix of the shape {matrix.shape} and {len(categories)} categories, expected "
            "a square matrix with one row per category"
        )
    clustered = classes > 12 if clustered is None else clustered
    order = cluster_order(matrix) if clustered else np.arange(classes)
    names = [short(categories[int(index)], 26) for index in order]
    share = matrix[np.ix_(order, order)] / np.maximum(matrix.sum(axis=1)[order], 1)[:, None]
    if ax is None:
        side = min(max(3.6 + 0.3 * classes, 5.0), 10.5) if classes <= LISTED else 8.0
        ax = new_axes(side + 0.6, side)
    if classes <= LISTED:
        _cells(ax, share, names)
    else:
        _raster(ax, share)
    heading = "Confusion matrix" if title is None else short(title, 90)
    ax.set_title(heading + ", similar ones side by side" * clustered)
    ax.set_ylabel("true category", labelpad=8)
    _link_cells(ax, matrix, categories, order, run_of(run))
    return describe(ax, _text(matrix, categories))


def _link_cells(
    ax: Axes, matrix: np.ndarray, categories: Sequence[str], order: np.ndarray, run: str
) -> None:
    """The cells that hold videos: mistakes first, the most frequent ones before the others."""
    place = np.argsort(order)  # of a class index in the picture
    cells = np.argwhere(matrix > 0)
    wrong = cells[:, 0] != cells[:, 1]
    for true, called in cells[np.lexsort((-matrix[tuple(cells.T)], ~wrong))]:
        row, column = place[true], place[called]
        said = f"{categories[true]} called {categories[called]}"
        if true == called:
            said = f"{categories[true]}, called so"
        link(
            ax,
            (column - 0.5, row - 0.5, column + 0.5, row + 0.5),
            f"{said}: {count(int(matrix[true, called]), 'video')}",
            run=run,
            true=categories[true],
            called=categories[called],
        )
    if len(categories) <= LISTED:
        names = [str(categories[int(index)]) for index in order]
        rows = [(f"the videos of {name}", {"run": run, "true": name}) for name in names]
        link_rows(ax, rows, names_alone=True)


def _cells(ax: Axes, share: np.ndarray, names: Sequence[str]) -> None:
    classes = len(names)
    right = np.eye(classes, dtype=bool)
    ax.grid(False)
    # ghost grid first: empty cells stay countable
    for kept, cmap in ((right, "Blues"), (~right, "Oranges")):
        ax.imshow(
            np.where(kept & (share > 0), share, np.nan),
            cmap=cmap,
            aspect="equal",
            norm=PowerNorm(0.7, 0, 1.05),
        )
    ax.set_xticks(np.arange(-0.5, classes), minor=True)
    ax.set_yticks(np.arange(-0.5, classes), minor=True)
    ax.grid(True, which="minor", color="#E5E7EB", lw=0.6)
    ax.tick_params(which="both", length=0)
    size = float(np.clip(13 - 0.18 * classes, 5.5, 10))
    ax.set_xticks(
        range(classes),
        names,
        rotation=90 if classes > 16 else 45,
        ha="center" if classes > 16 else "right",
        fontsize=size,
        rotation_mode="default" if classes > 16 else "anchor",
    )
    ax.set_yticks(range(classes), names, fontsize=size)
    ax.set_xlabel("predicted category" + (" · numbers in %" if classes <= NUMBERS else ""))
    ax.spines[:].set_visible(False)
    if classes > NUMBERS:
        return
    for row, column in np.argwhere(share >= 0.005):
        value = share[row, column]
        ax.text(
            column,
            row,
            f"{100 * value:.0f}",
            ha="center",
            va="center",
            fontsize=max(size - 1, 6),
            color="white" if value > 0.55 else "#111111",
        )


def _raster(ax: Axes, share: np.ndarray) -> None:
    ax.grid(False)
    # the power lifts confusions of a few per cent out of the white
    image = ax.imshow(share, cmap="Blues", norm=PowerNorm(0.4, 0, 1), interpolation="nearest")
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.6, pad=0.02, ticks=[0, 0.01, 0.1, 0.25, 0.5, 1])
    bar.ax.set_yticklabels(["0", "1 %", "10 %", "25 %", "50 %", "100 %"])
    bar.outline.set_visible(False)
    bar.set_label("share of the true category's videos")
    ax.set_xlabel(f"predicted category ({len(share)}, same order)")


def _text(matrix: np.ndarray, categories: Sequence[str]) -> str:
    total, right = matrix.sum(), np.trace(matrix)
    wrong = matrix - np.diag(np.diag(matrix))
    text = (
        f"Confusion matrix of {len(matrix)} categories: {right} of {total} videos are on the "
        f"diagonal ({percent(right / max(total, 1))})."
    )
    if wrong.max() > 0:
        true, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
        text += (
            f" The most frequent confusion takes {categories[true]} for {categories[predicted]}, "
            f"{count(int(wrong[true, predicted]), 'time')}."
        )
    return text


def cluster_order(matrix: np.ndarray) -> np.ndarray:
    """Class indices ordered so that categories that are confused stand side by side: (classes,)."""
    classes = len(matrix)
    if classes < 3:
        return np.arange(classes)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    near = share + share.T
    np.fill_diagonal(near, 0)
    distance = 1 - near / max(near.max(), 1e-12)
    condensed = distance[np.triu_indices(classes, 1)]
    return hierarchy.leaves_list(hierarchy.linkage(condensed, "average"))


@styled
def top_confusions(table: pd.DataFrame, *, run: str = "", ax: Axes | None = None) -> Axes:
    """The most frequent confusions as bars.

    Args:
        table: `metrics.most_confused(scores)`.
        run: whose answers they are, for what the bars lead to.
    """
    ax = ax or new_axes(8.6, 0.9 + 0.34 * max(len(table), 1))
    labels = [
        f"{short(true, 27)}  →  {short(predicted, 27)}"
        for true, predicted in zip(table["true"], table["predicted"], strict=True)
    ]
    rows = np.arange(len(table))
    ax.barh(rows, table["videos"], color=WRONG, height=0.68)
    ax.set_yticks(rows, labels)
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    for row, (videos, share) in enumerate(zip(table["videos"], table["share"], strict=True)):
        ax.annotate(
            f"{videos} ({percent(share, 0)})",
            (videos, row),
            (4, 0),
            va="center",
            textcoords="offset points",
            fontsize=9,
            color=QUIET,
        )
    ax.set(
        title="Most frequent confusions: true → predicted",
        xlabel="videos (share of the true category)",
    )
    ax.margins(x=0.18)
    ax.locator_params(axis="x", integer=True)
    if not len(table):
        return describe(ax, "No video was confused with another category.")
    link_rows(ax, [
        (f"{row.true} called {row.predicted}: {count(int(row.videos), 'video')}",
         {"run": run_of(run), "true": row.true, "called": row.predicted})
        for row in table.itertuples()
    ])  # fmt: skip
    first = table.iloc[0]
    which = "The most frequent confusion"
    if len(table) > 1:
        which = f"The {len(table)} most frequent confusions; the first"
    return describe(
        ax,
        f"{which} takes {first['true']} for {first['predicted']} in "
        f"{count(int(first['videos']), 'video')} ({percent(first['share'], 0)}).",
    )
