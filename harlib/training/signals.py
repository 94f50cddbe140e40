"""Ctrl-C and SIGTERM wait for the end of a training step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from harlib.progress import StoppedAt

if TYPE_CHECKING:
    from harlib.training.distributed import devices

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(SystemExit):
    """All processes of a training have stopped after the same step, its checkpoint is saved."""


class Interrupt:
    """Inside `with Interrupt(report) as interrupt`, a first signal only sets `interrupt.signal`.

    A step torn in the middle would leave weights of step n beside moments of step n - 1. A second
    signal ends at once. Python delivers signals to the main thread only; elsewhere this does
    nothing.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.signal: int | None = None
        self._report = report
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        self._report("stopping after this step; once more to stop at once without a checkpoint")

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def agreed(self, group: devices.Single) -> int:
        """The signal that any process of `group` has got, the same answer in all; 0 for none."""
        if group.processes == 1:
            return self.signal or 0
        term, interrupted = group.total([self.signal == number for number in _SIGNALS])
        return int(signal.SIGTERM if term else signal.SIGINT if interrupted else 0)


def leave(number: int, group: devices.Single, where: str) -> None:
    """Raise what the signal would have raised: KeyboardInterrupt, or exit status 143.

    Of several processes, each raises Stopped once all are here.
    """
    if group.processes > 1:
        group.meet("stopped")
        raise Stopped(128 + number)
    if number == signal.SIGTERM:
        raise SystemExit(128 + signal.SIGTERM)
    raise StoppedAt(where)
