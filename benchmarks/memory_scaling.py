"""What two cores get of one memory: the part of reading raw clips that is no program's doing.

    python benchmarks/memory_scaling.py [--rounds 20]

Two processes, each pinned to a core, do the same work alone and together, in turns; nothing is
handed over and no harlib code runs. The cores must be idle otherwise. Printed: medians over the
rounds of a call's microseconds, and how many times one core two cores are. The frames are 128 x 170
pixels, as `har bench data` reads them, 600 MB of them, more than a cache holds.
"""

import argparse
import mmap
import os
import statistics
import time
from multiprocessing import get_context

import numpy as np

HEIGHT, WIDTH, SIZE, CLIP, BATCH = 128, 170, 112, 16, 128
FRAMES = 600_000_000 // (HEIGHT * WIDTH * 3)
LINE = 64  # bytes that come from memory at a time
SECONDS = 0.4  # of a turn


def works(frames, rng):
    """Name -> function that does a thing once."""
    flat = frames.reshape(-1)
    hot = np.empty((CLIP, SIZE, SIZE, 3), np.uint8)
    batch = np.ones((BATCH, *hot.shape), np.uint8)

    def clip(first):
        top, left = rng.integers(0, (HEIGHT - SIZE, WIDTH - SIZE))
        return frames[first : first + CLIP, top : top + SIZE, left : left + SIZE]

    def anywhere():
        return int(rng.integers(0, len(frames) - CLIP))

    def touch():
        first = anywhere() * HEIGHT * WIDTH * 3
        flat[first : first + CLIP * HEIGHT * WIDTH * 3 : LINE].max()

    return {
        "arithmetic": lambda: sum(range(1000)),
        "a clip from the cache to the cache": lambda: np.copyto(hot, clip(0)),
        "a clip from memory to the cache": lambda: np.copyto(hot, clip(anywhere())),
        "a clip from the cache to a batch": lambda: np.copyto(batch[rng.integers(BATCH)], clip(0)),
        "a clip from memory to a batch": lambda: np.copyto(
            batch[rng.integers(BATCH)], clip(anywhere())
        ),
        "a megabyte of whole frames touched": touch,
    }


def answer(link, frames, core):
    """Microseconds of one call for every name that comes."""
    os.sched_setaffinity(0, {core})
    known = works(frames, np.random.default_rng(core))
    link.send([*known])
    while True:
        work, calls, begin = known[link.recv()], 0, time.perf_counter()
        while (spent := time.perf_counter() - begin) < SECONDS:
            for _ in range(50):
                work()
            calls += 50
        link.send(spent / calls * 1e6)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--cores", type=int, nargs=2, default=(0, 1))
    options = parser.parse_args()
    size = FRAMES * HEIGHT * WIDTH * 3
    frames = np.frombuffer(mmap.mmap(-1, size), np.uint8).reshape(-1, HEIGHT, WIDTH, 3)
    frames[...] = 1  # or all pages would be one page of zeros
    fork, links = get_context("fork"), []
    for core in options.cores:
        link, other = fork.Pipe()
        fork.Process(target=answer, args=(other, frames, core), daemon=True).start()
        links.append(link)
        names = link.recv()
    alone, together = {name: [] for name in names}, {name: [] for name in names}
    for turn in range(options.rounds):
        for name in names:
            link = links[turn % 2]
            link.send(name)
            alone[name].append(link.recv())
            for link in links:
                link.send(name)
            together[name].append(statistics.mean(link.recv() for link in links))
    for name in names:
        one, both = statistics.median(alone[name]), statistics.median(together[name])
        print(f"{name:36} {one:7.1f} alone {both:7.1f} together: {2 * one / both:.2f} x one core")


if __name__ == "__main__":
    main()
