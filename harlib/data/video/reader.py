"""Frames of a video, one at a time: the wanted part, size and rate, upright."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from harlib.data.video import images, tar_shards
from harlib.data.video.container import Container, VideoError, reason
from harlib.data.video.orientation import Orientation
from harlib.text import stopwatch

# endings of what `container.FORMATS` opens, as cameras, recorders and converters write them
VIDEO_SUFFIXES = frozenset(
    (".3g2", ".3gp", ".3gp2", ".3gpp", ".amv", ".asf", ".avi", ".dif", ".divx", ".dv", ".f4v")
    + (".flv", ".gif", ".h264", ".h265", ".264", ".265", ".hevc", ".insv", ".ivf", ".lrv", ".m1v")
    + (".m2t", ".m2ts", ".m2v", ".m4v", ".mj2", ".mk3d", ".mkv", ".mod", ".mov", ".mp4", ".mp4v")
    + (".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".obu", ".ogm", ".ogv", ".ogx")
    + (".qt", ".rm", ".rmvb", ".tod", ".trp", ".ts", ".tts", ".vob", ".vro", ".webm", ".wmv")
    + (".xvid", ".y4m")
)
MAX_SIDE = 16_384  # pixels of a scaled frame: more than H.264 takes, or than 8K at any short side
MAX_ASPECT = 8  # known recordings have pixels of 1:2 to 8:3
MAX_GAP_S = 60.0  # a longer pause between two frames is a damaged timestamp


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of its video: upright size in pixels, frames per second, frame count.

    `frames` and `duration_s` are the container's claims (0 where it makes none): only decoding
    tells. `rotation` is the counter-clockwise turn in degrees that `decode` has applied, before
    it exchanged left and right where `mirrored` is set. `pixel_aspect` is how many times as wide
    as high a pixel of the upright picture is shown.
    """

    height: int
    width: int
    fps: float
    frames: int
    duration_s: float
    codec: str
    rotation: int
    mirrored: bool = False
    pixel_aspect: float = 1.0


def fit_size(
    height: int, width: int, size: int | tuple[int, int] | None, pixel_aspect: float = 1.0
) -> tuple[int, int]:
    """(height, width) after scaling: an int is the short side, both sides even.

    The picture has the aspect that it is shown with: pixels that are wider than high become square.
    A pair is taken as it is (the frame is stretched), None keeps the pixels as they are.

    >>> fit_size(240, 320, 128), fit_size(240, 320, (128, 171)), fit_size(240, 320, None)
    ((128, 170), (128, 171), (240, 320))
    """
    if size is None:
        return height, width
    if not isinstance(size, int | np.integer):
        high, wide = size
        return int(high), int(wide)
    shown = height, width * pixel_aspect
    scale = size / min(shown)
    high, wide = (max(2, 2 * round(side * scale / 2)) for side in shown)
    return high, wide


class VideoReader:
    """Iterates over a video's frames, uint8 (height, width, 3), all of one size.

    Arguments as in `harlib.data.video.files.decode`. During and after the iteration `info` says
    what the file claims, `at_s` when the last frame that came is shown (not of resampled ones),
    `span_s` the time the decoded frames cover, `decoded` their number before resampling, `yielded`
    after it, and `damage` the number of packets and frames that the decoder refused or marked as
    corrupt. To be used in a `with` statement. Raises VideoError.

    A video that claims or turns out to be longer than `longest_s` seconds is refused.

    A path "SHARD.tar!/MEMBER" (also .tar.gz, .tgz) is a member of a tar shard, a folder one of
    numbered frames, with "FOLDER?fps=30" at a stated rate (see `images`). `data` is the
    file's content where the caller has it already; the path is then only its name.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        size: int | tuple[int, int] | None = None,
        fps: float | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        max_frames: int | None = None,
        data: bytes | None = None,
        longest_s: float = math.inf,
    ) -> None:
        if fps is not None and not 0 < fps <= 1000:
            raise ValueError(f"fps is {fps}: it must be above 0 and at most 1000")
        self.path = Path(path)
        self.size, self.fps, self.longest_s = size, fps, longest_s
        self.max_frames = math.inf if max_frames is None else max_frames
        self.start_s = 0.0 if start_s is None or math.isnan(start_s) else float(start_s)
        self.end_s = math.inf if end_s is None or math.isnan(end_s) else float(end_s)
        if not self.start_s < self.end_s:
            raise VideoError(path, f"the part from {start_s} s to {end_s} s is empty")
        self.info: VideoInfo | None = None
        self.decoded = self.yielded = 0
        self.span_s = self.at_s = 0.0
        if data is None and tar_shards.split(path):
            try:
                data = tar_shards.read(path)
            except tar_shards.ShardError as error:
                raise VideoError(path, str(error)) from error
        self._file: Container | images.Images
        if data is None and images.is_folder(self.path):
            self._file = images.Images.of_folder(self.path)
        elif self.path.suffix.lower() in images.STILL_SUFFIXES:
            self._file = images.Images.of_file(self.path, data)
        else:
            self._file = Container(self.path, data)
            if self._file.duration_s > longest_s:
                refused = self._too_long()
                self._file.close()
                raise refused

    @property
    def _known(self) -> VideoInfo:
        """`info`, once a frame has come."""
        assert self.info is not None
        return self.info

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of every frame; known from the first frame on."""
        recorded = self._known.height, self._known.width
        height, width = fit_size(*recorded, self.size, self._known.pixel_aspect)
        if max(height, width) > MAX_SIDE:
            raise VideoError(
                self.path,
                f"frames of {recorded[0]} x {recorded[1]} pixels would become {height} x {width}; "
                f"at most {MAX_SIDE:,} a side are possible",
            )
        return height, width

    @property
    def promised_s(self) -> float:
        """The length the file claims, without what its time stamps leapt ahead up to here.

        0 of images, which claim none.
        """
        if isinstance(self._file, images.Images):
            return 0.0  # what is missing of a folder is its `remark`
        return max(0.0, self._known.duration_s - self._file.jumps_s)

    @property
    def damage(self) -> int:
        """Packets and frames that the decoder refused or marked as corrupt, up to here.

        Of a folder: frames that are missing, unreadable or of another size.
        """
        return self._file.damage

    @property
    def remark(self) -> str:
        """What `damage` counts, in words; "" where there is none."""
        said = self._file.remark
        is_video = isinstance(self._file, Container)
        return f"{said}, {self.decoded} frames decoded" if said and is_video else said

    def __iter__(self) -> Iterator[np.ndarray]:
        if isinstance(self._file, images.Images) and self._file.is_still:
            yield self._still(self._file.still())
            return
        timed = self._timed()
        every = (
            (frame for _, frame in timed) if self.fps is None else self._resampled(timed, self.fps)
        )
        for frame in every:
            if self.yielded >= self.max_frames:
                break
            self.yielded += 1
            yield frame
        if not self.yielded:
            whole = not self.start_s and self.end_s == math.inf
            part = "" if whole else f" between {self.start_s:g} s and {self.end_s:g} s"
            damage = self._file.remark and f", {self._file.remark}"
            raise VideoError(self.path, f"no frame could be decoded{part}{damage}")

    def _still(self, image: np.ndarray) -> np.ndarray:
        self.info = self._describe(image)
        self.decoded = self.yielded = 1
        self.span_s = 1.0
        return images.scaled(image, *self.shape)

    def _timed(self) -> Iterator[tuple[float, np.ndarray]]:
        """(seconds since the video's first frame, frame) of the wanted part."""
        scaler = VideoReformatter()
        for seconds, frame in self._file.frames(self.start_s):
            if seconds >= self.end_s - 1e-4:
                break
            if self.info is None:
                self.info = self._describe(frame)
                self._first = seconds
            self.decoded += 1
            self.at_s = seconds - self._first
            self.span_s = self.at_s + 1 / self.info.fps
            if seconds > self.longest_s:
                raise self._too_long()
            yield seconds, self._upright(frame, scaler)
        if self.info is not None:
            stays_s = self._file.repeated_s - self._first + 1 / self.info.fps
            self.span_s = max(self.span_s, min(stays_s, self.end_s - self._first))

    def _too_long(self) -> VideoError:
        most, claimed = stopwatch(self.longest_s), stopwatch(self._file.duration_s)
        said = f": its header says {claimed}" if self._file.duration_s > self.longest_s else ""
        return VideoError(self.path, f"it is longer than {most}{said * (claimed != most)}")

    def _resampled(
        self, timed: Iterator[tuple[float, np.ndarray]], fps: float
    ) -> Iterator[np.ndarray]:
        """The frame nearest in time for start, start + 1/fps and so on.

        A frame that empty packets repeat is as near as the last of them.
        """
        origin = 0.0  # time of the first frame
        shown: tuple[float, np.ndarray] | None = None  # (time, frame) now on screen
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
                repeated = self._file.repeated_s
                last = repeated if shown[0] < repeated < time else shown[0]
                # half-way between two frames it is still the earlier one
                while origin + count / fps <= (last + time) / 2 + 1e-6:
                    count += 1
                    yield shown[1]
            shown = time, frame
        if shown is not None:
            # every k / fps before the end; what is left over may be a rounded timestamp
            total = max(1, math.ceil((self._first + self.span_s - origin) * fps - 0.05))
            for _ in range(count, total):
                yield shown[1]

    def _describe(self, frame: av.VideoFrame | np.ndarray) -> VideoInfo:
        file = self._file
        if isinstance(frame, np.ndarray):
            height, width = frame.shape[:2]
            return VideoInfo(height, width, file.rate, file.count, file.duration_s, file.codec, 0)
        self._orientation = how = Orientation.of(frame)
        height, width, aspect = frame.height, frame.width, file.pixel_aspect
        if isinstance(self.size, int | np.integer) and not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
            raise VideoError(
                self.path,
                f"absurd pixel shape {aspect.numerator}:{aspect.denominator}, by which the picture "
                "cannot be scaled; a size of two numbers (height, width) stretches it",
            )
        if how.lies:
            height, width, aspect = width, height, 1 / aspect
        return VideoInfo(
            *(height, width, file.rate, file.count, file.duration_s, file.codec),
            *(how.degrees, how.mirrored, float(aspect)),
        )

    def _upright(self, frame: av.VideoFrame | np.ndarray, scaler: VideoReformatter) -> np.ndarray:
        if isinstance(frame, np.ndarray):
            return images.scaled(frame, *self.shape)
        how = self._orientation
        high, wide = self.shape[::-1] if how.lies else self.shape
        # libav scales the YUV planes while it converts: 2.5 times cheaper than after, for 1080p
        shrinks = high <= frame.height and wide <= frame.width
        way = Interpolation.AREA if shrinks else Interpolation.BICUBIC
        try:
            # one thread: the other cores have other videos
            small = scaler.reformat(frame, wide, high, "rgb24", interpolation=way, threads=1)
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                self.path, f"frames cannot be converted to RGB ({reason(error)})"
            ) from error
        image = small.to_ndarray()
        if how.is_upright:
            return image
        # as wide as high when scaled by its short side, as recorded when not, or stretched
        aspect = self._known.pixel_aspect * frame.width / frame.height * high / wide
        return how.upright(image, aspect)
