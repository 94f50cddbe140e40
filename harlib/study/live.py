"""What a person in JupyterLab sees while a cell works, and when it is interrupted."""

import html
import json
import os
import threading
import time
from pathlib import Path


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

    def begin(self, info=None) -> None:
        """A cell begins."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(self._ended,), daemon=True)
        self._thread.start()

    def end(self, result=None) -> None:
        """The cell has ended, of itself or by an interrupt."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _follow(self, ended: threading.Event) -> None:
        from IPython.display import display

        began, shown, handle = time.time(), None, None
        while not ended.wait(1):
            state = read(self.run_dir / "progress.json", began)
            if state is None or state == shown:
                continue
            shown, content = state, {"text/plain": told(state), "text/html": _bar(state)}
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


def interrupted(shell, kind: type, error: BaseException, traceback, tb_offset=None) -> None:
    """Shows an interrupt as one line instead of where in which library it came."""
    where = str(error).partition(";")[0] or "stopped"
    shell._showtraceback(kind, error, [f"{where}: run this cell again to go on"])


def read(path: Path, since: float) -> dict | None:
    """What a `progress.json` says; None without one, or when it is older than `since`."""
    try:
        return json.loads(path.read_text()) if path.stat().st_mtime >= since else None
    except (FileNotFoundError, json.JSONDecodeError):
        return None  # nothing has begun, or it was read in the middle of a write


def told(state: dict) -> str:
    """The state in a few words, as "training, epoch 3/26, step 130/1,170, 3:10 min left"."""
    parts = [state.get("stage", "training")]
    if "epoch" in state:
        parts.append(f"epoch {state['epoch']}/{state['epochs']}")
    done, total = _count(state)
    if total:
        parts.append(f"{'step ' if 'epoch' in state else ''}{done:,}/{total:,}")
    if state.get("loss") is not None:
        parts.append(f"loss {state['loss']:.3f}")
    if state.get("seconds_left") is not None:
        minutes, seconds = divmod(round(state["seconds_left"]), 60)
        hours, rest = divmod(minutes, 60)
        clock = f"{hours} h {rest:02d}" if hours else f"{minutes}:{seconds:02d}"
        parts.append(f"{clock} min left")
    return ", ".join(parts)


def _count(state: dict) -> tuple[int, int | None]:
    done = state.get("done", state.get("step"))
    return done or 0, state.get("total", state.get("steps"))


def _bar(state: dict) -> str:
    done, total = _count(state)
    bar = f'<progress value="{done}" max="{total}"></progress> ' if total else ""
    return f"<p>{bar}{html.escape(told(state))}</p>"
