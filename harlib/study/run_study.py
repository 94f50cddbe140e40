"""Runs a study: its notebooks in order through papermill, each run only when it has to."""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from harlib import progress, text
from harlib.locks import Locked
from harlib.study import forecast
from harlib.study.params.notebooks import NOTEBOOKS
from harlib.study.report import index, run_page
from harlib.study.runs import fingerprint, session, study_files
from harlib.study.steps import checks


class _ThisPython(AsyncKernelManager):
    """Starts the kernel with the python that runs the study, whatever kernels are installed.

    What the kernel says outside of cells (TensorFlow's start-up, a crash) goes to `kernel_log`.
    """

    kernel_log: BinaryIO
    lock_file: int  # descriptor: the kernel keeps the run's lock should the study be killed
    # Seconds from Ctrl-C, which the kernel gets as an interrupt, to its end by force: a training
    # ends its step first, then writes a checkpoint.
    shutdown_wait_time = 60.0

    @property
    def kernel_spec(self) -> KernelSpec:
        # faulthandler: the log then says what a kernel died of
        argv = [sys.executable, "-X", "faulthandler", "-m", "ipykernel_launcher"]
        argv += ["-f", "{connection_file}"]
        argv.append("--log-level=ERROR")
        return KernelSpec(argv=argv, language="python", display_name="Python 3")

    async def _async_pre_start_kernel(self, **options: Any) -> tuple[list[str], dict[str, Any]]:
        command, options = await super()._async_pre_start_kernel(**options)
        return command, options | {"stderr": self.kernel_log, "pass_fds": (self.lock_file,)}


def run_study(
    study: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    only: tuple[str, ...] = (),
    tell_time: bool = True,
    say: Callable[[str], None] = lambda line: print(line, flush=True),
) -> tuple[Path | None, list[str]]:
    """Runs a study (or its runs in ``only``); returns its index page and the failed runs' names.

    A run is skipped when it is complete with the same parameters, or when a run it builds
    on failed; the others run. With ``tell_time``, some seconds of measuring come first.

    Raises:
        ParamsError: wrong parameters, before anything runs.
        Locked: another process writes to a run; nothing runs then either.
    """
    folder, runs = study_files.chosen(study, overrides, only)
    every = {run.where: run.params for run in runs}
    runs = [run for run in runs if not only or run.name in only]
    waiting = [number for number, run in enumerate(runs) if not fingerprint.is_complete(run.params)]
    todo = runs[min(waiting, default=len(runs)) :]  # what follows may have to run again
    try:
        for run in todo:
            session.lock(run.params)
        checks.refuse({run.where: run.params for run in todo}, every)
    except (Locked, study_files.ParamsError):
        for run in todo:
            session.unlock(run.params)
        raise
    told = not tell_time or forecast.tell(runs, say)
    begun, page = time.monotonic(), None
    failed: list[str] = []
    written: list[Path] = []
    kept = False  # the latest run
    behind = 0  # so many were written before the latest run, which they could not link to
    for number, run in enumerate(runs, 1):
        label = f"[{number}/{len(runs)}] {run.name}"
        broken = [name for name in failed if name.startswith(NOTEBOOKS[run.notebook].needs)]
        if broken and not run.notebook.startswith("05"):
            say(f"{label}: not started, {', '.join(broken)} failed")
            failed.append(run.name)
            continue
        kept = fingerprint.is_complete(run.params)
        if kept:
            other = fingerprint.remark(run.params.run_dir)
            say(f"{label}: kept, complete with the same parameters{f' ({other})' if other else ''}")
        else:
            behind = len(written)
            if problem := _execute(run, label, say):
                failed.append(run.name)
                say(f"{label}: FAILED: {problem}")
                say(f"    the notebook as far as it came: {_shown(_notebook(run))}")
            elif not told:
                told = forecast.tell(runs[number:], say)
        session.unlock(run.params)
        run_page.write_report(run.params.run_dir)
        written.append(run.params.run_dir)
        if not kept:  # with it the page of videos, which takes a while
            page = index.write_index(run.params.run_dir.parent)
    if written and kept:
        page = index.write_index(written[-1].parent)
    for run_dir in written[:behind]:
        run_page.write_report(run_dir)
    if earlier := _earlier(runs[0].params.run_dir.parent / "before"):
        say(earlier)
    say(f"{folder.name}: {len(runs) - len(failed)} of {len(runs)} runs complete, "
        f"{text.stopwatch(time.monotonic() - begun)}")  # fmt: skip
    if page:
        say(f"Report: {_shown(page)}")
    return page, failed


def _execute(run: study_files.Run, label: str, say: Callable[[str], None]) -> str:
    """Executes one notebook; returns what went wrong in one line, empty when nothing did."""
    held = session.lock(run.params)
    fingerprint.claim(run.params)
    _ThisPython.lock_file = held.file.fileno()
    _ThisPython.kernel_log = run.params.folder.kernel_log.open("wb")
    say(f"{label}: started")
    begun, began, done = time.monotonic(), time.time(), threading.Event()
    watch = threading.Thread(
        target=_watch, args=(run.params.run_dir, label, done, say), daemon=True
    )
    watch.start()
    problem = ""
    # It would warn of each key that the notebook's parameters cell leaves open.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(
            study_files.notebook_path(run.notebook),
            _notebook(run),
            parameters=run.params.model_dump(mode="json"),
            kernel_name="python3",
            kernel_manager_class=_ThisPython,
            cwd=run.params.root,
            progress_bar=False,
            store_widget_state=False,
        )
        # A kernel that died leaves cells marked completed, so the notebook's own last word counts.
        if run.params.folder.read_state().get("status") != "complete":
            problem = "the notebook ended without its last cell, finish"
    except KeyboardInterrupt:
        raise progress.StoppedAt(f"{label}: stopped{_where(run.params.run_dir, began)}") from None
    except papermill.PapermillExecutionError as error:
        problem = f"{error.ename}: {error.evalue}".splitlines()[0]
    except Exception as error:  # a kernel that died or did not start: the other runs still run
        problem = f"{type(error).__name__}: {error}".splitlines()[0]
        problem += _last_words(run.params.folder.kernel_log)
    finally:
        done.set()
        watch.join()
        _ThisPython.kernel_log.close()
    if problem:
        run.params.folder.write_state(status="failed", problem=problem)
    else:
        say(f"{label}: complete, {text.stopwatch(time.monotonic() - begun)}")
    for line in run.params.folder.read_state().get("said", []):
        say(f"    {line}")
    return problem


def _last_words(log: Path) -> str:
    """What a kernel died of, as the end of a message; nothing where its log does not tell."""
    found = re.findall(r"Fatal Python error: (.+)", log.read_text(errors="replace"))
    if not found:
        return ""
    cut = "; a file that was being read, such as the clip store's, was cut: har verify STORE"
    return f" ({found[-1]}{cut if found[-1].startswith('Bus error') else ''})"


def _earlier(folder: Path) -> str:
    """What was put aside, in one line; empty when nothing was."""
    kept = sorted(path for path in folder.glob("*") if path.is_dir())
    if not kept:
        return ""
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    named = ", ".join(path.name for path in kept)
    runs = text.count(len(kept), "earlier run")
    return f"{_shown(folder)} keeps {runs}, {text.size(size)} on disk: {named}"


def _watch(run_dir: Path, label: str, done: threading.Event, say: Callable[[str], None]) -> None:
    """Shows ``progress.json``: one changing line on a terminal, else a line per stage or epoch."""
    begun, shown, width = time.time(), None, 0
    live = sys.stdout.isatty()
    while not done.wait(0.5):
        state = progress.read(run_dir, since=begun)
        if state is None:
            continue
        line, now = f"{label}: {progress.told(state)}", (state["stage"], state.get("epoch"))
        if live:
            print(f"\r{line:<{width}}", end="", flush=True)
            width = len(line)
        elif now != shown:
            say(line)
        shown = now
    if live and width:
        print("\r" + " " * width + "\r", end="", flush=True)


def _where(run_dir: Path, since: float) -> str:
    """How far the run came, in brackets; empty before it said so."""
    state = progress.read(run_dir, since)
    return f" ({progress.told(state | {'seconds_left': None})})" if state else ""


def _notebook(run: study_files.Run) -> Path:
    return run.params.run_dir / f"{run.name}.ipynb"


def _shown(path: Path) -> str:
    """Relative to where the person stands, when it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
