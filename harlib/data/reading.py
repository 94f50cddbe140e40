"""Reading ahead: a dataset's elements from threads or processes, always in the dataset's order."""

import collections
import os
import pickle
import shutil
import signal
import weakref
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.shared_memory import SharedMemory

import grain

from harlib.data import memory, processes


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
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (dataset,))
    slots, pending = [], collections.deque()
    free = weakref.finalize(pool, _unlink, slots)  # also when the interpreter ends first
    count = len(dataset)
    try:
        for i in range(min(ahead, count)):
            pending.append(_submit(pool, i, None))
        for i in range(count):
            shell, parts = _result(pending.popleft())
            if parts and isinstance(parts[0], int):
                arrays = _taken(slots[i % ahead], parts)
            else:
                arrays = [bytearray(part) for part in parts]
                if not slots:
                    slots.extend(_slots(ahead, sum(map(len, parts))))
            if i + ahead < count:
                slot = slots[i % ahead].name if slots else None
                pending.append(_submit(pool, i + ahead, slot))
            yield pickle.loads(shell, buffers=arrays)
    finally:
        pool.shutdown(cancel_futures=True)
        free()


def _submit(pool, i, slot):
    # It may start a process, which inherits what is blocked: Ctrl-C reaches the whole group, but
    # the parent decides when its workers stop.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_read, i, slot)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _result(future):
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a reading process was killed, perhaps for memory: fewer workers need less"
        ) from error


def _slots(count, size):
    """Shared memory for `count` elements of `size` bytes.

    None where there is too little (64 MB in a container by default), as writing beyond its end
    kills a process: elements then come through a pipe, five times slower.
    """
    if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free < 2 * count * size:
        return []
    return [SharedMemory(create=True, size=max(1, size)) for _ in range(count)]


def _taken(slot, lengths):
    arrays, end = [memory.empty((length,)) for length in lengths], 0
    for array in arrays:
        array[:] = slot.buf[end : end + len(array)]
        end += len(array)
    return arrays


def _unlink(slots):
    for slot in slots:
        slot.close()
        slot.unlink()
    slots.clear()


def _start_worker(dataset):
    global _dataset, _attached
    _dataset, _attached = dataset, {}
    processes.follow(parent_process().pid)


def _read(i, slot):
    """In a worker: element i as (its pickle, its arrays' bytes), or, where these fit into the slot
    of shared memory and are written there, (its pickle, their lengths)."""
    buffers = []
    shell = pickle.dumps(_dataset[i], protocol=5, buffer_callback=buffers.append)
    parts = [buffer.raw() for buffer in buffers]
    if slot is not None and slot not in _attached:
        _attached[slot] = SharedMemory(slot)
    if slot is None or sum(map(len, parts)) > _attached[slot].size:
        return shell, [bytes(part) for part in parts]
    end = 0
    for part in parts:
        _attached[slot].buf[end : end + len(part)] = part
        end += len(part)
    return shell, [len(part) for part in parts]
