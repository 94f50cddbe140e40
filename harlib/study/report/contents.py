"""The headings of a page: a link to each, and the list of them."""

import itertools
import re
from html import escape, unescape
from urllib.parse import quote

# as nbconvert writes them: an id, the text, and an anchor that shows itself under the mouse alone
_HEADING = re.compile(
    r'<h(?P<level>[1-6]) id="(?P<id>[^"]*)">(?P<text>.*?)<a class="anchor-link"[^>]*>[^<]*</a>'
    r"</h(?P=level)>",
    re.S,
)
_BARE = re.compile(r'<h2(?: id="([^"]*)")?>([^<]*)</h2>')
_PLACE = "<!-- contents -->"
_DEEPEST = 3  # level of a heading that the list names


def added(page: str) -> str:
    """A page whose headings can be linked, and listed at the template's place for contents.

    Two headings of one text get two addresses.
    """
    taken: set[str] = set()
    found: list[tuple[int, str, str]] = []

    def heading(match: re.Match) -> str:
        level, text = int(match["level"]), match["text"].strip()
        first = unescape(match["id"])
        others = (f"{first}-{number}" for number in itertools.count(2))
        name = next(one for one in itertools.chain([first], others) if one not in taken)
        taken.add(name)
        plain = " ".join(unescape(re.sub("<[^>]*>", "", text)).split())
        if level <= _DEEPEST:
            found.append((level, name, plain))
        own, said = escape(name), escape(f"Link to: {plain}")
        return (
            f'<h{level} id="{own}">{text} <a class="anchor" href="#{_address(name)}" '
            f'aria-label="{said}">#</a></h{level}>'
        )

    page = _HEADING.sub(heading, page)
    return page.replace(_PLACE, _listed(found), 1)


def anchored(page: str) -> str:
    """A page of our own templates whose second headings can be linked.

    They are listed in a row at the template's place for contents.
    """
    found: list[tuple[str, str]] = []

    def heading(match: re.Match) -> str:
        text = match[2].strip()
        name = match[1] or re.sub(r"[^\w-]+", "-", unescape(text)).strip("-")
        found.append((name, text))
        anchor = f'<a class="anchor" href="#{name}" aria-label="Link to: {text}">#</a>'
        return f'<h2 id="{name}">{text} {anchor}</h2>'

    page = _BARE.sub(heading, page)
    links = "\n".join(f'<a href="#{name}">{text}</a>' for name, text in found)
    row = f'<nav class="ways" aria-label="Contents">\n{links}\n</nav>' if len(found) > 1 else ""
    return page.replace(_PLACE, row, 1)


def _address(name: str) -> str:
    """An id behind a #: what ends an address or an attribute is written out."""
    return escape(re.sub(r"[%\s\"<>`]", lambda found: quote(found[0]), name))


def _listed(headings: list[tuple[int, str, str]]) -> str:
    """Beside the text where there is room, else a fold above it; nothing of fewer than two."""
    if len(headings) < 2:
        return ""
    items = "\n".join(
        f'<li class="level{level}"><a href="#{_address(name)}">{escape(text)}</a></li>'
        for level, name, text in headings
    )
    return (
        '<nav class="contents" aria-label="Contents">\n'
        f"<details><summary>Contents</summary>\n<ul>\n{items}\n</ul></details>\n"
        f'<div class="beside"><p>Contents</p>\n<ul>\n{items}\n</ul></div>\n</nav>'
    )
