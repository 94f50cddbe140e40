"""What a training run tells while it runs: one line an epoch, `progress.json`, `history.csv`."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil

from harlib.training.checkpoint import write_atomically


class Progress:
    """Reports one run into `run_dir` and through `report` (a line of text at a time)."""

    def __init__(self, run_dir: Path, epochs: int, steps_per_epoch: int, report: Callable):
        self.run_dir = Path(run_dir)
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.report = report
        self._written = 0.0
        self._step_s = None  # mean seconds of a step, forgetting the old ones
        self._epoch_end_s = 0.0  # seconds that validation took last time

    def step(self, step: int, loss: float, seconds: float) -> None:
        """After step number `step` (from 1): refresh progress.json, once a second at most."""
        if self._step_s is None or seconds < 0.2 * self._step_s:
            self._step_s = seconds  # the first step also builds the graph: it tells nothing
        self._step_s += 0.1 * (seconds - self._step_s)
        if time.monotonic() - self._written >= 1:
            self.write(step, loss)

    def epoch_end(self, seconds: float) -> None:
        """`seconds` is what the end of an epoch costs beside its steps."""
        self._epoch_end_s = seconds

    def seconds_left(self, step: int) -> float:
        """Estimated seconds from global step `step` to the end of the run."""
        total = self.epochs * self.steps_per_epoch
        epochs_left = self.epochs - step // self.steps_per_epoch
        return (total - step) * (self._step_s or 0.0) + epochs_left * self._epoch_end_s

    def write(self, step: int, loss: float) -> None:
        """Write progress.json now."""
        values = {
            "epoch": min(step // self.steps_per_epoch + 1, self.epochs),
            "epochs": self.epochs,
            "step": step,
            "steps": self.epochs * self.steps_per_epoch,
            "loss": loss,
            "seconds_left": round(self.seconds_left(step), 1),
        }
        text = json.dumps(values)
        write_atomically(
            self.run_dir / "progress.json", lambda part: part.write_text(text), durable=False
        )
        self._written = time.monotonic()

    def epoch(self, history: list[dict], step: int) -> None:
        """After an epoch: rewrite history.csv and report its line."""
        write_atomically(
            self.run_dir / "history.csv", lambda part: table(history).to_csv(part, index=False)
        )
        row = history[-1]
        parts = [
            f"epoch {row['epoch']:>{len(str(self.epochs))}}/{self.epochs}",
            f"loss {row['loss']:.4f}",
            f"accuracy {row['accuracy']:.1%}",
        ]
        if "val_loss" in row:
            parts += [f"val_loss {row['val_loss']:.4f}", f"val_accuracy {row['val_accuracy']:.1%}"]
        parts += [
            f"lr {row['lr']:.3g}",
            f"{_rate(row['clips_per_s'])} clips/s",
            f"waiting for data {row['wait_share']:.0%}",
            f"{duration(self.seconds_left(step))} left",
        ]
        self.report("  ".join(parts))
        self.write(step, row["loss"])


def table(history: list[dict]) -> pd.DataFrame:
    """The history's rows as a table; without rows, the columns of a run without validation."""
    columns = ["epoch", "loss", "accuracy"]
    if history and "val_loss" in history[0]:
        columns += ["val_loss", "val_accuracy"]
    columns += ["lr", "seconds", "clips_per_s", "wait_share", "memory_bytes"]
    return pd.DataFrame(history, columns=columns)


def tree_memory() -> int:
    """Resident bytes of this process and all its descendants."""
    process = psutil.Process()
    total = process.memory_info().rss
    for child in process.children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it ended since it was listed, so it holds no memory
    return total


def duration(seconds: float) -> str:
    """Seconds for people: 45 s, 12 min, 3.4 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _rate(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
