"""Where people act: the camera's framing, rooms and gardens, props, clutter and occluders."""

import colorsys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from harlib.data.demo.render import Camera, Color, Shape, ball, box, limb, paint, shade

MARGIN = 14  # pixels of background around the picture, which the camera's shake moves through


def frame_camera(
    points: np.ndarray, size: tuple[int, int], rng: np.random.Generator, *, wide: bool = False
) -> Camera:
    """A camera that shows world `points` (n, 3) large and whole in a picture of `size`.

    Everything lies in the central square of the picture, so that no centre crop loses it; `wide`
    takes all of its width.
    """
    height, width = size
    distance, eye = rng.uniform(3.4, 5.5), rng.uniform(0.6, 1.15)
    flat, _, _ = Camera(distance, eye, 1.0, (0.0, 0.0)).project(points)
    low, high = flat.min(0) - 0.075, flat.max(0) + 0.075
    extent = high - low
    square = width if wide else min(height, width)
    scale = min(0.92 * square / extent[0], 0.94 * height / extent[1], 0.9 * height)
    scale *= rng.uniform(0.88, 1.0)
    slack = np.maximum(np.array([square, height]) - scale * extent, 0.0) / 2
    shift = rng.uniform(-0.7, 0.7, 2) * slack
    center = np.array([width, height]) / 2 + shift - scale * (low + high) / 2
    return Camera(distance, eye, scale, tuple(center))


def _tone(rng: np.random.Generator, low: float, high: float, vivid: float = 0.25) -> Color:
    color = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.03, vivid), rng.uniform(low, high))
    return tuple(255.0 * c for c in color)


def _contrast(
    rng: np.random.Generator,
    avoid: Sequence[Color],
    low: float,
    high: float,
    vivid: float,
    tries: int = 6,
) -> Color:
    """Of a few random colours, the one farthest from the nearest colour of `avoid`."""
    colors = [_tone(rng, low, high, vivid) for _ in range(tries)]
    return max(colors, key=lambda c: min(np.abs(np.subtract(c, a)).sum() for a in avoid))


class Room:
    """A floor and a back wall (indoors) or a fence (outdoors), seen by `camera`.

    `yaw` turns the wall about the vertical (radians); `away` is its distance behind the origin.
    """

    def __init__(
        self,
        camera: Camera,
        size: tuple[int, int],
        rng: np.random.Generator,
        *,
        avoid: Sequence[Color],
        away: float,
        yaw: float,
        outdoor: bool,
        difficulty: int,
    ) -> None:
        self.camera, self.away, self.yaw = camera, away, yaw
        self.size = (size[0] + 2 * MARGIN, size[1] + 2 * MARGIN)
        self.across = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        self.outdoor = outdoor
        dark = rng.uniform() < 0.15
        self.wall = _contrast(rng, avoid, 0.3 if dark else 0.68, 0.42 if dark else 0.97, 0.25)
        wood = shade((170, 120, 75), rng.uniform(0.6, 1.25))
        self.floor = wood if rng.uniform() < 0.5 else _contrast(rng, avoid, 0.4, 0.8, 0.2)
        self.canvas = self._paint(rng, difficulty)

    def on_wall(self, along: Any, up: Any) -> np.ndarray:
        """World points on the wall: `along` it from before the actor, and `up`."""
        along, up = np.broadcast_arrays(np.float64(along), np.float64(up))
        point = along[..., None] * self.across + np.array([0.0, self.away, 0.0])
        return point + up[..., None] * np.array([0.0, 0.0, 1.0])

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) to int32 pixels (..., 2) in sixteenths, as OpenCV draws them."""
        uv = self.camera.project(points)[0] + MARGIN
        return np.rint(np.clip(uv, -3000, 3000) * 16).astype(np.int32)

    def quad(self, canvas: np.ndarray, along: Any, up: Any, color: Color) -> None:
        """A rectangle on the wall."""
        points = self.on_wall(
            [along[0], along[1], along[1], along[0]], [up[0], up[0], up[1], up[1]]
        )
        cv2.fillConvexPoly(canvas, self.pixels(points), color, cv2.LINE_AA, 4)

    def _line(self, canvas: np.ndarray, first: Any, second: Any, color: Color) -> None:
        first, second = self.pixels(np.stack([first, second]))
        cv2.line(canvas, tuple(map(int, first)), tuple(map(int, second)), color, 1, cv2.LINE_AA, 4)

    def _paint(self, rng: np.random.Generator, difficulty: int) -> np.ndarray:
        height, width = self.size
        canvas: Any = np.empty((height, width, 3), np.uint8)
        if self.outdoor:
            self._garden(canvas, rng)
        else:
            self._interior(canvas, rng)
            self._pictures(canvas, rng, int(rng.integers(0, 2 + difficulty)))
        canvas = cv2.GaussianBlur(canvas, (3, 3), 0.8)
        glow = np.linspace(rng.uniform(-16, 16), rng.uniform(-16, 16), width)[None, :]
        glow = glow + np.linspace(rng.uniform(0, 14), rng.uniform(-14, 0), height)[:, None]
        grain = rng.normal(0, 1, (height // 3, width // 3)).astype(np.float32)
        grain = cv2.resize(grain, (width, height)) * (1.5 + difficulty)
        return np.clip(canvas + (glow + grain)[..., None], 0, 255).astype(np.uint8)

    def _ground(self, canvas: np.ndarray, color: Color) -> None:
        edge = self.on_wall([-3.2, 3.2], 0.0)
        corners = self.pixels(edge)
        bottom = 16 * (self.size[0] + 50)
        polygon = np.array(
            [corners[0], corners[1], (corners[1][0], bottom), (corners[0][0], bottom)], np.int32
        )
        cv2.fillConvexPoly(canvas, polygon, color, cv2.LINE_AA, 4)

    def _interior(self, canvas: np.ndarray, rng: np.random.Generator) -> None:
        canvas[:] = self.wall
        pattern = rng.choice(["plain", "plain", "plain", "stripes", "panel", "brick"])
        if pattern == "stripes":
            step = rng.uniform(0.1, 0.25)
            for k in np.arange(-2.4, 2.4, step):
                self.quad(canvas, (k, k + step / 2), (0.0, 2.5), shade(self.wall, 0.95))
        elif pattern == "panel":
            self.quad(canvas, (-3.2, 3.2), (0.0, rng.uniform(0.3, 0.55)), shade(self.wall, 0.82))
        elif pattern == "brick":
            for row in range(24):
                mortar, up = shade(self.wall, 0.9), row * 0.09
                self._line(canvas, self.on_wall(-3, up), self.on_wall(3, up), mortar)
                for k in np.arange(-2 + 0.1 * (row % 2), 2, 0.2):
                    self._line(canvas, self.on_wall(k, up), self.on_wall(k, up + 0.09), mortar)
        self._ground(canvas, self.floor)
        kind, step = rng.choice(["planks", "tiles", "plain"]), rng.uniform(0.16, 0.3)
        joint = shade(self.floor, 0.87)
        toward = np.array([self.across[1], -self.across[0], 0.0])
        if kind != "plain":
            for k in np.arange(-3, 3, step):
                self._line(canvas, self.on_wall(k, 0), self.on_wall(k, 0) + 3.0 * toward, joint)
        if kind == "tiles":
            for k in np.arange(step, 3, step):
                self._line(
                    canvas, self.on_wall(-3, 0) + k * toward, self.on_wall(3, 0) + k * toward, joint
                )
        board = shade(self.wall, 1.12 if rng.uniform() < 0.6 else 0.6)
        self.quad(canvas, (-3.2, 3.2), (0.0, 0.045), board)
        self._line(canvas, self.on_wall(-3.2, 0), self.on_wall(3.2, 0), shade(self.floor, 0.6))
        if rng.uniform() < 0.35:  # a rug
            angle = np.arange(40) * (2 * np.pi / 40)
            rug, reach = _tone(rng, 0.35, 0.8, 0.5), rng.uniform([0.5, 0.3], [0.8, 0.5])
            for part, light in ((1.0, 0.85), (0.9, 1.0)):
                points = np.stack(
                    [part * reach[0] * np.cos(angle), part * reach[1] * np.sin(angle), 0 * angle],
                    -1,
                )
                cv2.fillConvexPoly(canvas, self.pixels(points), shade(rug, light), cv2.LINE_AA, 4)

    def _garden(self, canvas: np.ndarray, rng: np.random.Generator) -> None:
        rows = np.linspace(1.0, 0.0, self.size[0])[:, None, None]
        sky = np.array((150, 190, 235)) * rng.uniform(0.8, 1.05)
        canvas[:] = np.clip(sky * rows + (1 - rows) * (240, 240, 235), 0, 255)
        far, top = np.array((120, 150, 110)) * rng.uniform(0.7, 1.2), rng.uniform(0.75, 1.1)
        hills = top + 0.1 * np.cumsum(rng.normal(0, 0.5, 24)).clip(-2, 3)
        outline = self.pixels(self.on_wall(np.linspace(-3.2, 3.2, 24), hills))
        base = self.pixels(self.on_wall([3.2, -3.2], 0.0))
        cv2.fillPoly(canvas, [np.concatenate([outline, base])], tuple(far), cv2.LINE_AA, 4)
        fence = np.array((150, 120, 90) if rng.uniform() < 0.5 else (215, 215, 210))
        up = rng.uniform(0.4, 0.75)
        if rng.uniform() < 0.5:
            for k in np.arange(-3.0, 3.0, 0.12):
                self.quad(canvas, (k, k + 0.09), (0.0, up), tuple(fence * rng.uniform(0.93, 1.0)))
        else:
            self.quad(canvas, (-3.2, 3.2), (0.0, up), (74, 112, 66))
        grass = np.array((118, 150, 82)) * rng.uniform(0.75, 1.15)
        self._ground(canvas, tuple(grass if rng.uniform() < 0.7 else (178, 172, 160)))

    def _pictures(self, canvas: np.ndarray, rng: np.random.Generator, count: int) -> None:
        """Windows and pictures on the wall."""
        for _ in range(count):
            width, height = rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.45)
            left, low = rng.uniform(-1.3, 1.3 - width), rng.uniform(0.55, 0.95)
            frame = shade((120, 85, 60) if rng.uniform() < 0.5 else (235, 235, 230), 0.95)
            self.quad(canvas, (left, left + width), (low, low + height), frame)
            inner = (left + 0.025, left + width - 0.025), (low + 0.025, low + height - 0.025)
            if rng.uniform() < 0.4:
                self.quad(canvas, *inner, (205, 225, 240))
                middle = left + width / 2
                self.quad(canvas, (middle - 0.01, middle + 0.01), inner[1], frame)
            else:
                self.quad(canvas, *inner, _tone(rng, 0.4, 0.9, 0.4))
                self.quad(
                    canvas,
                    (inner[0][0], inner[0][0] + rng.uniform(0.3, 0.9) * width - 0.05),
                    (inner[1][0], inner[1][0] + 0.4 * height),
                    _tone(rng, 0.3, 0.8, 0.5),
                )

    def furnish(self, rng: np.random.Generator, difficulty: int) -> None:
        """Furniture along the wall, painted on the background."""
        pieces = int(rng.integers(difficulty > 1, 2 if difficulty == 1 else 1 + difficulty))
        things = []
        for _ in range(0 if self.outdoor else pieces):
            things += _furniture(self, rng)
        if self.outdoor and rng.uniform() < 0.6:
            things += _tree(self, rng)
        self.place(things)

    def place(self, shapes: list[Shape], shadow: float = 0.2) -> None:
        """Paints shapes that stand still on the background."""
        center = (self.camera.center[0] + MARGIN, self.camera.center[1] + MARGIN)
        camera = Camera(self.camera.distance, self.camera.height, self.camera.scale, center)
        if shapes:
            paint(self.canvas[None], camera, shapes, shadow=shadow)


def _furniture(room: Room, rng: np.random.Generator) -> list[Shape]:
    along = float(rng.choice([-1, 1]) * rng.uniform(0.55, 1.25))
    toward = np.array([room.across[1], -room.across[0], 0.0])
    at, axes = room.on_wall(along, 0.0), dict(right=room.across, back=-toward)
    color = _tone(rng, 0.35, 0.85, 0.45)

    def block(right: Any, out: Any, up: Any, size: Any, paint_: Color) -> list[Shape]:
        center = at + right * room.across + out * toward + np.array([0.0, 0.0, up])
        return box(center[None], size, paint_, **axes)

    kind = rng.choice(["cabinet", "plant", "sofa", "lamp"])
    if kind == "cabinet":
        high = rng.uniform(0.35, 0.95)
        parts = block(0, 0.12, high / 2, (0.42, 0.2, high), color)
        for k in (0.25, 0.62):
            parts += block(
                0, 0.225, high * (k + 0.06), (0.36, 0.01, 0.3 * high), shade(color, 1.12)
            )
        return parts
    if kind == "sofa":
        parts = block(0, 0.1, 0.25, (0.75, 0.12, 0.5), shade(color, 0.9))
        parts += block(0, 0.27, 0.12, (0.62, 0.25, 0.22), color)
        for side in (-0.36, 0.36):
            parts += block(side, 0.26, 0.17, (0.1, 0.3, 0.34), shade(color, 1.05))
        return parts
    base = (at + 0.16 * toward)[None]
    rise = np.array([0.0, 0.0, 1.0])
    if kind == "lamp":
        return [
            limb(base, base + 0.02 * rise, 0.09, 0.06, (60, 60, 62)),
            limb(base, base + 0.85 * rise, 0.012, 0.012, (80, 80, 84)),
            Shape(
                np.stack([base + 0.8 * rise, base + 0.98 * rise], 1),
                (0.12, 0.07),
                (250, 232, 190),
                bias=-0.1,
            ),
        ]
    parts = [limb(base + 0.05 * rise, base + 0.16 * rise, 0.06, 0.085, (165, 95, 65))]
    for _ in range(9):
        tip = rng.normal(0, [0.13, 0.05, 0.1]) + [0, 0, 0.48]
        green = shade((60, 125, 62), rng.uniform(0.75, 1.3))
        parts.append(limb(base + 0.2 * rise, base + tip, 0.018, 0.045, green, bias=-0.02))
    return parts


def _tree(room: Room, rng: np.random.Generator) -> list[Shape]:
    at = room.on_wall(float(rng.choice([-1, 1]) * rng.uniform(0.5, 1.3)), 0.0)[None] - [0, 0.1, 0]
    rise, green = np.array([0.0, 0.0, 1.0]), shade((70, 120, 60), rng.uniform(0.8, 1.25))
    parts = [limb(at, at + 0.8 * rise, 0.06, 0.04, (105, 80, 60))]
    for _ in range(6):
        crown = at + rng.normal(0, [0.18, 0.04, 0.13]) + [0, 0, 1.05]
        parts.append(ball(crown, rng.uniform(0.14, 0.25), green, bias=-0.1))
    return parts


def occluders(
    camera: Camera, size: tuple[int, int], rng: np.random.Generator, difficulty: int
) -> list[Shape]:
    """Things close to the camera that hide a part of the actor, at the picture's rim."""
    if rng.uniform() > (0.12, 0.5, 0.85)[difficulty - 1]:
        return []
    height, width = size
    near = -0.45 * camera.distance
    reach = camera.scale * camera.distance / (camera.distance + near)
    color = _tone(rng, 0.25, 0.7, 0.5)

    def world(x: float, y: float) -> np.ndarray:
        return np.array(
            [[(x - camera.center[0]) / reach, near, camera.height - (y - camera.center[1]) / reach]]
        )

    square = min(height, width)
    depth = rng.uniform(0.04, (0.07, 0.14, 0.2)[difficulty - 1]) * square
    left = width / 2 + rng.choice([-1, 1]) * (square / 2 - depth / 2)
    kind = rng.choice(["table", "pole", "plant"] if difficulty > 1 else ["table", "plant"])
    if kind == "table":
        at = world(width / 2 + rng.uniform(-0.2, 0.2) * width, height - depth / 2 + 8)
        return box(
            at, (rng.uniform(0.4, 1.3) * width / reach, 0.2, (depth + 16) / reach), color, bias=-9.0
        )
    if kind == "pole":
        thick = 0.5 * depth / reach
        return [limb(world(left, -20), world(left, height + 20), thick, thick, color, bias=-9.0)]
    leaves = []
    for _ in range(8):
        tip = world(left + rng.normal(0, 1.2) * depth, height - abs(rng.normal(2.0, 1.0)) * depth)
        leaves.append(
            limb(
                world(left, height + 10),
                tip,
                0.1 * depth / reach,
                0.4 * depth / reach,
                shade((55, 115, 60), rng.uniform(0.7, 1.2)),
                bias=-9.0,
            )
        )
    return leaves
