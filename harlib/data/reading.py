"""Reading ahead: a dataset's batches from threads and worker processes, always in its order."""

import multiprocessing
import os
import signal
import threading
import time

import grain
import numpy as np


def iterate(dataset, *, start=0, stop=None, threads=2, workers=0, prefetch=None):
    """Iterate over `dataset[start:stop]`, reading ahead; the order never depends on how.

    Close the iterator (or drop it) to stop the readers.

    Args:
        threads: reading threads of each process; 0 reads when asked.
        workers: reading processes; 0 reads in this one. They are started by `spawn`: a script needs
            its `if __name__ == "__main__"`.
        prefetch: batches read ahead by each process, at least `threads`; by default 2 a thread.

    Raises:
        ReadError: when a video cannot be read, also in a worker.
    """
    for name, value in (("threads", threads), ("workers", workers)):
        if value < 0:
            raise ValueError(f"{name} must be 0 or more, received {value}")
    prefetch = 2 * max(1, threads) if prefetch is None else max(prefetch, threads, 1)
    options = grain.ReadOptions(
        num_threads=threads, prefetch_buffer_size=prefetch if threads else 0
    )
    ahead = dataset[start:stop].to_iter_dataset(options)
    if workers:
        from absl import flags

        if not flags.FLAGS.is_parsed():  # never parsed in a notebook kernel; Grain reads them
            flags.FLAGS.mark_as_parsed()
        ahead = ahead.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=prefetch),
            worker_init_fn=_start_worker,
        )
    return _closing(ahead)


def _closing(dataset):
    iterator = iter(dataset)
    try:
        for element in iterator:
            # A worker's arrays lie in shared memory until they are dropped: a caller who keeps
            # batches would fill /dev/shm, which holds 64 MB in a container by default.
            plain = _copied(element)
            del element
            yield plain
    finally:
        iterator.close()


def _copied(element):
    if isinstance(element, dict):
        return {key: _copied(value) for key, value in element.items()}
    if isinstance(element, tuple):
        return tuple(_copied(value) for value in element)
    return element if type(element) is np.ndarray else np.array(element)


def _start_worker(index, count):
    # Ctrl-C reaches the whole group: the parent decides when its workers stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent():
    """A killed parent cannot stop its workers: they end themselves within a second."""
    parent = multiprocessing.parent_process().pid
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
