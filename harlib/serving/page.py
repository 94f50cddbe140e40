"""The page on which a person drops a video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harlib import templates
from harlib.text import size, stopwatch


def whole(about: Mapping[str, Any], nonce: str, limit: int, longest_s: float) -> str:
    """The page as it is opened; it loads nothing.

    Args:
        about: what `answers.about` tells of the network.
        nonce: of its script.
        limit, longest_s: bytes and seconds of a video that is taken.
    """
    return templates.render(
        "serve.html.j2",
        about=about,
        nonce=nonce,
        limit=limit,
        size=size(limit),
        length=stopwatch(longest_s),
    )
