"""A model run in several processes: one of them, or all of them on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from harlib.data import ClipStore
from harlib.study.params.notebooks import Common
from harlib.study.params.trained import FrameCNN, Trained
from harlib.study.runs import session
from harlib.study.steps import begin, model_run
from harlib.study.wording import tables

if TYPE_CHECKING:
    from harlib.training.distributed.cluster import Cluster

# The others have ended by themselves before; see training.peers.
_END_S = 60.0


def run(p: Common, place: Cluster) -> tables.Sentence | None:
    """One process of a model run (`har train --cluster`): all train, process 0 scores.

    All processes see the same folders.

    Returns:
        The result in process 0, None in the others.

    Raises:
        ValueError: parameters of another notebook, or of several devices a process.
    """
    if not isinstance(p, Trained):
        raise ValueError(f"run {p.run!r} trains nothing; give a file of notebook 02, 03, 04 or 09")
    if p.devices > 1:
        raise ValueError("devices is for one process; of several, each uses all that it sees")
    import keras

    from harlib.training import precision
    from harlib.training.distributed import cluster, devices

    keras.utils.set_random_seed(p.seed)
    with cluster.join(place):
        with devices.all_processes():
            if place.process == 0:
                begin.start(p, anew=True)
                store = session.open_store(p)
                if isinstance(p, FrameCNN):
                    model_run.stills_store(p)  # made by one, read by all
            devices.meet("data")
            if place.process:
                keras.utils.set_random_seed(p.seed)
                precision.use(p.precision)
                store = ClipStore(p.store_dir)
            model_run.build_and_train(p, store)
        if place.process:
            return None
        model = model_run.load_model(p, p.checkpoint)
        scores = model_run.score(p, model, store, checkpoint="last")
        said = model_run.measure(p, model, scores)
        session.finish(p)
        return said


def launch(arguments: Sequence[str], processes: int, say: Callable[[str], None] = print) -> int:
    """Runs ``har train`` with `arguments` in `processes` processes here; returns the exit status.

    Ctrl-C and SIGTERM reach all of them: they stop after a step, with its checkpoint.
    """
    coordinator = f"127.0.0.1:{_free_ports()}"
    command = [sys.executable, "-m", "harlib.cli", "train", *arguments]
    command += ["--processes", str(processes), "--coordinator", coordinator, "--process"]
    variables = {
        "KERAS_BACKEND": "jax",
        "HARLIB_LAUNCHER": str(os.getpid()),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
    }
    say(f"{processes} processes on this machine, coordinator {coordinator}")
    started, before = [], signal.signal(signal.SIGTERM, _terminated)
    try:
        for number in range(processes):
            started.append(
                subprocess.Popen(
                    [*command, str(number)], env=os.environ | variables, start_new_session=True
                )
            )
        _until_one_fails(started)
    except (KeyboardInterrupt, SystemExit) as error:
        sent = signal.SIGTERM if isinstance(error, SystemExit) else signal.SIGINT
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sent)
    finally:
        _end(started)
        signal.signal(signal.SIGTERM, before)
    return next((process.returncode for process in started if process.returncode), 0)


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _until_one_fails(started: Sequence[subprocess.Popen]) -> None:
    while True:
        ends = [process.poll() for process in started]
        if any(ends) or None not in ends:
            return
        time.sleep(0.2)


def _end(started: Sequence[subprocess.Popen]) -> None:
    """Waits for the processes, and kills what has not ended in time."""
    deadline = time.monotonic() + _END_S
    for process in started:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_ports() -> int:
    """The first of two neighbouring ports that nobody uses now."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                two.bind(("127.0.0.1", port + 1))
                return port
