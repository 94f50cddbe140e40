"""Reading ahead: a dataset's elements from threads or processes, always in the dataset's order."""

import contextlib
import os
from collections.abc import Generator, Iterator
from typing import Any

import grain

from harlib import HarlibError
from harlib.data.loading.workers import Workers
from harlib.data.store.clip_store import ClipStore


class ReadError(HarlibError, RuntimeError):
    """A video of the store could not be made into a clip; the message names it."""


@contextlib.contextmanager
def naming(store: ClipStore, row: int) -> Iterator[None]:
    """Names the video in every error of its block."""
    try:
        yield
    except Exception as error:
        video = store.videos.iloc[row]
        raise ReadError(
            f"video {video['video_id']!r} ({video['split']}, {video['category']}, row {row}) "
            f"cannot be made into a clip: {type(error).__name__}: {error}"
        ) from error


def iterate(
    dataset: grain.MapDataset,
    *,
    start: int = 0,
    stop: int | None = None,
    threads: int = 2,
    workers: int = 0,
    prefetch: int | None = None,
) -> Generator[Any, None, None]:
    """Iterate over `dataset[start:stop]`, reading ahead; what comes never depends on how.

    Close the iterator, or drop it, to stop the readers.

    Args:
        dataset: a grain.MapDataset, such as the loader's.
        threads: reading threads of this process; 0 reads an element when it is asked for.
        workers: reading processes instead of threads. They are spawned: a script needs its
            `if __name__ == "__main__"`. They write to an array's memory again when the program
            has dropped it: a process forked from the program needs a copy.
        prefetch: elements read ahead, at least one a reader, by processes at most 512; by default
            two a reader.

    Raises:
        ReadError: when a video cannot be read, also in a worker.
    """
    for name, value in (("threads", threads), ("workers", workers)):
        if value < 0:
            raise ValueError(f"{name} must be 0 or more, received {value}")
    if workers and os.name != "posix":
        raise HarlibError(
            f"workers={workers}: reading processes need Linux or macOS; on Windows give threads"
        )
    readers = workers or threads
    ahead = 2 * readers if prefetch is None else max(prefetch, readers)
    part = dataset[start:stop]
    if workers:
        return _from_processes(part, workers, ahead)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead if threads else 0)
    return _from_threads(part.to_iter_dataset(options))


def _from_threads(dataset: grain.IterDataset) -> Generator[Any, None, None]:
    iterator = iter(dataset)
    try:
        yield from iterator
    finally:
        iterator.close()


def _from_processes(
    dataset: grain.MapDataset, workers: int, ahead: int
) -> Generator[Any, None, None]:
    # Not Grain's mp_prefetch: 0.2.18 keeps each worker's last elements in shared memory, prints
    # errors when the interpreter ends before the iterator does, and maps new memory for every one.
    readers = Workers(dataset, min(workers, len(dataset)), ahead)
    try:
        for _ in range(len(dataset)):
            taken = [readers.take()]
            if taken[0] is not None:  # Grain's iterators skip what a filter left out, too
                yield taken.pop()  # kept in no variable, or its memory would wait
    finally:
        readers.close()
