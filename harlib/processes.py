"""Worker processes that end with their work, and with the program that started them."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
from joblib.externals.loky import get_reusable_executor


@contextmanager
def parallel(count: int, **options: Any) -> Iterator[Any]:
    """A joblib.Parallel on `count` processes, which are gone at the end of the block."""
    workers = joblib.parallel_config("loky", initializer=follow, initargs=(os.getpid(),))
    try:
        with workers, joblib.Parallel(n_jobs=count, **options) as calls:
            yield calls
    finally:
        if joblib.effective_n_jobs(count) > 1:
            # joblib would keep them for its next call, with the memory that training wants;
            # after an error they may be in the middle of a minute's task
            get_reusable_executor(kill_workers=True).shutdown(kill_workers=True)


def follow(parent: int) -> None:
    """Called in a worker: end it within a second of its parent's end.

    A killed parent cannot stop its workers. Ctrl-C reaches them too, but is the parent's to answer:
    it ends them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
