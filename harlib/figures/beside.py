"""Pictures of two videos side by side, as HTML that is narrow on a narrow screen."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

_HEIGHT, _QUALITY = 96, 80


@dataclass(frozen=True)
class Side:
    """One of two videos: its frames uint8 (height, width, 3), what each is, and what it is called.

    `name` and `about` are any text, and are escaped.
    """

    frames: Sequence[np.ndarray]
    moments: Sequence[str]
    name: str
    about: str


class Beside:
    """Pairs of videos, the frames of each in a row, that a notebook shows; prints as their names.

    Args:
        pairs: (one, other, what to say of the two).
    """

    def __init__(self, pairs: Sequence[tuple[Side, Side, str]]) -> None:
        self.pairs = list(pairs)

    def _repr_html_(self) -> str:
        shown = "\n".join(
            '<figure style="margin:0;flex:1 1 20em;max-width:30em">'
            f'<div style="display:flex;gap:.6em">{_side(one)}{_side(other)}</div>'
            f"<figcaption>{html.escape(said)}</figcaption></figure>"
            for one, other, said in self.pairs
        )
        return f'<div style="display:flex;flex-wrap:wrap;gap:1.2em">\n{shown}\n</div>'

    def __repr__(self) -> str:
        return "\n".join(f"{one.name} | {other.name}: {said}" for one, other, said in self.pairs)


def _side(side: Side) -> str:
    how = "flex:1 1 0;min-width:0;width:50%"
    pictures = "".join(
        f'<img src="data:image/webp;base64,{_webp(frame)}" style="{how}" '
        f'alt="{html.escape(f"Frame of {side.name} ({side.about}), {moment}")}">'
        for frame, moment in zip(side.frames, side.moments, strict=True)
    )
    return (
        '<div style="flex:1 1 0;min-width:0;overflow-wrap:anywhere;font-size:.85em">'
        f'<div style="display:flex;gap:2px">{pictures}</div>'
        f"<b>{html.escape(side.name)}</b><br>{html.escape(side.about)}<br>"
        f"{html.escape('; '.join(side.moments))}</div>"
    )


def _webp(frame: np.ndarray) -> str:
    size = (max(1, round(_HEIGHT * frame.shape[1] / frame.shape[0])), _HEIGHT)
    method = cv2.INTER_AREA if frame.shape[0] > _HEIGHT else cv2.INTER_CUBIC
    buffer = io.BytesIO()
    Image.fromarray(cv2.resize(np.ascontiguousarray(frame), size, interpolation=method)).save(
        buffer, "WEBP", quality=_QUALITY, method=4
    )
    return base64.b64encode(buffer.getvalue()).decode()
