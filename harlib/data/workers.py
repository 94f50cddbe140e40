"""Reading processes: they fill memory that the program maps, and tell it where an element lies.

A process that is free takes the next element's number, so that a slow video or a slow core holds
nobody up. Reading raw clips sweeps the caches, which makes slow whatever runs between two batches:
so it is little, and what does not change, the form of an element, is sent once.
"""

import contextlib
import ctypes
import io
import mmap
import os
import pickle
import select
import signal
import struct
import traceback
import weakref
from dataclasses import dataclass
from multiprocessing import get_context, reduction, resource_tracker
from typing import NamedTuple

import numpy as np

from harlib.data import memory, processes

HELD = 8  # arrays of one process that the program may keep in shared memory; it gets copies of more
SMALL = 1 << 12  # bytes of an array that go through the pipe
AHEAD = 1 << 12  # elements at most: a byte for each must fit into a pipe
_SLOTS = 1 << 16
# A record begins with its bytes, the element's number, the bytes of places and of the message.
# A place is a large array's slot, its file's descriptor in the process and its first byte there.
# The message is a pickle, or nothing: an error, or (form, rest). Then come the small arrays.
_HEAD, _PLACE, _NUMBER = struct.Struct("4q"), struct.Struct("3q"), struct.Struct("q")


class _Array(NamedTuple):
    """Stands for an array in an element's form."""

    dtype: np.dtype
    shape: tuple[int, ...]
    size: int  # bytes


@dataclass(frozen=True)
class _Dict:
    """Stands for a dict, whose order counts."""

    items: tuple


class Workers:
    """So many processes that read a dataset's elements; `take` gives them in the dataset's order.

    Arrays come as views of memory that both share, and that the process writes to again when no
    view is left. The memory has no name: it is gone when nobody maps it.

    Args:
        dataset: has a length, and can be pickled.
        ahead: elements that are read before they are taken, an equal part by each process.
    """

    def __init__(self, dataset, count, ahead):
        spawn, started = get_context("spawn"), []
        self.close = weakref.finalize(self, _end, started)  # also when the interpreter ends first
        self._elements = {}  # number -> what is read and not yet taken
        self._taken = 0
        self._workers, self._poll = {}, select.poll()
        baton = spawn.Pipe(duplex=False)  # holds the number of the element that nobody reads yet
        os.write(baton[1].fileno(), _NUMBER.pack(0))
        resource_tracker.ensure_running()  # its start would unblock the signal
        for first in range(count):
            (turns, go), (ready, records) = spawn.Pipe(duplex=False), spawn.Pipe(duplex=False)
            link, other = spawn.Pipe()
            dropped = spawn.RawArray(ctypes.c_byte, _SLOTS)
            own = len(range(first, min(ahead, AHEAD), count))
            arguments = (dataset, baton, own, turns, records, other, dropped, os.getpid())
            process = spawn.Process(target=_work, args=arguments, daemon=True)
            # It inherits what is blocked: Ctrl-C reaches the whole group, but the parent decides
            # when its workers stop.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            started.append(process)
            for end in turns, records, other:
                end.close()  # or the process's end would not be noticed
            self._workers[ready.fileno()] = _Worker(go, ready, link, dropped)
            self._poll.register(ready, select.POLLIN)
        for end in baton:
            end.close()

    def take(self):
        """The next element. Raises what reading it raised, RuntimeError for a killed process."""
        try:
            while self._taken not in self._elements:
                for file, _ in self._poll.poll():
                    self._workers[file].receive(self._elements)
            worker, element = self._elements.pop(self._taken)
            self._taken += 1
            worker.go_on()
        except (EOFError, ConnectionError) as error:
            raise RuntimeError(
                "a reading process was killed, perhaps for memory: fewer workers need less"
            ) from error
        if isinstance(element, Exception):
            raise element
        return worker.show(*element)


def _end(started):
    for process in started:
        process.kill()  # it holds nothing that would outlive it
    for process in started:
        process.join()


class _Worker:
    """What the program knows of a process."""

    def __init__(self, go, ready, link, dropped):
        self._go, self._ready, self._link = go, ready, link
        self._dropped = dropped  # slot -> 1 when no view is left
        self._unread = bytearray()
        self._form = None  # of the last element
        self._maps = {}  # file descriptor in the process -> its memory
        self._views = {}  # slot -> weak reference to the view that the program has

    def receive(self, elements):
        """Add what the process has ready, by number: self, and arguments of `show` or an error."""
        received = os.read(self._ready.fileno(), 1 << 16)
        if not received:
            raise EOFError
        self._unread += received
        while len(self._unread) >= _HEAD.size:
            size, number, *lengths = _HEAD.unpack_from(self._unread)
            if len(self._unread) < size:
                break
            record = memoryview(self._unread[:size])
            del self._unread[:size]
            middle = _HEAD.size + lengths[0]
            end = middle + lengths[1]
            message = pickle.loads(record[middle:end]) if end > middle else (self._form, ())
            if isinstance(message, Exception):
                elements[number] = self, message
                continue
            self._form, rest = message
            places = [*_PLACE.iter_unpack(record[_HEAD.size : middle])]
            for _, file, _ in places:
                if file not in self._maps:
                    shared = reduction.recv_handle(self._link)
                    self._maps[file] = mmap.mmap(shared, 0)
                    os.close(shared)
            elements[number] = self, (self._form, places, io.BytesIO(record[end:]), rest)

    def go_on(self):
        """Let it read another element."""
        os.write(self._go.fileno(), b"+")

    def show(self, form, places, small, rest):
        """The element: its form filled with large arrays, small ones, and the rest."""
        return self._fill(form, iter(places), small, iter(rest))

    def _fill(self, form, places, small, rest):
        kind = type(form)
        if kind is _Array:
            if form.size > SMALL:
                return self._view(form, *next(places))
            return np.ndarray(form.shape, form.dtype, bytearray(small.read(form.size)))
        if kind is _Dict:
            return {key: self._fill(part, places, small, rest) for key, part in form.items}
        if kind in (tuple, list):
            return kind([self._fill(part, places, small, rest) for part in form])
        return next(rest)

    def _view(self, form, slot, file, begin):
        view = np.ndarray(form.shape, form.dtype, self._maps[file], begin)
        if len(self._views) >= HELD:
            copy = np.ndarray(form.shape, form.dtype, memory.empty((form.size,)))
            copy[...] = view
            self._dropped[slot] = 1
            return copy

        def drop(_, views=self._views, dropped=self._dropped):
            del views[slot]
            dropped[slot] = 1

        self._views[slot] = weakref.ref(view, drop)
        return view


def _work(dataset, baton, ahead, turns, records, link, dropped, parent):
    """A reading process."""
    processes.follow(parent)
    memory.share()
    sender = _Sender(records, link, dropped, parent)
    with contextlib.suppress(ConnectionError):  # the parent has enough
        while True:
            if not ahead:
                ahead = len(os.read(turns.fileno(), AHEAD))
                if not ahead:
                    return
            ahead -= 1
            (number,) = _NUMBER.unpack(os.read(baton[0].fileno(), _NUMBER.size))
            os.write(baton[1].fileno(), _NUMBER.pack(number + 1))
            if number >= len(dataset):
                break
            sender.forget()
            large, small, rest = [], [], []
            try:
                form = _apart(dataset[number], large, small, rest)
            except Exception as error:
                sender.write(number, b"", pickle.dumps(_portable(error)), b"")
                break
            sender.send(number, form, large, small, rest)
            del large  # or its memory would wait until after the next
        while os.read(turns.fileno(), AHEAD):
            pass  # until the parent, which may still take what was sent, ends it


class _Sender:
    """What a process knows of what it sent."""

    def __init__(self, records, link, dropped, parent):
        self._records, self._link, self._parent = records.fileno(), link, parent
        self._kept = {}  # slot -> array that the parent may still show
        self._dropped = dropped
        self._free = []  # slots that were used before
        self._form, self._sent = None, set()  # what the parent knows: form, file descriptors

    def forget(self):
        """Let go of the arrays of which the parent has no view left."""
        for slot in [slot for slot in self._kept if self._dropped[slot]]:
            self._dropped[slot] = 0
            del self._kept[slot]
            self._free.append(slot)

    def send(self, number, form, large, small, rest):
        """An element as `_apart` took it apart."""
        message, places, new = b"", b"", []
        if rest or form != self._form:
            message = pickle.dumps((form, rest))
            self._form = form
        for array, (file, begin) in large:
            slot = self._free.pop() if self._free else len(self._kept)
            self._kept[slot] = array
            places += _PLACE.pack(slot, file, begin)
            if file not in self._sent:
                self._sent.add(file)
                new.append(file)
        self.write(number, places, message, b"".join(small))
        for file in new:
            reduction.send_handle(self._link, file, self._parent)

    def write(self, number, places, message, small):
        size = _HEAD.size + len(places) + len(message) + len(small)
        record = _HEAD.pack(size, number, len(places), len(message)) + places + message + small
        while record:
            record = record[os.write(self._records, record) :]


def _apart(element, large, small, rest):
    """The form of an element of tuples, lists and dicts: `_Array` for its arrays, None for the
    rest. Appends each large array, in shared memory, with its place there; bytes of small ones."""
    kind = type(element)
    if kind is np.ndarray and not element.dtype.hasobject:
        if element.nbytes <= SMALL:
            small.append(element.tobytes())
        else:
            large.append(_shared(element))
        return _Array(element.dtype, element.shape, element.nbytes)
    if kind is dict:
        parts = element.items()
        return _Dict(tuple((key, _apart(part, large, small, rest)) for key, part in parts))
    if kind in (tuple, list):
        return kind([_apart(part, large, small, rest) for part in element])
    rest.append(element)
    return None


def _shared(array):
    """The array, or a copy of it, in shared memory, and its place there."""
    if array.flags.c_contiguous and (place := memory.place(array)):
        return array, place
    copy = memory.empty((array.nbytes,))
    np.ndarray(array.shape, array.dtype, copy)[...] = array
    return copy, memory.place(copy)


def _portable(error):
    """The error as the parent may have it, with where it arose."""
    note = "in a reading process:\n" + traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error
