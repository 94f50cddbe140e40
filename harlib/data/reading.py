"""Reading ahead: a dataset's elements from threads or processes, always in the dataset's order."""

import array
import collections
import contextlib
import mmap
import os
import pickle
import signal
import struct
import traceback
import weakref
from multiprocessing import get_context, reduction, resource_tracker

import grain
import numpy as np

from harlib.data import memory, processes

HELD = 8  # arrays of one worker that the program may keep in shared memory; it gets copies of more
SMALL = 1 << 14  # bytes of an array that go through the pipe
# A worker's message: where the places end; of every array its number, file, first byte and bytes;
# the element's pickle. The answer: elements taken, then the numbers of arrays no longer shown.
_END, _PLACE = struct.Struct("q"), struct.Struct("4q")


class ReadError(RuntimeError):
    """A video of the store could not be made into a clip; the message names it."""


@contextlib.contextmanager
def naming(store, row):
    """Names the video in every error of its block."""
    try:
        yield
    except Exception as error:
        video = store.videos.iloc[row]
        raise ReadError(
            f"video {video['video_id']!r} ({video['split']}, {video['category']}, row {row}) "
            f"cannot be made into a clip: {type(error).__name__}: {error}"
        ) from error


def iterate(dataset, *, start=0, stop=None, threads=2, workers=0, prefetch=None):
    """Iterate over `dataset[start:stop]`, reading ahead; what comes never depends on how.

    Close the iterator, or drop it, to stop the readers.

    Args:
        dataset: a grain.MapDataset, such as the loader's.
        threads: reading threads of this process; 0 reads an element when it is asked for.
        workers: reading processes in the place of threads. They are spawned: a script needs its
            `if __name__ == "__main__"`.
        prefetch: elements read ahead, at least one a reader; by default two a reader.

    Raises:
        ReadError: when a video cannot be read, also in a worker.
    """
    for name, value in (("threads", threads), ("workers", workers)):
        if value < 0:
            raise ValueError(f"{name} must be 0 or more, received {value}")
    readers = workers or threads
    ahead = 2 * readers if prefetch is None else max(prefetch, readers)
    part = dataset[start:stop]
    if workers:
        return _from_processes(part, workers, ahead)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead if threads else 0)
    return _from_threads(part.to_iter_dataset(options))


def _from_threads(dataset):
    iterator = iter(dataset)
    try:
        yield from iterator
    finally:
        iterator.close()


def _from_processes(dataset, workers, ahead):
    # Not Grain's mp_prefetch: 0.2.18 keeps each worker's last elements in shared memory, prints
    # errors when the interpreter ends before the iterator does, and maps new memory for every one.
    count = len(dataset)
    with contextlib.ExitStack() as stack:
        readers = []
        for first in range(min(workers, count)):
            numbers = range(first, count, workers)
            readers.append(_Worker(dataset, numbers, len(range(first, ahead, workers))))
            stack.callback(readers[-1].end)
        for i in range(count):
            yield readers[i % workers].take()


class _Worker:
    """A process that reads the elements of these numbers, at most `ahead` before they are taken.

    Arrays come as views of memory that both share, and that the process writes to again when no
    view is left. The memory has no name: it is gone when nobody maps it.
    """

    def __init__(self, dataset, numbers, ahead):
        spawn = get_context("spawn")
        self._link, link = spawn.Pipe()
        arguments = (dataset, numbers, ahead, link, os.getpid())
        process = spawn.Process(target=_work, args=arguments, daemon=True)
        # It inherits what is blocked: Ctrl-C reaches the whole group, but the parent decides when
        # its workers stop.
        resource_tracker.ensure_running()  # its start would unblock it
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            link.close()  # or the process's end would not be noticed
        self.end = weakref.finalize(self, _end, process)  # also when the interpreter ends first
        self._maps = {}  # file descriptor in the process -> its memory
        self._dropped = collections.deque()  # numbers of arrays of which no view is left
        self._lent, self._taken, self._ahead = 0, 0, ahead

    def take(self):
        """The next element."""
        try:
            message = memoryview(self._link.recv_bytes())
            (end,) = _END.unpack_from(message)
            arrays = [self._array(*place) for place in _PLACE.iter_unpack(message[_END.size : end])]
            self._taken += 1
            if 2 * self._taken >= self._ahead:  # fewer messages where more is read ahead
                dropped = [self._dropped.popleft() for _ in range(len(self._dropped))]
                self._lent -= len(dropped)
                self._link.send_bytes(array.array("q", (self._taken, *dropped)))
                self._taken = 0
        except (EOFError, ConnectionError) as error:
            raise RuntimeError(
                "a reading process was killed, perhaps for memory: fewer workers need less"
            ) from error
        element = pickle.loads(message[end:], buffers=arrays)
        if isinstance(element, Exception):
            raise element
        return element

    def _array(self, number, file, begin, length):
        if file not in self._maps:
            received = reduction.recv_handle(self._link)
            self._maps[file] = mmap.mmap(received, 0)
            os.close(received)
        view = np.ndarray(length, np.uint8, self._maps[file], begin)
        self._lent += 1
        if self._lent - len(self._dropped) > HELD:
            copy = memory.empty((length,))
            copy[:] = view
            self._dropped.append(number)
            return copy
        weakref.finalize(view, self._dropped.append, number).atexit = False
        return view


def _end(process):
    process.kill()  # it holds nothing that would outlive it
    process.join()


def _work(dataset, numbers, ahead, link, parent):
    """The process of a `_Worker`."""
    processes.follow(parent)
    memory.share()
    sent, kept, files = 0, {}, set()  # kept: arrays that the parent may still show, by number
    with contextlib.suppress(EOFError, ConnectionError):  # the parent has enough
        for number in numbers:
            while not ahead:
                ahead, *dropped = array.array("q", link.recv_bytes())
                for key in dropped:
                    del kept[key]
            ahead -= 1
            try:
                element, arrays = _apart(dataset[number])
            except Exception as error:
                link.send_bytes(_END.pack(_END.size) + pickle.dumps(_portable(error)))
                break
            places = [(*memory.place(part), len(part)) for part in arrays]
            packed = b"".join(_PLACE.pack(sent + i, *place) for i, place in enumerate(places))
            kept.update(enumerate(arrays, sent))
            sent += len(arrays)
            link.send_bytes(_END.pack(_END.size + len(packed)) + packed + element)
            for file, *_ in places:
                if file not in files:
                    files.add(file)
                    reduction.send_handle(link, file, parent)
        while True:  # until the parent, which may still take what was sent, ends it
            link.recv_bytes()


def _apart(element):
    """Its pickle, and its large arrays' bytes, uint8 (bytes,), in memory that is shared."""
    arrays = []

    def inside(buffer):
        part = np.frombuffer(buffer.raw(), np.uint8)
        if memory.place(part) is None:
            if len(part) <= SMALL:
                return True
            part, source = memory.empty(part.shape), part
            part[:] = source
        arrays.append(part)
        return False

    return pickle.dumps(element, protocol=5, buffer_callback=inside), arrays


def _portable(error):
    """The error as the parent may have it, with where it arose."""
    note = "in a reading process:\n" + traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error
