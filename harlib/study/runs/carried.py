"""What a longer run takes over from the shorter one before it, to resume its training."""

import os
import shutil
from pathlib import Path

from harlib.run_folder import RunFolder


def epochs(run_dir: Path) -> int:
    """Epochs that a run's history tells of."""
    file = RunFolder(run_dir).history
    return max(0, len(file.read_text().splitlines()) - 1) if file.is_file() else 0


def take(run_dir: Path, to: Path) -> None:
    """Fills the folder `to` with a run's checkpoints, history and stage on stills.

    The run stays as it is. Where the file system has hard links, this takes no room: a training
    replaces these files and never writes into them.
    """
    if to.exists():  # of a process that was killed at it
        shutil.rmtree(to)
    to.mkdir(parents=True)
    run = RunFolder(run_dir)
    for item in (run.checkpoints, run.stills):
        if item.is_dir():
            halves = shutil.ignore_patterns(".part-*")
            shutil.copytree(item, to / item.name, copy_function=_link, ignore=halves)
    if run.history.is_file():
        _link(run.history, to / run.history.name)


def _link(file: str | Path, to: str | Path) -> None:
    try:
        os.link(file, to)
    except OSError:
        shutil.copy2(file, to)
