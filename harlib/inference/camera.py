"""A live camera: its frames as they come, and the newest of them at a steady rate."""

from __future__ import annotations

import math
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, Self

import cv2
import numpy as np

from harlib import HarlibError
from harlib.data.video import fit_size, images

_SPELLING = re.compile(r"camera:([0-9]{1,4})")
_BACKENDS = {"darwin": cv2.CAP_AVFOUNDATION, "linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW}
_PATIENCE_S = 2.0  # some cameras give no frame at first, or lose one
_LOOK_S = 0.2  # so often a wait looks whether its time is over


class Source(Protocol):
    """What gives frames one after the other, at its own pace.

    Attributes:
        name: as it is shown.
        fps: frames per second that it claims; 0 where it claims none.
    """

    name: str
    fps: float

    def read(self) -> np.ndarray | None:
        """The next frame, once it is there: uint8 (height, width, 3), RGB. None: no more come."""

    def close(self) -> None:
        """Gives it back to other programs."""


def is_camera(argument: str) -> bool:
    """Whether what a person names is a camera.

    >>> is_camera("camera:0"), is_camera("camera.mp4")
    (True, False)
    """
    return argument.startswith("camera:")


class Camera:
    """A camera of this machine, by its name `camera:N`; N counts from 0.

    Raises:
        HarlibError: there is none of this number, or it gives no frames.
    """

    def __init__(self, name: str) -> None:
        found = _SPELLING.fullmatch(name)
        if found is None:
            raise HarlibError(f"{name!r} names no camera: write camera:0, or camera:1 and so on")
        self.name = name
        before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:  # what OpenCV says of a camera that is not there fills the screen
            self._capture = cv2.VideoCapture(
                int(found[1]), _BACKENDS.get(sys.platform, cv2.CAP_ANY)
            )
        finally:
            cv2.utils.logging.setLogLevel(before)
        if not self._capture.isOpened():
            self._capture.release()
            raise HarlibError(
                f"{name}: no camera answers; look whether one is plugged in, whether another "
                "program uses it, and whether you may use it"
            )
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old frames are of no use
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps <= 1000 else 0.0

    def read(self) -> np.ndarray | None:
        """The next frame, uint8 (height, width, 3), RGB; None where none has come for 2 seconds."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            there, frame = self._capture.read()
            if there:
                return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            time.sleep(0.02)
        return None

    def close(self) -> None:
        """Gives the camera back."""
        self._capture.release()


def sized(frame: np.ndarray, size: int | tuple[int, int] | None) -> np.ndarray:
    """The frame at the size of stored ones, see `fit_size`."""
    return images.scaled(frame, *fit_size(*frame.shape[:2], size))


class Latest:
    """The newest frames of a source at a steady rate, in memory that does not grow.

    A thread reads all that come, from `start` on, so that the newest is never an old one. A frame
    is timed by when it arrives; number k is the one nearest to k / rate seconds after the first.
    To be used in a `with` statement, which closes the source.

    Attributes:
        arrived: frames that came.
        began: when the first did.
    """

    def __init__(
        self,
        source: Source,
        rate: float,
        hold: int,
        size: int | tuple[int, int] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._rate, self._size, self._clock = source, rate, size, clock
        self._held: deque[np.ndarray] = deque(maxlen=hold)
        self._count = self.arrived = 0  # numbers given out, frames that came
        self.began: datetime | None = None
        self._origin = math.nan
        self._ended = False
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE_S + 1)
        if not self._thread.is_alive():  # to close what is being read may end the process
            self._source.close()

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    @property
    def seconds(self) -> float:
        """Since the first frame; 0 before it."""
        return 0.0 if self.began is None else self._clock() - self._origin

    def clip(
        self, start: int, offsets: np.ndarray, late: int, for_s: float | None = None
    ) -> tuple[int, list[np.ndarray]] | None:
        """(start, the frames of the numbers start + offsets), once the last one is there.

        Where `late` or more have come after it, the newest such frames instead, and their start.
        None where they would not lie within the first `for_s` seconds.

        Raises:
            HarlibError: no more frames come.
        """
        last, end = int(offsets[-1]), math.inf if for_s is None else for_s
        with self._changed:
            while self._count <= start + last:
                if self._over(start + last, end) or self.seconds > end + _LOOK_S:
                    return None
                if self._error is not None:
                    raise self._error
                if self._ended:
                    raise HarlibError(
                        f"{self._source.name} gives no more frames, after {self.seconds:.0f} s: "
                        "look whether it is still plugged in"
                    )
                self._changed.wait(_LOOK_S)
            behind = self._count - 1 - (start + last)
            if behind >= late:
                start += behind
            if self._over(start + last, end):
                return None
            first = self._count - len(self._held)
            return start, [self._held[start - first + int(offset)] for offset in offsets]

    def _over(self, number: int, end_s: float) -> bool:
        return (number + 1) / self._rate > end_s + 1e-6

    def _read(self) -> None:
        try:
            shown: tuple[float, np.ndarray] | None = None
            while not self._ended and (frame := self._source.read()) is not None:
                shown = self._take(shown, frame)
        except Exception as error:  # the waiting thread raises it
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(
        self, shown: tuple[float, np.ndarray] | None, frame: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Gives the frame that was on screen the numbers that it is nearest to."""
        with self._changed:
            self.arrived += 1
            if shown is None:
                self._origin, self.began = self._clock(), datetime.now().astimezone()
                return 0.0, frame
            now = self._clock() - self._origin
            due = math.floor((shown[0] + now) / 2 * self._rate + 1e-9) + 1
            if due > self._count:
                image = sized(shown[1], self._size)
                # after a pause of hours only the last ones are of use
                self._held.extend([image] * min(due - self._count, self._held.maxlen or 0))
                self._count = due
                self._changed.notify_all()
            return now, frame
