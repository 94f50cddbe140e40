"""How bodies move: one generator of poses per motion, in the body's own axes.

A generator takes `(body, seconds, duration, rng)`, with `seconds` (frames,) the times wanted, and
returns a `Motion`. A motion that has a direction in time runs once from its beginning to its end;
played backwards it is the reverse action. Generators draw all their random numbers before they
look at `seconds`, so that any subset of times shows the same performance.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harlib.data.demo.skeleton import (
    SIDES,
    Body,
    Skeleton,
    Spine,
    arm_direction,
    skeleton,
    spine,
    unit,
    vector,
)


@dataclass
class Motion:
    """A performance: joints, the things it needs, and from where it is seen well.

    `facing` is the range of the angle in degrees between the body's forward direction and the
    direction to the camera; `props` names things with their measures and positions over time.
    """

    skeleton: Skeleton
    facing: tuple
    props: dict = field(default_factory=dict)


def _progress(seconds: np.ndarray, duration: float, rng: np.random.Generator) -> np.ndarray:
    """0 at the start to 1 at the end; its ease is its own reverse, both rests are alike."""
    rest = rng.uniform(0.0, 0.05, 2) * duration
    smooth = rng.uniform(0.1, 0.7)
    x = np.clip((seconds - rest[0]) / (duration - rest.sum()), 0.0, 1.0)
    return (1 - smooth) * x + smooth * x * x * (3 - 2 * x)


def _sway(seconds: np.ndarray, rng: np.random.Generator, size: float) -> np.ndarray:
    """A small slow movement (frames,), the same in distribution when played backwards."""
    rate, phase = rng.uniform(0.2, 0.6, 2), rng.uniform(0, 2 * np.pi, 2)
    return size * np.sin(2 * np.pi * rate * seconds[:, None] + phase).mean(1)


def _blend(start: Any, end: Any, share: np.ndarray) -> np.ndarray:
    return start + (end - start) * share.reshape(-1, *[1] * (np.ndim(start) - 1))


def _hump(x: np.ndarray) -> np.ndarray:
    """0 at 0 and 1, 1 in the middle, smooth, symmetric."""
    return np.sin(np.pi * x) ** 2


def hang(
    body: Body, trunk: Spine, forward: float = 0.08, outward: float = 0.18, share: float = 0.97
) -> np.ndarray:
    """Hands of hanging arms (frames, 2, 3)."""
    down = np.array([[forward, outward, -1.0], [forward, -outward, -1.0]])
    return trunk.shoulders + share * body.arm * unit(down)


def stance(body: Body, frames: int, width: float, stagger: float = 0.0) -> np.ndarray:
    """Ankles of standing feet (frames, 2, 3)."""
    feet = vector(stagger * SIDES, (body.hip + width) * SIDES, body.ankle)
    return np.broadcast_to(feet, (frames, 2, 3)).copy()


def sit(body: Body, seconds: np.ndarray, duration: float, rng: np.random.Generator) -> Motion:
    """From standing before a chair to sitting on it."""
    s = _progress(seconds, duration, rng)
    depth, bow = rng.uniform(0.88, 1.0), rng.uniform(0.35, 0.75)
    seat = (body.shin + body.ankle) * rng.uniform(0.92, 1.1)
    style = rng.integers(4)
    sway, width = _sway(seconds, rng, 0.012), rng.uniform(0.0, 0.03)
    back = body.thigh * depth
    thick = 0.055 * body.girth
    pelvis = vector(
        -back * s**1.15,
        sway,
        _blend(np.float64(body.hip_height), seat + thick, s) + 0.02 * _hump(s),
    )
    trunk = spine(body, pelvis, lean=bow * _hump(s) - 0.05 * s, side=sway, nod=0.25 * _hump(s))
    lap = pelvis[:, None] + vector(0.75 * body.thigh, 0.075 * SIDES, 0.065)
    reach = arm_direction(trunk, 0.3 + 0.9 * _hump(s), 0.15) * 0.93 * body.arm
    hands = _blend(_blend(hang(body, trunk), trunk.shoulders + reach, _hump(s)), lap, s**2)
    joints = skeleton(body, trunk, hands, stance(body, len(s), width), knee=(1.0, 0.15, 0.4))
    chair = dict(at=(-back - 0.02, 0.0), seat=seat, style=style)
    return Motion(joints, (30, 100), {"chair": chair})


def lift(body: Body, seconds: np.ndarray, duration: float, rng: np.random.Generator) -> Motion:
    """From standing before an object to standing with it in both hands."""
    s = _progress(seconds, duration, rng)
    low = float(rng.choice([0.0, 0.0, 0.16, 0.26]))
    size = rng.uniform([0.13, 0.15, 0.12], [0.19, 0.26, 0.2])
    kind = str(rng.choice(["box", "bag", "ball"]))
    ahead = rng.uniform(0.27, 0.33)
    crouch, carry = rng.uniform(0.35, 0.9), rng.uniform(0.06, 0.22)
    sway, width = _sway(seconds, rng, 0.01), rng.uniform(0.02, 0.06)
    if kind == "ball":
        size[:] = size.mean()
    b = _hump(s)
    drop = b * (1 - 1.1 * low)
    pelvis = vector(-0.13 * b, sway, body.hip_height * (1 - (0.12 + 0.36 * crouch) * drop))
    trunk = spine(
        body,
        pelvis,
        lean=(1.5 - 0.55 * crouch) * drop + 0.25 * b * low / 0.26,
        side=0.5 * sway,
        nod=-0.2 * b,
    )
    rests = vector(ahead, 0.0, low + size[2] / 2)
    aside = (size[1] / 2 + 0.01) * SIDES[:, None] * np.array([0.0, 1.0, 0.0])
    grip = np.broadcast_to(rests + aside + [0.0, 0.0, 0.15 * size[2]], (len(s), 2, 3))
    held = (
        trunk.pelvis + trunk.forward * (0.1 + size[0] / 2) + trunk.up * (carry + 0.0 * s[:, None])
    )
    free = hang(body, trunk, forward=0.25)
    lifted = (s >= 0.5)[:, None, None]
    share = np.clip(np.abs(s - 0.5) * 2, 0, 1)
    hands = np.where(
        lifted, _blend(grip, held[:, None] + aside, share**1.3), _blend(grip, free, share**1.3)
    )
    joints = skeleton(body, trunk, hands, stance(body, len(s), width), elbow=(-0.6, 0.7, -0.2))
    carried = joints.hands.mean(1) - np.array([0.0, 0.0, 0.15 * size[2]])
    thing = np.where(s[:, None] >= 0.5, carried, rests)
    return Motion(joints, (25, 100), {"thing": dict(at=thing, size=size, kind=kind, low=low)})


def raise_arms(
    body: Body, seconds: np.ndarray, duration: float, rng: np.random.Generator
) -> Motion:
    """From hanging arms to both arms stretched overhead."""
    s = _progress(seconds, duration, rng)
    outward, top = rng.uniform(0.1, 0.5 * np.pi), rng.uniform(2.6, 3.05)
    arch, sway = rng.uniform(0.0, 0.12), _sway(seconds, rng, 0.012)
    width, straight = rng.uniform(0.0, 0.07), rng.uniform(0.9, 0.99)
    pelvis = vector(0.0, sway, np.full(len(s), 0.995 * body.hip_height))
    trunk = spine(body, pelvis, lean=-arch * s, side=sway, nod=-0.3 * arch * s)
    hands = trunk.shoulders + straight * body.arm * arm_direction(
        trunk, 0.12 + (top - 0.12) * s, outward
    )
    joints = skeleton(body, trunk, hands, stance(body, len(s), width))
    return Motion(joints, (-70, 70))


def pull_door(body: Body, seconds: np.ndarray, duration: float, rng: np.random.Generator) -> Motion:
    """From before a closed door, hand on its handle, to beside the open door."""
    s = _progress(seconds, duration, rng)
    side, leaf = float(rng.choice([-1, 1])), rng.uniform(0.42, 0.5)
    widest, near = rng.uniform(1.1, 1.6), rng.uniform(0.3, 0.36)
    sway, knob = _sway(seconds, rng, 0.008), rng.uniform(0.48, 0.54)
    angle = widest * s
    grip = leaf * 0.9
    hinge = vector(0.0, side * (grip + 0.1))
    handle = vector(
        hinge[0] - grip * np.sin(angle) - 0.03 * np.cos(angle),
        hinge[1] - side * grip * np.cos(angle),
        knob,
    )
    last = vector(hinge[0] - grip * np.sin(widest), hinge[1] - side * grip * np.cos(widest))
    start = vector(-near, 0.0)
    end = vector(last[0] + 0.02, last[1] - side * 0.27)
    place = _blend(np.broadcast_to(start, (len(s), 2)), end, s)
    pelvis = vector(place[:, 0], place[:, 1] + sway, 0.98 * body.hip_height - 0.01 * _hump(s))
    turn = side * (0.1 + 0.35 * s)
    trunk = spine(
        body,
        pelvis,
        lean=0.05 + 0.08 * _hump(s),
        twist=turn,
        turn=0.2 * turn,
        side=-0.06 * side * _hump(s),
    )
    hands = hang(body, trunk)
    hands[:, 0 if side > 0 else 1] = handle
    feet = stance(body, len(s), 0.02)
    for foot in (0, 1):  # one step each, the foot nearer to the hinge in the later half
        step = np.clip(2 * s - (foot == (side > 0)), 0, 1)
        feet[:, foot, :2] += start + (end - start) * (step * step * (3 - 2 * step))[:, None]
        feet[:, foot, 2] += 0.05 * _hump(step)
    joints = skeleton(body, trunk, hands, feet)
    door = dict(hinge=hinge, angle=angle, side=side, leaf=leaf, knob=knob)
    # seen from the side on which the body does not hide the door
    return Motion(joints, (172, 205) if side > 0 else (155, 188), {"door": door})


def wave(body: Body, seconds: np.ndarray, duration: float, rng: np.random.Generator) -> Motion:
    """One raised forearm swinging from side to side."""
    side, rate, phase = rng.integers(2), rng.uniform(1.2, 2.1), rng.uniform(0, 2 * np.pi)
    raised, swing = rng.uniform(1.5, 2.3), rng.uniform(0.5, 0.85)
    outward, sway = rng.uniform(0.7, 1.5), _sway(seconds, rng, 0.012)
    width, tilt = rng.uniform(0.0, 0.07), rng.uniform(0.1, 0.35)
    angle = tilt + swing * np.sin(2 * np.pi * rate * seconds + phase)
    pelvis = vector(0.0, sway, np.full(len(seconds), 0.995 * body.hip_height))
    trunk = spine(body, pelvis, side=sway + 0.02 * np.sin(angle), nod=0.03)
    joints = skeleton(body, trunk, hang(body, trunk), stance(body, len(seconds), width))
    arm = arm_direction(trunk, raised, outward)[:, side] * body.upper_arm
    fore = vector(0.12, SIDES[side] * np.sin(angle), np.cos(angle))
    both = np.stack([fore, fore], 1)
    joints.elbows[:, side] = trunk.shoulders[:, side] + arm
    joints.hands[:, side] = joints.elbows[:, side] + body.forearm * unit(
        np.einsum("fa,fac->fc", both[:, 0], np.stack([trunk.forward, trunk.left, trunk.up], 1))
    )
    return Motion(joints, (-60, 60))


def walk(body: Body, seconds: np.ndarray, duration: float, rng: np.random.Generator) -> Motion:
    """Walking on a treadmill, or a few steps through the room."""
    rate, phase = rng.uniform(0.75, 1.15), rng.uniform(0, 1)
    stride, lift_ = rng.uniform(0.2, 0.3) * body.hip_height / 0.52, rng.uniform(0.05, 0.1)
    swing, lean = rng.uniform(0.35, 0.75), rng.uniform(0.0, 0.1)
    bent, treadmill = rng.uniform(0.8, 0.95), rng.uniform() < 0.6
    speed = 2 * stride * rate
    treadmill = treadmill or speed * duration > 0.9
    cycle = rate * seconds + phase
    p = (cycle[:, None] + np.array([0.0, 0.5])) % 1.0
    air = np.clip((p - 0.5) / 0.5, 0, 1)  # a foot rests on the ground in the first half
    forth = np.where(p < 0.5, stride * (1 - 4 * p) / 2, stride * (-np.cos(np.pi * air)) / 2) * 1.0
    along = np.zeros(len(seconds)) if treadmill else speed * (seconds - duration / 2)
    rise = 0.06 if treadmill else 0.0
    bob = 0.012 * np.cos(4 * np.pi * cycle)
    pelvis = vector(along, 0.012 * np.sin(2 * np.pi * cycle), rise + 0.97 * body.hip_height + bob)
    trunk = spine(body, pelvis, lean=lean, twist=0.12 * np.sin(2 * np.pi * cycle))
    feet = np.stack(
        [
            along[:, None] + forth,
            np.broadcast_to(SIDES * (body.hip * 0.9), p.shape),
            rise + body.ankle + lift_ * _hump(air),
        ],
        -1,
    )
    arms = swing * np.cos(2 * np.pi * (cycle[:, None] + np.array([0.5, 0.0])))
    hands = trunk.shoulders + bent * body.arm * arm_direction(trunk, arms, 0.08)
    joints = skeleton(
        body,
        trunk,
        hands,
        feet,
        elbow=(-1.0, 0.2, -0.2),
        heel=0.5 * _hump(np.clip((p - 0.4) / 0.5, 0, 1)),
    )
    return Motion(joints, (35, 100), {"treadmill": dict(height=rise)} if treadmill else {})


def jump_jack(body: Body, seconds: np.ndarray, duration: float, rng: np.random.Generator) -> Motion:
    """Jumping jacks: feet apart and arms up, and back."""
    rate, phase = rng.uniform(0.8, 1.3), rng.uniform(0, 1)
    wide, top, hop = rng.uniform(0.1, 0.19), rng.uniform(2.4, 3.0), rng.uniform(0.02, 0.06)
    straight, sway = rng.uniform(0.88, 0.98), _sway(seconds, rng, 0.01)
    x = (rate * seconds + phase) % 1.0
    q = 0.5 - 0.5 * np.cos(2 * np.pi * x)
    air = hop * np.abs(np.sin(2 * np.pi * x))
    spread = 0.01 + wide * q
    leg = body.thigh + body.shin
    tall = np.sqrt((0.985 * leg) ** 2 - spread**2) + body.ankle
    pelvis = vector(0.0, sway, tall + air - 0.01)
    trunk = spine(body, pelvis, side=sway)
    hands = trunk.shoulders + straight * body.arm * arm_direction(trunk, 0.2 + (top - 0.2) * q, 1.4)
    feet = np.stack(
        [
            np.zeros((len(x), 2)),
            (body.hip + spread)[:, None] * SIDES + sway[:, None],
            np.broadcast_to((body.ankle + air)[:, None], (len(x), 2)),
        ],
        -1,
    )
    return Motion(skeleton(body, trunk, hands, feet, heel=(6 * air)[:, None]), (-50, 50))


def kick(body: Body, seconds: np.ndarray, duration: float, rng: np.random.Generator) -> Motion:
    """Kicking a ball that rolls back, again and again."""
    rate, phase = rng.uniform(0.65, 1.0), rng.uniform(0, 1)
    foot, away = rng.integers(2), rng.uniform(0.35, 0.55)
    size, power = rng.uniform(0.055, 0.08), rng.uniform(0.8, 1.1)
    back, sway = rng.uniform(0.2, 0.3), _sway(seconds, rng, 0.01)
    x = (rate * seconds + phase) % 1.0  # the foot meets the ball at 0.3
    keys, aside = [0.0, 0.2, 0.3, 0.42, 0.7, 1.0], SIDES[foot]
    forth = np.interp(x, keys, [-0.05, -back, 0.1, 0.3 * power, 0.02, -0.05])
    above = np.interp(x, keys, [0.0, 0.13, 0.02, 0.2 * power, 0.0, 0.0])
    lean = np.interp(x, keys, [0.04, 0.12, 0.02, -0.14 * power, 0.02, 0.04])
    pelvis = vector(
        0.3 * lean - 0.01, -0.03 * aside + sway, np.full(len(x), 0.965) * body.hip_height
    )
    trunk = spine(body, pelvis, lean=lean, twist=-1.2 * aside * (forth - 0.05), nod=0.15)
    arms = np.stack([0.35 + 2.0 * forth, 0.35 - 2.0 * forth], 1)[:, :: (1 if foot else -1)]
    hands = trunk.shoulders + 0.93 * body.arm * arm_direction(trunk, np.abs(arms) + 0.15, 0.9)
    feet = stance(body, len(x), 0.02)
    feet[:, foot, 0] += forth
    feet[:, foot, 2] += above
    heel = np.zeros((len(x), 2))
    heel[:, foot] = np.clip(-3.0 * forth, -0.3, 0.9)
    joints = skeleton(body, trunk, hands, feet, heel=heel)
    flight = ((x - 0.3) % 1.0) ** 0.75
    ball = vector(
        0.26 + away * np.sin(np.pi * flight),
        aside * body.hip,
        size + 0.06 * power * np.abs(np.sin(3 * np.pi * flight)) * (flight < 0.67),
    )
    spin = 9.0 * np.sin(np.pi * flight)
    return Motion(joints, (40, 95), {"ball": dict(at=ball, size=size, spin=spin)})
