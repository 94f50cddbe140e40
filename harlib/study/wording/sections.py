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
    """Several sections, which a notebook shows below each other, after what holds for all."""

    def __init__(self, sections: Sequence[Section], lead: Sequence[Sentence] = ()) -> None:
        self.sections, self.lead = list(sections), list(lead)

    def _repr_html_(self) -> str:
        sections = [
            f"<details{' open' if one.opened else ''}><summary>{html.escape(one.title)}</summary>\n"
            + "\n".join(part._repr_html_() for part in one.parts)
            + "\n</details>"
            for one in self.sections
        ]
        return "\n".join([*(one._repr_html_() for one in self.lead), *sections])

    def __repr__(self) -> str:
        sections = ("\n".join([one.title, *map(repr, one.parts)]) for one in self.sections)
        return "\n\n".join([*map(repr, self.lead), *sections])
