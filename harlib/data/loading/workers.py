"""Reading processes, as the program sees them: a dataset's elements in order, in shared memory.

A process that is free takes the next element's number, so that a slow video or a slow core holds
nobody up.
"""

import ctypes
import io
import mmap
import os
import pickle
import select
import signal
import sys
import weakref
from collections.abc import Iterator
from multiprocessing import get_context, reduction, resource_tracker
from typing import Any

import numpy as np
import psutil

from harlib.data import buffers
from harlib.data.loading.prefetch_worker import HEAD, NUMBER, PLACE, SMALL, Array, Dict, work

HELD = 8  # arrays of one process that the program may keep in shared memory; it gets copies of more
AHEAD = 1 << 9  # elements at most: the program may have an open file for each
STILL_S = 30.0  # without an element, until it is asked whether a process stands stopped
_SLOTS = 1 << 16  # numbers for a process's arrays that wait or are shown


class Workers:
    """Processes that read a dataset's elements; `take` gives them in the dataset's order.

    Arrays come as views of memory that both share, and that the process writes to again when no
    view is left. The memory has no name: it is gone when nobody maps it.

    Args:
        dataset: has a length, and can be pickled.
        ahead: elements that are read before they are taken, an equal part by each process.
    """

    def __init__(self, dataset: Any, count: int, ahead: int) -> None:
        self._started: list[Any] = []
        started = self._started
        self._woken: set[int] = set()
        # also when the interpreter ends first
        self.close = weakref.finalize(self, _end, started, os.getpid())
        self._elements: dict[int, tuple] = {}  # number -> what is read and not yet taken
        self._taken = 0
        self._workers: dict[int, _Worker] = {}
        self._poll = select.poll()
        resource_tracker.ensure_running()  # its start would unblock the signal
        # Processes inherit what is blocked: Ctrl-C reaches the whole group, but the parent decides
        # when its workers stop.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            try:
                self._start(dataset, count, min(ahead, AHEAD), started)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        except BaseException:
            self.close()
            raise

    def _start(self, dataset: Any, count: int, ahead: int, started: list) -> None:
        spawn = get_context("spawn")
        baton = spawn.Pipe(duplex=False)  # holds the number of the element that nobody reads yet
        os.write(baton[1].fileno(), NUMBER.pack(0))
        for first in range(count):
            (turns, go), (ready, records) = spawn.Pipe(duplex=False), spawn.Pipe(duplex=False)
            link, other = spawn.Pipe()
            dropped = spawn.RawArray(ctypes.c_byte, _SLOTS)
            own = len(range(first, ahead, count))
            arguments = (dataset, baton, own, turns, records, other, dropped, os.getpid())
            process = spawn.Process(target=work, args=arguments, daemon=True)
            process.start()
            started.append(process)
            for end in turns, records, other:
                end.close()  # or the process's end would not be noticed
            self._workers[ready.fileno()] = _Worker(go, ready, link, dropped)
            self._poll.register(ready, select.POLLIN)
        for end in baton:
            end.close()

    def take(self) -> Any:
        """The next element.

        Raises what reading it raised, or RuntimeError for a process that was killed, or stands
        stopped for good.
        """
        try:
            while self._taken not in self._elements:
                ready = self._poll.poll(1000 * STILL_S)
                if not ready:
                    self._wake()
                for file, _ in ready:
                    self._workers[file].receive(self._elements)
            worker, element = self._elements.pop(self._taken)
            self._taken += 1
            worker.go_on()
        except (EOFError, ConnectionError) as error:
            raise RuntimeError(self._why()) from error
        if isinstance(element, Exception):
            try:
                raise element
            finally:
                del element  # which holds this frame
        return worker.show(*element)

    def _wake(self) -> None:
        """Have stopped processes continue, which would be waited for without end."""
        for pid in [process.pid for process in self._started]:
            try:
                status = psutil.Process(pid).status()
            except psutil.NoSuchProcess:
                continue  # its end is noticed otherwise
            if status not in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
                continue
            if pid in self._woken:
                raise RuntimeError(
                    f"the reading process {pid} stands stopped, and again after it was told to go "
                    "on: something on this machine stops or traces it"
                )
            self._woken.add(pid)
            print(
                f"the reading process {pid} stands stopped (SIGSTOP), and for {STILL_S:.0f} s "
                "nothing was read: it is told to go on (SIGCONT)",
                file=sys.stderr,
                flush=True,
            )
            os.kill(pid, signal.SIGCONT)

    def _why(self) -> str:
        """What ended a process, as far as its exit tells."""
        for process in self._started:
            process.join(1)
            if process.exitcode == -signal.SIGBUS:
                return (
                    "a reading process was ended by SIGBUS: a file of the store was cut while it "
                    "was read, or its disk failed; `har verify` lists what is damaged"
                )
        return "a reading process was killed, perhaps for memory: fewer workers need less"


def _end(started: list, parent: int) -> None:
    if os.getpid() != parent:  # a forked process has the program's memory, not its children
        return
    for process in started:
        process.kill()  # it holds nothing that would outlive it
    for process in started:
        process.join()


class _Worker:
    """What the program knows of a process."""

    def __init__(self, go: Any, ready: Any, link: Any, dropped: Any) -> None:
        self._go, self._ready, self._link = go, ready, link
        self._dropped = dropped  # slot -> 1 when no view is left
        self._unread = bytearray()
        self._form = None  # of the last element
        self._maps: dict[int, mmap.mmap] = {}  # file descriptor in the process -> its memory
        self._views: dict[
            int, weakref.ref
        ] = {}  # slot -> weak reference to the view that the program has

    def receive(self, elements: dict[int, tuple]) -> None:
        """Add what the process has ready, by number: self, and arguments of `show` or an error."""
        received = os.read(self._ready.fileno(), 1 << 16)
        if not received:
            raise EOFError
        self._unread += received
        while len(self._unread) >= HEAD.size:
            size, number, *lengths = HEAD.unpack_from(self._unread)
            if len(self._unread) < size:
                break
            record = memoryview(self._unread[:size])
            del self._unread[:size]
            middle = HEAD.size + lengths[0]
            end = middle + lengths[1]
            message = pickle.loads(record[middle:end]) if end > middle else (self._form, ())
            if isinstance(message, Exception):
                elements[number] = self, message
                continue
            self._form, rest = message
            places = [*PLACE.iter_unpack(record[HEAD.size : middle])]
            for _, file, _ in places:
                if file not in self._maps:
                    shared = reduction.recv_handle(self._link)
                    self._maps[file] = mmap.mmap(shared, 0)
                    os.close(shared)
            elements[number] = self, (self._form, places, io.BytesIO(record[end:]), rest)

    def go_on(self) -> None:
        """Let it read another element."""
        os.write(self._go.fileno(), b"+")

    def show(self, form: Any, places: list, small: io.BytesIO, rest: tuple) -> Any:
        """The element: its form filled with large arrays, small ones, and the rest."""
        return self._fill(form, iter(places), small, iter(rest))

    def _fill(self, form: Any, places: Iterator, small: io.BytesIO, rest: Iterator) -> Any:
        kind = type(form)
        if kind is Array:
            if form.size > SMALL:
                array = self._view(form, *next(places))
            else:
                array = np.ndarray(form.shape, form.dtype, bytearray(small.read(form.size)))
            array.flags.writeable = form.writeable
            return array
        if kind is Dict:
            return {key: self._fill(part, places, small, rest) for key, part in form.items}
        if kind in (tuple, list):
            return kind([self._fill(part, places, small, rest) for part in form])
        return next(rest)

    def _view(self, form: Array, slot: int, file: Any, begin: int) -> np.ndarray:
        view = np.ndarray(form.shape, form.dtype, self._maps[file], begin)
        if len(self._views) >= HELD:
            copy = np.ndarray(form.shape, form.dtype, buffers.empty((form.size,)))
            copy[...] = view
            self._dropped[slot] = 1
            return copy

        # no globals, which are gone when the interpreter ends
        views, dropped, getpid, program = self._views, self._dropped, os.getpid, os.getpid()

        def drop(_: object) -> None:
            del views[slot]
            if getpid() == program:  # a process forked from it drops copies of the view
                dropped[slot] = 1

        self._views[slot] = weakref.ref(view, drop)
        return view
