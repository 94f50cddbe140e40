"""The things actions need: a chair, an object to pick up, a door, a treadmill, a ball."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from harlib.data.demo.render import Color, Shape, ball, box, limb, shade
from harlib.data.demo.scene import Room
from harlib.data.demo.skeleton import vector

_PAINTS = (
    (200, 60, 50),
    (40, 90, 170),
    (235, 180, 50),
    (60, 140, 80),
    (240, 240, 235),
    (60, 55, 60),
    (150, 95, 60),
    (120, 70, 140),
)


class Placing(Protocol):
    """Maps the body's axes to the world's: points (..., 3) when called, directions by `turn`."""

    def __call__(self, points: Any) -> np.ndarray: ...

    def turn(self, direction: Any) -> np.ndarray: ...


def _paint(rng: np.random.Generator, avoid: Sequence[Color] = ()) -> Color:
    """A strong colour, far from those of `avoid` (RGB in 0..255)."""
    options = [shade(_PAINTS[k], rng.uniform(0.85, 1.1)) for k in rng.permutation(len(_PAINTS))[:4]]
    return max(options, key=lambda c: min([np.abs(np.subtract(c, a)).sum() for a in avoid] or [0]))


def build(
    props: dict[str, dict[str, Any]],
    place: Placing,
    rng: np.random.Generator,
    avoid: Sequence[Color],
) -> tuple[list[Shape], list[Shape]]:
    """(shapes that stand still, shapes that move) of a motion's props.

    `place` maps the body's axes to the world's, `avoid` holds colours to stay clear of.
    """
    axes = dict(right=place.turn((0.0, -1.0, 0.0)), back=place.turn((1.0, 0.0, 0.0)))
    still: list[Shape] = []
    moving: list[Shape] = []
    if "chair" in props:
        still = _chair(place, axes, _paint(rng, avoid), **props["chair"])
    if "treadmill" in props:
        still = _treadmill(place, axes, rng)
    if "thing" in props:
        still, moving = _thing(place, axes, _paint(rng, avoid), **props["thing"])
    if "door" in props:
        moving = _door(place, _paint(rng, avoid), **props["door"])
    if "ball" in props:
        moving = _ball(place, _paint(rng, avoid), **props["ball"])
    return still, moving


def _blocks(place: Placing, axes: dict[str, np.ndarray]) -> Callable[..., list[Shape]]:
    def block(center: Any, size: Any, color: Color, **options: Any) -> list[Shape]:
        """`size` is across, along and up, in the body's axes."""
        return box(place(np.asarray(center, np.float64)[None]), size, color, **axes, **options)

    return block


def _chair(
    place: Placing, axes: dict[str, np.ndarray], color: Color, at: Any, seat: Any, style: int
) -> list[Shape]:
    """A chair whose seat is centred at `at`; style: 0 wooden, 1 stool, 2 armchair, 3 office."""
    block, (x, y) = _blocks(place, axes), at
    wide, deep = 0.3, 0.29
    parts = []
    if style == 2:
        parts += block((x, y, seat / 2), (wide + 0.06, deep, seat), color)
        parts += block((x - deep / 2, y, 0.32), (wide + 0.06, 0.09, 0.7), shade(color, 0.9))
        return parts
    if style == 3:
        base, rise = place(vector(x, y, 0.0)[None]), np.array([0.0, 0.0, 1.0])
        parts.append(limb(base, base + (seat - 0.02) * rise, 0.022, 0.022, (60, 60, 62)))
        for angle in np.arange(5) * 1.257:
            foot = place(vector(x + 0.15 * np.cos(angle), y + 0.15 * np.sin(angle), 0.02)[None])
            parts.append(limb(base + 0.05 * rise, foot, 0.014, 0.02, (50, 50, 52)))
    else:
        for side in (-1, 1):
            for end in (-1, 1):
                parts += block(
                    (x + end * 0.43 * deep, y + side * 0.43 * wide, seat / 2),
                    (0.03, 0.03, seat),
                    shade(color, 0.8),
                    shadow=True,
                )
    if style != 1:
        parts += block(
            (x - 0.5 * deep, y, seat + 0.28), (0.9 * wide, 0.03, 0.3), shade(color, 0.92), bias=0.05
        )
        for side in (-1, 1):
            parts += block(
                (x - 0.5 * deep, y + side * 0.36 * wide, seat + 0.12),
                (0.028, 0.028, 0.26),
                shade(color, 0.8),
            )
    parts += block((x, y, seat - 0.02), (wide, deep, 0.045), color, bias=-0.2)
    return parts


def _treadmill(
    place: Placing, axes: dict[str, np.ndarray], rng: np.random.Generator
) -> list[Shape]:
    block = _blocks(place, axes)
    frame = shade((70, 74, 82), rng.uniform(0.7, 1.6))
    parts = block((0.0, 0.0, 0.03), (0.34, 0.8, 0.055), shade(frame, 0.8), shadow=True)
    parts += block((0.0, 0.0, 0.056), (0.26, 0.78, 0.004), (38, 38, 42), bias=-0.3)
    for side in (-0.16, 0.16):
        parts += block((0.36, side, 0.27), (0.03, 0.035, 0.54), frame)
    return parts + block((0.36, 0.0, 0.55), (0.36, 0.05, 0.09), shade(frame, 1.2))


def _thing(
    place: Placing,
    axes: dict[str, np.ndarray],
    color: Color,
    at: Any,
    size: Any,
    kind: int,
    low: Any,
) -> tuple[list[Shape], list[Shape]]:
    block = _blocks(place, axes)
    x, y = at[0, :2] if low == 0 else at[0, :2] + [0.02, 0.0]
    still = [] if low == 0 else block((x, y, low - 0.02), (0.32, 0.24, 0.04), (176, 132, 88))
    for side in (-0.13, 0.13) if low else ():
        still += block((x, side, low / 2 - 0.02), (0.035, 0.2, low - 0.02), (140, 100, 66))
    center = place(at)
    if kind == "ball":
        return still, [ball(center, size[2] / 2, color, shadow=True, bias=-0.01)]
    if kind == "bag":
        low_, high = (np.array([0.0, 0.0, f * size[2]]) for f in (-0.25, 0.25))
        side = np.asarray(axes["right"]) * size[1] * 0.3
        corners = np.stack(
            [
                center + low_ - side,
                center + low_ + side,
                center + high - 0.6 * side,
                center + high + 0.6 * side,
            ],
            1,
        )
        flap = np.stack([center + high - 0.7 * side, center + high + 0.7 * side], 1)
        return still, [
            Shape(corners, 0.25 * size[2], color, shadow=True, bias=-0.01),
            Shape(flap, 0.14 * size[2], shade(color, 0.6), bias=-0.03),
        ]
    across = (size[1], size[0], size[2])
    faces = box(center, across, color, **axes, shadow=True, bias=-0.01)
    strap = box(
        center,
        (0.25 * size[1], 1.02 * size[0], 1.02 * size[2]),
        shade(color, 0.7),
        **axes,
        bias=-0.02,
    )
    return still, faces + strap


def _door(
    place: Placing, color: Color, hinge: Any, angle: np.ndarray, side: float, leaf: Any, knob: Any
) -> list[Shape]:
    """The moving leaf; `doorway` paints the opening behind it."""
    high = 0.98
    out = vector(-np.sin(angle), -side * np.cos(angle), 0.0)
    through = vector(np.cos(angle), -side * np.sin(angle), 0.0)
    foot = vector(*hinge, 0.0)

    def panel(
        start: Any, end: Any, low: Any, top: Any, thick: Any, paint_: Color, bias: float
    ) -> Shape:
        near = foot + out * start * leaf
        far = foot + out * end * leaf
        rise = np.array([0.0, 0.0, 1.0])
        front = [near + low * rise, far + low * rise, far + top * rise, near + top * rise]
        corners = np.stack([c + k * thick * through for k in (-1, 1) for c in front], 1)
        return Shape(place(corners), 0.0, paint_, shaded=False, bias=bias)

    leafs = [panel(0.0, 1.0, 0.01, high, 0.012, color, 8.0)]
    for low, top in ((0.1, 0.43), (0.56, 0.88)):
        leafs.append(panel(0.16, 0.84, low, top, 0.0, shade(color, 0.78), 7.9))
        leafs.append(panel(0.2, 0.8, low + 0.025, top - 0.025, 0.0, shade(color, 0.92), 7.8))
    grip = foot + 0.9 * leaf * out + vector(0.0, 0.0, knob)
    leafs.append(
        limb(
            place(grip - 0.03 * through),
            place(grip + 0.03 * through),
            0.02,
            0.02,
            (205, 190, 140),
            bias=7.7,
        )
    )
    return leafs


def doorway(room: Room, place: Placing, door: dict[str, Any], rng: np.random.Generator) -> None:
    """Paints the frame of `door` and what lies behind it on the room's background."""
    ends = place(
        np.stack(
            [
                vector(*door["hinge"], 0.0),
                vector(door["hinge"][0], door["hinge"][1] - door["side"] * door["leaf"], 0.0),
            ]
        )
    )
    along = sorted(float(p @ room.across) for p in ends)
    frame = shade(room.wall, 0.62 if sum(room.wall) > 380 else 1.7)
    room.quad(room.canvas, (along[0] - 0.05, along[1] + 0.05), (0.0, 1.05), frame)
    beyond = (38, 36, 42) if rng.uniform() < 0.6 else (250, 244, 220)
    room.quad(room.canvas, along, (0.0, 0.995), beyond)
    room.quad(room.canvas, along, (0.0, 0.12), shade(room.floor, 0.55))


def _ball(
    place: Placing, color: Color, at: np.ndarray, size: float, spin: np.ndarray
) -> list[Shape]:
    center = place(at)
    roll = place.turn((1.0, 0.0, 0.0))[None] * np.cos(spin)[:, None]
    roll = roll + np.array([0.0, 0.0, 1.0]) * np.sin(spin)[:, None]
    toward = np.array([0.0, -0.5 * size, 0.0])
    spots = [
        ball(
            center + 0.6 * size * k * roll + toward,
            0.3 * size,
            shade(color, 0.35),
            shaded=False,
            bias=-0.02,
        )
        for k in (-1, 1)
    ]
    return [ball(center, size, color, shadow=True), *spots]
