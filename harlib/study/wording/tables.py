"""How a notebook and a page write numbers, sentences and tables; everything is escaped."""

import html
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from harlib.text import percent, size

PERCENT = {"top1", "top5", "accuracy", "low", "high", "lowest", "highest", "share",
           "clip_top1", "clip_top5", "clip_mean_class", "video_top1", "video_top5", "mean_class",
           "majority", "difference", "mean_ap", "clip_mean_ap", "micro_f1", "macro_f1", "chance",
           "average_precision", "prevalence", "precision", "recall", "f1"}  # fmt: skip


# a cell of a column that reads better aligned at the right
_NUMBER = re.compile(r"–|[+-]?[\d,.]+(e[+-]\d+)?( %)?( to [+-]?[\d,.]+( %)?)?")

# columns whose own name a reader would stumble over; others lose their underscores
NAMES = {
    "video_top1": "video top-1",
    "video_top5": "video top-5",
    "clip_top1": "clip top-1",
    "clip_top5": "clip top-5",
    "mean_class": "video mean class",
    "mean_ap": "video mAP",
    "clip_mean_ap": "clip mAP",
    "chance": "mAP by chance",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "f1": "F1",
    "gmacs": "GMACs per clip",
    "low": "95 % from",
    "high": "95 % to",
    "true": "true category",
    "predicted": "called",
    "share": "share of the category",
}


class Sentence(str):
    """Text that a notebook shows as a paragraph."""

    def _repr_html_(self) -> str:
        return f'<p class="reading">{unbroken(html.escape(self))}</p>'

    def __repr__(self) -> str:
        return str(self)


class Table:
    """A DataFrame that a notebook shows with fractions as percent and counts with separators.

    With a caption, pages offer to copy it as Markdown or LaTeX. verbatim: the columns' names are
    headings as they are, such as runs, not names of measures.
    """

    def __init__(self, frame: pd.DataFrame, caption: str = "", *, verbatim: bool = False) -> None:
        self.frame, self.caption, self.verbatim = frame, caption, verbatim

    def _text(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                self._heading(name): [cell(name, value) for value in column]
                for name, column in self.frame.items()
            }
        )

    def _heading(self, name: object) -> str:
        return str(name) if self.verbatim else NAMES.get(str(name), str(name).replace("_", " "))

    def _repr_html_(self) -> str:
        if not len(self.frame):
            return ""
        text = self._text()
        kinds = ["number" if all(map(_NUMBER.fullmatch, values)) else "text"
                 for _, values in text.items()]  # fmt: skip
        head = _row('th scope="col"', text.columns, kinds)
        body = "\n".join(_row("td", cells, kinds) for cells in text.itertuples(index=False))
        copy = f' data-copy="{html.escape(self.caption)}"' if self.caption else ""
        return f"<table{copy}>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"

    def __repr__(self) -> str:
        return self._text().to_string(index=False)

    def texts(self) -> list[list[str]]:
        """The headings and the rows, as they are shown."""
        text = self._text()
        return [list(text), *map(list, text.itertuples(index=False))]


def by_category(table: pd.DataFrame, caption: str = "") -> Table:
    """`evaluation.category_table` as a reader wants it, with the interval in one column."""
    shown = table[["category", "n"]].rename(columns={"n": "videos"})
    measure = "accuracy" if "accuracy" in table else "average_precision"
    shown[measure] = table[measure]
    shown["95 % interval"] = [
        f"{100 * row.low:.1f} to {100 * row.high:.1f} %" if row.n else "–"
        for row in table.itertuples()
    ]
    return Table(shown.join(table[["precision", "recall", "f1"]]), caption)


def _row(tag: str, texts: Iterable[str], kinds: list[str]) -> str:
    cells = (
        f'<{tag} class="{kind}">{html.escape(text)}</{tag[:2]}>'
        for kind, text in zip(kinds, texts, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def cell(name: str, value: Any) -> str:
    """One value as a reader wants it: ``0.913`` as ``91.3 %``, ``48340816`` as ``48,340,816``."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if name in PERCENT and not isinstance(value, str):  # "precision" is bfloat16's too
        return percent(value)
    if name == "bytes" or str(name).endswith("_bytes"):
        return size(value)
    if name == "minutes":
        return f"{value:,.1f}"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def unbroken(text: str) -> str:
    """The text with its percent signs on the line of their numbers."""
    return text.replace(" %", "\u00a0%")
