"""How people look: an actor's body, skin, hair and clothes, drawn over a skeleton."""

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harlib.data.demo.render import Color, Shape, ball, limb
from harlib.data.demo.skeleton import Body, Skeleton

_SKIN = (
    (255, 219, 190),
    (240, 195, 160),
    (222, 170, 130),
    (190, 132, 92),
    (146, 96, 64),
    (104, 66, 44),
)
_HAIR = ((35, 28, 26), (70, 45, 30), (110, 72, 40), (190, 150, 90), (150, 62, 34), (165, 165, 168))


@dataclass(frozen=True)
class Actor:
    """One person: body, colours (RGB in 0..255) and cut of the clothes."""

    body: Body
    skin: tuple
    hair: tuple
    hair_style: str
    top: tuple
    sleeves: str
    bottom: tuple
    legs: str
    shoes: tuple
    belt: bool
    cap: tuple | None

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Actor":
        """A person of random build and clothes, a pure function of the generator's state."""
        top = _cloth(rng)
        bottom = next(
            c
            for c in (_cloth(rng, dark=True) for _ in range(99))
            if np.abs(np.subtract(c, top)).sum() > 120
        )
        return cls(
            body=Body.random(rng),
            skin=_SKIN[rng.integers(len(_SKIN))],
            hair=_HAIR[rng.integers(len(_HAIR))],
            hair_style=str(rng.choice(["short", "short", "short", "long", "long", "bun", "bald"])),
            top=top,
            sleeves=str(rng.choice(["none", "short", "short", "long", "long"])),
            bottom=bottom,
            legs=str(rng.choice(["trousers", "trousers", "trousers", "shorts", "skirt"])),
            shoes=_cloth(rng, dark=bool(rng.uniform() < 0.7)),
            belt=bool(rng.uniform() < 0.4),
            cap=_cloth(rng) if rng.uniform() < 0.15 else None,
        )


def _cloth(rng: np.random.Generator, dark: bool = False) -> Color:
    """A colour of cloth, RGB in 0..255."""
    value = rng.uniform(0.2, 0.6) if dark else rng.uniform(0.4, 0.95)
    color = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.2, 0.85), value)
    return tuple(255.0 * c for c in color)


def _ring(
    center: np.ndarray,
    left: np.ndarray,
    forward: np.ndarray,
    width: Any,
    depth: Any,
    points: int = 10,
) -> np.ndarray:
    angle = np.arange(points) * (2 * np.pi / points)
    around = (
        np.cos(angle)[:, None] * width * left[:, None]
        + np.sin(angle)[:, None] * depth * forward[:, None]
    )
    return center[:, None] + around


def _trunk(rings: Sequence[tuple], color: Color, radius: float, **options: Any) -> Shape:
    """A body of elliptic rings [(center, left, forward, width, depth)], shaded round."""
    full = np.concatenate([_ring(*ring) for ring in rings], 1)
    core = np.concatenate([_ring(c, lv, f, 0.5 * w, 0.5 * d) for c, lv, f, w, d in rings], 1)
    return Shape(full, radius, color, core=core, **options)


def dress(actor: Actor, joints: Skeleton, place: Callable) -> list[Shape]:
    """Shapes of the actor in the pose `joints`; `place` maps body axes to the world's."""
    b, s = actor.body, joints.spine
    g, skin, top, bottom = actor.body.girth, actor.skin, actor.top, actor.bottom
    points = {name: place(getattr(s, name)) for name in ("pelvis", "neck", "head")}
    origin = place(np.zeros((1, 3)))
    left, forward, up, gaze = (place(v) - origin for v in (s.left, s.forward, s.up, s.gaze))
    level = place(np.array([[0.0, 1.0, 0.0]])) - origin + 0 * left
    ahead = place(np.array([[1.0, 0.0, 0.0]])) - origin + 0 * left
    pelvis, neck, head = points["pelvis"], points["neck"], points["head"]
    pairs = (
        s.shoulders,
        s.hips,
        joints.elbows,
        joints.hands,
        joints.knees,
        joints.ankles,
        joints.toes,
    )
    shoulders, hips, elbows, hands, knees, ankles, toes = (place(p) for p in pairs)
    waist = pelvis + 0.22 * (neck - pelvis)
    thick = 0.058 * g
    chest = (neck - 0.1 * b.torso * up, left, forward, b.shoulder - 0.012, thick)
    ribs = (pelvis + 0.6 * (neck - pelvis), left, forward, 0.105 * g**0.5, thick * 1.1)
    belly = (waist, (left + level) / 2, (forward + ahead) / 2, 0.085 * g, thick)
    seat = (pelvis - 0.02 * up, level, ahead, b.hip + 0.035 * g, thick)
    shapes = [
        limb(pelvis + 0.9 * (neck - pelvis), head, 0.04 * g, 0.034 * g, skin, bias=-0.01),
        _trunk([belly, seat], bottom, 0.012, shadow=True, bias=0.04),
        _trunk([chest, ribs, belly], top, 0.016, shadow=True),
    ]
    if actor.belt:
        ring = (waist - 0.012 * up, *belly[1:3], 0.088 * g, thick * 1.03)
        shapes.append(Shape(_ring(*ring), 0.006, (45, 35, 30), shaded=False, bias=-0.005))
    if actor.legs == "skirt":
        hem = hips + 0.75 * (knees - hips)
        shapes.append(
            Shape(
                np.concatenate([_ring(*belly), hem], 1),
                (*[0.01] * 10, 0.085 * g, 0.085 * g),
                bottom,
                shadow=True,
                core=np.concatenate([_ring(*belly[:3], 0.04 * g, 0.03), hem], 1),
                bias=-0.12,
            )
        )
    for k in (0, 1):
        shin = bottom if actor.legs == "trousers" else skin
        thigh = skin if actor.legs == "skirt" else bottom
        sole = ankles[:, k] - 0.4 * b.ankle * np.array([0.0, 0.0, 1.0])
        shapes += [
            limb(hips[:, k], knees[:, k], 0.062 * g, 0.045 * g, thigh, shadow=True),
            *_joint(hips[:, k], 0.062 * g, bottom, thigh, -0.015),
            limb(knees[:, k], ankles[:, k], 0.043 * g, 0.029 * g, shin, shadow=True, bias=-0.002),
            *_joint(knees[:, k], 0.043 * g, thigh, shin, -0.01),
            limb(
                sole + 0.14 * (sole - toes[:, k]),
                toes[:, k] + [0, 0, -0.5 * b.ankle],
                0.03,
                0.022,
                actor.shoes,
                shadow=True,
                bias=-0.004,
            ),
        ]
        arm = skin if actor.sleeves == "none" else top
        fore = top if actor.sleeves == "long" else skin
        tip = hands[:, k] + 0.3 * (hands[:, k] - elbows[:, k])
        shapes += [
            limb(
                shoulders[:, k], elbows[:, k], 0.043 * g, 0.033 * g, arm, shadow=True, bias=-0.025
            ),
            limb(elbows[:, k], hands[:, k], 0.031 * g, 0.023 * g, fore, shadow=True, bias=-0.03),
            *_joint(elbows[:, k], 0.031 * g, arm, fore, -0.04),
            limb(hands[:, k], tip, 0.026, 0.022, skin, bias=-0.035),
        ]
    return shapes + _head(actor, head, up, gaze)


def _joint(
    center: np.ndarray, radius: float, first: Color, second: Color, bias: float
) -> list[Shape]:
    """Covers the rim between two limbs of one colour."""
    color = tuple(0.92 * c for c in first)
    return [ball(center, 0.8 * radius, color, shaded=False, bias=bias)] if first == second else []


def _head(actor: Actor, head: np.ndarray, up: np.ndarray, gaze: np.ndarray) -> list[Shape]:
    """Head, hair and a hint of a face; `gaze` is the direction of the nose."""
    radius, skin, hair = actor.body.head, actor.skin, actor.hair
    side = np.cross(gaze, up)

    def at(ahead: float, above: float, aside: float = 0.0) -> np.ndarray:
        return head + radius * (ahead * gaze + above * up + aside * side)

    shapes = [
        limb(
            at(0.1, 0.1),
            at(0.16, -0.36),
            0.79 * radius,
            0.6 * radius,
            skin,
            shadow=True,
            bias=-0.03,
        ),
        limb(
            at(0.85, 0.05),
            at(0.98, -0.16),
            0.09 * radius,
            0.15 * radius,
            tuple(0.92 * c for c in skin),
            bias=-0.03,
        ),
    ]
    if actor.hair_style != "bald":  # behind and above the face: from behind it hides the face
        shapes.append(
            limb(at(-0.1, 0.24), at(-0.38, -0.02), 0.94 * radius, 0.82 * radius, hair, bias=-0.03)
        )
        shapes.append(
            limb(
                at(0.42, 0.68, -0.36),
                at(0.42, 0.68, 0.36),
                0.27 * radius,
                0.27 * radius,
                hair,
                bias=-0.032,
            )
        )
    if actor.hair_style == "long":
        shapes.append(
            limb(at(-0.3, 0.1), at(-0.5, -1.2), 0.85 * radius, 0.62 * radius, hair, bias=-0.01)
        )
    elif actor.hair_style == "bun":
        shapes.append(ball(at(-0.85, 0.75), 0.42 * radius, hair, bias=-0.02))
    if actor.cap:
        shapes.append(
            limb(
                at(-0.15, 0.42),
                at(0.12, 0.42),
                0.82 * radius,
                0.76 * radius,
                actor.cap,
                bias=-0.045,
            )
        )
        brim = np.stack(
            [at(0.5, 0.42, -0.6), at(0.5, 0.42, 0.6), at(1.25, 0.28, -0.35), at(1.25, 0.28, 0.35)],
            1,
        )
        shapes.append(
            Shape(brim, 0.07 * radius, tuple(0.75 * c for c in actor.cap), shaded=False, bias=-0.08)
        )
    for k in (-1, 1):
        shapes.append(
            ball(
                at(0.8, 0.1, 0.33 * k),
                0.1 * radius,
                (40, 30, 30),
                shaded=False,
                bias=-0.035,
                shown=gaze[:, 1] < 0.25,
            )
        )  # the camera looks along +y
    return shapes
