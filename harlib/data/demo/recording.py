"""One recording: an actor, a motion, a room and a camera, drawn into frames.

A pure function of (seed, split, motion, number): nothing else decides what is drawn.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from harlib.data.demo import motions, props
from harlib.data.demo.actor import Actor, dress
from harlib.data.demo.render import Camera, Shape, paint
from harlib.data.demo.scene import MARGIN, Room, frame_camera, occluders

_HEIGHTS = (120, 128, 136, 144, 160, 176, 192)
_ASPECTS = (1.0, 5 / 4, 4 / 3, 4 / 3, 16 / 9, 3 / 4)
_WIDE = 16 / 9  # of people side by side
_RATES = (15, 15, 20, 24, 25, 30)
_SECONDS = (2, 3, 4, 5, 6)
_SECONDS_SHARE = (0.34, 0.36, 0.16, 0.09, 0.05)


class Place:
    """Where a body stands: turns its axes into the world's and moves them to `origin`."""

    def __init__(self, heading: float, origin: np.ndarray) -> None:
        self.heading = heading
        sine, cosine = np.sin(heading), np.cos(heading)
        self.axes = np.array([[sine, -cosine, 0.0], [cosine, sine, 0.0], [0.0, 0.0, 1.0]])
        self.origin = np.asarray(origin)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return points @ self.axes + self.origin

    def turn(self, direction: np.ndarray) -> np.ndarray:
        """Directions (..., 3) of the body in the world."""
        return np.asarray(direction) @ self.axes


def rng_of(*key: object) -> np.random.Generator:
    """A generator that the key alone decides."""
    return np.random.default_rng([zlib.crc32(str(part).encode()) for part in key])


def actor(split: str, number: int, seed: int = 0) -> Actor:
    """The person who performs recording `number` of every category of a split."""
    return Actor.random(rng_of(seed, split, "actor", number))


def plan(
    generator: Callable, seed: int, split: str, number: int
) -> tuple[float, int, tuple[int, int], np.random.Generator]:
    """(seconds, frames per second, (height, width), generator of what is not yet drawn)."""
    rng = rng_of(seed, split, generator.__name__, number)
    duration = int(rng.choice(_SECONDS, p=_SECONDS_SHARE))
    fps = int(rng.choice(_RATES))
    height = int(rng.choice(_HEIGHTS))
    width = 2 * round(height * rng.choice(_ASPECTS) / 2)
    return duration, fps, (height, width), rng


def record(
    generator: Callable, *, seed: int, split: str, number: int, difficulty: int, still: bool = False
) -> tuple[np.ndarray, int]:
    """One recording: (frames uint8 (frames, height, width, 3), fps); a still has one frame."""
    performer = actor(split, number, seed)
    duration, fps, size, rng = plan(generator, seed, split, number)
    seconds = np.arange(duration * fps) / fps
    if still:
        size = (2 * size[0], 2 * size[1])
        seconds = np.array([rng.uniform(0.12, 0.88) * duration])
    motion = generator(performer.body, seconds, float(duration), rng)
    return film(performer, motion, seconds, size, difficulty, rng), fps


def film(
    actor: Actor,
    motion: motions.Motion,
    seconds: np.ndarray,
    size: tuple[int, int],
    difficulty: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Frames uint8 (frames, height, width, 3) of an actor's motion in a room of its own."""
    stage = _act(actor, motion, rng)
    camera = frame_camera(stage.points, size, rng)
    return _film([stage], camera, seconds, size, difficulty, rng)


def record_together(
    acts: Sequence[tuple[Callable, bool]], *, seed: int, split: str, number: int, difficulty: int
) -> tuple[np.ndarray, int]:
    """One recording of people side by side, each with an act of its own, as `record` gives it.

    acts: (generator, whether it is played backwards) of each person, none with a door.
    """
    names = "+".join(f"{generator.__name__}{'-' * back}" for generator, back in acts)
    rng = rng_of(seed, split, "together", names, number)
    duration = int(rng.choice(_SECONDS, p=_SECONDS_SHARE))
    fps, height = int(rng.choice(_RATES)), int(rng.choice(_HEIGHTS))
    size = (height, 2 * round(height * _WIDE / 2))
    seconds = np.arange(duration * fps) / fps
    stages = []
    for place in rng.permutation(len(acts)):  # from left to right
        generator, backwards = acts[place]
        performer = Actor.random(rng_of(seed, split, "actor", number, int(place)))
        shown = seconds[::-1] if backwards else seconds
        stages.append(_act(performer, generator(performer.body, shown, float(duration), rng), rng))
    left = 0.0
    for stage in stages:
        stage.move(left - stage.points[:, 0].min())
        left = stage.points[:, 0].max() + rng.uniform(0.05, 0.25)
    middle = (stages[0].points[:, 0].min() + stages[-1].points[:, 0].max()) / 2
    for stage in stages:
        stage.move(-middle)
    points = np.concatenate([stage.points for stage in stages])
    camera = frame_camera(points, size, rng, wide=True)
    return _film(stages, camera, seconds, size, difficulty, rng), fps


@dataclass
class _Stage:
    """A person in action: where its place is, its things, and all points that must be seen."""

    actor: Actor
    motion: motions.Motion
    place: Place
    still: list[Shape]
    moving: list[Shape]
    person: list[Shape]
    points: np.ndarray

    def move(self, along: float) -> None:
        """To the right, by so much."""
        offset = np.array([along, 0.0, 0.0])
        self.points = self.points + offset
        for shape in (*self.still, *self.moving, *self.person):
            shape.points = shape.points + offset
            shape.core = None if shape.core is None else shape.core + offset


def _act(actor: Actor, motion: motions.Motion, rng: np.random.Generator) -> _Stage:
    low, high = motion.facing
    heading = np.deg2rad(rng.uniform(low, high))
    if low >= 0 and "door" not in motion.props and rng.uniform() < 0.5:
        heading = -heading
    place = Place(heading, np.zeros(3))
    avoid = (actor.top, actor.bottom, actor.skin)
    still, moving = props.build(motion.props, place, rng, avoid)
    person = dress(actor, motion.skeleton, place)
    points = [place(motion.skeleton.joints()).reshape(-1, 3)]
    points += [shape.points.reshape(-1, 3) for shape in still + moving]
    return _Stage(actor, motion, place, still, moving, person, np.concatenate(points))


def _film(
    stages: Sequence[_Stage],
    camera: Camera,
    seconds: np.ndarray,
    size: tuple[int, int],
    difficulty: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Frames uint8 (frames, height, width, 3) of people who act in a room of their own."""
    first = stages[0]
    indoors = "door" in first.motion.props
    actors = [stage.actor for stage in stages]
    avoid = tuple(color for one in actors for color in (one.top, one.bottom, one.skin))
    heading = first.place.heading
    room = Room(
        camera,
        size,
        rng,
        avoid=avoid,
        difficulty=difficulty,
        away=0.0 if indoors else rng.uniform(0.65, 1.4),
        yaw=heading - np.pi if indoors else rng.uniform(-0.35, 0.35),
        outdoor=not indoors and rng.uniform() < 0.25,
    )
    room.furnish(rng, difficulty)
    if indoors:
        props.doorway(room, first.place, first.motion.props["door"], rng)
    room.place([shape for stage in stages for shape in stage.still])
    shapes = [shape for stage in stages for shape in stage.person + stage.moving]
    shapes += occluders(camera, size, rng, difficulty)
    tint = rng.uniform(0.72, 1.1) * rng.uniform(0.94, 1.06, 3)
    for shape in shapes:
        shape.color = tuple(np.clip(tint * shape.color, 0, 255).tolist())
    canvas = np.clip(room.canvas * tint, 0, 255).astype(np.uint8)

    moved = _shake(seconds, size, difficulty, rng)
    frames = _background(canvas, size, moved)
    sun = rng.uniform([-0.4, -0.25], [0.4, 0.05])
    paint(
        frames,
        camera,
        shapes,
        light=(-np.sign(sun[0]) * 0.6, -0.8),
        sun=sun,
        moved=moved,
        shadow=rng.uniform(0.15, 0.4),
    )
    return frames


def _shake(
    seconds: np.ndarray, size: tuple[int, int], difficulty: int, rng: np.random.Generator
) -> np.ndarray:
    """The picture's displacement (frames, 2) in pixels by a held camera; often a tripod's: 0."""
    tripod = rng.uniform() < (0.6, 0.2, 0.0)[difficulty - 1]
    most = (0.007, 0.02, 0.035)[difficulty - 1] * size[0]
    reach = 0.0 if tripod else min(rng.uniform(0.3, 1.0) * most, MARGIN / 2)
    rate, phase = rng.uniform(0.4, 2.5, (3, 2)), rng.uniform(0, 2 * np.pi, (3, 2))
    return reach * np.sin(2 * np.pi * rate * seconds[:, None, None] + phase).mean(1)


def _background(canvas: np.ndarray, size: tuple[int, int], moved: np.ndarray) -> np.ndarray:
    height, width = size
    if not moved.any():
        inner = canvas[MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        return np.repeat(inner[None], len(moved), 0)
    frames = np.empty((len(moved), height, width, 3), np.uint8)
    for frame, (x, y) in zip(frames, moved, strict=True):
        shift = np.array([[1, 0, MARGIN - x], [0, 1, MARGIN - y]], np.float32)
        cv2.warpAffine(
            canvas, shift, (width, height), dst=frame, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
    return frames
