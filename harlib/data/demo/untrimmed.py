"""Drawn untrimmed videos: a person who does all actions, one after the other, with pauses.

Each action is a shot of its own: the person stands, acts, and stands (sits, carries) on; in some
pauses a shot between two actions shows somebody who moves without any of them. A video is a pure
function of (seed, split, number), and people differ from those of the trimmed videos.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import cpu_count, delayed

from harlib import files, processes
from harlib.data.demo import dataset, motions
from harlib.data.demo.actor import Actor
from harlib.data.demo.recording import actor, film, rng_of
from harlib.data.demo.skeleton import Skeleton, Spine, skeleton, spine, unit, vector
from harlib.data.video.files import encode
from harlib.progress import Stage, shown

SECONDS = 120.0
SPLITS = ("train", "val", "test")
_ACTION_S = (3.0, 7.0)
_PAUSE_S = 2.0  # at least, between two actions
_IDLE_S = 1.2  # a shot of nobody's action, at least
_BLEND_S = 0.35  # from standing to acting
_HEIGHTS = (120, 128, 136)
_ASPECTS = (1.0, 4 / 3, 4 / 3, 16 / 9)
_RATES = (12, 15)
_STEADY = (motions.sit, motions.lift, motions.raise_arms, motions.pull_door)  # rest at both ends
_VERSION = 1  # of the drawing: raise it when the same arguments give other frames


class Shot(NamedTuple):
    """A part of a video that is filmed in one place: seconds before, of and after the action.

    `category` is "" for one without an action, which lasts `before`.
    """

    category: str
    before: float
    action: float
    after: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.before + self.action + self.after


class Segment(NamedTuple):
    """An action's category and when it begins and ends, in seconds."""

    category: str
    start: float
    end: float


def shots(split: str, number: int, seed: int = 0) -> list[Shot]:
    """The shots of a video: every category once, in any order, `SECONDS` in all."""
    rng = rng_of(seed, split, "untrimmed", number)
    order = [dataset.CATEGORIES[k] for k in rng.permutation(len(dataset.CATEGORIES))]
    lengths = rng.uniform(*_ACTION_S, len(order)).round(1)
    free = SECONDS - lengths.sum() - _PAUSE_S * (len(order) + 1)
    pauses = _PAUSE_S + free * rng.dirichlet(np.full(len(order) + 1, 2.0))
    found: list[Shot] = []
    before = float(pauses[0])
    for place, (category, length) in enumerate(zip(order, lengths, strict=True)):
        pause = float(pauses[place + 1])
        cut = rng.uniform(0.3, 0.7)
        idle = pause * rng.uniform(0.3, 0.5) if rng.uniform() < 0.5 else 0.0
        idle = idle if idle >= _IDLE_S and place + 1 < len(order) else 0.0
        after = cut * (pause - idle) if place + 1 < len(order) else pause
        found.append(Shot(category, before, float(length), after))
        if idle:
            found.append(Shot("", idle, 0.0, 0.0))
        before = pause - idle - after
    return found


def segments(split: str, number: int, seed: int = 0) -> list[Segment]:
    """The actions of a video and when they happen."""
    found, at = [], 0.0
    for shot in shots(split, number, seed):
        if shot.category:
            start = at + shot.before
            found.append(Segment(shot.category, round(start, 3), round(start + shot.action, 3)))
        at += shot.seconds
    return found


def draw(
    *, number: int = 0, split: str = "train", seed: int = 0, difficulty: int = 1
) -> tuple[Iterator[np.ndarray], int]:
    """An untrimmed video: its frames uint8 (height, width, 3), RGB, as they are drawn, and fps."""
    rng = rng_of(seed, split, "untrimmed picture", number)
    fps = int(rng.choice(_RATES))
    height = int(rng.choice(_HEIGHTS))
    size = height, 2 * round(height * rng.choice(_ASPECTS) / 2)
    person = actor(f"untrimmed {split}", number, seed)

    def drawn() -> Iterator[np.ndarray]:
        at, done = 0.0, 0
        for place, shot in enumerate(shots(split, number, seed)):
            last = round((at + shot.seconds) * fps)
            times = np.arange(done, last) / fps - at
            own = rng_of(seed, split, "untrimmed shot", number, place)
            yield from _shot(shot, times, person, size, difficulty, own)
            at, done = at + shot.seconds, last

    return drawn(), fps


def write(
    root: str | Path,
    *,
    train: int = 30,
    val: int = 6,
    test: int = 6,
    difficulty: int = 1,
    seed: int = 0,
    workers: int | None = None,
    progress: bool | Stage = True,
) -> Path:
    """Writes `videos/<split>/actor….mp4` under `root` and the table of their segments.

    Its path is returned: `videos.csv`, with `path,label,start,end,split,group`. What an interrupted
    call wrote is kept, a complete set is returned at once.

    Args:
        train, val, test: videos in each split, each with every category once.
        difficulty, workers, progress: as of `dataset.write_dataset`.

    Raises:
        AnotherDataset: `root` holds videos that were drawn with other arguments.
    """
    root = Path(root)
    dataset.check([], difficulty, train, val + test, 0)
    settings = dict(
        untrimmed=_VERSION, train=train, val=val, test=test, difficulty=difficulty, seed=seed
    )
    made, table = root / "dataset.json", root / "videos.csv"
    if dataset.is_complete(made, settings):
        return table
    files.write_text(made, json.dumps(dict(settings=settings, complete=False), indent=1))
    lines: list[tuple[str, ...]] = [("path", "label", "start", "end", "split", "group")]
    tasks = []
    for split, count in zip(SPLITS, (train, val, test), strict=True):
        for number in range(count):
            name = f"actor{split[:2].title()}{number:03d}"
            path = f"videos/{split}/{name}.mp4"
            lines += [(path, *map(str, one), split, name) for one in segments(split, number, seed)]
            tasks.append(delayed(_file)(root / path, split, number, seed, difficulty))
    count = workers or cpu_count()
    with (
        shown(progress, "drawing", "file") as bar,
        processes.parallel(count, return_as="generator_unordered") as parallel,
    ):
        bar.begin(0, len(tasks), together=count)
        for done, _ in enumerate(parallel(tasks), 1):
            bar.at(done)
    files.write_text(table, "".join(",".join(line) + "\n" for line in lines))
    files.write_text(made, json.dumps(dict(settings=settings, complete=True), indent=1))
    return table


def _file(path: Path, split: str, number: int, seed: int, difficulty: int) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    frames, fps = draw(number=number, split=split, seed=seed, difficulty=difficulty)
    encode(path, frames, fps, keyframe=2 * fps)


def _shot(
    shot: Shot,
    times: np.ndarray,
    person: Actor,
    size: tuple[int, int],
    difficulty: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Frames uint8 (frames, height, width, 3) of a shot at these times since its beginning."""
    if not shot.category:
        motion = _idle(person, times, rng)
        return film(person, motion, times, size, difficulty, rng)
    generator, backwards = dataset.ACTIONS[shot.category]
    since = shot.seconds - times - shot.after if backwards else times - shot.before
    within = np.clip(since, 0.0, shot.action)
    motion = generator(person.body, within, shot.action, rng)
    if generator not in _STEADY:  # which would stop in the middle of a movement
        outside = np.maximum(-since, since - shot.action)
        share = np.clip(1 + outside / _BLEND_S, 0.0, 1.0)  # the first and last moments of it
        rise = motion.props.get("treadmill", {}).get("height", 0.0)
        rest = _stand(person, times, motion.skeleton.spine.pelvis, rise, rng)
        motion.skeleton = _blend(motion.skeleton, rest, share)
    return film(person, motion, times, size, difficulty, rng)


def _stand(
    person: Actor, times: np.ndarray, pelvis: np.ndarray, rise: float, rng: np.random.Generator
) -> Skeleton:
    """Standing where a motion's pelvis (frames, 3) is, looking about a little."""
    body = person.body
    turn = 0.4 * np.sin(2 * np.pi * (rng.uniform(0.1, 0.3) * times + rng.uniform()))
    sway = 0.012 * np.sin(2 * np.pi * (rng.uniform(0.2, 0.5) * times + rng.uniform()))
    at = vector(pelvis[:, 0], sway, rise + 0.995 * body.hip_height)
    trunk = spine(body, at, side=sway, turn=turn)
    feet = motions.stance(body, len(times), 0.03)
    feet[..., 0] += pelvis[:, None, 0]
    feet[..., 2] += rise
    return skeleton(body, trunk, motions.hang(body, trunk), feet)


def _idle(person: Actor, times: np.ndarray, rng: np.random.Generator) -> motions.Motion:
    """What is none of the actions: standing about, shifting one's weight, a hand at the head."""
    body, kind = person.body, str(rng.choice(["stand", "shift", "scratch"]))
    rate, phase = rng.uniform(0.25, 0.5), rng.uniform()
    wave = np.sin(2 * np.pi * (rate * times + phase))
    aside = 0.05 * wave if kind == "shift" else 0.01 * wave
    trunk = spine(
        body,
        vector(0.0, aside, 0.985 * body.hip_height - 0.01 * np.abs(aside)),
        side=-0.8 * aside,
        twist=0.2 * wave if kind == "shift" else 0.0,
        turn=rng.uniform(0.2, 0.6) * np.sin(2 * np.pi * (0.6 * rate * times + phase)),
    )
    hands = motions.hang(body, trunk)
    if kind == "scratch":
        side = int(rng.integers(2))
        up = np.clip(1.6 * np.sin(np.pi * (rate * times + phase)) ** 2, 0, 1)[:, None]
        head = trunk.head + 0.06 * trunk.gaze
        hands[:, side] = (1 - up) * hands[:, side] + up * head
    joints = skeleton(body, trunk, hands, motions.stance(body, len(times), 0.04))
    return motions.Motion(joints, (-70, 70))


def _blend(one: Skeleton, other: Skeleton, share: np.ndarray) -> Skeleton:
    """The first skeleton where `share` (frames,) is 0, the other one where it is 1."""

    def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a + (b - a) * share.reshape(-1, *[1] * (a.ndim - 1))

    parts = {f.name: between(getattr(one.spine, f.name), getattr(other.spine, f.name))
             for f in dataclasses.fields(Spine)}  # fmt: skip
    parts |= {axis: unit(parts[axis]) for axis in ("forward", "left", "up", "gaze")}
    limbs = {f.name: between(getattr(one, f.name), getattr(other, f.name))
             for f in dataclasses.fields(Skeleton) if f.name != "spine"}  # fmt: skip
    return Skeleton(Spine(**parts), **limbs)
