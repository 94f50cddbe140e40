"""Videos that move in a report: small animated WebP pictures that start when a reader asks."""

import base64
import html
import io
from collections.abc import Sequence

import cv2
import numpy as np
from IPython.display import HTML, display
from PIL import Image

LIMIT = 1_500_000  # bytes of one strip: a page of five stays well below 8 MB
QUALITIES = (70, 45, 25, 10)


def animation(clip: np.ndarray, *, fps: float, height: int = 112, quality: int = 70) -> bytes:
    """A clip as an endless animated WebP, as bytes.

    Args:
        clip: uint8 (frames, height, width, 3) RGB.
        fps: frames per second at which it plays.
        height: pixels of the picture.
        quality: 1..100 of the lossy compression.
    """
    if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8 or not len(clip):
        raise ValueError(
            f"a clip is {clip.dtype} {clip.shape}, expected uint8 (frames, height, width, 3)"
        )
    size = (max(1, round(height * clip.shape[2] / clip.shape[1])), height)
    method = cv2.INTER_AREA if height < clip.shape[1] else cv2.INTER_CUBIC
    first, *rest = [Image.fromarray(cv2.resize(frame, size, interpolation=method))
                    for frame in clip]  # fmt: skip
    buffer = io.BytesIO()
    # method 2 is as small within a tenth as the slowest, at a fifth of its time
    first.save(buffer, "WEBP", save_all=True, append_images=rest, loop=0, quality=quality,
               duration=round(1000 / fps), method=2)  # fmt: skip
    return buffer.getvalue()


def strip(
    clips: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    fps: float | Sequence[float],
    name: str,
    height: int = 112,
    limit: int = LIMIT,
) -> str:
    """HTML of several videos side by side in a closed fold: they move once a reader opens it.

    Args:
        clips: uint8 arrays (frames, height, width, 3) RGB.
        titles: one a clip, shown below it and used as its alt text.
        fps: one number, or one a clip.
        name: what the fold is called.
        limit: bytes of all pictures; a lower quality is taken until they fit.

    Raises:
        ValueError: even the lowest quality is larger.
    """
    clips, titles = list(clips), [str(title) for title in titles]
    if not clips or len(clips) != len(titles):
        raise ValueError(f"{len(clips)} clips and {len(titles)} titles, expected one title a clip")
    speeds = np.broadcast_to(fps, len(clips))
    for quality in QUALITIES:
        pictures = [
            animation(clip, fps=speed, height=height, quality=quality)
            for clip, speed in zip(clips, speeds, strict=True)
        ]
        size = sum(map(len, pictures)) * 4 // 3
        if size <= limit:
            break
    else:
        raise ValueError(
            f"{len(clips)} clips take {size:,} bytes, more than {limit:,}: show fewer or smaller"
        )
    items = "".join(
        f'<figure style="margin:0;max-width:16em">'
        f'<img src="data:image/webp;base64,{base64.b64encode(picture).decode()}" '
        f'alt="Moving picture: {html.escape(title)}">'
        f"<figcaption>{html.escape(title)}</figcaption></figure>"
        for picture, title in zip(pictures, titles, strict=True)
    )
    return (
        f"<details><summary>Play: {html.escape(name)}</summary>"
        f'<div style="display:flex;flex-wrap:wrap;gap:1em">{items}</div></details>'
    )


def show_strip(
    clips: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    fps: float | Sequence[float],
    name: str,
    height: int = 112,
    limit: int = LIMIT,
) -> None:
    """Displays a `strip` in the notebook."""
    display(HTML(strip(clips, titles, fps=fps, name=name, height=height, limit=limit)))
