"""How far a run is: `progress.json` in its folder, for programs that watch it while it works.

`stage`, `done` of `total` pieces, and `seconds_left` of the stage, null while nothing sound is
known; of a training also `epoch`, `epochs` and `loss`.
"""

import contextlib
import json
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from tqdm import tqdm

from harlib import files
from harlib.run_folder import RunFolder
from harlib.text import stopwatch

# From this number of pieces on, their mean is taken for that of all.
_ENOUGH = 3


class Pace:
    """Seconds of one piece of work, a step say, by the latest of those that were done.

    The first piece does not count: it builds a graph, or starts what works ahead. Nor do those
    after it that took five times as long as is usual (JAX may compile twice).
    """

    def __init__(self, latest: int = 200) -> None:
        self.begun = False
        self._warm = False
        self._seconds: deque[float] = deque(maxlen=latest)

    def add(self, seconds: float) -> None:
        """One more piece took `seconds`."""
        if self.begun:
            self._seconds.append(seconds)
        self.begun = True

    def seconds(self) -> float | None:
        """The mean of the latest; None while there are fewer than three."""
        if len(self._seconds) < _ENOUGH:
            return None
        usual = statistics.median(self._seconds)
        while not self._warm and self._seconds[0] > 5 * usual:
            self._seconds.popleft()
        self._warm = len(self._seconds) == self._seconds.maxlen
        return statistics.fmean(self._seconds)


class Stage:
    """One stage of a run: writes the run's `progress.json`, once a second at most.

    Work that is counted in pieces calls `begin`, then `at` after each piece, and the time left
    follows from its own speed; other work calls `write` with what it knows. Without a folder
    nothing is written.
    """

    done = total = 0

    def __init__(
        self,
        run_dir: os.PathLike | str | None,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path, self.name = None if run_dir is None else RunFolder(run_dir).progress, name
        self._clock = clock
        self._written: float | None = None

    def begin(self, done: int, total: int, *, together: int = 1) -> None:
        """`done` of `total` pieces were there before; `together`: how many are worked on at once.

        Of one at a time the first does not count, as in `Pace`; of several at once the first ones
        come in a burst, so none is left out.
        """
        self.done, self.total = done, total
        self._together, self._calls = together, 0
        self._from = self._clock(), done
        self.write(done, total, 0.0 if done == total else None, now=True)

    def at(self, done: int) -> None:
        """`done` pieces are done now."""
        now, left = self._clock(), None
        self.done = done
        self._calls += 1
        if self._together == 1 and self._calls == 1:
            self._from = now, done
        since, before = self._from
        if self._calls > max(_ENOUGH, 2 * self._together) and done > before:
            under_way = (self._together - 1) / 2  # the others are half done on average
            rest = max(0.0, self.total - done - under_way)
            left = (now - since) / (done - before + under_way) * rest
        self.write(done, self.total, 0.0 if done == self.total else left, now=done == self.total)

    def write(
        self,
        done: int | None = None,
        total: int | None = None,
        seconds_left: float | None = None,
        *,
        now: bool = False,
        **more: Any,
    ) -> None:
        """Writes the file, unless that was done within the last second; with `now` always.

        done, total: None where the pieces are not counted. seconds_left: None when not known.
        """
        if self.path is None:
            return
        if not now and self._written is not None and self._clock() - self._written < 1:
            return
        left = None if seconds_left is None else round(seconds_left, 1)
        state = {"stage": self.name, "done": done, "total": total, "seconds_left": left} | more
        files.write_json(self.path, state, durable=False)
        self._written = self._clock()


class StoppedAt(KeyboardInterrupt):
    """Ctrl-C, with where it stopped the work; what was done is kept."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where}; run again to resume there")
        self.where = where


class Told(Protocol):
    """Who is told how far a piece of work is: a `Stage`, or a bar."""

    done: int
    total: int

    def begin(self, done: int, total: int, *, together: int = 1) -> None:
        """As `Stage.begin`."""

    def at(self, done: int) -> None:
        """As `Stage.at`."""


class _Bar:
    """A bar on the terminal, told as a `Stage` is."""

    done = total = 0

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar

    def begin(self, done: int, total: int, *, together: int = 1) -> None:
        self.done, self.total = done, total
        # what is done already counts neither as speed nor in the time left
        self._bar.total = total
        self._bar.initial = self._bar.n = self._bar.last_print_n = done
        self._bar.refresh()

    def at(self, done: int) -> None:
        self.done = done
        self._bar.update(done - self._bar.n)


@contextlib.contextmanager
def shown(progress: bool | Stage, name: str, unit: str, *, kept: bool = True) -> Iterator[Told]:
    """What to tell (`begin`, `at`) how far a piece of work is: the stage, or a bar where True.

    Raises:
        StoppedAt: Ctrl-C, where what is done is `kept`.
    """
    with contextlib.ExitStack() as stack:
        told: Told
        if isinstance(progress, Stage):
            told = progress
        else:
            told = _Bar(stack.enter_context(tqdm(desc=name, unit=unit, disable=not progress)))
        try:
            yield told
        except KeyboardInterrupt:
            if not kept:
                raise
            units = f"{unit}es" if unit.endswith("ch") else f"{unit}s"
            raise StoppedAt(
                f"{name}: stopped after {told.done:,} of {told.total:,} {units}"
            ) from None


def read(run_dir: os.PathLike | str, since: float = 0.0) -> dict[str, Any] | None:
    """What the run's `progress.json` says; None without one, or with one older than `since`.

    since: seconds of `time.time`, as the run began.
    """
    path = RunFolder(run_dir).progress
    try:
        return json.loads(path.read_text()) if path.stat().st_mtime >= since else None
    except (FileNotFoundError, json.JSONDecodeError):
        return None  # it is not flushed to the disk, so a power cut may leave an empty one


def told(state: dict[str, Any]) -> str:
    """The state in a few words, as "epoch 3/26, loss 1.204, 3:10 min left"."""
    parts = [state["stage"]]
    if "epoch" in state:
        parts = [] if state["stage"] == "training" else parts
        parts += [f"epoch {state['epoch']}/{state['epochs']}", f"loss {state['loss']:.3f}"]
    elif state["total"]:
        parts[0] += f" {state['done']:,}/{state['total']:,}"
    if state["seconds_left"] is not None:
        parts.append(f"{stopwatch(state['seconds_left'])} left")
    return ", ".join(parts)
