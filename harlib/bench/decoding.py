"""Reading clips and whole videos straight from video files, with the libraries people use.

A clip reader is called with (path, first frame, frames, frames per second, (height, width)) and
gives uint8 (frames, height, width, 3) RGB. Each uses one thread.
"""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from harlib.data import CODECS, VideoReader


def opencv(path: str, first: int, count: int, fps: float, size: tuple[int, int]) -> np.ndarray:
    """OpenCV's frames `first` to `first + count`, scaled after: uint8 (count, height, width, 3)."""
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if first:
        capture.set(cv2.CAP_PROP_POS_FRAMES, first)
    clip = np.empty((count, *size, 3), np.uint8)
    for target in clip:
        there, frame = capture.read()
        if not there:
            raise RuntimeError(f"OpenCV reads no frame {first} + {count} of {path}")
        small = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
        cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=target)
    capture.release()
    return clip


def pyav(path: str, first: int, count: int, fps: float, size: tuple[int, int]) -> np.ndarray:
    """PyAV's, scaled by libav: uint8 (count, height, width, 3)."""
    clip, scaler = [], VideoReformatter()
    with av.open(path) as container:
        stream: Any = container.streams.video[0]
        stream.codec_context.thread_count = 1
        start = (stream.start_time or 0) * stream.time_base
        if first:
            container.seek(int((first / fps + start) / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            clock: Any = frame.dts if frame.pts is None else frame.pts
            if (clock * stream.time_base - start) * fps > first - 0.5:
                clip.append(_small(scaler, frame, size))
                if len(clip) == count:
                    return np.stack(clip)
    raise RuntimeError(f"PyAV reads no frames {first} + {count} of {path}")


def decord(path: str, first: int, count: int, fps: float, size: tuple[int, int]) -> np.ndarray:
    """decord's, scaled by it: uint8 (count, height, width, 3)."""
    import decord as library

    reader = library.VideoReader(path, width=size[1], height=size[0], num_threads=1)
    return reader.get_batch(range(first, first + count)).asnumpy()


def _small(scaler: VideoReformatter, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    # one thread, as for decoding: the automatic number costs more CPU time
    area = Interpolation.AREA
    height, width = size
    image = scaler.reformat(frame, width, height, "rgb24", interpolation=area, threads=1)
    return image.to_ndarray()


def peers() -> dict:
    """The clip readers by name; decord where it is installed (extra bench)."""
    readers = {"opencv": opencv, "pyav": pyav}
    if importlib.util.find_spec("decord"):
        readers["decord"] = decord
    return readers


def note(error: Exception) -> str:
    """Why a peer has no figures, in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no reason given'}"


def preparing_cpu(paths: Sequence[str], size: int) -> tuple[dict[str, float], int, dict[str, str]]:
    """CPU seconds of decoding and scaling whole videos, and of encoding them by codec.

    "harlib" is what `har prepare` decodes with; "libav" only decodes and scales with the same
    library; "ffmpeg" is the program, where there is one, less what starting it costs.

    Returns:
        The seconds by name; the number of pixels that were decoded; and of a peer that cannot read
        one of the files why.
    """
    spent = {"harlib": 0.0, "libav": 0.0} | {codec: 0.0 for codec in CODECS}
    pixels, shapes, notes = 0, [], {}
    for path in paths:
        with _cpu(spent, "harlib"), VideoReader(path, size=size) as reader:
            for _ in reader:
                pass
            shape = reader.shape
        shapes.append(shape)
        assert reader.info is not None  # of the frames that came
        pixels += reader.decoded * reader.info.height * reader.info.width
        if "libav" not in notes:
            try:
                with _cpu(spent, "libav"):
                    _libav(path, shape)
            except av.FFmpegError as error:
                notes["libav"] = note(error)
                del spent["libav"]
        with VideoReader(path, size=size) as reader:
            frames = list(reader)
        for name, codec in CODECS.items():
            with _cpu(spent, name):
                for _ in codec.encode(iter(frames), 90):
                    pass
    if shutil.which("ffmpeg"):
        try:
            spent["ffmpeg"] = sum(map(_ffmpeg_cpu, paths, shapes))
        except subprocess.CalledProcessError as error:
            notes["ffmpeg"] = f"ffmpeg ended with exit status {error.returncode}"
    return spent, pixels, notes


def _libav(path: str, shape: tuple[int, int]) -> None:
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        scaler = VideoReformatter()
        for frame in container.decode(video=0):
            _small(scaler, frame, shape)


@contextlib.contextmanager
def _cpu(spent: dict[str, float], name: str) -> Iterator[None]:
    begin = time.process_time()
    yield
    spent[name] += time.process_time() - begin


def _ffmpeg_cpu(path: str, shape: tuple[int, int]) -> float:
    import resource  # not on Windows, where `har bench` is refused

    def run(*until: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        scale = f"scale={shape[1]}:{shape[0]}:flags=area"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-i", path, *until, "-an"]
            + ["-filter_threads", "1", "-vf", scale, "-pix_fmt", "rgb24"]
            + ["-f", "rawvideo", "-y", os.devnull],
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return max(0.0, run() - run("-frames:v", "1"))
