"""Links within a study's pages: runs by their names, categories and figures to the videos."""

import base64
import functools
import re
import struct
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import numpy as np

from harlib.run_folder import RunFolder
from harlib.study.runs import scored_videos
from harlib.study.wording import addresses

LISTED = 40  # links under a figure; the others are in the figure and on the page of videos
_TAG = re.compile(r"""(<(?:[^>"']|"[^"]*"|'[^']*')*>)""")
_UNTOUCHED = ("a", "button", "code", "label", "option", "pre", "script", "style", "summary", "svg",
              "textarea", "title")  # fmt: skip
_TABLE = re.compile(r"<table[^>]*>.*?</table>", re.S)
_HEAD = re.compile(r"<th[^>]*>([^<]*)</th>")
_ROW = re.compile(r"<tr>(?:<td[^>]*>[^<]*</td>)+</tr>")
_CELL = re.compile(r"(<td[^>]*>)([^<]*)(</td>)")


@dataclass(frozen=True)
class StudyLinks:
    """What the pages of a study can lead to, as seen from the page of one run.

    Attributes:
        run: the page's own.
        pages: the runs that have a page, in order.
        scored: the runs whose videos the page of videos holds; empty: there is no such page.
        categories: the names that the page of videos can be filtered by.
    """

    run: str = ""
    pages: tuple[str, ...] = ()
    scored: tuple[str, ...] = ()
    categories: frozenset[str] = frozenset()

    @classmethod
    def of(cls, study: Path, run: str = "") -> "StudyLinks":
        """Of a run's page among those of ``runs/<study>``, or of its index without one.

        `StudyLinks()` leads nowhere.
        """
        runs = [path for path in sorted(study.glob("[0-9][0-9]_*")) if path.is_dir()]
        pages = tuple(path.name for path in runs if RunFolder(path).notebook is not None)
        scored = scored_videos.scored(study)
        named = [_categories(path) for path in scored]
        return cls(
            run,
            pages,
            tuple(path.name for path in scored),
            frozenset().union(*named),
        )

    @property
    def previous(self) -> str:
        """The run before this one; empty for the first."""
        return self._beside(-1)

    @property
    def next(self) -> str:
        """The run after this one; empty for the last."""
        return self._beside(1)

    @property
    def videos(self) -> str:
        """The page of videos, of this run where it is scored; empty where there is none."""
        own = {"run": self.run} if self.run in self.scored else {}
        return addresses.videos(**own) if self.scored else ""

    def _beside(self, step: int) -> str:
        if self.run not in self.pages:
            return ""
        place = self.pages.index(self.run) + step
        return self.pages[place] if 0 <= place < len(self.pages) else ""

    def to_videos(self, filters: dict[str, str]) -> str:
        """The page of videos with `filters`, of this page's run where they name none."""
        own = {"run": self.run} if self.run in self.scored else {}
        return addresses.videos(**(own | filters))

    @functools.cached_property
    def _names(self) -> re.Pattern | None:
        others = sorted((name for name in self.pages if name != self.run), key=len, reverse=True)
        if not others:
            return None
        any_of = "|".join(re.escape(escape(name)) for name in others)
        return re.compile(rf"(?<![\w./\\-])(?:{any_of})(?![\w/\\-]|\.\w)")

    def text(self, html: str) -> str:
        """HTML whose texts name other runs of the study, each with a link to its page."""
        if self._names is None:
            return html
        parts, inside = _TAG.split(html), 0
        for place, part in enumerate(parts):
            if part.startswith("<"):
                tag = re.match(r"</?(\w*)", part)
                if tag and tag[1].lower() in _UNTOUCHED:
                    inside += -1 if part.startswith("</") else 1
            elif not inside:
                parts[place] = self._names.sub(
                    lambda found: f'<a href="{quote(unescape(found[0]))}.html">{found[0]}</a>', part
                )
        return "".join(parts)

    def output(self, html: str) -> str:
        """What a cell showed, with links from runs to pages and from categories to videos."""
        if self.scored:
            html = _TABLE.sub(lambda table: self._table(table[0]), html)
        return self.text(html)

    def _table(self, table: str) -> str:
        """A table of `tables.Table` whose categories lead to their videos."""
        heads = [unescape(head) for head in _HEAD.findall(table)]
        if not {"category", "true category"} & set(heads):
            return table

        def row(found: re.Match) -> str:
            cells = _CELL.findall(found[0])
            values = dict(zip(heads, [unescape(text) for _, text, _ in cells], strict=False))
            run = values.get("run", values.get("wrong", "")).partition(" (")[0]
            filters = {"run": run} if run in self.scored else {}
            made = []
            for head, (opened, text, closed) in zip(heads, cells, strict=False):
                wanted = self._wanted(head, values)
                if wanted:
                    link = escape(self.to_videos(filters | wanted))
                    text = f'<a href="{link}">{text}</a>'
                made.append(opened + text + closed)
            return f"<tr>{''.join(made)}</tr>" if len(made) == len(cells) else found[0]

        return _ROW.sub(row, table)

    def _wanted(self, head: str, values: dict[str, str]) -> dict[str, str]:
        """The videos that a cell stands for; empty for none."""
        true = values.get("true category", values.get("category", ""))
        if head == "video" and "true category" in values:
            return {"true": true, "video": values["video"]}
        if true not in self.categories:
            return {}
        if head in ("category", "true category"):
            return {"true": true}
        if head == "called" and values["called"] in self.categories:
            return {"true": true, "called": values["called"]}
        return {}

    def _are_there(self, filters: dict[str, str]) -> bool:
        """Whether the page of videos knows what it would be filtered by."""
        run, true = filters.get("run"), filters.get("true")
        known = true is None or true in self.categories or "video" in filters
        return bool(self.scored) and known and (run is None or run in self.scored)

    def figure(self, output: nbformat.NotebookNode) -> dict[str, Any]:
        """What the template needs of a picture: its size, its areas and the list of them."""
        data = output.data["image/png"]
        width, height = _size(data)
        about = output.metadata.get("image/png", {})
        links = [
            {"words": area["words"], "box": area["box"], "link": self.to_videos(area["filters"])}
            for area in about.get("areas", [])
            if self._are_there(area["filters"])
        ]
        return {
            "width": width,
            "height": height,
            "links": links,
            "listed": links[:LISTED],
            "more": about.get("more", 0) + max(0, len(links) - LISTED) if links else 0,
        }


def _size(png: str) -> tuple[int, int]:
    """Width and height of a PNG in base64: bytes 16 to 24 of it."""
    return struct.unpack(">II", base64.b64decode(png[:64])[16:24])


def _categories(run_dir: Path) -> list[str]:
    """The names of a run's categories, without its scores."""
    with np.load(RunFolder(run_dir).scores, allow_pickle=False) as file:
        return [str(name) for name in file["categories"]]
