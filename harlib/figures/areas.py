"""Areas of a figure that stand for videos: a cell of a matrix, a bar, a row with its name.

A figure function records them, and `style.show` hands them on with the picture. What they lead to
is decided by who shows the figure: here they are words and filters alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

LIMIT = 400  # areas of a figure that are kept, the first ones recorded
LISTED = 40  # of those that cannot be hit
_LEAST = 6  # inches / 110: smaller areas cannot be hit, and are listed alone


@dataclass(frozen=True)
class Area:
    """`region`: (left, bottom, right, top) in data coordinates of `ax`; None: nowhere to be hit.

    named: of a row, the place of its name among the ticks of the y axis; it reaches from there to
        the end of the axes, or with `name_alone` to where they begin.
    """

    ax: Axes
    region: tuple[float, float, float, float] | None
    words: str
    filters: dict[str, str]
    named: int | None = None
    name_alone: bool = False


def link(
    ax: Axes,
    region: tuple[float, float, float, float] | None,
    words: str,
    **filters: str,
) -> None:
    """Says which videos a region of the axes stands for.

    Args:
        region: left, bottom, right, top in data coordinates; cut to the axes. None: no place of
            the figure, as of a cell too small to see; it is listed alone.
        words: what a reader finds there, as "running called walking: 5 videos".
        filters: of the videos, with the keys of `harlib.study.wording.addresses`; those whose
            value is empty are left out.
    """
    _add(Area(ax, region, words, _given(filters)))


def link_rows(
    ax: Axes, rows: Iterable[tuple[str, dict[str, str]]], *, names_alone: bool = False
) -> None:
    """Says which videos each row of the axes stands for, its name at the left with it.

    Args:
        rows: (words, filters) as `link` takes them, one a tick of the y axis.
        names_alone: the names without their rows, which hold areas of their own.
    """
    ticks = np.asarray(ax.get_yticks(), float)
    half = np.diff(np.sort(ticks)).min() / 2 if len(ticks) > 1 else 0.5
    left, right = ax.get_xlim()
    for place, (tick, (words, filters)) in enumerate(zip(ticks, rows, strict=True)):
        region = (left, tick - half, right, tick + half)
        _add(Area(ax, region, words, _given(filters), named=place, name_alone=names_alone))


def run_of(name: object) -> str:
    """The run's own name, of one that `naming.named` put its network behind."""
    return str(name).partition(" (")[0]


def boxes(figure: Any, around: Bbox, dpi: float) -> dict[str, Any]:
    """The areas of a figure that was just saved, in pixels of its picture.

    Args:
        around: what was saved of it, in inches.

    Returns:
        `areas`, a list of `words`, `filters` and `box` ([left, top, width, height], or None), and
        `more`, how many are left out; nothing without any.
    """
    every: list[Area] = getattr(figure, "areas", [])
    if not every:
        return {}
    found: list[dict[str, Any]] = []
    for area in every[:LIMIT]:
        box = _pixels(area, around, dpi)
        if box or len(found) < LISTED:
            found.append({"words": area.words, "filters": area.filters, "box": box})
    return {"areas": found, "more": len(every) - len(found)}


def _add(area: Area) -> None:
    figure: Any = area.ax.figure
    if not hasattr(figure, "areas"):
        figure.areas = []  # our mark
    figure.areas.append(area)


def _given(filters: dict[str, str]) -> dict[str, str]:
    return {key: str(value) for key, value in filters.items() if value}


def _pixels(area: Area, around: Bbox, dpi: float) -> Sequence[int] | None:
    if area.region is None:
        return None
    figure: Any = area.ax.figure
    left, bottom, right, top = area.region
    corners = area.ax.transData.transform([(left, bottom), (right, top)])
    whole = area.ax.get_window_extent()
    (left, right), (bottom, top) = np.sort(corners[:, 0]), np.sort(corners[:, 1])
    left, right = np.clip([left, right], whole.x0, whole.x1)
    bottom, top = np.clip([bottom, top], whole.y0, whole.y1)
    if area.named is not None:
        left = min(whole.x0, area.ax.get_yticklabels()[area.named].get_window_extent().x0)
        right = whole.x0 if area.name_alone else whole.x1
    if min(right - left, top - bottom) / figure.dpi < _LEAST / 110:
        return None
    scale = dpi / figure.dpi
    height = around.height * dpi
    x, y = left * scale - around.x0 * dpi, height - (top * scale - around.y0 * dpi)
    return [round(v) for v in (x, y, (right - left) * scale, (top - bottom) * scale)]
