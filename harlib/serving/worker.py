"""A process that holds the network and looks at one video at a time; one that dies is replaced.

Videos come from strangers, and decoders are large C programs: what crashes or hangs is this
process, and the server goes on. What takes seconds to import, and memory, is imported there alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from harlib import HarlibError, processes
from harlib.data import VideoError
from harlib.text import stopwatch

if TYPE_CHECKING:
    from harlib.inference import Predictor

_END_S = 5.0  # a process that closed its end of the pipe is gone within this


class Worker:
    """The process. `start` before the first `ask`; both by one thread at a time.

    Args:
        load: gives the predictor, in the process: something that can be pickled.
        longest_s: seconds of a video that is taken.
        licence: of the network, for `about`.
        limit_s: seconds after which it is ended, and the video has no answer.

    Attributes:
        about: what `answers.about` tells of the network.
    """

    def __init__(
        self, load: Callable[[], Predictor], longest_s: float, licence: str, limit_s: float
    ) -> None:
        self.about: dict[str, Any] = {}
        self._begin, self._limit_s = (load, longest_s, licence), limit_s
        self._process: Any = None
        self._closed = False

    def start(self) -> None:
        """Starts the process and waits until the network is loaded; nothing where it is.

        Raises:
            HarlibError: it cannot be loaded.
        """
        if self._process is not None:
            return
        # no copy of this process: its threads and sockets are none of the other's
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        process = context.Process(
            target=_work, args=(*self._begin, other, os.getpid()), daemon=True
        )
        process.start()
        self._process = process
        other.close()
        if self._closed:
            self.close()
        try:
            said = json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise HarlibError(f"the network was not loaded: {self._end()}") from None
        if "error" in said:
            self._kill()
            raise HarlibError(said["error"])
        self.about = said

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """What `answers.answer` says of a job, as `{"answer": …}`; else `{"status", "error"}`."""
        try:
            if self._process is not None and not self._process.is_alive():
                self._kill()  # it ended while it had nothing to do: no fault of this video
            self.start()
        except HarlibError as error:
            return {"status": 503, "error": str(error)}
        try:
            self._pipe.send_bytes(json.dumps(job).encode())
            if self._pipe.poll(self._limit_s):
                return json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            how = self._end()
            if self._closed:
                return {"status": 503, "error": "the server ends"}
            return {"status": 422, "error": f"this video could not be looked at: {how}"}
        self._kill()
        said = f"looking at this video took longer than {stopwatch(self._limit_s)}: it was stopped"
        return {"status": 422, "error": said}

    def close(self) -> None:
        """Ends the process, at whatever it is; may be called from any thread, and again."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()
            process.join(_END_S)

    def _kill(self) -> None:
        process, self._process = self._process, None
        process.kill()
        process.join(_END_S)
        self._pipe.close()

    def _end(self) -> str:
        """How the process ended, whose end of the pipe is closed."""
        self._process.join(_END_S)
        code = self._process.exitcode
        self._kill()
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"its decoder or the network crashed ({signal.Signals(-code).name})"
        return f"the process that looked at it ended (status {code})"


def _work(
    load: Callable[[], Predictor], longest_s: float, licence: str, pipe: Connection, parent: int
) -> None:
    """Answers job after job, until the parent ends it."""
    processes.follow(parent)
    from harlib.serving import answers

    try:
        predictor = dataclasses.replace(load(), longest_s=longest_s)
        _send(pipe, answers.about(predictor, licence))
    except (HarlibError, OSError) as error:
        _send(pipe, {"error": str(error)})
        return
    with contextlib.suppress(EOFError, OSError):  # the parent has ended
        while True:
            job = json.loads(pipe.recv_bytes())
            _send(pipe, _said(predictor, job))


def _said(predictor: Predictor, job: dict[str, Any]) -> dict[str, Any]:
    from harlib.serving import answers

    try:
        return {"answer": answers.answer(predictor, job)}
    except VideoError as error:
        return {"status": 422, "error": f"the video cannot be read: {error.reason}"}
    except HarlibError as error:
        return {"status": 422, "error": str(error)}
    except Exception:
        traceback.print_exc(file=sys.stderr)  # a fault of the program, for the server's own log
        return {"status": 500, "error": "the program failed on this video"}


def _send(pipe: Connection, content: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps(content).encode())
