"""A video file opened by libav: its decoded frames and when each is shown.

Hostile and damaged files are expected here: what cannot be decoded is counted or ends in a
`VideoError` with the reason.
"""

import io
import math
import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av

from harlib import HarlibError
from harlib.data.video.timestamps import FrameClock, PacketClock

# Only containers that hold their own frames: playlists (hls, concat, dash) could name other files.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,flv,asf,ogg,gif,"
    "h264,hevc,ivf,obu,mxf,nut,dv,rm,yuv4mpegpipe,apng"
)
# Elsewhere libav finds a time by guessing at which byte it lies; joined recordings mislead it, and
# the stamps that it makes up for packets without one depend on where reading began.
INDEXED = frozenset(("avi", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"))
MAX_PIXELS = 8192 * 8192  # a larger frame is a damaged or hostile header; 8K is half of this
SEEK_FROM_S = 5.0  # below this, decoding from the start is cheaper than what a seek may get wrong
NO_STAMPS, STAMPS_BEGIN_AGAIN = 0x0080, 0x0200  # libav's flags of a format
DEFAULT, ATTACHED_PICTURE = 0x0001, 0x0400  # and of a stream: the one to show, a cover image


class VideoError(HarlibError):
    """A video that cannot be decoded (or encoded): `.path` and, in words, `.reason`."""

    def __init__(self, path: str | os.PathLike, reason: str) -> None:
        super().__init__(str(path), reason)
        self.path, self.reason = self.args

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Container:
    """The video stream of a file that FFmpeg shows: the default one, among several the largest.

    `rate` is the frame rate the file claims, `duration_s` its length and `count` its number of
    frames (0 where it claims none). `damage` counts packets and frames that the decoder refused
    or marked as corrupt, `jumps_s` the seconds that its time stamps leapt ahead in between. `data`
    is the file's content where it lies in no file of its own. Raises VideoError.
    """

    def __init__(self, path: Path, data: bytes | None = None) -> None:
        self.path = path
        self._container: Any = None  # of libav; None while it is closed
        self._data = data
        if data is None and not path.is_file():
            raise VideoError(path, "no such file")
        if (path.stat().st_size if data is None else len(data)) == 0:
            raise VideoError(path, "the file is empty (0 bytes)")
        self._open()

    def close(self) -> None:
        """Closes the file; to close it again does nothing."""
        if self._container is not None:
            self._container.close()
            self._container = None

    @property
    def codec(self) -> str:
        """FFmpeg's name of the codec, such as "h264"."""
        return self._stream.codec_context.name

    @property
    def duration_s(self) -> float:
        """The length in seconds that the file claims; 0 where it claims none."""
        stream = self._stream
        if self._is(NO_STAMPS):
            return 0.0  # libav guesses it from the bit rate
        if stream.duration:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (self._container.duration or 0) / av.time_base
            if self._container.format.name == "matroska,webm":  # says when the last frame ends
                seconds -= max(0, self._container.start_time or 0) / av.time_base
        if stream.average_rate:
            # of a file cut short libav shortens the duration, but not the count of frames
            seconds = max(seconds, self._listed / float(stream.average_rate))
        return seconds

    @property
    def count(self) -> int:
        """The number of frames that the file claims; 0 where it claims none."""
        return self._listed or round(self.duration_s * self.rate)

    @property
    def pixel_aspect(self) -> Fraction:
        """How many times as wide as high a pixel is shown; 1 where the file does not say."""
        return self._stream.sample_aspect_ratio or Fraction(1)

    @property
    def jumps_s(self) -> float:
        """Seconds that the time stamps leapt ahead, up to here."""
        return self._packet_clock.jumps_s

    @property
    def remark(self) -> str:
        """What `damage` counts, in words; "" where there is none."""
        return f"{self.damage} damaged packets" if self.damage else ""

    @property
    def repeated_s(self) -> float:
        """When, after the first frame, a packet said last that the picture stays; -inf if none."""
        if self._repeated is None:
            return -math.inf
        return float(self._repeated * self._stream.time_base) - self._origin

    def frames(self, start_s: float = 0.0) -> Iterator[tuple[float, av.VideoFrame]]:
        """(seconds since the video's first frame, frame) from `start_s` on, in display order.

        Times always increase.
        """
        frames = self._timed()
        first = next(frames, None)
        if first is None:
            return
        origin = self._origin = first[0]
        frames = self._skipped(start_s, origin) if start_s > SEEK_FROM_S else chain([first], frames)
        last = -math.inf
        for seconds, frame in frames:
            seconds -= origin
            # a stuttering clock never runs backwards and, as the next stamp counts, never drifts
            last = seconds = seconds if seconds > last else last + 1e-6
            if seconds >= start_s - 1e-4:
                self.damage += bool(frame.is_corrupt)
                yield seconds, frame

    def _open(self) -> None:
        self.close()
        try:
            self._open_file()
            self._choose_stream()
        except BaseException:
            self.close()
            raise
        self.damage = 0
        self._begin_at(0)

    def _open_file(self) -> None:
        # an absolute path cannot be taken for a URL or another protocol
        source: Any = os.path.abspath(self.path)
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

    def _choose_stream(self) -> None:
        streams = [
            stream
            for stream in self._container.streams.video
            if not int(stream.disposition) & ATTACHED_PICTURE
        ]
        if not streams:
            raise VideoError(self.path, "the file has no video stream")
        self._stream = stream = max(streams, key=_score)
        if stream.codec_context is None:
            raise VideoError(self.path, "the video's codec is unknown")
        self._check_size(stream)
        # of a bare stream libav's average is 25, whatever the codec says
        average = None if self._is(NO_STAMPS) else stream.average_rate
        rate = average or stream.guessed_rate or stream.base_rate
        if not rate:
            raise VideoError(self.path, "the video names no frame rate")
        self.rate = float(rate)
        stream.codec_context.thread_count = 1  # videos are decoded in parallel, not frames

    def _check_size(self, holder: Any) -> None:
        if holder.width * holder.height > MAX_PIXELS:
            raise VideoError(self.path, f"absurd frame size {holder.width} x {holder.height}")

    def _is(self, flag: int) -> bool:
        return bool(int(self._container.format.flags) & flag)

    @property
    def _listed(self) -> int:
        """Frames the file lists, less those that its edit list hides; 0 where it lists none."""
        listed, index = self._stream.frames, self._stream.index_entries
        if listed and self._container.format.name.startswith("mov,"):
            return len(index) - sum(entry.is_discard for entry in index)
        return listed

    def _begin_at(self, packet: int) -> None:
        """Where in the file the next reading begins: at this packet of those that libav gives."""
        self._first_packet = packet
        self._repeated: int | None = None
        self._packet_clock = PacketClock(
            self.rate, self._stream.time_base, anywhere=self._is(STAMPS_BEGIN_AGAIN)
        )

    def _skipped(self, start_s: float, origin: float) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames of which those from `start_s` on are all there, with few or none before them."""
        if self._go_to_keyframe(start_s, origin):
            self.damage = 0
            frames = self._timed()
            before = keyed = False  # a frame that is not after start_s, and a keyframe, were seen
            for seconds, frame in frames:
                if _stamp(frame) is None:
                    break
                before |= seconds - origin <= start_s + 1e-4
                keyed |= frame.key_frame
                if not before:
                    break
                if seconds - origin >= start_s - 1e-4:
                    if keyed:
                        return chain([(seconds, frame)], frames)
                    break
        # the file's index or its keyframes are wrong
        self._open()
        return self._timed()

    def _go_to_keyframe(self, start_s: float, origin: float) -> bool:
        """Whether reading continues from a keyframe that is shown at `start_s` or before it."""
        stream = self._stream
        if self._container.format.name in INDEXED:
            # some indexes hold decoding times, which presentation follows
            delay = stream.codec_context.reorder_depth / self.rate
            target = int((origin + start_s - delay) / stream.time_base)
            try:
                self._container.seek(target, stream=stream, backward=True)
            except av.FFmpegError:
                return False
            self._begin_at(0)
            return True
        if self._is(NO_STAMPS):
            return False
        keyframe = self._keyframe_before(origin + start_s)
        self._open()
        self._begin_at(keyframe)
        return keyframe > 0

    def _keyframe_before(self, seconds: float) -> int:
        """The number of the last packet with a keyframe of this time or before; 0 without one."""
        self._open()
        tick, found = self._stream.time_base, 0
        for number, packet in enumerate(self._packets()):
            stamp = _stamp(packet)
            if stamp is not None and packet.is_keyframe and float(stamp * tick) <= seconds:
                found = number
            if packet.dts is not None and float(packet.dts * tick) > seconds:
                break
        return found

    def _timed(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """(seconds by the file's own clock, frame)."""
        by = "decoding" if self._container.format.name == "avi" else "stamps"
        by = "count" if self._is(NO_STAMPS) else by
        clock = FrameClock(self.rate, self._stream.time_base, by)
        for frame in self._decoded():
            yield clock.seconds(frame), frame

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Every frame that decodes; counts the packets that do not."""
        # the None asks the decoder for what it holds back
        for packet in chain(self._packets(), [None]):
            try:
                frames = self._stream.codec_context.decode(packet)
            except (av.FFmpegError, OSError):
                self.damage += 1
                continue
            for frame in frames:
                self._check_size(frame)
                yield frame

    def _packets(self) -> Iterator[av.Packet]:
        """The packets that hold something, their time stamps mended."""
        packets = self._container.demux(self._stream)
        try:
            mend = self._packet_clock.mend
            for number, packet in enumerate(packets):
                mend(packet)
                if number < self._first_packet:
                    continue
                if packet.size:
                    yield packet
                elif (stamp := _stamp(packet)) is not None:
                    # it repeats the last picture; the decoder would take it for the end
                    self._repeated = stamp
        except (av.FFmpegError, OSError):
            self.damage += 1  # the file breaks off here: keep what came


def _score(stream: Any) -> int:
    """What FFmpeg chooses one of several video streams by."""
    if stream.codec_context is None:
        return -1
    return stream.width * stream.height + 5_000_000 * bool(int(stream.disposition) & DEFAULT)


def _stamp(holder: av.VideoFrame | av.Packet) -> int | None:
    return holder.dts if holder.pts is None else holder.pts


def reason(error: Exception) -> str:
    """What a libav error says, without its number and the path."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
