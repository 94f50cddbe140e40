"""Contact sheets: rows of a clip's frames, evenly spaced over its time."""

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.axes import Axes

from harlib.figures.style import QUIET, describe, new_axes, short, styled

_GAP = 4  # white pixels between tiles
_WIDTH = 880  # pixels of a row at most: on a page, a wider figure would shrink its titles


@styled
def contact_sheet(
    clips: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    frames: int = 8,
    height: int = 96,
    colors: Sequence[str] | None = None,
    fps: float | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A row per clip: `frames` evenly spaced frames, first and last among them, titles at the left.

    Tiles are as wide as the widest clip needs.

    Args:
        clips: uint8 arrays (frames, height, width, 3) RGB; their sizes and lengths may differ.
        titles: one a clip.
        height: pixels of a tile, less where a row would be wider than a page.
        colors: one a clip, of its title (such as right and wrong answers).
        fps: frames per second of the clips, to print the time they span.
        title: of the whole sheet.

    Raises:
        ValueError: no clips, a clip of another shape or kind, or too few titles.
    """
    clips = list(clips)
    titles = [""] * len(clips) if titles is None else list(titles)
    if not clips or len(titles) != len(clips):
        raise ValueError(f"{len(clips)} clips and {len(titles)} titles, expected one title a clip")
    for clip in clips:
        if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8 or not len(clip):
            raise ValueError(
                f"a clip is {clip.dtype} {clip.shape}, expected uint8 (frames, height, width, 3)"
            )
    widths = [round(height * clip.shape[2] / clip.shape[1]) for clip in clips]
    width, room = min(max(widths), 2 * height), _WIDTH // frames - _GAP
    if width > room:
        height, width = max(1, round(height * room / width)), room
    sheet = np.full(
        (len(clips) * (height + _GAP) - _GAP, frames * (width + _GAP) - _GAP, 3), 255, np.uint8
    )
    for row, clip in enumerate(clips):
        # a clip shorter than the row shows each of its frames once
        count = min(frames, len(clip))
        for column, frame in enumerate(np.linspace(0, len(clip) - 1, count).round().astype(int)):
            top, left = row * (height + _GAP), column * (width + _GAP)
            sheet[top : top + height, left : left + width] = _fit(clip[frame], height, width)
    if ax is None:
        # one pixel of the sheet is one of the PNG at 110 dots an inch; the titles take the rest
        ax = new_axes(sheet.shape[1] / 110 + 2.2, sheet.shape[0] / 110 + 0.35)
    ax.imshow(sheet, interpolation="antialiased")
    # keep their colours in the PNG
    ax.figure.photographs = True  # type: ignore[union-attr]  # our mark
    ax.grid(False)
    ax.set_title(_lines(title or "", 80))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_xticks([])
    middles = np.arange(len(clips)) * (height + _GAP) + height / 2
    ax.set_yticks(middles, [_lines(title, 26) for title in titles], fontsize=9.5)
    for label, color in zip(ax.get_yticklabels(), colors or (), strict=False):
        label.set_color(color)
    span = "" if fps is None else f" ({(max(map(len, clips)) - 1) / fps:.1f} s at most)"
    ax.set_xlabel(f"time →{span}", color=QUIET, loc="left")
    names = ", ".join(dict.fromkeys(str(title) for title in titles if title))
    return describe(
        ax, f"Contact sheet: {len(clips)} clips, a row each, {frames} frames in order. {names}"
    )


@styled
def training_clips(
    stored: np.ndarray,
    clips: np.ndarray,
    titles: Sequence[str],
    *,
    settings: str,
    frames: int = 8,
    ax: Axes | None = None,
) -> Axes:
    """A stored video above its clips as a training draws them: what augmentation does.

    Args:
        stored: uint8 (frames, height, width, 3), the whole picture.
        clips: uint8 (draws, frames, height, width, 3); of clips of one frame all draws share a row.
        titles: the stored video's, then one a draw.
        settings: of the augmentation, the figure's title.
    """
    rows, time = [stored, *clips], "time"
    if clips.shape[1] == 1:
        rows, titles, time = [stored, clips[:, 0]], [titles[0], f"{len(clips)} draws"], "draws"
    ax = contact_sheet(rows, titles, frames=frames, title=settings, ax=ax)
    ax.set_xlabel(f"{time} →", color=QUIET, loc="left")
    return describe(
        ax,
        f"A stored video, and below it {len(clips)} clips of it as the training draws them, a row "
        f"each: {' '.join(settings.split())}.",
    )


def _fit(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 (height, width, 3): the frame scaled to fit, white beside it."""
    factor = min(height / frame.shape[0], width / frame.shape[1])
    size = (max(1, round(frame.shape[1] * factor)), max(1, round(frame.shape[0] * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    small = cv2.resize(frame, size, interpolation=method)
    tile = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile


def _lines(title: object, most: int) -> str:
    """Keeps a title's own line breaks; each line is cut to `most` characters."""
    return "\n".join(short(line, most) for line in str(title).split("\n"))
