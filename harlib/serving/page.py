"""The page on which a person drops a video, and the piece of it that tells what a network says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from harlib import shipped
from harlib.inference import Prediction, timeline
from harlib.text import clock, percent, size

_TEMPLATE = shipped.FOLDER / "reports" / "template"
_BARS = 8  # categories that are shown


def whole(about: Mapping[str, Any], nonce: str, limit: int, longest_s: float) -> str:
    """The page as it is opened; it loads nothing.

    Args:
        about: what `answers.about` tells of the network.
        nonce: of its script.
        limit, longest_s: bytes and seconds of a video that is taken.
    """
    return _render(
        "serve.html.j2",
        style=Markup((_TEMPLATE / "style.css").read_text()),
        picture_style=timeline.style(),
        about=about,
        nonce=nonce,
        limit=limit,
        size=size(limit),
        length=clock(longest_s),
    )


def answer(network: str, said: Prediction, looked: Mapping[str, Any]) -> str:
    """What the page shows of a video once it was looked at."""
    column = "probability" if said.confidence is None else "calibrated"
    shown = said.top(_BARS).sort_values(column, ascending=False, kind="stable")
    bars = [
        {"label": label, "width": round(100 * value, 1), "probability": percent(value)}
        for label, value in zip(shown["label"], shown[column], strict=True)
    ]
    return _render(
        "serve_answer.html.j2",
        name=said.video,
        sentence=timeline.sentence(said),
        label=said.label,
        warning=said.warning,
        bars=bars,
        kind="probability" if said.confidence is None else "calibrated probability",
        looked=looked,
        start=timeline.clock(looked["start_s"]),
        end=timeline.clock(looked["end_s"]),
        said=timeline.said(network, said),
    )


def _render(template: str, **facts: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE), autoescape=True, keep_trailing_newline=True
    )
    return environment.get_template(template).render(**facts)
