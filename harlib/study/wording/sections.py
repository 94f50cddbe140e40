"""Parts of a report that open one by one."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from harlib.study.wording.tables import Sentence, Table


@dataclass(frozen=True)
class Section:
    """Sentences and tables under a line that opens and closes them."""

    title: str
    parts: Sequence[Sentence | Table]
    opened: bool = False


class Sections:
    """Several sections, which a notebook shows below each other."""

    def __init__(self, sections: Sequence[Section]) -> None:
        self.sections = list(sections)

    def _repr_html_(self) -> str:
        return "\n".join(
            f"<details{' open' if one.opened else ''}><summary>{html.escape(one.title)}</summary>\n"
            + "\n".join(part._repr_html_() for part in one.parts)
            + "\n</details>"
            for one in self.sections
        )

    def __repr__(self) -> str:
        return "\n\n".join("\n".join([one.title, *map(repr, one.parts)]) for one in self.sections)
