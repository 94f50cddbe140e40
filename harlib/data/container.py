"""A video file opened by libav: its decoded frames and when each is shown.

Hostile and damaged files are expected here: what cannot be decoded is counted or ends in a
`VideoError` with the reason.
"""

import io
import math
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av

from harlib import HarlibError

# Only containers that hold their own frames: playlists (hls, concat, dash) could name other files.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,flv,asf,ogg,gif,"
    "h264,hevc,ivf,obu,mxf,nut,dv,rm,yuv4mpegpipe"
)
MAX_PIXELS = 8192 * 8192  # a larger frame is a damaged or hostile header; 8K is half of this
SEEK_FROM_S = 5.0  # below this, decoding from the start is cheaper than what a seek may get wrong
ATTACHED_PICTURE = 0x0400  # a cover image among the video streams


class VideoError(HarlibError):
    """A video that cannot be decoded (or encoded): `.path` and, in words, `.reason`."""

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(str(path), reason)
        self.path, self.reason = self.args

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Container:
    """The first video stream of a file.

    `rate` is the frame rate the file claims, `duration_s` its length and `count` its number of
    frames (0 where it claims none). `damage` counts packets and frames that the decoder refused
    or marked as corrupt. `data` is the file's content where it lies in no file of its own.
    Raises VideoError.
    """

    def __init__(self, path: Path, data: bytes | None = None):
        self.path = path
        self.damage = 0
        self._container = None
        self._data = data
        if data is None and not path.is_file():
            raise VideoError(path, "no such file")
        if (path.stat().st_size if data is None else len(data)) == 0:
            raise VideoError(path, "the file is empty (0 bytes)")
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None

    @property
    def codec(self) -> str:
        return self._stream.codec_context.name

    @property
    def duration_s(self) -> float:
        stream = self._stream
        if stream.duration:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (self._container.duration or 0) / av.time_base
        if stream.average_rate:
            # of a file cut short libav shortens the duration, but not the count of frames
            seconds = max(seconds, stream.frames / float(stream.average_rate))
        return seconds

    @property
    def count(self) -> int:
        return self._stream.frames or round(self.duration_s * self.rate)

    def frames(self, start_s: float = 0.0) -> Iterator[tuple[float, av.VideoFrame]]:
        """(seconds since the video's first frame, frame) from `start_s` on, in display order.

        Times always increase.
        """
        frames = self._timed()
        first = None
        if start_s > SEEK_FROM_S and self._seek(start_s):
            first = next(frames, None)
            if first is None or first[0] > start_s + 1e-4 or _stamp(first[1]) is None:
                # the file's index misled the seek: decode from the beginning
                self.close()
                self._open()
                frames, first = self._timed(), None
        last = -math.inf
        for seconds, frame in chain([] if first is None else [first], frames):
            # a stuttering clock never runs backwards and, as the next stamp counts, never drifts
            last = seconds = seconds if seconds > last else last + 1e-6
            if seconds >= start_s - 1e-4:
                self.damage += bool(frame.is_corrupt)
                yield seconds, frame

    def _open(self) -> None:
        # an absolute path cannot be taken for a URL or another protocol
        source = os.path.abspath(self.path)
        if self._data is not None:
            source = io.BytesIO(self._data)
            source.name = self.path.name  # its ending tells libav what content alone may not
        try:
            self._container = av.open(
                source,
                metadata_errors="ignore",
                options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            )
        except (av.FFmpegError, ValueError, OSError) as error:
            raise VideoError(
                self.path, f"not a video that can be opened ({reason(error)})"
            ) from error
        streams = [
            stream
            for stream in self._container.streams.video
            if not int(stream.disposition) & ATTACHED_PICTURE
        ]
        if not streams:
            raise VideoError(self.path, "the file has no video stream")
        self._stream = stream = streams[0]
        if stream.codec_context is None:
            raise VideoError(self.path, "the video's codec is unknown")
        self._check_size(stream)
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        if not rate:
            raise VideoError(self.path, "the video names no frame rate")
        self.rate = float(rate)
        stream.codec_context.thread_count = 1  # videos are decoded in parallel, not frames

    def _check_size(self, holder) -> None:
        if holder.width * holder.height > MAX_PIXELS:
            raise VideoError(self.path, f"absurd frame size {holder.width} x {holder.height}")

    def _seek(self, start_s: float) -> bool:
        stream = self._stream
        target = int(start_s / stream.time_base) + (stream.start_time or 0)
        try:
            self._container.seek(target, stream=stream, backward=True)
        except av.FFmpegError:
            return False
        return True

    def _timed(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """(seconds, frame) by the clock that runs forward: pts, or dts where pts does not.

        AVI files with B-frames carry no true presentation times: pts then jumps back and forth.
        """
        origin, tick = self._stream.start_time or 0, self._stream.time_base
        faults, last = {"pts": 0, "dts": 0}, {}
        seconds = -1 / self.rate
        for frame in self._decoded():
            for clock in faults:
                now = getattr(frame, clock)
                if now is not None:
                    faults[clock] += clock in last and now <= last[clock]
                    last[clock] = now
            # where pts is at fault a frame without dts comes one step after the last
            stamp = frame.dts if faults["pts"] > faults["dts"] else _stamp(frame)
            seconds = seconds + 1 / self.rate if stamp is None else float((stamp - origin) * tick)
            yield seconds, frame

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Every frame that decodes; counts the packets that do not."""
        packets = self._container.demux(self._stream)
        ended = False
        while not ended:
            try:
                packet = next(packets)
                ended = packet.size == 0  # the last one asks the decoder for what it holds back
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self.damage += 1  # the file breaks off here: keep what came
                packet, ended = None, True
            try:
                frames = self._stream.codec_context.decode(packet)
            except (av.FFmpegError, OSError):
                self.damage += 1
                continue
            for frame in frames:
                self._check_size(frame)
                yield frame


def _stamp(frame: av.VideoFrame) -> int | None:
    return frame.dts if frame.pts is None else frame.pts


def reason(error: Exception) -> str:
    """What a libav error says, without its number and the path."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
