"""Ctrl-C and SIGTERM wait for the end of a training step."""

import signal
import threading
from collections.abc import Callable


class Interrupt:
    """Inside `with Interrupt(report) as interrupt`, a first signal only sets `interrupt.signal`.

    A step torn in the middle would leave weights of step n beside moments of step n - 1. A second
    signal ends at once. Python delivers signals to the main thread only; elsewhere this does
    nothing.
    """

    def __init__(self, report: Callable[[str], None]):
        self.signal: int | None = None
        self._report = report
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def _receive(self, number, frame):
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        self._report("stopping after this step; once more to stop at once without a checkpoint")

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def leave(self, message: str) -> None:
        """Raise what the signal would have raised: KeyboardInterrupt, or exit status 143."""
        if self.signal == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt(message)
