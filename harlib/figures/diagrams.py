"""Diagrams of ideas, drawn from a network's or a protocol's own numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle
from numpy.typing import ArrayLike

from harlib.figures.style import PALETTE, QUIET, describe, new_axes, styled

_FRAME, _EDGE = "#F3F4F6", "#9CA3AF"
_PIXELS, _APART = 7, 1.5  # a side of the frames that are drawn, and between them
_GROUPS = 8  # groups, and clips, that are drawn at most
_SINGLE = 80  # frames of a video that are drawn one by one at most


@styled
def kernels(
    channels: int, filters: int, positions: Sequence[int], *, ax: Axes | None = None
) -> Axes:
    """A 3 × 3 kernel on one frame above a 3 × 3 × 3 kernel on three, with a layer's numbers.

    channels, filters: of the layer's input (of a group of it) and output. positions: of its
    output, (frames, height, width), or (height, width) for a layer on single frames.
    """
    ax = ax or new_axes(9.6, 3.5)
    places = " × ".join(map(str, positions))
    said, right = [], 5 * (_PIXELS + _APART)
    for depth, bottom in ((1, _PIXELS + 2.0), (3, 0.0)):
        for frame in range(5):
            _frame(ax, frame * (_PIXELS + _APART), bottom)
        covered = range(2 - depth // 2, 3 + depth // 2)
        for frame in covered:
            left = frame * (_PIXELS + _APART) + 2
            ax.add_patch(Rectangle((left, bottom + 2), 3, 3, facecolor=PALETTE[1], alpha=0.85))
            if frame + 1 in covered:
                for corner in (2, 5):
                    ends = [left + 3, left + _PIXELS + _APART]
                    ax.plot(ends, [bottom + corner] * 2, color=PALETTE[1], lw=1.2)
        kernel = " × ".join("3" * (2 if depth == 1 else 3))
        weights = 9 * depth * channels * filters
        ax.text(
            right,
            bottom + _PIXELS / 2,
            f"{'2D' if depth == 1 else '3D'} kernel, {kernel}\n{channels} channels · {filters} "
            f"filters\n{weights:,} weights,\neach at {places} places",
            va="center",
            fontsize=9.5,
        )
        said.append(f"{kernel} has {weights:,} weights")
    ax.set(xlim=(-0.3, right + 15), ylim=(-1.6, 2 * _PIXELS + 2.3))
    ax.set_aspect("equal")
    ax.axis("off")
    ax.text(0, -0.5, "five neighbouring frames, time →", va="top", fontsize=9, color=QUIET)
    ax.set_title("One frame, or three at a time")
    return describe(
        ax,
        "Five frames side by side, twice. A 2D kernel covers nine pixels of one frame, a 3D "
        f"kernel nine pixels in each of three neighbouring frames. With {channels} channels and "
        f"{filters} filters {' and '.join(said)}.",
    )


def _frame(ax: Axes, left: float, bottom: float) -> None:
    """A frame of pixels."""
    ax.add_patch(Rectangle((left, bottom), _PIXELS, _PIXELS, facecolor=_FRAME, edgecolor=_EDGE))
    for line in range(1, _PIXELS):
        ax.plot([left, left + _PIXELS], [bottom + line] * 2, color="#D3D8DE", lw=0.6)
        ax.plot([left + line] * 2, [bottom, bottom + _PIXELS], color="#D3D8DE", lw=0.6)


@styled
def bottleneck(layers: Sequence[Any], *, ax: Axes | None = None) -> Axes:
    """A residual block of three convolutions, the middle one in groups.

    layers: three objects with `kernel, channels, filters, groups, weights`, such as those of
    `models.arithmetic.convolutions`.
    """
    first, middle, last = layers
    ax = ax or new_axes(9.6, 4.2)
    ax.set(xlim=(0, 10), ylim=(0, 5.0))
    ax.axis("off")
    for x, layer in zip((1.3, 4.0, 7.3), layers, strict=True):
        wide = 2.0 if layer is middle else 1.4
        _layer(ax, x, wide, layer)
    for start, end in ((0.35, 1.3), (2.7, 4.0), (6.0, 7.3), (8.7, 9.35)):
        _arrow(ax, (start, 2.3), (end, 2.3))
    ax.text(0.3, 2.3, f"{first.channels}", ha="right", va="center", fontsize=9.5)
    ax.text(9.62, 2.3, "+", ha="center", va="center", fontsize=15, weight="bold")
    ax.plot([0.6, 0.6, 9.62], [2.3, 4.55, 4.55], color=QUIET, lw=1.3)
    _arrow(ax, (9.62, 4.55), (9.62, 2.5))
    ax.text(5, 4.65, "shortcut", ha="center", va="bottom", color=QUIET, fontsize=9.5)
    whole = middle.weights * middle.groups
    ax.text(
        5.0,
        0.28,
        f"{middle.groups} groups: {middle.weights:,} weights; without groups {whole:,}",
        ha="center",
        fontsize=9.5,
    )
    ax.set_title("A grouped bottleneck", loc="left")
    return describe(
        ax,
        f"Three convolutions in a row with a shortcut around them. The first brings "
        f"{first.channels} channels to {first.filters}, the middle one works in {middle.groups} "
        f"groups of {middle.channels // middle.groups} channels with {middle.weights:,} weights "
        f"where it would need {whole:,} without groups, the last one makes {last.filters}.",
    )


def _layer(ax: Axes, left: float, wide: float, layer: Any) -> None:
    """A box; a grouped convolution is as many strips beside each other."""
    drawn = min(layer.groups, _GROUPS)
    high = 2.3 / drawn
    for number in range(drawn):
        ax.add_patch(
            FancyBboxPatch(
                (left, 1.15 + number * high),
                wide,
                high * (0.78 if drawn > 1 else 1),
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor="#FDF1DC" if drawn > 1 else "#E3F0F8",
                edgecolor=_EDGE,
            )
        )
    kernel = " × ".join(map(str, layer.kernel))
    more = f"\n({drawn} of {layer.groups} drawn)" if drawn < layer.groups else ""
    groups = f" in {layer.groups} groups{more}" if layer.groups > 1 else ""
    ax.text(
        left + wide / 2,
        3.55,
        f"{kernel}{groups}",
        ha="center",
        va="bottom",
        fontsize=9.5,
        weight="bold",
    )
    ax.text(
        left + wide / 2,
        1.05,
        f"{layer.channels} → {layer.filters}",
        ha="center",
        va="top",
        fontsize=9.5,
    )


@styled
def views(clips: ArrayLike, length: int, *, crops: int = 1, ax: Axes | None = None) -> Axes:
    """Which frames of a video are scored, and how its views become one answer.

    clips: int (clips, frames), numbers of a video's `length` stored frames, as
    `sampling.uniform_clips` gives them. crops: of each clip.
    """
    clips = np.asarray(clips)
    shown = clips[:_GROUPS]
    rows = len(shown)
    ax = ax or new_axes(9.6, 1.9 + 0.34 * rows)
    ax.set(xlim=(-0.02, 1.0), ylim=(-rows - 1.1, 1.7))
    ax.axis("off")
    wide, middle = 0.5, -rows / 2 - 0.1  # of the drawing for the video's time; of its answer
    _strip(
        ax, range(length), wide / length, 0, 0.7, length, facecolor=_FRAME, edgecolor=_EDGE, lw=0.5
    )
    ax.text(0, 0.85, f"a video of {length:,} stored frames", va="bottom", fontsize=9.5)
    each = "" if crops == 1 else f" × {crops} crops"
    for row, clip in enumerate(shown):
        level, color = -row - 0.85, PALETTE[row % len(PALETTE)]
        _strip(ax, clip, wide / length, level, 0.5, length, facecolor=color, alpha=0.8, lw=0)
        ax.text(wide + 0.015, level + 0.25, f"clip {row + 1}{each}", va="center", fontsize=9)
        _arrow(ax, (wide + 0.13, level + 0.25), (wide + 0.19, middle))
    if rows < len(clips):
        ax.text(0, -rows - 0.5, f"and {len(clips) - rows:,} more clips", fontsize=9, color=QUIET)
    count = len(clips) * crops
    said = f"{count:,} view{'s' * (count != 1)},\nas many\nanswers"
    ax.text(wide + 0.2, middle, said, va="center", fontsize=9.5)
    _arrow(ax, (wide + 0.3, middle), (wide + 0.37, middle))
    ax.text(wide + 0.38, middle, "their mean:\nthe answer\nto the video", va="center",
            fontsize=9.5, weight="bold")  # fmt: skip
    ax.set_title("From clips to views to the video")
    frames = clips.shape[1]
    return describe(
        ax,
        f"A video of {length:,} frames; {len(clips):,} clips of {frames} frames lie over it, with "
        f"{crops} crop{'s' * (crops != 1)} each. The network answers each of the {count:,} views, "
        "and the mean of their probabilities is the video's answer.",
    )


def _strip(
    ax: Axes,
    frames: Sequence[int] | np.ndarray,
    step: float,
    bottom: float,
    high: float,
    length: int,
    **style: Any,
) -> None:
    """Frames of a video in a row; of a long one a bar from the first to the last of them."""
    if length > _SINGLE:
        first, last = min(frames), max(frames)
        ax.add_patch(Rectangle((first * step, bottom), (last + 1 - first) * step, high, **style))
        return
    for frame in frames:
        ax.add_patch(Rectangle((frame * step, bottom), 0.86 * step, high, **style))


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": QUIET, "lw": 1.2})
