"""Accuracy by number of labels: videos chosen by `harlib.labelling`, beside as many at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from harlib import HarlibError, files, machine
from harlib.data import Catalog
from harlib.data.catalog import names
from harlib.data.demo import dataset
from harlib.labelling import guessing, looking, ranking
from harlib.text import percent

NETWORK = "efficientnet_lite0/imagenet"
DEMO = (60, 15)  # training and validation videos a category that are drawn for a seed


def run(
    folder: Path,
    *,
    videos: Path | None = None,
    network: str = NETWORK,
    ways: Sequence[str] = tuple(ranking.WAYS),
    drawn: int = 0,
    seeds: Sequence[int] = tuple(range(10)),
    first: int = 20,
    rounds: int = 5,
    size: int = 20,
    json_file: Path | None = None,
    say: Callable[[str], object] = print,
) -> list[dict[str, Any]]:
    """The loop of labelling and learning, the labels told by who knows them all.

    From `first` labelled videos, each category once and the others at random, every way of choosing
    goes on for `rounds` rounds of `size` labels. A linear classifier on the features of the network
    learns anew after each, and is scored on the videos held out.

    Args:
        folder: where videos are drawn, and what the network saw in them is kept.
        videos: a folder per category, 30 % of it held out by groups; None draws the demo's.
        drawn: the seed of the drawn videos, or of which are held out.
        seeds: of the labelled videos to begin with, and of what is left to chance after.

    Returns:
        Rows `bench, cpu, …, network, drawn, seed, way, labels, accuracy`; the way "all" has all.

    Raises:
        HarlibError: no such way or network, or fewer videos than are to be labelled.
    """
    if unknown := sorted(set(ways) - set(ranking.WAYS)):
        raise HarlibError(f"no order {unknown[0]!r}; known are {', '.join(ranking.WAYS)}")
    own = looking.eye(network)
    listed = _listed(folder, videos, drawn)
    seen = looking.look(own, listed["path"].tolist(), folder / "seen.sqlite")
    listed = listed.set_index("path").loc[list(seen.videos)].reset_index()
    pool = _Pool(seen.features, listed)
    common = {"bench": "label", "network": network, "drawn": drawn} | machine.describe()
    rows = [common | {"seed": -1, "way": "all"} | pool.ceiling()]
    for seed in seeds:
        begin = pool.first(first, np.random.default_rng(seed))
        for way in ways:
            rows += [
                common | {"seed": seed, "way": way} | point
                for point in pool.curve(way, begin, rounds, size, seed)
            ]
        if json_file:
            files.write_json(json_file, rows)
        say(f"seed {seed}: done")
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Mean accuracy by way and labels, and each way's lead over random, as text."""
    every = pd.DataFrame(rows)
    own = every[every["way"] != "all"]
    means = own.pivot_table(index="way", columns="labels", values="accuracy", sort=False)
    lines = ["labels          " + "".join(f"{number:>8}" for number in means.columns)]
    for way, line in means.iterrows():
        lines.append(f"{way:<16}" + "".join(f"{percent(value):>8}" for value in line))
    full = every[every["way"] == "all"]
    lines.append(
        f"all {int(full['labels'].mean())} labels: {percent(float(full['accuracy'].mean()))}"
    )
    for way in means.index:
        if way != "random" and "random" in means.index:
            mean, low, high = lead(rows, str(way))
            lines.append(
                f"{way} leads random by {100 * mean:+.1f} points, mean of all rounds, "
                f"({100 * low:+.1f} to {100 * high:+.1f}, 95 %)"
            )
    return "\n".join(lines)


def lead(rows: Sequence[dict[str, Any]], way: str) -> tuple[float, float, float]:
    """(mean, low, high) of the accuracy above that of random choice, the mean over all rounds.

    Curves from the same beginning are compared; the interval is Student's over the seeds, NaN of a
    single one. It says nothing of other videos than these.
    """
    every = pd.DataFrame(rows)
    every = every[every["way"].isin([way, "random"])]
    after = every[every["labels"] > every["labels"].min()]
    by = after.pivot_table(index=["seed", "labels"], columns="way", values="accuracy")
    each = (by[way] - by["random"]).groupby("seed").mean()
    mean, count = float(each.mean()), len(each)
    if count < 2:
        return mean, np.nan, np.nan
    half = float(stats.t.ppf(0.975, count - 1) * each.std(ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half


def _listed(folder: Path, videos: Path | None, seed: int) -> pd.DataFrame:
    """Videos with category, split and group: drawn ones, or a person's own."""
    if videos is not None:
        return Catalog.from_folder(videos, val=0.3, seed=seed).frame
    place = folder / f"drawn-{seed}"
    drawn = dataset.write_dataset(place, train=DEMO[0], val=DEMO[1], stills=0, seed=seed)
    return Catalog.from_kinetics_csv(drawn, place / "videos").frame


class _Pool:
    """Videos whose labels are known but not told, and those held out."""

    def __init__(self, features: np.ndarray, listed: pd.DataFrame) -> None:
        self.labels = listed["category"].to_numpy(str)
        self.categories = sorted(set(self.labels))
        self.learned = (listed["split"] == "train").to_numpy()
        self.own = np.flatnonzero(self.learned)
        self.points = ranking.space(features, self.learned)

    def first(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """bool (videos,): the labelled ones to begin with, each category once or more."""
        order = rng.permutation(self.own)
        learned = set(self.labels[self.own])
        if lacking := [name for name in self.categories if name not in learned]:
            raise HarlibError(
                f"no training video that can be read is of {names.first(lacking)}: every category "
                "needs one"
            )
        once = [next(v for v in order if self.labels[v] == name) for name in self.categories]
        rest = [video for video in order if video not in set(once)]
        if count < len(once) or count > len(order):
            raise HarlibError(
                f"{count} videos to begin with: give {len(once)} (each category once) to "
                f"{len(order)}"
            )
        begin = np.zeros(len(self.labels), bool)
        begin[[*once, *rest[: count - len(once)]]] = True
        return begin

    def curve(
        self, way: str, begin: np.ndarray, rounds: int, size: int, seed: int
    ) -> list[dict[str, Any]]:
        """Rows `labels, accuracy`, from the beginning on."""
        labelled, points = begin.copy(), []
        for number in range(rounds + 1):
            guesses = self._learn(labelled)
            right = guesses.argmax(axis=1) == self._numbers
            points.append(
                {"labels": int(labelled.sum()), "accuracy": float(right[~self.learned].mean())}
            )
            if number < rounds:
                chosen = ranking.order(
                    self.points[self.own],
                    labelled[self.own],
                    size,
                    by=way,
                    probabilities=guesses[self.own],
                    seed=1000 * seed + number,
                )
                labelled[self.own[chosen]] = True
        return points

    @property
    def _numbers(self) -> np.ndarray:
        return np.searchsorted(self.categories, self.labels)

    def _learn(self, labelled: np.ndarray) -> np.ndarray:
        known = np.flatnonzero(labelled)
        found = guessing.probabilities(
            self.points, known, self.labels[known].tolist(), self.categories
        )
        assert found is not None  # each category has a label
        return found

    def ceiling(self) -> dict[str, Any]:
        """Labels and accuracy where all labels are told."""
        right = self._learn(self.learned).argmax(axis=1) == self._numbers
        return {"labels": len(self.own), "accuracy": float(right[~self.learned].mean())}
