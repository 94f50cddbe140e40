"""A person's folder of short videos, and what a network would see in them, made by hand."""

import numpy as np

from harlib.data import encode
from harlib.labelling.looking import Seen
from harlib.labelling.session import Session
from harlib.labelling.table import Labels

ACTIONS = ("jump", "sit down", "walk")


def videos(folder, moving_square, count=18):
    """Paths of `count` videos; the number in a name tells its action: `action`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"person{number}_take.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        encode(path, moving_square(frames=12, seed=number), fps=25)
    return list(map(str, paths))


def action(number):
    return ACTIONS[number % len(ACTIONS)]


def seen(paths, probabilities=False):
    """Features around a centre for each action; with `probabilities` those of a network too."""
    rng = np.random.default_rng(0)
    which = np.arange(len(paths)) % len(ACTIONS)
    features = (10 * rng.normal(size=(3, 8)))[which] + rng.normal(size=(len(paths), 8))
    chances = 0.1 + 0.7 * np.eye(len(ACTIONS))[which]
    return Seen(
        tuple(paths),
        features.astype("float32"),
        chances.astype("float32") if probabilities else None,
        {},
    )


def session(folder, paths, *, probabilities=False, **options):
    names = ACTIONS if probabilities else ()
    return Session(seen(paths, probabilities), Labels(folder / "labels.csv"), names, **options)
