"""A reading process: it fills memory that the program maps, and tells it where an element lies.

Reading raw clips sweeps the caches, which makes slow whatever runs between two batches: so it is
little, and what does not change, the form of an element, is sent once.
"""

import contextlib
import os
import pickle
import struct
import traceback
from dataclasses import dataclass
from multiprocessing import reduction
from typing import Any, NamedTuple

import numpy as np

from harlib import processes
from harlib.data import buffers

SMALL = 1 << 12  # bytes of an array that go through the pipe
FILES = 1 << 12  # that may be open: memory is two, and 1,024 is a usual limit
# A record begins with its bytes, the element's number, the bytes of places and of the message.
# A place is a large array's slot, its file's descriptor in the process and its first byte there.
# The message is a pickle, or nothing: an error, or (form, rest). Then come the small arrays.
HEAD, PLACE, NUMBER = struct.Struct("4q"), struct.Struct("3q"), struct.Struct("q")


class Array(NamedTuple):
    """Stands for an array in an element's form."""

    dtype: np.dtype
    shape: tuple[int, ...]
    size: int  # bytes
    writeable: bool


@dataclass(frozen=True)
class Dict:
    """Stands for a dict, whose order counts."""

    items: tuple


def work(
    dataset: Any,
    baton: Any,
    ahead: int,
    turns: Any,
    records: Any,
    link: Any,
    dropped: Any,
    parent: int,
) -> None:
    """Read elements, `ahead` and one for each byte from `turns`, until the parent ends it."""
    processes.follow(parent)
    buffers.share()
    import resource  # not on Windows, where these processes are refused

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES if hard < 0 else min(FILES, hard), hard))
    sender = _Sender(records, link, dropped, parent)
    with contextlib.suppress(ConnectionError):  # the parent has enough
        while True:
            if not ahead:
                ahead = len(os.read(turns.fileno(), 1 << 10))
                if not ahead:
                    return
            ahead -= 1
            (number,) = NUMBER.unpack(os.read(baton[0].fileno(), NUMBER.size))
            os.write(baton[1].fileno(), NUMBER.pack(number + 1))
            if number >= len(dataset):
                break
            sender.forget()
            large: list[tuple[np.ndarray, tuple[int, int]]] = []
            small: list[bytes] = []
            rest: list = []
            try:
                form = _apart(dataset[number], large, small, rest)
                message = sender.message(form, rest)
            except Exception as error:
                sender.write(number, b"", pickle.dumps(_portable(error)), b"")
                break
            sender.send(number, large, message, small)
            del large  # or its memory would wait until after the next
        while os.read(turns.fileno(), 1 << 10):
            pass  # until the parent, which may still take what was sent, ends it


class _Sender:
    """What a process knows of what it sent."""

    def __init__(self, records: Any, link: Any, dropped: Any, parent: int) -> None:
        self._records, self._link, self._parent = records.fileno(), link, parent
        self._kept: dict[int, np.ndarray] = {}  # slot -> array that the parent may still show
        self._dropped = dropped
        self._free: list[int] = []  # slots that were used before
        self._form: Any = None  # what the parent knows: form, file descriptors
        self._sent: set[int] = set()

    def forget(self) -> None:
        """Let go of the arrays of which the parent has no view left."""
        for slot in [slot for slot in self._kept if self._dropped[slot]]:
            self._dropped[slot] = 0
            del self._kept[slot]
            self._free.append(slot)

    def message(self, form: Any, rest: list) -> bytes:
        """What of an element's form and rest the parent does not know."""
        if form == self._form and not rest:
            return b""
        message = pickle.dumps((form, rest))
        self._form = form
        return message

    def send(self, number: int, large: list, message: bytes, small: list) -> None:
        """An element as `_apart` took it apart."""
        places, new = b"", []
        for array, (file, begin) in large:
            slot = self._free.pop() if self._free else len(self._kept)
            self._kept[slot] = array
            places += PLACE.pack(slot, file, begin)
            if file not in self._sent:
                self._sent.add(file)
                new.append(file)
        self.write(number, places, message, b"".join(small))
        for file in new:
            reduction.send_handle(self._link, file, self._parent)

    def write(self, number: int, places: bytes, message: bytes, small: bytes) -> None:
        size = HEAD.size + len(places) + len(message) + len(small)
        record = HEAD.pack(size, number, len(places), len(message)) + places + message + small
        while record:
            record = record[os.write(self._records, record) :]


def _apart(element: Any, large: list, small: list, rest: list) -> Any:
    """The form of an element of tuples, lists and dicts: `Array` for its arrays, None for the rest.

    Appends each large array, in shared memory, with its place there; bytes of small ones.
    """
    kind = type(element)
    if kind is np.ndarray and not element.dtype.hasobject:
        if element.nbytes <= SMALL:
            small.append(element.tobytes())
        else:
            large.append(_shared(element))
        return Array(element.dtype, element.shape, element.nbytes, element.flags.writeable)
    if kind is dict:
        parts = element.items()
        return Dict(tuple((key, _apart(part, large, small, rest)) for key, part in parts))
    if kind in (tuple, list):
        return kind([_apart(part, large, small, rest) for part in element])
    rest.append(element)
    return None


def _shared(array: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The array, or a copy of it, in shared memory, and its place there."""
    if array.flags.c_contiguous and (place := buffers.place(array)):
        return array, place
    copy = buffers.empty((array.nbytes,))
    np.ndarray(array.shape, array.dtype, copy)[...] = array
    place = buffers.place(copy)
    assert place is not None  # `buffers.share` was called
    return copy, place


def _portable(error: BaseException) -> BaseException:
    """The error as the parent may have it, with where it arose."""
    note = "in a reading process:\n" + traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error
