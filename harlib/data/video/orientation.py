"""How a recorded picture has to be turned and mirrored to be upright."""

import math
from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type


@dataclass(frozen=True)
class Orientation:
    """What makes a picture upright: turned, then mirrored.

    It is turned `turns` times by 90 degrees counter-clockwise; then, where it is `mirrored`, left
    and right are exchanged. A camera that was held askew is turned by `askew` degrees clockwise
    instead of both; the picture keeps its size, and its corners become black.
    """

    turns: int = 0
    mirrored: bool = False
    askew: float = 0.0

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Orientation":
        """What the frame's display matrix asks for, as FFmpeg reads it (`-autorotate`).

        A matrix that is empty or singular asks for nothing. Reference: FFmpeg 8,
        `libavutil/display.c` and `insert_filter` in `fftools/ffmpeg_filter.c`.
        """
        side = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]  # PyAV's stub
        if side is None:
            return cls()
        a, b, _, c, d = np.frombuffer(side, np.int32)[:5].astype(float)
        across, down = math.hypot(a, c), math.hypot(b, d)
        if not across or not down:
            return cls()
        clockwise = round(math.degrees(math.atan2(b / down, a / across))) % 360
        if clockwise == 0:
            return cls(2, True) if d < 0 else cls()
        if clockwise == 90:
            return cls(3, c > 0)
        if clockwise == 180:
            return cls(2 if d < 0 else 0, d >= 0)
        if clockwise == 270:
            return cls(1, c < 0)
        return cls(askew=clockwise)

    @property
    def is_upright(self) -> bool:
        """Whether nothing has to be done."""
        return not (self.turns or self.mirrored or self.askew)

    @property
    def degrees(self) -> int:
        """The counter-clockwise turn, 0 to 359."""
        return round(90 * self.turns - self.askew) % 360

    @property
    def lies(self) -> bool:
        """Whether height and width of what is recorded are width and height of what is upright."""
        return self.turns % 2 == 1

    def upright(self, image: np.ndarray, pixel_aspect: float = 1.0) -> np.ndarray:
        """The picture, uint8 (height, width, 3), upright.

        Args:
            pixel_aspect: a pixel's width by its height, which a turn that is askew has to know.
        """
        if self.askew:
            height, width = image.shape[:2]
            turn = cv2.getRotationMatrix2D((0, 0), -self.askew, 1)[:, :2]
            shape = np.diag([pixel_aspect, 1.0])
            turn = np.linalg.inv(shape) @ turn @ shape
            centre = np.array([width - 1, height - 1]) / 2
            matrix = np.column_stack([turn, centre - turn @ centre])
            return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
        if self.turns:
            image = np.rot90(image, self.turns)
        if self.mirrored:
            image = image[:, ::-1]
        return np.ascontiguousarray(image)
