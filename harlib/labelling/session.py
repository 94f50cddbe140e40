"""A sitting of one person: which video is shown, what the keys mean, what has been labelled."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from harlib import HarlibError
from harlib.data.catalog import names
from harlib.labelling import guessing, ranking
from harlib.labelling.looking import Seen
from harlib.labelling.table import Labels

ROUND = 20
"""Labels after which videos are ordered anew, and after which it is worth to train again."""
KEYS = "123456789abcdefghijklmopqrtvwxyz"  # n: a new category, s: skip, u: undo
BLIND, GUESSING = "typical", "unsure-groups"  # what measured best: `har bench label`
_GUESSES = 3
_WINDOWS = os.name == "nt"


class Session:
    """Gives the videos to label one after the other, and takes the labels.

    A video is known by its number in `seen`. The network's own probabilities order them where its
    categories are the person's; else those of a probe that is fitted anew every `size` labels.

    Args:
        categories: those that have a key from the start.
        by: a name of `ranking.WAYS`; None for what measured best, with and without guesses.
        size: of a round.
    """

    def __init__(
        self,
        seen: Seen,
        labels: Labels,
        categories: Sequence[str] = (),
        *,
        by: str | None = None,
        size: int = ROUND,
    ) -> None:
        self.seen, self.labels, self._by, self._size = seen, labels, by, size
        self._own = list(categories) if seen.probabilities is not None else []
        self.categories: list[str] = []
        self._take_up(categories)
        self._points = ranking.space(seen.features)
        self._queue: list[int] = []
        self._guesses: np.ndarray | None = None
        self._new = self._skips = 0
        self._lock = threading.Lock()  # of requests that come at once
        self._rank()

    def state(self) -> dict[str, Any]:
        """What the page shows: the video, its guesses, keys, counts and what to do next."""
        with self._lock:
            return self._state()

    def label(self, number: int, label: str) -> dict[str, Any]:
        """Labels a video; returns the next state.

        Raises:
            HarlibError: no such video, it is labelled already or gone, or the label is no text.
        """
        with self._lock:
            label = self._called(label)
            self.labels.add(self._video(number), label)
            self._new += 1
            self._take(number)
            return self._state()

    def skip(self, number: int) -> dict[str, Any]:
        """Sets a video aside; returns the next state.

        Raises:
            HarlibError: no such video.
        """
        with self._lock:
            video = self._video(number)
            if not self.labels.is_skipped(video):
                self.labels.skip(video)
                self._skips += 1
            self._take(number)
            return self._state()

    def undo(self) -> dict[str, Any]:
        """Takes back the last label or skip, and shows that video again.

        Raises:
            HarlibError: there is nothing to take back.
        """
        with self._lock:
            before = self.labels.counts.total()
            video = self.labels.undo()
            if self.labels.counts.total() < before:
                self._new -= 1
            else:
                self._skips -= 1
            self._queue.insert(0, self.seen.videos.index(video))
            return self._state()

    def _state(self) -> dict[str, Any]:
        self._take_up(self.labels.categories)
        counts = self._counts()
        left = int((~self._done()).sum())
        keys = dict(zip(self.categories, KEYS, strict=False))
        state: dict[str, Any] = {
            "left": left,
            "new": self._new,
            "skipped": self._skips,
            "labelled": counts.total(),
            "categories": [
                {"label": name, "key": keys.get(name, ""), "count": counts[name]}
                for name in self.categories
            ],
            "train": self._train(),
            "video": None,
            "then": None,
        }
        if self._queue:
            number = self._queue[0]
            state["video"] = {
                "number": number,
                "name": names.printable(os.path.basename(self.seen.videos[number])),
                "guesses": self._guessed(number),
            }
            state["then"] = self._queue[1] if len(self._queue) > 1 else None
        return state

    def _train(self) -> list[str]:
        """The commands that learn from the labels, once a round of them is new."""
        if self._new < self._size:
            return []
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", self.labels.path.stem).strip("-") or "labels"
        name = f"{stem}-{self.labels.counts.total()}"
        shown = self.labels.shown
        quoted = subprocess.list2cmdline([shown]) if _WINDOWS else shlex.quote(shown)
        return [
            f"har new-study {name} --videos {quoted}",
            f"har study {name}",
        ]

    def _guessed(self, number: int) -> list[dict[str, Any]]:
        if self._guesses is None:
            return []
        chances = self._guesses[number]
        best = np.argsort(-chances, kind="stable")[:_GUESSES]
        return [
            {"label": self._named[place], "probability": round(float(chances[place]), 3)}
            for place in best
            if chances[place] >= 0.01
        ]

    def _called(self, label: str) -> str:
        """The category that a label is a spelling of; a new one in single blanks."""
        label = " ".join(label.split())
        return self._spelled([label])[label] if label else label  # the table refuses an empty one

    def _spelled(self, labels: Iterable[str]) -> dict[str, str]:
        """{label: the category that it is a spelling of}; of several new ones the first."""
        labels = list(labels)
        known = names.alike([*self.categories, *labels])
        first: dict[str, str] = {}
        for name in [*self.categories, *labels]:
            first.setdefault(known[name], name)
        return {label: first[known[label]] for label in labels}

    def _take_up(self, labels: Iterable[str]) -> None:
        """New categories get a key each; the table may have grown by other hands."""
        found = self._spelled(labels).values()
        self.categories = list(dict.fromkeys([*self.categories, *found]))

    def _counts(self) -> Counter[str]:
        """How many videos the table has of each category."""
        counts = self.labels.counts
        spelled = self._spelled(counts)
        return Counter(spelled[label] for label in counts.elements())

    def _video(self, number: int) -> str:
        if not 0 <= number < len(self.seen.videos):
            raise HarlibError(
                f"there is no video {number}: they are 0 to {len(self.seen.videos) - 1}"
            )
        return self.seen.videos[number]

    def _take(self, number: int) -> None:
        self._queue = [one for one in self._queue if one != number]
        if not self._queue:
            self._rank()

    def _done(self) -> np.ndarray:
        """bool (videos,): labelled, or set aside."""
        has = self.labels
        return np.array([has.label(v) is not None or has.is_skipped(v) for v in self.seen.videos])

    def _rank(self) -> None:
        """Chooses the videos of the next round."""
        done = self._done()
        self._take_up(self.labels.categories)
        self._named = self._own or list(self.categories)
        self._guesses = self.seen.probabilities
        if self._guesses is None:
            labels = [self.labels.label(video) for video in self.seen.videos]
            known = [place for place, label in enumerate(labels) if label is not None]
            spelled = self._spelled(label for label in labels if label is not None)
            self._guesses = guessing.probabilities(
                self._points,
                np.array(known, int),
                [spelled[str(labels[place])] for place in known],
                self._named,
            )
        by = self._by or (BLIND if self._guesses is None else GUESSING)
        if self._by in ranking.GUESSING and self._guesses is None:
            by = BLIND  # the first labels have nothing to guess by
        order = ranking.order(
            self._points,
            done,
            self._size,
            by=by,
            probabilities=self._guesses,
            seed=int(done.sum()),
        )
        self._queue = [int(place) for place in order]
