"""A small copy of any video that a browser plays."""

import os
from pathlib import Path

from harlib.data import VideoReader, encode, probe

_SIDE, _FPS = 240, 25.0  # pixels of its short side, its highest rate


def write(video: str | os.PathLike, out: Path, *, most_s: float | None = None) -> None:
    """Writes an H.264 mp4 without sound.

    Args:
        most_s: seconds after which it ends.

    Raises:
        VideoError: the video cannot be read, or its time stamps leap.
    """
    rate = min(probe(video).fps, _FPS)
    with VideoReader(video, size=_SIDE, fps=rate, end_s=most_s) as reader:
        encode(out, reader, rate, crf=28, threads=0)
