"""A video file <-> frames: probe, decode, encode.

Frames are uint8 (frames, height, width, 3), RGB, upright. What cannot be decoded is a
`VideoError` with the reason; nothing is ever substituted.
"""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

# Only containers that hold their own frames: playlists (hls, concat, dash) could name other files.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,flv,asf,ogg,gif,"
    "h264,hevc,ivf,obu,mxf,nut,dv,rm,yuv4mpegpipe"
)
VIDEO_SUFFIXES = frozenset(
    [
        ".3gp",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".ogv",
        ".ts",
        ".webm",
        ".wmv",
    ]
)
STILL_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png"))
MAX_PIXELS = 8192 * 8192  # a larger frame is a damaged or hostile header; 8K is half of this
MAX_GAP_S = 60.0  # a longer pause between two frames is a damaged timestamp
SEEK_FROM_S = 5.0  # decoding this much from the start costs less than a seek may go wrong


class VideoError(ValueError):
    """A video that cannot be decoded (or encoded): `.path` and, in words, `.reason`."""

    def __init__(self, path, reason: str):
        super().__init__(str(path), reason)
        self.path, self.reason = self.args

    def __str__(self):
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of its video: upright size in pixels, frames per second, frame count.

    `frames` and `duration_s` are the container's claims (0 where it makes none): only decoding
    tells. `rotation` is the counter-clockwise turn in degrees that `decode` has applied.
    """

    height: int
    width: int
    fps: float
    frames: int
    duration_s: float
    codec: str
    rotation: int


def fit_size(height: int, width: int, size: int | tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) after scaling: an int is the short side, aspect kept, both sides even.

    A pair is taken as it is (the frame is stretched), None keeps the size.
    """
    if size is None:
        return height, width
    if not isinstance(size, int | np.integer):
        high, wide = size
        return int(high), int(wide)
    scale = size / min(height, width)
    return tuple(max(2, 2 * round(side * scale / 2)) for side in (height, width))


def probe(path: str | os.PathLike) -> VideoInfo:
    """What the file claims, without decoding more than one frame. Raises VideoError."""
    with VideoReader(path, max_frames=1) as reader:
        for _ in reader:
            pass
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

    `size`: see `fit_size`. `fps` resamples by timestamps: the frame nearest in time for every
    1/fps seconds. A JPEG or PNG still is a video of one frame.

    Raises:
        VideoError: the file is missing, is no video, or has no frame in the wanted part.
    """
    with VideoReader(
        path, size=size, fps=fps, start_s=start_s, end_s=end_s, max_frames=max_frames
    ) as reader:
        return np.stack(list(reader))


class VideoReader:
    """Iterates over a video's frames, uint8 (height, width, 3), one at a time.

    Arguments as in `decode`. After the iteration `span_s` is the time the decoded frames cover,
    `decoded` their number before resampling, `yielded` after it, and `damage` the number of
    packets and frames that the decoder refused or marked as corrupt.
    """

    def __init__(self, path, *, size=None, fps=None, start_s=None, end_s=None, max_frames=None):
        if fps is not None and not 0 < fps <= 1000:
            raise ValueError(f"fps is {fps}: it must be above 0 and at most 1000")
        self.path = Path(path)
        self.size, self.fps, self.max_frames = size, fps, max_frames
        self.start_s = 0.0 if start_s is None or math.isnan(start_s) else float(start_s)
        self.end_s = math.inf if end_s is None or math.isnan(end_s) else float(end_s)
        if not self.start_s < self.end_s:
            raise VideoError(self.path, f"the part from {start_s} s to {end_s} s is empty")
        self.info: VideoInfo | None = None
        self.damage = self.decoded = self.yielded = 0
        self.span_s = 0.0
        self._container = None
        if not self.path.is_file():
            raise VideoError(self.path, "no such file")
        if self.path.stat().st_size == 0:
            raise VideoError(self.path, "the file is empty (0 bytes)")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._container is not None:
            self._container.close()
            self._container = None

    def __iter__(self) -> Iterator[np.ndarray]:
        if self.path.suffix.lower() in STILL_SUFFIXES:
            self.decoded = self.yielded = 1
            yield self._still()
            return
        timed = self._timed_frames()
        for frame in timed if self.fps is None else self._resampled(timed):
            if self.max_frames is not None and self.yielded >= self.max_frames:
                break
            self.yielded += 1
            yield frame if self.fps is not None else frame[1]
        if not self.yielded:
            part = (
                ""
                if self.end_s == math.inf and not self.start_s
                else (f" between {self.start_s:g} s and {self.end_s:g} s")
            )
            damage = f", {self.damage} damaged packets" if self.damage else ""
            raise VideoError(self.path, f"no frame could be decoded{part}{damage}")

    def _still(self) -> np.ndarray:
        image = cv2.imdecode(np.fromfile(self.path, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise VideoError(self.path, "not a readable image")
        height, width = image.shape[:2]
        codec = self.path.suffix[1:].lower().replace("jpg", "jpeg")
        self.info = VideoInfo(height, width, 1.0, 1, 1.0, codec, 0)
        self.span_s = 1.0
        high, wide = fit_size(height, width, self.size)
        if (high, wide) != (height, width):
            shrinks = high <= height and wide <= width
            image = cv2.resize(
                image, (wide, high), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            )
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def _resampled(self, timed) -> Iterator[np.ndarray]:
        """The frame nearest in time for start, start + 1/fps, …"""
        origin = shown = None  # time of the first frame, (time, frame) now on screen
        count = 0
        for time, frame in timed:
            if shown is None:
                # a part begins at its start_s, a whole video at its first frame
                origin = self.start_s if self.start_s else time
            elif time - shown[0] > MAX_GAP_S:
                raise VideoError(
                    self.path, f"the timestamps jump from {shown[0]:.1f} s to {time:.1f} s"
                )
            else:
                while origin + count / self.fps < (shown[0] + time) / 2:
                    count += 1
                    yield shown[1]
            shown = time, frame
        if shown is not None:
            total = max(1, round((self._first + self.span_s - origin) * self.fps))
            for _ in range(count, total):
                yield shown[1]

    def _timed_frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """(seconds since the video's start, frame) of the wanted part, in display order."""
        scaler = VideoReformatter()
        last = None
        step = 0.04
        for time, frame in self._decoded_frames():
            if last is not None and time <= last:
                time = last + 1e-6  # a stuttering clock: never backwards, never drifting
            if self.info is None:
                self.info = self._describe(frame)
                step = 1 / self.info.fps
            if time >= self.end_s - 1e-4:
                break
            if last is None:
                self._first = time
            self.decoded += 1
            self.span_s = time + step - self._first
            last = time
            yield time, self._upright(frame, scaler)

    def _decoded_frames(self):
        """(seconds since the video's start, av frame) from start_s on."""
        self._open(seek=self.start_s > SEEK_FROM_S)
        frames = self._clocked()
        first = next(frames, None)
        if self.start_s > SEEK_FROM_S and (first is None or first[0] > self.start_s + 1e-4):
            # the index misled the seek: decode from the beginning
            self._open(seek=False)
            frames = self._clocked()
            first = next(frames, None)
        for time, frame in chain([] if first is None else [first], frames):
            if time >= self.start_s - 1e-4:
                yield time, frame

    def _open(self, seek: bool):
        self.__exit__()
        try:
            # An absolute path cannot be taken for a URL or another protocol.
            self._container = av.open(
                os.path.abspath(self.path),
                metadata_errors="ignore",
                options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
            )
        except (av.FFmpegError, ValueError, OSError) as error:
            raise VideoError(
                self.path, f"not a video that can be opened ({_reason(error)})"
            ) from error
        if not self._container.streams.video:
            raise VideoError(self.path, "the file has no video stream")
        self._stream = stream = self._container.streams.video[0]
        if stream.codec_context is None:
            raise VideoError(self.path, "the video's codec is unknown")
        if stream.width * stream.height > MAX_PIXELS:
            raise VideoError(self.path, f"absurd frame size {stream.width} x {stream.height}")
        stream.codec_context.thread_count = 1  # videos are decoded in parallel, not frames
        if seek:
            target = int(self.start_s / stream.time_base) + (stream.start_time or 0)
            try:
                self._container.seek(target, stream=stream, backward=True)
            except av.FFmpegError:
                self._open(seek=False)

    def _clocked(self):
        """(seconds, av frame), with the clock that runs forward: pts, or dts where pts does not.

        AVI files with B-frames carry no true presentation times: pts then jumps back and forth.
        """
        stream = self._stream
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        tick = stream.time_base
        origin = stream.start_time or 0
        faults = {"pts": 0, "dts": 0}
        last = {}
        seconds = -1 / float(rate) if rate else None
        for frame in self._frames():
            for clock in ("pts", "dts"):
                now = getattr(frame, clock)
                if now is not None:
                    faults[clock] += clock in last and now <= last[clock]
                    last[clock] = now
            stamp = frame.pts
            if stamp is None or (faults["pts"] > faults["dts"] and frame.dts is not None):
                stamp = frame.dts
            if stamp is not None:
                seconds = float((stamp - origin) * tick)
            elif seconds is None:
                raise VideoError(self.path, "the video has neither timestamps nor a frame rate")
            else:
                seconds += 1 / float(rate)
            yield seconds, frame

    def _frames(self):
        """Every frame that decodes, in display order; counts what does not."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self.damage += 1  # the container ends early or is broken here: keep what came
                return
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                self.damage += 1
                continue
            for frame in frames:
                if frame.width * frame.height > MAX_PIXELS:
                    raise VideoError(self.path, f"absurd frame size {frame.width} x {frame.height}")
                self.damage += bool(frame.is_corrupt)
                yield frame

    def _describe(self, frame) -> VideoInfo:
        stream = self._stream
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        rotation = int(round(frame.rotation / 90) * 90) % 360
        height, width = frame.height, frame.width
        if rotation % 180:
            height, width = width, height
        if stream.duration:
            duration = float(stream.duration * stream.time_base)
        else:
            duration = (self._container.duration or 0) / av.time_base
        count = stream.frames or (round(duration * rate) if rate else 0)
        fps = float(rate) if rate else 25.0
        return VideoInfo(height, width, fps, count, duration, stream.codec_context.name, rotation)

    def _upright(self, frame, scaler) -> np.ndarray:
        rotation = self.info.rotation
        size = fit_size(self.info.height, self.info.width, self.size)
        high, wide = size[::-1] if rotation % 180 else size
        # libav scales the YUV planes while it converts: 2.5 times cheaper than after, for 1080p
        shrinks = high <= frame.height and wide <= frame.width
        way = Interpolation.AREA if shrinks else Interpolation.BICUBIC
        try:
            small = scaler.reformat(frame, wide, high, "rgb24", interpolation=way)
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                self.path, f"frames cannot be converted to RGB ({_reason(error)})"
            ) from error
        image = small.to_ndarray()
        return np.ascontiguousarray(np.rot90(image, rotation // 90)) if rotation else image


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

    `crf` 0 (lossless in YUV) to 51; `keyframe` sets a keyframe every so many frames and no
    B-frames. With one thread the bytes do not depend on the machine's cores. The file appears
    complete or not at all.
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
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    options = {"crf": str(crf), "preset": preset}
    if keyframe:
        options["x264-params"] = f"keyint={keyframe}:min-keyint={keyframe}:scenecut=0:bframes=0"
    try:
        with av.open(str(aside), "w", format="mp4") as container:
            stream = container.add_stream(
                "libx264", rate=Fraction(fps).limit_denominator(1001), options=options
            )
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.thread_count = threads
            for image in chain([first], frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
            container.mux(stream.encode(None))
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
