"""A measuring child process, seen from its parent: turns, a time limit and a memory limit."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Self

import psutil

from harlib import HarlibError

# How often a child's memory is looked at.
_POLL_S = 0.05
# A GPU is shared: frameworks would take all of its memory at once.
_ENVIRONMENT = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class ChildError(HarlibError, RuntimeError):
    """A child that ended, took too long or took too much memory; says which."""


class Child:
    """`harlib.bench.engines` with a `spec`; `.facts` is what it said of its first step.

    Args:
        limit_s: seconds for building and the first step, and for every turn.
        memory_bytes: the child is ended when it holds more; None for no limit.

    Raises:
        ChildError: from the constructor and from `turn`; the child has ended then.
    """

    command = (sys.executable, "-m", "harlib.bench.engines")

    def __init__(
        self, spec: dict[str, Any], *, limit_s: float, memory_bytes: int | None = None
    ) -> None:
        self.limit_s, self.memory_bytes = limit_s, memory_bytes
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `close`)
        self._process = process = subprocess.Popen(
            [*self.command, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=_ENVIRONMENT | os.environ,
        )
        assert process.stdin and process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.facts = self._answer()
        except BaseException:
            self.close()
            raise

    def turn(self, steps: int, seconds: float) -> dict[str, Any]:
        """At most `steps` steps, at least one, of about `seconds`; dict `steps, seconds, ...`."""
        try:
            self._stdin.write(f"{steps} {seconds}\n")
            self._stdin.flush()
        except BrokenPipeError as error:
            raise ChildError(f"ended: {self._last_words()}") from error
        return self._answer()

    def close(self) -> None:
        """End the child and wait for its end."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._stdin, self._stdout, self._errors):
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        for line in self._stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _answer(self) -> dict[str, Any]:
        deadline = time.monotonic() + self.limit_s
        watched = psutil.Process(self._process.pid)
        while True:
            try:
                line = self._lines.get(timeout=_POLL_S)
                break
            except queue.Empty:
                self._check(watched, deadline)
        if line is None:
            raise ChildError(f"ended: {self._last_words()}")
        answer = json.loads(line)
        self._check_memory(answer["memory_bytes"])
        return answer

    def _check(self, watched: psutil.Process, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise ChildError(f"over {self.limit_s:.0f} s")
        try:
            held = watched.memory_info().rss
        except psutil.NoSuchProcess:
            return  # its end is read next
        self._check_memory(held)

    def _check_memory(self, held: int) -> None:
        if self.memory_bytes and held > self.memory_bytes:
            raise ChildError(f"took {held / 1e9:.2f} GB")

    def _last_words(self) -> str:
        """The last line of what the child wrote to its error stream, or why a library aborted."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        # a stack of addresses follows the reason
        reasons = [line for line in lines if "Check failed" in line] or lines[-1:]
        return f"exit {code}, {reasons[0][:200] if reasons else 'without a word'}"
