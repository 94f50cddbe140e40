"""What a second core is worth: clips per second of wall time on one core and on two.

A core is a real one: the readers, and the program that takes their batches, may run on no other.
One core reads in the program itself, two by threads or by worker processes. Two programs that read
each for itself, one a core, hand nothing over: what they reach is the most that the machine gives
two readers. The ways take turns, so that a change of the machine's speed meets all of them; other
programs must be idle, which `cores_busy` shows: less than 0.95 or 1.9 means that somebody else had
the cores, or that readers waited for each other.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

from harlib import processes
from harlib.data import iterate

# readers beside the program, and cores
WAYS = (("none", 1), ("threads", 2), ("workers", 2), ("programs", 2))
TURNS = 3
# Raw clips are read so quickly that handing batches over shows: less where a batch holds more.
BATCHES = (("raw", 32), ("raw", 128), ("jpeg", 32), ("h264", 32))
STUDY_BATCH = 32


def rows(
    datasets: dict,
    study_file: Path,
    seconds: float,
    frames: int,
    size: int,
    say: Callable[[str], object],
) -> list[dict]:
    """A row a way, one core first, of every dataset, by (codec, batch), and of the study's file."""
    result = []
    for (codec, batch), dataset in datasets.items():
        say(f"reading {codec} in batches of {batch} on 1 and 2 cores")
        result += _compared("harlib", codec, batch, _turns(dataset, seconds))
    speeds = {}
    for readers, cores in (("none", 1), ("workers", 2)):
        say(f"reading raw HDF5 by a Keras PyDataset on {cores} of the cores")
        speeds[readers, cores] = _study(study_file, seconds, cores, frames, size)
    return result + _compared("study-layout", "raw", STUDY_BATCH, speeds)


def _compared(engine: str, codec: str, batch: int, speeds: dict) -> list[dict]:
    rows = []
    for (readers, cores), measured in speeds.items():
        row = {"task": "scaling", "engine": engine, "codec": codec, "batch": batch}
        rows.append(row | {"readers": readers, "cores": cores} | measured)
        if {"clips_per_s"} <= measured.keys() & rows[0].keys():
            ratio = measured["clips_per_s"] / rows[0]["clips_per_s"]
            rows[-1]["times_one_core"] = round(ratio, 3)
    return rows


def _turns(dataset: Any, seconds: float) -> dict:
    """Clips/s and busy cores of every way."""
    clips, wall, busy = ({way: 0.0 for way in WAYS} for _ in range(3))
    with contextlib.ExitStack() as stack:
        readers = {}
        for turn in range(TURNS):
            for way in WAYS:
                with _cores(way[1]):  # readers start in the first turn and stay on these
                    if not turn:
                        readers[way] = _reader(dataset, *way)
                        stack.callback(readers[way].close)
                    readers[way].turn(seconds / TURNS / 3)  # others still read ahead
                    done, spent, used = readers[way].turn(seconds / TURNS)
                clips[way] += done
                wall[way] += spent
                busy[way] += used
    return {
        way: {
            "clips_per_s": round(clips[way] / wall[way], 2),
            "cores_busy": round(busy[way] / wall[way], 2),
        }
        for way in WAYS
    }


def _reader(dataset: Any, way: str, cores: int) -> "_Program | _Programs":
    if way == "programs":
        return _Programs(dataset, cores)
    return _Program(dataset, {"threads": 0} | ({way: cores} if cores > 1 else {}))


class _Program:
    """Takes batches as fast as they come."""

    def __init__(self, dataset: Any, options: dict) -> None:
        self._batches = iterate(dataset, **options)
        self.close = self._batches.close

    def turn(self, seconds: float) -> tuple[int, float, float]:
        """Clips, seconds, and CPU seconds of this process and its children."""
        for _ in range(4):  # what was read ahead while others were measured
            next(self._batches)
        own = [psutil.Process(), *psutil.Process().children()]

        def used() -> float:
            return sum(sum(process.cpu_times()[:2]) for process in own)

        clips, before, begin = 0, used(), time.perf_counter()
        while (spent := time.perf_counter() - begin) < seconds:
            clips += len(next(self._batches)[0])
        return clips, spent, used() - before


class _Programs:
    """So many of them, each in a process and on a core of its own, with other batches."""

    def __init__(self, dataset: Any, count: int) -> None:
        spawn, self._links, self._started = get_context("spawn"), [], []
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        for number in range(count):
            link, other = spawn.Pipe()
            own = dataset[number::count], other, os.getpid(), cores[number : number + 1]
            self._started.append(spawn.Process(target=_answer, args=own, daemon=True))
            self._started[-1].start()
            self._links.append(link)

    def turn(self, seconds: float) -> tuple[int, float, float]:
        for link in self._links:
            link.send(seconds)
        clips, spent, used = zip(*[link.recv() for link in self._links], strict=True)
        return sum(clips), max(spent), sum(used)

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.join()


def _answer(dataset: Any, link: Any, parent: int, core: set[int]) -> None:
    """One of `_Programs`: a turn for every number of seconds that comes."""
    processes.follow(parent)
    if core:
        os.sched_setaffinity(0, core)
    program = _Program(dataset, {"threads": 0})
    while True:
        link.send(program.turn(link.recv()))


@contextlib.contextmanager
def _cores(count: int) -> Iterator[None]:
    """What starts inside runs on `count` cores; where a system cannot say so, on any."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(every)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, every)


def _study(path: Path, seconds: float, cores: int, frames: int, size: int) -> dict:
    """In a program of its own with a time limit: Keras's forked workers are known to hang."""
    command = [sys.executable, "-m", "harlib.bench.raw_hdf5", str(path)]
    arguments = [frames, size, STUDY_BATCH, seconds, cores if cores > 1 else 0]
    limit = 60 + 5 * seconds
    try:
        with _cores(cores):
            done = subprocess.run(
                [*command, *map(str, arguments)], capture_output=True, text=True, timeout=limit
            )
    except subprocess.TimeoutExpired:
        return {"failed": f"no end after {limit:.0f} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1][:200]}
    return {"clips_per_s": round(json.loads(done.stdout.splitlines()[-1])["clips_per_s"], 2)}
