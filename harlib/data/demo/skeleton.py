"""An articulated body: its proportions, and its joints once spine, hands and feet are placed.

Lengths are in units of an average adult's height. The body's own axes are x forward, y to its
left, z up, with the ground at z = 0; every array has time as its first axis (`frames`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

SIDES = np.array([1.0, -1.0])  # joints that come in pairs are (frames, 2, 3): left, then right


@dataclass(frozen=True)
class Body:
    """Segment lengths and half widths of one person; `girth` scales the limbs' thickness."""

    thigh: float
    shin: float
    ankle: float
    torso: float
    upper_arm: float
    forearm: float
    shoulder: float
    hip: float
    head: float
    girth: float

    @property
    def hip_height(self) -> float:
        """Of the hips above the ground, legs straight."""
        return self.thigh + self.shin + self.ankle

    @property
    def arm(self) -> float:
        """Of a straight arm, from shoulder to wrist."""
        return self.upper_arm + self.forearm

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Body":
        """A body of random build, in units of about a person's height."""
        size = rng.uniform(0.9, 1.06)
        leg, arm, width = size * rng.uniform(0.94, 1.06, 3)
        return cls(
            thigh=0.245 * leg,
            shin=0.235 * leg,
            ankle=0.045 * size,
            torso=0.31 * size,
            upper_arm=0.17 * arm,
            forearm=0.165 * arm,
            shoulder=0.115 * width,
            hip=0.058 * width,
            # larger than life: at 48 pixels a true head is three pixels wide
            head=0.078 * size**0.5 * rng.uniform(0.95, 1.08),
            girth=size * rng.uniform(0.88, 1.3),
        )


@dataclass
class Spine:
    """The trunk in every frame: positions (frames, 3) and unit axes of the chest (frames, 3)."""

    pelvis: np.ndarray
    neck: np.ndarray
    head: np.ndarray
    forward: np.ndarray
    left: np.ndarray
    up: np.ndarray
    gaze: np.ndarray
    shoulders: np.ndarray
    hips: np.ndarray


@dataclass
class Skeleton:
    """All joints of a body in every frame: the spine, and limbs as (frames, 2, 3)."""

    spine: Spine
    elbows: np.ndarray
    hands: np.ndarray
    knees: np.ndarray
    ankles: np.ndarray
    toes: np.ndarray

    def joints(self) -> np.ndarray:
        """Every joint, (frames, joints, 3)."""
        single = np.stack([self.spine.pelvis, self.spine.neck, self.spine.head], 1)
        pairs = [self.spine.shoulders, self.spine.hips, self.elbows, self.hands]
        return np.concatenate([single, *pairs, self.knees, self.ankles, self.toes], 1)


def vector(*components: Any) -> np.ndarray:
    """Components (scalars or (frames,)) to (frames, 3), or (3,) when all are scalars."""
    return np.stack(np.broadcast_arrays(*map(np.float64, components)), -1)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) at length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def spine(
    body: Body,
    pelvis: np.ndarray,
    *,
    lean: Any = 0.0,
    side: Any = 0.0,
    twist: Any = 0.0,
    nod: Any = 0.0,
    turn: Any = 0.0,
) -> Spine:
    """The trunk above `pelvis` (frames, 3).

    Angles in radians, scalars or (frames,): `lean` forward, `side` to the left, `twist` of the
    chest to the left, `nod` of the head forward, `turn` of the head to the left.
    """
    frames = len(pelvis)
    up = np.broadcast_to(
        vector(np.sin(lean) * np.cos(side), np.sin(side), np.cos(lean) * np.cos(side)), (frames, 3)
    )
    left = vector(-np.sin(twist), np.cos(twist), 0.0) + np.zeros((frames, 3))
    left = unit(left - up * (left * up).sum(-1, keepdims=True))
    forward = np.cross(left, up)
    neck = pelvis + body.torso * up
    pitch = np.asarray(nod) + 0.0 * up[:, 0]
    head_up = unit(up + vector(np.sin(pitch), 0 * pitch, 0.6 * np.cos(pitch)))
    turn = (np.asarray(turn) + 0.0 * up[:, 0])[:, None]
    across = forward * np.cos(turn) + left * np.sin(turn)
    gaze = unit(across - head_up * (across * head_up).sum(-1, keepdims=True))
    return Spine(
        pelvis=pelvis,
        neck=neck,
        head=neck + head_up * (body.head * 1.28) + gaze * 0.012,
        forward=forward,
        left=left,
        up=up,
        gaze=gaze,
        shoulders=(neck - 0.035 * up)[:, None] + SIDES[:, None] * body.shoulder * left[:, None],
        hips=pelvis[:, None] + SIDES[:, None] * np.array([0.0, body.hip, 0.0]),
    )


def bend(
    root: np.ndarray, target: np.ndarray, first: float, second: float, pole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two-bone inverse kinematics: (joint, end), the joint bent towards the direction `pole`.

    A target out of reach is approached as far as the bones allow. All (..., 3).
    """
    reach = target - root
    distance = np.linalg.norm(reach, axis=-1, keepdims=True)
    length = np.clip(distance, abs(first - second) + 1e-4, 0.9995 * (first + second))
    along = reach / np.maximum(distance, 1e-9)
    pole = np.broadcast_to(pole, along.shape)
    across = unit(pole - along * (pole * along).sum(-1, keepdims=True) + 1e-9)
    foot = (first**2 - second**2 + length**2) / (2 * length)
    height = np.sqrt(np.maximum(first**2 - foot**2, 0.0))
    return root + along * foot + across * height, root + along * length


def arm_direction(trunk: Spine, raised: Any, outward: Any) -> np.ndarray:
    """Unit directions (frames, 2, 3) of straight arms.

    `raised` in radians from hanging (0) to overhead (pi), `outward` from forward (0) to sideways
    (pi / 2); scalars, (frames,) or (frames, 2).
    """
    raised, outward = (
        np.broadcast_to(a[:, None] if np.ndim(a) == 1 else a, (len(trunk.neck), 2))[..., None]
        for a in (np.asarray(raised), np.asarray(outward))
    )
    ahead, aside, above = (v[:, None] for v in (trunk.forward, trunk.left, trunk.up))
    level = np.cos(outward) * ahead + np.sin(outward) * SIDES[:, None] * aside
    return np.sin(raised) * level - np.cos(raised) * above


def skeleton(
    body: Body,
    trunk: Spine,
    hands: np.ndarray,
    ankles: np.ndarray,
    *,
    elbow: Any = (-0.5, 0.55, -0.5),
    knee: Any = (1.0, 0.12, 0.1),
    toe_out: Any = 0.15,
    heel: Any = 0.0,
) -> Skeleton:
    """Joints of a body with this trunk.

    `hands` and `ankles` (frames, 2, 3) are where wrists and ankles shall be; `elbow` and `knee`
    the directions in which those point for the left side (mirrored for the right); `toe_out`
    turns the feet outward and `heel` lifts them (radians; scalar or (frames, 2)).
    """
    mirror = np.stack([np.ones(2), SIDES, np.ones(2)], -1)
    elbow = trunk_vector(trunk, np.asarray(elbow) * mirror)
    elbows, hands = bend(trunk.shoulders, hands, body.upper_arm, body.forearm, elbow)
    knees, ankles = bend(trunk.hips, ankles, body.thigh, body.shin, np.asarray(knee) * mirror)
    heel = np.broadcast_to(heel, ankles.shape[:2])
    foot = vector(np.cos(heel) * np.cos(toe_out), np.sin(toe_out) * SIDES, -np.sin(heel))
    return Skeleton(trunk, elbows, hands, knees, ankles, ankles + 0.105 * foot)


def trunk_vector(trunk: Spine, vectors: Any) -> np.ndarray:
    """Vectors (2, 3) given in the chest's axes, one a side, to the body's axes (frames, 2, 3)."""
    axes = np.stack([trunk.forward, trunk.left, trunk.up], 1)
    return np.einsum("sa,fac->fsc", vectors, axes)
