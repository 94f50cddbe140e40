"""The templates of pages in `reports/template`; names and texts in them are escaped."""

from typing import Any

import jinja2
from markupsafe import Markup

from harlib import shipped

_FOLDER = shipped.FOLDER / "reports" / "template"


def render(template: str, **facts: Any) -> str:
    """A page of a template, with the style sheet of all pages as its `style`."""
    style = Markup((_FOLDER / "style.css").read_text(encoding="utf-8"))
    return opened(template).render(style=style, **facts)


def opened(template: str) -> jinja2.Template:
    """The template itself, of which a block can be rendered alone."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, keep_trailing_newline=True
    )
    return environment.get_template(template)
