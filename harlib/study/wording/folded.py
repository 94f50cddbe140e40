"""Long tables: their first rows, more of them in a fold, the rest as a number."""

import pandas as pd

from harlib.study.wording.tables import Sentence, Table
from harlib.text import count


class Folded:
    """A table of which a reader sees the first rows, opens a fold for more, and is told the rest.

    Args:
        frame: the table; none of its text need be safe.
        noun: what a row is, in the singular.
        plural: of the noun, where it is no regular one.
        shown: rows that stand open.
        most: rows in all, those in the fold among them.
    """

    def __init__(
        self, frame: pd.DataFrame, noun: str, plural: str = "", *, shown: int = 10, most: int = 200
    ) -> None:
        self.frame, self.shown, self.most = frame, shown, most
        self.noun, self.plural = noun, plural or f"{noun}s"

    def _rest(self) -> str:
        left = len(self.frame) - self.most
        return f"{self._more(left)} not listed here." if left > 0 else ""

    def _more(self, number: int) -> str:
        return count(number, f"more {self.noun}", f"more {self.plural}")

    def _repr_html_(self) -> str:
        parts = [Table(self.frame.iloc[: self.shown])._repr_html_()]
        folded = self.frame.iloc[self.shown : self.most]
        if len(folded):
            parts.append(
                f"<details><summary>{self._more(len(folded))}</summary>\n"
                f"{Table(folded)._repr_html_()}\n</details>"
            )
        if rest := self._rest():
            parts.append(Sentence(rest)._repr_html_())
        return "\n".join(parts)

    def __repr__(self) -> str:
        if not len(self.frame):
            return ""
        return "\n".join(filter(None, [repr(Table(self.frame.iloc[: self.most])), self._rest()]))
