"""Still images, and folders of them that are numbered: a video's frames, one at a time.

A folder of frames is addressed by its path; "FOLDER?fps=30" states its rate, as `address` writes
it. Else a file `fps` or `fps.txt` in the folder does, and without one it is `FPS`.
"""

import io
import math
import os
import re
import struct
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from PIL import Image

from harlib import text
from harlib.data.video.container import MAX_PIXELS, VideoError

STILL_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png"))
FPS = 25.0  # of a folder of frames that names no rate
RATE_FILES = ("fps.txt", "fps")  # the second is what 3D-ResNets-PyTorch's tools write
_MOST_FPS = 1000.0
_ADDRESS = re.compile(r"(.+)\?fps=([0-9.]+)", re.DOTALL)
_NUMBERED = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)  # the last number of a name
_FLOW = re.compile(r"flow(?![a-z])", re.IGNORECASE)  # optical flow, as TSN's tools lay it beside


@dataclass(frozen=True)
class Sequence:
    """The numbered images of a folder.

    Attributes:
        files: their names, in the order of their numbers.
        missing: numbers that are not there between the first and the last.
        others: names of images that are no frames, as covers, thumbnails and optical flow.
        twice: why this is no video, where a number is there twice; else "".
    """

    files: list[str]
    missing: int = 0
    others: tuple[str, ...] = ()
    twice: str = ""


def is_image(name: str) -> bool:
    """Whether a file's ending is of an image, and its name not of a hidden file."""
    return os.path.splitext(name)[1].lower() in STILL_SUFFIXES and not name.startswith(".")


def sequence(names: Iterable[str]) -> Sequence | None:
    """The frames among the names of a folder's files; None where they are no video.

    Frames are two or more images whose names differ in their last number alone, and more than half
    of the folder's images.

    >>> sequence(["f_10.jpg", "f_9.jpg", "cover.jpg"])
    Sequence(files=['f_9.jpg', 'f_10.jpg'], missing=0, others=('cover.jpg',), twice='')
    """
    images = sorted(name for name in names if is_image(name))
    series: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in images:
        found = _NUMBERED.fullmatch(os.path.splitext(name)[0])
        if found and not _FLOW.match(name):
            series.setdefault((found[1], found[3]), []).append((int(found[2]), name))
    longest = max(series.values(), key=len, default=[])
    if len(longest) < 2 or 2 * len(longest) <= sum(not _FLOW.match(name) for name in images):
        return None
    longest.sort()
    files = [name for _, name in longest]
    others = tuple(sorted(set(images) - set(files)))
    steps = [following - number for (number, _), (following, _) in pairwise(longest)]
    if not all(steps):
        number, name = longest[steps.index(0)]
        twice = f"frame {number} is there twice, {name} and {files[steps.index(0) + 1]}; keep one"
        return Sequence(files, 0, others, twice)
    # every second or fifth frame of a video has no gaps
    return Sequence(files, sum(steps) // math.gcd(*steps) - len(steps), others)


def address(folder: str | os.PathLike, fps: float | None) -> str:
    """The path of a folder of frames whose rate is stated.

    >>> address("run/a", 29.97), address("run/a", None)
    ('run/a?fps=29.97', 'run/a')
    """
    return os.fspath(folder) if fps is None else f"{os.fspath(folder)}?fps={fps:.10g}"


def split(path: str | os.PathLike) -> tuple[str, float | None]:
    """(path, stated rate) of an address; the rate of any other path is None.

    >>> split("run/a?fps=29.97"), split("run/a.mp4")
    (('run/a', 29.97), ('run/a.mp4', None))
    """
    found = _ADDRESS.fullmatch(os.fspath(path))
    try:
        return (found[1], checked_rate(found[2])) if found else (os.fspath(path), None)
    except ValueError:
        return os.fspath(path), None


def is_folder(path: str | os.PathLike) -> bool:
    """Whether a path, or an address, is that of a folder."""
    return os.path.isdir(split(path)[0])


def checked_rate(value: float | str) -> float:
    """Frames per second as a number.

    Raises:
        ValueError: it is none, or not above 0 and at most 1000.
    """
    try:
        rate = float(value)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= _MOST_FPS:
        raise ValueError(f"{value!r} is no rate: it must be a number above 0 and at most 1000")
    return rate


def stated_rate(folder: str) -> float | None:
    """Frames per second that a file of the folder states; None without one.

    Raises:
        ValueError: the file holds something else.
    """
    for name in RATE_FILES:
        file = Path(folder, name)
        if file.is_file():
            with file.open(encoding="utf-8", errors="replace") as content:
                return checked_rate(content.read(100).strip())
    return None


def content(folder: str) -> list[str]:
    """Paths of the files that make a folder of frames what it is: the frames, its rate's file.

    Raises:
        OSError: it cannot be listed.
        ValueError: it holds no frames; the message says what it holds.
    """
    found = _listed(folder)
    rates = [name for name in RATE_FILES if os.path.isfile(os.path.join(folder, name))]
    return [os.path.join(folder, name) for name in (*found.files, *rates[:1])]


def _listed(folder: str) -> Sequence:
    """The frames of a folder; raises as `content`."""
    names = os.listdir(folder)
    found = sequence(names)
    if found is None or found.twice:
        raise ValueError(found.twice if found else _no_frames(names))
    return found


def _no_frames(names: list[str]) -> str:
    images = sum(map(is_image, names))
    if not names:
        return "it is an empty folder"
    if not images:
        return "it is a folder, not a file"
    return (
        "the folder holds one image, and a video two or more that are numbered"
        if images == 1
        else f"the folder holds {images} images, most of them not numbered as frames are "
        "(000001.jpg, frame_0001.png)"
    )


class Images:
    """A still image, or the frames of a folder; what `Container` is to a video file.

    `rate` is that of the frames, `count` their number, `damage` those that could not be read or are
    of another size, up to here, and the numbers that are missing; `remark` says so. Raises
    VideoError.
    """

    pixel_aspect, jumps_s, repeated_s = Fraction(1), 0.0, -math.inf  # as of a `Container`

    def __init__(
        self, path: Path, files: list[str], rate: float, missing: int = 0, data: bytes | None = None
    ) -> None:
        self.is_still = len(files) == 1
        self.path, self.rate, self.count = path, rate, len(files)
        self.codec = Path(files[0]).suffix[1:].lower().replace("jpg", "jpeg")
        self.duration_s = self.count / rate
        self._files, self._data, self._missing = files, data, missing
        self._unread: list[str] = []
        self._resized = 0

    @classmethod
    def of_file(cls, path: Path, data: bytes | None) -> Self:
        """A still image; `data` is its content where it lies in no file of its own."""
        return cls(path, [str(path)], 1.0, data=data)

    @classmethod
    def of_folder(cls, path: Path) -> Self:
        """The frames of a folder, by its path or its address."""
        folder, rate = split(path)
        try:
            found = _listed(folder)
            rate = rate or stated_rate(folder) or FPS
        except OSError as error:
            raise VideoError(path, f"the folder cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise VideoError(path, str(error)) from None
        files = [os.path.join(folder, name) for name in found.files]
        return cls(path, files, rate, found.missing)

    @property
    def damage(self) -> int:
        """How many frames are missing, unreadable or of another size, up to here."""
        return self._missing + len(self._unread) + self._resized

    @property
    def remark(self) -> str:
        """What `damage` counts, in words; "" where there is none."""
        said = []
        if self._missing:
            said.append(f"{text.count(self._missing, 'number')} missing between the frames")
        if self._unread:
            said.append(f"{len(self._unread):,} of {self.count:,} frames unreadable, first "
                        f"{self._unread[0]}")  # fmt: skip
        if self._resized:
            said.append(f"{self._resized:,} of {self.count:,} frames scaled to the first "
                        "one's size")  # fmt: skip
        return "; ".join(said)

    def close(self) -> None:
        """Does nothing: no file stays open."""

    def still(self) -> np.ndarray:
        """The one image: uint8 (height, width, 3), RGB, upright."""
        return _read(self.path, self._data)

    def frames(self, start_s: float = 0.0) -> Iterator[tuple[float, np.ndarray]]:
        """(seconds since the first frame, image uint8 (height, width, 3), RGB, upright)."""
        size: tuple[int, ...] = ()
        for number in range(max(0, math.ceil(start_s * self.rate - 1e-3)), self.count):
            file = Path(self._files[number])
            try:
                image = _read(file, None)
            except (VideoError, PermissionError) as error:
                why = error.reason if isinstance(error, VideoError) else error.strerror
                self._unread.append(f"{file.name}: {why}")
                continue
            self._resized += bool(size) and image.shape != size
            size = size or image.shape
            yield number / self.rate, image


def scaled(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image at this size in pixels."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=how)


def _read(path: Path, content: bytes | None) -> np.ndarray:
    if content is not None:
        data = np.frombuffer(content, np.uint8)
    elif path.is_file():
        data = np.fromfile(path, np.uint8)
    else:
        raise VideoError(path, "no such file")
    if not data.size:
        raise VideoError(path, "the file is empty (0 bytes)")
    _check(path, data)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)  # turned as its EXIF data says
    except cv2.error:
        image = None
    if image is None:
        raise VideoError(path, "not a readable image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _check(path: Path, data: np.ndarray) -> None:
    """Refuse an image by its header: decoding an absurd one takes gigabytes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            width, height = Image.open(io.BytesIO(data.data)).size
    except Image.DecompressionBombError:
        reason = f"absurd image of more than {MAX_PIXELS:,} pixels"
        raise VideoError(path, reason) from None
    except (OSError, ValueError, SyntaxError, struct.error, OverflowError) as error:
        raise VideoError(path, "not a readable image") from error
    if width * height > MAX_PIXELS:
        raise VideoError(path, f"absurd frame size {width} x {height}")
