"""Bodies and things as shaded shapes in space, seen by a camera, painted with anti-aliasing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

_SHIFT = 4  # OpenCV draws at 1/16 of a pixel
_AXES = (
    np.array(
        [
            [-1, -1, -1],
            [1, -1, -1],
            [-1, 1, -1],
            [1, 1, -1],
            [-1, -1, 1],
            [1, -1, 1],
            [-1, 1, 1],
            [1, 1, 1],
        ]
    )
    / 2
)
_FACES = {
    (0, 1, 3, 2): 0.55,
    (4, 5, 7, 6): 1.12,
    (0, 1, 5, 4): 0.95,
    (2, 3, 7, 6): 0.8,
    (0, 2, 6, 4): 0.78,
    (1, 3, 7, 5): 0.88,
}


Color = tuple[float, ...]  # RGB in 0..255


@dataclass
class Shape:
    """The convex hull of balls: a ball, a limb, a trunk or, with radius 0, a flat face.

    `points` (frames or 1, balls, 3) in the world; `radii` a number or one a ball; `color` RGB in
    0..255; `core` the points of the lit middle where they are not `points`; `bias` is added to
    the depth that orders shapes (negative: drawn later); `shown` (frames,) hides it at times.
    """

    points: np.ndarray
    radii: Any
    color: Color
    core: np.ndarray | None = None
    bias: float = 0.0
    shaded: bool = True
    shadow: bool = False
    shown: np.ndarray | None = None


@dataclass(frozen=True)
class Camera:
    """A level camera `distance` before the world's origin at `height`, looking along +y.

    The origin's plane is `scale` pixels a unit; `center` (x, y) is the pixel of the optical axis.
    """

    distance: float
    height: float
    scale: float
    center: tuple

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """World points (..., 3) to pixels (..., 2), pixels per unit (...) and depth (...)."""
        depth = np.maximum(points[..., 1] + self.distance, 0.05)
        scale = self.scale * self.distance / depth
        x = self.center[0] + scale * points[..., 0]
        y = self.center[1] - scale * (points[..., 2] - self.height)
        return np.stack([x, y], -1), scale, depth


def shade(color: Color, factor: float) -> Color:
    """The colour times `factor`, within 0..255."""
    return tuple(float(min(255.0, max(0.0, c * factor))) for c in color)


def limb(
    first: np.ndarray,
    second: np.ndarray,
    radius_first: Any,
    radius_second: Any,
    color: Color,
    **options: Any,
) -> Shape:
    """A tapered limb between two joints (frames, 3)."""
    return Shape(
        np.stack(np.broadcast_arrays(first, second), 1),
        (radius_first, radius_second),
        color,
        **options,
    )


def ball(center: np.ndarray, radius: float, color: Color, **options: Any) -> Shape:
    """A ball around `center` (frames, 3)."""
    return Shape(center[:, None], (radius,), color, **options)


def box(
    center: np.ndarray,
    size: Sequence[float],
    color: Color,
    *,
    right: Any = (1, 0, 0),
    back: Any = (0, 1, 0),
    **options: Any,
) -> list[Shape]:
    """The six faces of an upright box: `center` (frames, 3), `size` along right, back and up.

    `right` and `back` are unit directions, (3,) or (frames, 3).
    """
    right, back = (np.broadcast_to(np.asarray(a, np.float64), center.shape) for a in (right, back))
    edges = np.stack(
        [right * size[0], back * size[1], np.broadcast_to((0.0, 0.0, size[2]), center.shape)], 1
    )
    corners = center[:, None] + np.einsum("ka,fac->fkc", _AXES, edges)
    return [
        Shape(corners[:, list(face)], 0.0, shade(color, light), shaded=False, **options)
        for face, light in _FACES.items()
    ]


def _hulls(pixels: np.ndarray, radii: np.ndarray, corners: int) -> np.ndarray:
    """Polygons (frames, points, 2) in 1/16 pixels around balls at `pixels` (frames, balls, 2)."""
    angle = np.arange(corners) * (2 * np.pi / corners)
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    points = pixels[:, :, None] + radii[..., None, None] * circle
    return np.rint(points.reshape(len(pixels), -1, 2) * (1 << _SHIFT)).astype(np.int32)


def _layers(
    shape: Shape, camera: Camera, light: np.ndarray
) -> tuple[list[tuple[np.ndarray, Color]], np.ndarray]:
    """[(polygons (frames, points, 2), colour)] from the dark rim to the lit middle."""
    pixels, scale, depth = camera.project(shape.points)
    radii = np.broadcast_to(np.asarray(shape.radii, float), shape.points.shape[1:2]) * scale
    corners = 1 if not np.any(shape.radii) else 16 if radii.shape[1] <= 2 else 7
    if not shape.shaded:
        return [(_hulls(pixels, radii, corners), shape.color)], depth.mean(1)
    middle = pixels if shape.core is None else camera.project(shape.core)[0]
    thick = radii if shape.core is None else np.abs(middle - pixels).mean((1, 2))[:, None] + radii
    layers = [(_hulls(pixels, radii, corners), shade(shape.color, 0.7))]
    for inset, moved, bright in ((0.84, 0.14, 0.92), (0.55, 0.26, 1.05)):
        part = pixels + (middle - pixels) * (1 - inset) * 2.0
        part = part + (moved * thick)[..., None] * light
        layers.append((_hulls(part, radii * inset, corners), shade(shape.color, bright)))
    return layers, depth.mean(1)


def paint(
    frames: np.ndarray,
    camera: Camera,
    shapes: Iterable[Shape],
    *,
    light: tuple[float, float] = (-0.6, -0.8),
    sun: Sequence[float] | np.ndarray = (0.2, -0.1),
    shadow: float = 0.3,
    moved: np.ndarray | None = None,
) -> None:
    """Draws shapes on `frames` uint8 (frames, height, width, 3) in place, far ones first.

    `light` is the direction in the picture from which light comes; `sun` how far (x, y) a shadow
    on the ground moves per unit of height; `shadow` its darkness in 0..1; `moved` (frames, 2) the
    picture's displacement by the camera's shake, in pixels.
    """
    count = len(frames)
    moved = (
        np.zeros((count, 1, 2), np.int32)
        if moved is None
        else np.rint(np.asarray(moved)[:, None] * (1 << _SHIFT)).astype(np.int32)
    )

    def steady(polygons: np.ndarray) -> np.ndarray:
        # OpenCV wants each polygon in one piece of memory
        return np.ascontiguousarray(np.broadcast_to(polygons, (count, *polygons.shape[1:])) + moved)

    drawn, depths, cast = [], [], []
    for shape in shapes:
        layers, depth = _layers(shape, camera, np.asarray(light))
        drawn.append(([(steady(p), color) for p, color in layers], shape.shown))
        depths.append(np.broadcast_to(depth + shape.bias, (count,)))
        if shape.shadow:
            ground = shape.points * (1.0, 1.0, 0.0)
            ground[..., :2] += shape.points[..., 2:] * np.asarray(sun)
            pixels, scale, _ = camera.project(ground)
            radii = np.broadcast_to(np.asarray(shape.radii, float), pixels.shape[1:2]) * scale
            angle = np.arange(10) * (2 * np.pi / 10)
            circle = np.stack([np.cos(angle), 0.4 * np.sin(angle)], -1)
            points = pixels[:, :, None] + radii[..., None, None] * circle
            points = np.rint(points.reshape(len(points), -1, 2) * (1 << _SHIFT)).astype(np.int32)
            cast.append((steady(points), shape.shown))
    order = np.argsort(-np.stack(depths), axis=0, kind="stable")
    for index, frame in enumerate(frames):
        if cast and shadow:
            dark = frame.copy()
            for polygons, shown in cast:
                if shown is None or shown[index]:
                    _fill(dark, polygons[index], (0.0, 0.0, 0.0))
            cv2.addWeighted(dark, shadow, frame, 1 - shadow, 0, dst=frame)
        for position in order[:, index]:
            layers, shown = drawn[position]
            if shown is None or shown[index]:
                for polygons, color in layers:
                    _fill(frame, polygons[index], color)


def _fill(frame: np.ndarray, points: np.ndarray, color: Color) -> None:
    cv2.fillConvexPoly(frame, cv2.convexHull(points), color, cv2.LINE_AA, _SHIFT)
