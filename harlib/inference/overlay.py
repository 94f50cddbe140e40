"""A video with what a network says of it drawn in."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from harlib.data import VideoReader, encode, probe
from harlib.inference.predictor import NONE_OF_THESE, Prediction
from harlib.text import percent

_SHADE = 0.35  # of the picture below the text


def write(video: str | os.PathLike, said: Prediction, out: Path) -> None:
    """Writes `video` as an H.264 mp4 file without sound, the label of each moment at its foot."""
    rate = probe(video).fps
    with VideoReader(video, fps=rate) as reader:  # by time stamps: the rate may change within
        frames = iter(reader)
        encode(out, _drawn(next(frames), frames, said, rate), rate, threads=0)


def _drawn(
    first: np.ndarray, others: Iterator[np.ndarray], said: Prediction, fps: float
) -> Iterator[np.ndarray]:
    parts = said.segments()
    ends = parts["end_s"].to_numpy()
    height, width = (max(2, side - side % 2) for side in first.shape[:2])  # H.264 has even sides
    for number, frame in enumerate(_with(first, others)):
        place = min(int(np.searchsorted(ends, number / fps, side="right")), len(parts) - 1)
        row = parts.iloc[place]
        text = str(row["label"])
        if text != NONE_OF_THESE:
            text += f"  {percent(row['probability'], 0)}"
        shown = np.resize(frame, (height, width, 3)) if min(frame.shape[:2]) < 2 else frame
        yield _labelled(shown[:height, :width], text)


def _with(first: np.ndarray, others: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from others


def _labelled(frame: np.ndarray, text: str) -> np.ndarray:
    height, width = frame.shape[:2]
    letters = _letters(text, height, width)
    drawn = frame.copy()
    foot = drawn[-letters.shape[0] :]
    np.multiply(foot, _SHADE, out=foot, casting="unsafe")
    foot[letters > 127] = 255
    return drawn


@functools.lru_cache(maxsize=64)  # a label stays for many frames
def _letters(text: str, height: int, width: int) -> np.ndarray:
    """uint8 (text height, width): the text, cut where it is wider than the picture."""
    import matplotlib

    size = max(10, height // 16)
    font = ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size
    )
    image = Image.new("L", (width, min(height, round(1.6 * size))))
    ImageDraw.Draw(image).text((size // 2, size // 4), " ".join(text.split()), fill=255, font=font)
    return np.asarray(image)
