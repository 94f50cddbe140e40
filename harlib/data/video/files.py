"""A video file <-> frames: probe, decode, encode.

Frames are uint8 (frames, height, width, 3), RGB, upright. What cannot be decoded is a
`VideoError` with the reason; nothing is ever substituted.
"""

import os
from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np

from harlib.data.video.container import VideoError
from harlib.data.video.reader import VideoInfo, VideoReader, fit_size
from harlib.files import appearing

__all__ = ["VideoError", "VideoInfo", "decode", "encode", "fit_size", "probe"]


def probe(path: str | os.PathLike) -> VideoInfo:
    """What the file claims, without decoding more than one frame.

    Raises:
        VideoError: it is no video that can be decoded.
    """
    with VideoReader(path, max_frames=1) as reader:
        for _ in reader:
            pass
        assert reader.info is not None  # of the frame that came
        return reader.info


def decode(
    path: str | os.PathLike,
    *,
    size: int | tuple[int, int] | None = None,
    fps: float | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    max_frames: int | None = None,
) -> np.ndarray:
    """All frames of a video, or of its part [start_s, end_s): uint8 (frames, height, width, 3).

    Times count from the video's first frame. `size`: see `fit_size`. `fps` resamples by time
    stamps: the frame nearest in time, of two as near the earlier one, for every 1/fps seconds from
    the first frame, or from a part's `start_s` above 0, before the end; the last frame lasts as
    long as the rate says. A JPEG or PNG still is a video of one frame.

    Raises:
        VideoError: the file is missing, is no video, or has no frame in the wanted part.
    """
    with VideoReader(
        path, size=size, fps=fps, start_s=start_s, end_s=end_s, max_frames=max_frames
    ) as reader:
        return np.stack(list(reader))


def encode(
    path: str | os.PathLike,
    frames: Iterable[np.ndarray],
    fps: float,
    *,
    crf: int = 20,
    keyframe: int | None = None,
    threads: int = 1,
    preset: str = "veryfast",
) -> None:
    """Write frames, uint8 (frames, height, width, 3), as an H.264 yuv420p mp4 file.

    `crf` 0 (lossless in YUV) to 51; `keyframe` sets a keyframe every `keyframe` frames. With one
    thread the bytes depend on the frames alone. The file appears complete or not at all.
    """
    path = Path(path)
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise VideoError(path, "there are no frames to encode")
    if first.dtype != np.uint8 or first.ndim != 3 or first.shape[2] != 3:
        raise VideoError(
            path, f"a frame is {first.dtype} {first.shape}; it must be uint8 (h, w, 3)"
        )
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise VideoError(path, f"frames are {height} x {width}; both sides must be even")
    # mb-tree of x264 core 165 reads memory that nobody wrote (with AVX-512, not with AVX2), so that
    # with it one file in a hundred differs from run to run
    params = "mbtree=0"
    if keyframe:
        params = f"keyint={keyframe}:min-keyint={keyframe}:scenecut=0:{params}"
    options = {"crf": str(crf), "preset": preset, "x264-params": params}
    with appearing(path, durable=False) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(1001), options=options
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = threads
        for image in chain([first], frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode(None))
