"""The page on which a person drops a video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from harlib import shipped
from harlib.text import clock, size

_TEMPLATE = shipped.FOLDER / "reports" / "template"


def whole(about: Mapping[str, Any], nonce: str, limit: int, longest_s: float) -> str:
    """The page as it is opened; it loads nothing.

    Args:
        about: what `answers.about` tells of the network.
        nonce: of its script.
        limit, longest_s: bytes and seconds of a video that is taken.
    """
    return render(
        "serve.html.j2",
        style=Markup((_TEMPLATE / "style.css").read_text()),
        about=about,
        nonce=nonce,
        limit=limit,
        size=size(limit),
        length=clock(longest_s),
    )


def render(template: str, **facts: Any) -> str:
    """A template of the reports' folder with these facts, of which names and texts are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE), autoescape=True, keep_trailing_newline=True
    )
    return environment.get_template(template).render(**facts)
