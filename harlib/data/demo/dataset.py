"""The embedded action videos: drawn people, real mp4 files, a Kinetics-format CSV, and stills.

Every recording is a pure function of (seed, split, action, number), whatever draws it. The two
categories of a pair are the very same recordings played forwards and backwards, so a single frame
cannot tell them apart: only the order of frames can.
"""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from joblib import cpu_count, delayed

from harlib import HarlibError, files, processes
from harlib.data import label_sets
from harlib.data.demo import motions
from harlib.data.demo.recording import plan, record, record_together
from harlib.data.video.files import encode
from harlib.files import read_json
from harlib.progress import shown

PAIRS = (
    ("sitting down", "standing up"),
    ("picking up", "putting down"),
    ("raising arms", "lowering arms"),
    ("opening door", "closing door"),
)

# category -> (generator, played backwards)
ACTIONS = {
    "sitting down": (motions.sit, False),
    "standing up": (motions.sit, True),
    "picking up": (motions.lift, False),
    "putting down": (motions.lift, True),
    "raising arms": (motions.raise_arms, False),
    "lowering arms": (motions.raise_arms, True),
    "opening door": (motions.pull_door, False),
    "closing door": (motions.pull_door, True),
    "jumping jacks": (motions.jump_jack, False),
    "kicking ball": (motions.kick, False),
    "walking": (motions.walk, False),
    "waving": (motions.wave, False),
}
CATEGORIES = tuple(sorted(ACTIONS))
# what people do side by side: nobody needs the room's wall
TOGETHER = tuple(name for name in CATEGORIES if ACTIONS[name][0] is not motions.pull_door)

# what a still can tell: one name for both directions of a pair
STILLS = {
    "jumping_jacks": motions.jump_jack,
    "kicking_a_ball": motions.kick,
    "lifting_an_object": motions.lift,
    "moving_the_arms": motions.raise_arms,
    "using_a_chair": motions.sit,
    "using_a_door": motions.pull_door,
    "walking": motions.walk,
    "waving": motions.wave,
}

_VERSION = 4  # of the drawing: raise it when the same arguments give other frames


class AnotherDataset(HarlibError):
    """The folder holds videos that were drawn with other settings."""


def tape(split: str, number: int, seed: int = 0) -> dict[str, tuple[int, int]]:
    """{category: (start, end)} in whole seconds: an actor's recordings, as cut from one tape."""
    ends = np.cumsum(
        [0] + [plan(ACTIONS[category][0], seed, split, number)[0] for category in CATEGORIES]
    )
    return {category: (int(ends[k]), int(ends[k + 1])) for k, category in enumerate(CATEGORIES)}


def draw(
    category: str, *, number: int = 0, split: str = "train", seed: int = 0, difficulty: int = 1
) -> tuple[np.ndarray, int]:
    """Recording `number` of a category: frames uint8 (frames, height, width, 3), RGB, and fps.

    The number is also the actor's, so each actor performs every category once.

    Raises:
        ValueError: a category that is not in CATEGORIES.
    """
    check([category], difficulty, 1, 0, 0)
    generator, backwards = ACTIONS[category]
    frames, fps = record(generator, seed=seed, split=split, number=number, difficulty=difficulty)
    return (frames[::-1] if backwards else frames), fps


def known(people: int = 1) -> tuple[str, ...]:
    """The categories that so many people in a video can be asked for."""
    return CATEGORIES if people == 1 else TOGETHER


def combinations(categories: Sequence[str]) -> list[str]:
    """What up to two people do side by side: each category alone, and every two of them.

    >>> combinations(["waving", "walking"])
    ['walking', 'walking|waving', 'waving']
    """
    pairs = itertools.combinations(categories, 2)
    return sorted([*categories, *(label_sets.joined(pair) for pair in pairs)])


def draw_together(
    labels: str, *, number: int = 0, split: str = "train", seed: int = 0, difficulty: int = 1
) -> tuple[np.ndarray, int]:
    """Recording `number` of `combinations`, as `draw` gives it; both people are the number's."""
    acts = [ACTIONS[label] for label in label_sets.split(labels)]
    return record_together(acts, seed=seed, split=split, number=number, difficulty=difficulty)


def draw_still(action: str, *, number: int = 0, seed: int = 0, difficulty: int = 1) -> np.ndarray:
    """Still `number` of an action in STILLS: uint8 (height, width, 3), RGB; its own actor."""
    frames, _ = record(
        STILLS[action], seed=seed, split="stills", number=number, difficulty=difficulty, still=True
    )
    return frames[0]


def write_dataset(
    root: str | Path,
    *,
    train: int = 60,
    val: int = 15,
    stills: int = 40,
    difficulty: int = 1,
    seed: int = 0,
    categories: Sequence[str] | None = None,
    people: int = 1,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Writes the videos, their CSV and the stills under `root`; returns the path of the CSV.

    What an interrupted call with the same arguments wrote is kept, a complete dataset is returned
    at once.

    Layout: `videos.csv` (label, youtube_id, time_start, time_end, split; the id is the actor's,
    times in seconds), `videos/<split>/<label>/<id>_<SSSSSS>_<EEEEEE>.mp4`, and `stills/` as in
    Stanford-40.

    Args:
        train, val: videos per category.
        stills: images per action (three quarters for training; 0 writes none).
        difficulty: 1 calm, 2 and 3 with clutter, camera shake and occlusion.
        people: 2: up to two people side by side, whose actions are both the video's labels, as
            "walking|waving"; train and val count the videos of each of the `combinations`.
        workers: processes (default: all cores), on which the frames do not depend.
        progress: True shows a bar, a `harlib.progress.Stage` is told.

    Raises:
        ValueError: `root` holds a dataset made with other arguments, or there is nothing to draw.
    """
    root, categories = Path(root), sorted(set(categories or known(people)))
    check(categories, difficulty, train, val, stills, people)
    settings = dict(
        version=_VERSION,
        train=train,
        val=val,
        stills=stills,
        difficulty=difficulty,
        seed=seed,
        categories=categories,
    )
    if people > 1:  # one is what was drawn before there was a choice
        settings["people"] = people
    made = root / "dataset.json"
    table = root / "videos.csv"
    if is_complete(made, settings):
        return table
    for folder in (root, *root.rglob("*/")):
        for left in files.strays(folder):  # of a killed call
            left.unlink()
    files.write_text(made, json.dumps(dict(settings=settings, complete=False), indent=1))

    rows, tasks = [], []
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            name = f"actor{split[0].upper()}{number:05d}"
            cut = tape(split, number, seed) if people == 1 else _places(combinations(categories))
            for category, (start, end) in cut.items():
                if category in categories or people > 1:
                    rows.append((category, name, start, end, split))
                    folder = root / "videos" / split / " and ".join(label_sets.split(category))
                    path = folder / f"{name}_{start:06}_{end:06}.mp4"
                    tasks.append(
                        delayed(_film_file)(path, category, split, number, seed, difficulty, people)
                    )
    if stills:
        tasks += _still_tasks(root / "stills", stills, seed, difficulty)
    count = workers or cpu_count()
    with (
        shown(progress, "drawing", "file") as bar,
        processes.parallel(count, return_as="generator_unordered") as parallel,
    ):
        bar.begin(0, len(tasks), together=count)
        for done, _ in enumerate(parallel(tasks), 1):
            bar.at(done)
    lines = [("label", "youtube_id", "time_start", "time_end", "split"), *sorted(rows)]
    files.write_text(table, "".join(",".join(map(str, line)) + "\n" for line in lines))
    files.write_text(made, json.dumps(dict(settings=settings, complete=True), indent=1))
    return table


def is_complete(made: Path, settings: dict[str, Any]) -> bool:
    """Whether all is drawn with these settings, as the file `made` beside the videos says.

    Raises:
        AnotherDataset: there are videos that were drawn with others.
    """
    if not made.exists():
        return False
    known = read_json(made, "settings", "complete")
    there = known["settings"]
    if there != settings:
        changed = [
            f"{key}={there.get(key)!r} there, {settings.get(key)!r} asked"
            for key in {**there, **settings}
            if there.get(key) != settings.get(key)
        ]
        raise AnotherDataset(
            f"{made.parent} holds another dataset ({'; '.join(changed)}): "
            "remove that folder or choose another root"
        )
    return bool(known["complete"])


def _places(labels: Sequence[str]) -> dict[str, tuple[int, int]]:
    """{labels: (start, end)} in seconds, for the files' names: recordings last up to six."""
    return {one: (10 * number, 10 * number + 10) for number, one in enumerate(labels)}


def check(
    categories: Sequence[str], difficulty: int, train: int, val: int, stills: int, people: int = 1
) -> None:
    """Raises ValueError for what cannot be drawn."""
    if people not in (1, 2):
        raise ValueError(f"people must be 1 or 2; received {people!r}")
    strange = sorted(set(categories) - set(known(people)))
    if strange:
        of = "" if people == 1 else " of two people"
        raise ValueError(
            f"no such categories{of}: {', '.join(strange)}; known are {', '.join(known(people))}"
        )
    if people == 2 and len(set(categories)) < 2:
        raise ValueError(f"two people need two categories; received {', '.join(categories)}")
    if difficulty not in (1, 2, 3):
        raise ValueError(f"difficulty must be 1, 2 or 3; received {difficulty!r}")
    if train < 0 or val < 0 or stills < 0 or train + val == 0:
        raise ValueError(
            "train, val and stills must be 0 or more, and some videos asked for; "
            f"received train={train}, val={val}, stills={stills}"
        )


def _film_file(
    path: Path, category: str, split: str, number: int, seed: int, difficulty: int, people: int
) -> None:
    """Draws and encodes one recording, unless its file is there."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    make = draw if people == 1 else draw_together
    frames, fps = make(category, number=number, split=split, seed=seed, difficulty=difficulty)
    encode(path, frames, fps, keyframe=2 * fps)


def _still_tasks(root: Path, count: int, seed: int, difficulty: int) -> list[Any]:
    """Writes Stanford-40's lists; the tasks that draw the images."""
    tasks, images, lists = [], root / "JPEGImages", root / "ImageSplits"
    first = (3 * count + 3) // 4
    for action in STILLS:
        names = [f"{action}_{number + 1:03}.jpg" for number in range(count)]
        files.write_text(lists / f"{action}_train.txt", "".join(f"{n}\n" for n in names[:first]))
        files.write_text(lists / f"{action}_test.txt", "".join(f"{n}\n" for n in names[first:]))
        tasks += [
            delayed(_still_file)(images / name, action, number, seed, difficulty)
            for number, name in enumerate(names)
        ]
    files.write_text(
        lists / "actions.txt",
        "action_name\tnumber_of_images\n" + "".join(f"{action}\t{count}\n" for action in STILLS),
    )
    return tasks


def _still_file(path: Path, action: str, number: int, seed: int, difficulty: int) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    image = draw_still(action, number=number, seed=seed, difficulty=difficulty)
    _, jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    with files.appearing(path, durable=False) as part:
        part.write_bytes(jpeg.tobytes())
