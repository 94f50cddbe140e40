"""The videos that wait for the one worker, in the order in which they came."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from harlib.serving.server import Refused
from harlib.serving.worker import Worker

_RETRY_S = 10


class Queue:
    """Asks the worker for one video after the other; all methods are called in the server's loop.

    Args:
        worker: which is started.
        most: requests at once, those that are still being sent among them.
    """

    def __init__(self, worker: Worker, most: int) -> None:
        self._worker, self._most = worker, most
        self._entered = 0
        self._thread = ThreadPoolExecutor(1, "worker")
        self._line: list[Callable[[int], object]] = []

    def enter(self) -> None:
        """A request has come, before its video.

        Raises:
            Refused: there are as many as may be.
        """
        if self._entered >= self._most:
            raise Refused(
                503,
                f"{self._entered} videos are being sent or wait already: try again in a moment",
                retry_s=_RETRY_S,
            )
        self._entered += 1

    def leave(self) -> None:
        """It was answered, or its client is gone."""
        self._entered -= 1

    async def ask(self, job: dict[str, Any], moved: Callable[[int], object]) -> dict[str, Any]:
        """What the worker says of a job, as of `Worker.ask`.

        Args:
            moved: told how many videos come before this one, whenever that changes; 0 while it is
                looked at.
        """
        loop = asyncio.get_running_loop()
        asked = self._thread.submit(self._worker.ask, job)
        self._line.append(moved)
        moved(len(self._line) - 1)

        def over(_: Future) -> None:
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                loop.call_soon_threadsafe(self._over, moved)

        asked.add_done_callback(over)
        return await asyncio.wrap_future(asked)

    def _over(self, moved: Callable[[int], object]) -> None:
        place = self._line.index(moved)
        del self._line[place]
        for number, other in enumerate(self._line[place:], place):
            other(number)

    def close(self) -> None:
        """Ends the worker; what waits is not looked at."""
        self._worker.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
