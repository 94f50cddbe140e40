"""The video files that are measured on."""

from fractions import Fraction
from pathlib import Path

import av
import joblib
import numpy as np

from harlib import processes
from harlib.data import decode, look

VIDEOS = 32  # the number of a folder's videos that are measured, evenly chosen
SECONDS, FPS, SIZE = 10, 30, (256, 340)  # what the public copies of Kinetics usually hold


def chosen(folder: Path) -> list[Path]:
    """At most 32 of the videos below a folder."""
    by_name = {Path(path).stem: path for path in reversed(look(folder).files)}
    found = [path for path in reversed(by_name.values()) if "!/" not in path]
    if not found:
        raise ValueError(f"{folder} holds no videos to measure on")
    places = np.linspace(0, len(found) - 1, min(VIDEOS, len(found))).astype(int)
    return [Path(found[place]) for place in places]


def as_kinetics(paths: list[Path], folder: Path) -> list[Path]:
    """The same videos as Kinetics' files are: 10 s of 340 x 256 at 30 frames a second.

    H.264 by x264's own defaults, whose keyframes lie 250 frames apart. Short ones run there and
    back.
    """
    folder.mkdir()
    jobs = (joblib.delayed(_written)(path, folder / f"{path.stem}.mp4") for path in paths)
    with processes.parallel(-1) as parallel:
        return parallel(jobs)


def _written(source: Path, target: Path) -> Path:
    frames = decode(source, size=SIZE, max_frames=SECONDS * FPS)
    there_and_back = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS), options={"crf": "23"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in np.resize(there_and_back, SECONDS * FPS):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frames[number])))
        container.mux(stream.encode(None))
    return target
