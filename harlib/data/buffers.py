"""Memory for clips and batches that is used again once they are dropped.

Fresh memory of megabytes costs the kernel more time than filling it with raw clips, above all
when several threads ask for it at once.
"""

import collections
import math
import mmap
import os
import tempfile
import weakref

import numpy as np

KEPT = 16  # dropped buffers of a size that wait to be used again
_shared: dict[int, tuple[int, int]] = {}  # file -> (first address, size) of its buffer
_sharing = False


def _waiting() -> collections.deque[mmap.mmap]:
    # a buffer that another process maps stays
    return collections.deque(maxlen=None if _sharing else KEPT)


_dropped: dict[int, collections.deque[mmap.mmap]] = collections.defaultdict(_waiting)  # by size
_given: dict[
    int, tuple
] = {}  # a weak reference's id -> itself, where its array's buffer goes then, and the buffer


def empty(shape: tuple[int, ...]) -> np.ndarray:
    """As `np.empty(shape, np.uint8)`; its memory is used again when no view of it is left."""
    bits = max(math.prod(shape) - 1, 0).bit_length()  # so videos of nearly one size share
    try:
        buffer = _dropped[bits].pop()
    except IndexError:
        # no array: views of the array then keep the array itself, whose end is waited for
        buffer = _new_shared(1 << bits) if _sharing else _new(1 << bits)
    array = np.ndarray(shape, np.uint8, buffer)
    reference = weakref.ref(array, _drop)
    _given[id(reference)] = reference, _dropped[bits], buffer
    return array


def _drop(reference: weakref.ref, given: dict = _given) -> None:
    _, waiting, buffer = given.pop(id(reference))
    waiting.append(buffer)


def share() -> None:
    """From now on, memory that `empty` gives lies in files that another process can map."""
    global _sharing
    _sharing = True
    _dropped.clear()


def place(array: np.ndarray) -> tuple[int, int] | None:
    """(file descriptor, first byte there) of a contiguous array in shared memory, else None."""
    address = array.__array_interface__["data"][0]
    for file, (first, size) in _shared.items():
        if first <= address < first + size:
            return file, address - first
    return None


def _new(size: int) -> mmap.mmap:
    # private, or a forked process would write into the same
    if os.name != "posix":
        return mmap.mmap(-1, size)  # Windows forks no processes
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _new_shared(size: int) -> mmap.mmap:
    """In a file without a name, which nobody has to remove."""
    if hasattr(os, "memfd_create"):  # not limited as /dev/shm is, to 64 MB in a container
        file = os.memfd_create("har")
    else:
        file, path = tempfile.mkstemp()
        os.unlink(path)
    os.ftruncate(file, size)
    buffer = mmap.mmap(file, size)
    first = np.frombuffer(buffer, np.uint8).__array_interface__["data"][0]
    _shared[file] = first, size
    return buffer
