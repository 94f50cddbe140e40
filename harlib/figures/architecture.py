"""A network drawn from its own description: a block a stage, from the clip to the scores."""

import itertools
import re
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from harlib.figures.style import PALETTE, QUIET, describe, new_axes, short, styled
from harlib.text import percent, quantity

_ROW = 7  # blocks beside each other
_LINES = 5  # lines of layers in a block
_WIDE, _HIGH = 1.42, 2.45  # inches of a block's place
_QUIET_LAYERS = ("dropout", "flatten", "shortcut", "_pad")


@styled
def network(table: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """The stages of a network from left to right: layers, output shape, parameters.

    Repeated blocks (`stage3_block7_…`) are drawn once, with their number. The bar under a block is
    its share of all parameters.

    Args:
        table: `models.describe(model)`: `stage, layer, kernel, output, parameters`.
    """
    blocks = _blocks(table)
    total = max(int(table["parameters"].sum()), 1)
    rows = -(-len(blocks) // _ROW)
    columns = -(-len(blocks) // rows)
    if ax is None:
        ax = new_axes(columns * _WIDE + 0.2, rows * _HIGH + 0.4)
    ax.axis("off")
    ax.set(xlim=(-0.03, columns), ylim=(0.08 - rows, 0.02))
    for number, block in enumerate(blocks):
        row, column = divmod(number, columns)
        _draw(ax, block, column, -row, total)
        if number + 1 < len(blocks) and column + 1 < columns:
            ax.annotate(
                "",
                (column + 1.03, -row - 0.38),
                (column + 0.93, -row - 0.38),
                arrowprops={"arrowstyle": "-|>", "color": QUIET, "lw": 1.3},
            )
    ax.set_title(title or f"{quantity(total)} parameters")
    said = "; ".join(f"{block['name']} to {block['output']}" for block in blocks)
    return describe(ax, f"The network of {quantity(total)} parameters, block by block: {said}.")


def _draw(ax: Axes, block: dict[str, Any], left: float, top: float, total: int) -> None:
    share = block["parameters"] / total
    face = {"input": "#F3F4F6", "head": "#FDF1DC"}.get(block["kind"], "#E3F0F8")
    ax.add_patch(
        FancyBboxPatch(
            (left + 0.03, top - 0.74),
            0.87,
            0.72,
            facecolor=face,
            edgecolor="#9CA3AF",
            boxstyle="round,pad=0,rounding_size=0.04",
            lw=1,
            mutation_aspect=0.7,
        )
    )
    middle = left + 0.465
    ax.text(
        middle,
        top - 0.075,
        short(block["name"], 18),
        ha="center",
        va="center",
        weight="bold",
        fontsize=10,
    )
    if block["note"]:
        ax.text(
            middle,
            top - 0.155,
            block["note"],
            ha="center",
            va="center",
            fontsize=8.5,
            color=PALETTE[0],
            weight="bold",
        )
    ax.text(
        middle,
        top - 0.40,
        "\n".join(block["lines"]),
        ha="center",
        va="center",
        fontsize=8,
        linespacing=1.45,
    )
    ax.text(
        middle, top - 0.69, block["output"], ha="center", va="center", fontsize=8.5, color="#111111"
    )
    ax.plot([left + 0.06, left + 0.87], [top - 0.64] * 2, color="#C7CDD6", lw=0.8)
    ax.plot(
        [left + 0.06, left + 0.87], [top - 0.80] * 2, color="#E5E7EB", lw=4.5, solid_capstyle="butt"
    )
    if share:
        ax.plot(
            [left + 0.06, left + 0.06 + 0.81 * share],
            [top - 0.80] * 2,
            color=PALETTE[0],
            lw=4.5,
            solid_capstyle="butt",
        )
    of_all = "< 1 %" if share < 0.01 else percent(share, 0)
    text = f"{quantity(block['parameters'])} ({of_all})" if share else "–"
    ax.text(middle, top - 0.87, text, ha="center", va="center", fontsize=8.5, color="#333333")


def _blocks(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Dicts `name, kind, note, lines, output, parameters`, one a block of the drawing."""
    stage = _stages(table)
    blocks = []
    for name in dict.fromkeys(stage):
        own = table[[one == name for one in stage]]
        numbers = own["layer"].str.extract(r"_block(\d+)_")[0].dropna()
        repeats = int(numbers.astype(int).max()) if len(numbers) else 1
        first = own[own["layer"].str.contains("_block1_")] if repeats > 1 else own
        kind = "input" if name == "input" else "head" if name == "head" else "stage"
        lines = _lines(first, kind, repeats > 1)
        note = f"{repeats} blocks of" if repeats > 1 else ""
        blocks.append(
            {
                "name": re.sub(r"^stage(\d+)$", r"stage \1", name),
                "kind": kind,
                "note": note,
                "lines": lines,
                "output": _signs(own["output"].iloc[-1]),
                "parameters": int(own["parameters"].sum()),
            }
        )
    return blocks


def _stages(table: pd.DataFrame) -> list[str]:
    """The stage of each row; a borrowed backbone, all "head", is cut by the size of its maps."""
    stage = []
    for name, output in zip(table["stage"], table["output"], strict=True):
        sizes = str(output).split("x")
        stage.append(f"maps {'×'.join(sizes[:-1])}" if name == "head" and len(sizes) > 2 else name)
    return stage


def _lines(rows: pd.DataFrame, kind: str, in_block: bool) -> list[str]:
    lines = []
    for layer, kernel in zip(rows["layer"], rows["kernel"], strict=True):
        if any(word in layer for word in _QUIET_LAYERS):
            continue
        kernel = _signs(str(kernel))
        window, _, stride = kernel.partition(", stride ")
        name = re.sub(r"^(stage\d*|stem|head)_", "", layer)
        if kind == "input":
            lines.append({"preprocess": "uint8 → scaled", "fold": "frames apart"}.get(layer, layer))
        elif kind == "head":
            if kernel or "pool" in layer or "mean" in layer:
                name = "pool" if "pool" in name else name.replace("_", " ")
                lines.append(short(f"{name} {kernel}".strip(), 20))
        elif not kernel:
            continue
        elif "pool" in layer:
            lines.append(f"pool {window}")
        else:
            window, _, groups = window.partition(" in ")
            lines.append(window)
            if groups:
                lines.append(f"in {groups}")
            if stride and not in_block:
                lines.append(f"stride {stride}")
    return _folded(lines)


def _folded(lines: list[str]) -> list[str]:
    """Equal neighbours become one line with their number; a long list is cut and counted."""
    runs = [(line, len(list(equal))) for line, equal in itertools.groupby(lines)]
    text = [line if count == 1 else f"{line}  ×{count}" for line, count in runs]
    if len(text) > _LINES:
        text = [f"{len(lines)} layers", *text[: _LINES - 3], "…", text[-1]]
    return text


def _signs(text: object) -> str:
    return re.sub(r"(?<=\d)x(?=\d)", "×", str(text)).replace("?", "any ")
