"""What a person in JupyterLab sees while a cell works, and when it is interrupted."""

import html
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from harlib import progress


def in_jupyter() -> bool:
    """Whether a person looks on: a kernel that JupyterLab or Notebook started for a document.

    Not under papermill or nbconvert, whose kernels have no session of the server.
    """
    if not os.environ.get("JPY_SESSION_NAME"):
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


class ProgressLine:
    """Below a cell that works, how far it is: what `progress.json` in `run_dir` says.

    It comes with the first news, changes once a second, and is empty when the cell has ended.
    """

    def __init__(self) -> None:
        self.run_dir = Path()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, info: object = None) -> None:
        """A cell begins."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(self._ended,), daemon=True)
        self._thread.start()

    def end(self, result: object = None) -> None:
        """The cell has ended, of itself or by an interrupt."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _follow(self, ended: threading.Event) -> None:
        from IPython.display import display

        began, shown, handle = time.time(), None, None
        while not ended.wait(1):
            state = progress.read(self.run_dir, began)
            if state is None or state == shown:
                continue
            shown, content = state, {"text/plain": progress.told(state), "text/html": _bar(state)}
            if handle is None:
                handle = display(content, raw=True, display_id=True)
            else:
                handle.update(content, raw=True)
        if handle is not None:
            handle.update({"text/plain": ""}, raw=True)


_line = ProgressLine()


def attend(run_dir: Path) -> None:
    """In JupyterLab: from the next cell on the run's progress shows, and an interrupt is a line."""
    if not in_jupyter():
        return
    from IPython import get_ipython

    shell = get_ipython()
    _line.run_dir = run_dir
    shell.events.register("pre_run_cell", _line.begin)  # a second time it changes nothing
    shell.events.register("post_run_cell", _line.end)
    shell.set_custom_exc((KeyboardInterrupt,), interrupted)


def interrupted(
    shell: Any,
    kind: type,
    error: BaseException,
    traceback: TracebackType,
    tb_offset: int | None = None,
) -> None:
    """Shows an interrupt as one line instead of where in which library it came."""
    where = str(error).partition(";")[0] or "stopped"
    shell._showtraceback(kind, error, [f"{where}: run this cell again to resume"])


def _bar(state: dict) -> str:
    done, total = state["done"], state["total"]
    bar = f'<progress value="{done}" max="{total}"></progress> ' if total else ""
    return f"<p>{bar}{html.escape(progress.told(state))}</p>"
