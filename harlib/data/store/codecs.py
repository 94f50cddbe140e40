"""How a video's frames are packed into bytes: raw, JPEG, or H.264 with short keyframe steps.

A codec turns frames into one chunk of bytes per frame, and any frames' chunks back into pixels.
`quality` runs from 0 to 100 on JPEG's scale; for H.264 it is CRF 23 + (90 - quality) / 2.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Protocol

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from harlib import HarlibError
from harlib.data import buffers

KEYFRAME = 16  # frames from one H.264 keyframe to the next: a clip of 16 costs at most 31 decodes


class CodecError(HarlibError):
    """Bytes that are not what this codec wrote."""


class Codec(Protocol):
    """How a store keeps a video: each frame is a chunk of bytes."""

    @staticmethod
    def encode(frames: Iterable[np.ndarray], quality: int) -> Iterator[bytes]:
        """The chunk of each frame, uint8 (height, width, 3) RGB; quality 1..100 of a lossy one."""

    @staticmethod
    def decode(
        payload: np.ndarray, offsets: np.ndarray, frames: np.ndarray, height: int, width: int
    ) -> np.ndarray:
        """The frames of these numbers: uint8 (len(frames), height, width, 3).

        Args:
            payload: uint8 (bytes,), the file's chunks.
            offsets: int64 (frames of the video + 1,), where the video's chunks begin and end.
            frames: int64, in any order and repeated at will.

        Raises:
            CodecError: the bytes are not what `encode` made.
        """


class Raw:
    """Pixels as they are: the fastest to read, the largest on disk."""

    @staticmethod
    def encode(frames: Iterable[np.ndarray], quality: int) -> Iterator[bytes]:
        for frame in frames:
            yield frame.tobytes()

    @staticmethod
    def decode(
        payload: np.ndarray, offsets: np.ndarray, frames: np.ndarray, height: int, width: int
    ) -> np.ndarray:
        begin, end = int(offsets[0]), int(offsets[-1])
        video = payload[begin:end]
        if video.size != (len(offsets) - 1) * height * width * 3:
            raise CodecError("the stored size is not frames x height x width x 3")
        video = video.reshape(-1, height, width, 3)
        step = int(frames[1] - frames[0]) if len(frames) > 1 else 1
        if step > 0 and (np.diff(frames) == step).all():
            return video[frames[0] : frames[-1] + 1 : step]  # a view of the file: nothing copied
        return video[frames]


class Jpeg:
    """One JPEG a frame: any frame by itself, a tenth of raw's size at quality 90."""

    @staticmethod
    def encode(frames: Iterable[np.ndarray], quality: int) -> Iterator[bytes]:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        for frame in frames:
            yield cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)[1].tobytes()

    @staticmethod
    def decode(
        payload: np.ndarray, offsets: np.ndarray, frames: np.ndarray, height: int, width: int
    ) -> np.ndarray:
        clip = buffers.empty((len(frames), height, width, 3))
        done: dict[int, int] = {}
        for place, number in enumerate(frames.tolist()):
            if number in done:  # a short video is looped: decode each of its frames once
                clip[place] = clip[done[number]]
                continue
            done[number] = place
            data = payload[offsets[number] : offsets[number + 1]]
            image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
            if image is None or image.shape != (height, width, 3):
                raise CodecError(f"frame {number} is not a JPEG of {height} x {width}")
            clip[place] = image
        return clip


class H264:
    """An H.264 stream with a keyframe every 16 frames and no B-frames: the smallest."""

    @staticmethod
    def encode(frames: Iterable[np.ndarray], quality: int) -> Iterator[bytes]:
        encoder = None
        for frame in frames:
            if encoder is None:
                encoder = av.CodecContext.create("libx264", "w")
                encoder.height, encoder.width = height, width = frame.shape[:2]
                if height % 2 or width % 2:
                    raise CodecError(f"H.264 needs even sides, not {height} x {width}")
                encoder.pix_fmt = "yuv420p"
                encoder.framerate = Fraction(25)  # only the rate control of the encoder looks at it
                encoder.time_base = 1 / encoder.framerate
                encoder.thread_count = 1  # so that the bytes do not depend on the cores
                encoder.options = {
                    "preset": "veryfast",
                    "crf": f"{23 + (90 - quality) / 2:g}",
                    "tune": "zerolatency",  # one packet out for one frame in
                    "x264-params": f"keyint={KEYFRAME}:min-keyint={KEYFRAME}:scenecut=0:bframes=0",
                }
            for packet in encoder.encode(av.VideoFrame.from_ndarray(frame)):
                yield bytes(packet)
        if encoder is not None:
            for packet in encoder.encode(None):
                yield bytes(packet)

    @staticmethod
    def decode(
        payload: np.ndarray, offsets: np.ndarray, frames: np.ndarray, height: int, width: int
    ) -> np.ndarray:
        clip = buffers.empty((len(frames), height, width, 3))
        places: dict[int, list[int]] = {}
        for place, number in enumerate(frames.tolist()):
            places.setdefault(number, []).append(place)
        runs = {}  # keyframe -> the last frame wanted before the next keyframe
        for number in sorted(places):
            runs[number - number % KEYFRAME] = number
        found = 0
        scaler = VideoReformatter()  # one for all frames: setting it up costs as much as a frame
        try:
            for number, frame in _decode_runs(payload, offsets, runs):
                if number in places:
                    if (frame.height, frame.width) != (height, width):
                        raise CodecError(f"frame {number} is not {height} x {width}")
                    # more threads for so small a frame cost more than they save
                    image = scaler.reformat(frame, format="rgb24", threads=1)
                    clip[places[number]] = image.to_ndarray()
                    found += 1
        except av.FFmpegError as error:
            raise CodecError(f"a frame is not H.264 ({error})") from error
        if found != len(places):
            raise CodecError(f"only {found} of {len(places)} frames came out of the H.264 stream")
        return clip


def _decode_runs(
    payload: np.ndarray, offsets: np.ndarray, runs: dict[int, int]
) -> Iterator[tuple[int, av.VideoFrame]]:
    """(number, frame) of the frames from each keyframe to the end of its run."""
    number = None
    for key, last in runs.items():
        if number is None or key != number + 1:  # a run that follows on needs no new decoder
            decoder = av.CodecContext.create("h264", "r")
            decoder.thread_count = 1
        for number in range(key, last + 1):
            packet = av.Packet(payload[offsets[number] : offsets[number + 1]].tobytes())
            # without B-frames and with one thread every packet gives its frame at once
            for frame in decoder.decode(packet):
                if frame.is_corrupt:
                    raise CodecError(f"frame {number} is damaged")
                yield number, frame


CODECS: dict[str, type[Codec]] = {"raw": Raw, "jpeg": Jpeg, "h264": H264}
