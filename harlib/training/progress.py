"""What a training run tells while it runs: one line per epoch, `progress.json`, `history.csv`."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil

from harlib.files import appearing
from harlib.progress import Pace, Stage
from harlib.run_folder import RunFolder
from harlib.text import duration


class Progress:
    """Reports one run into `run_dir` and through `report` (a line of text at a time).

    stage: whose `progress.json` is written.
    """

    def __init__(
        self, run_dir: Path, epochs: int, steps_per_epoch: int, report: Callable, stage: Stage
    ) -> None:
        self.run_dir = Path(run_dir)
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.report = report
        self.stage = stage
        self.validation = 0  # batches of one
        self._step, self._batch = Pace(), Pace()
        self._validated = 0  # batches of the validation under way
        self._validation_s = 0.0
        self._rest_s = 0.0  # of the last epoch's end, beside its validation
        self._ends = 0  # epochs whose end, validation and all, lies behind
        self._worked_s = self._saved_s = 0.0
        self._saving = 0.0  # seconds for checkpoints by a second of work

    def step(self, step: int, loss: float, seconds: float) -> None:
        """After step number `step` (from 1), which took `seconds`."""
        if self._step.begun:
            self._worked_s += seconds
        self._step.add(seconds)
        self._ends = (step - 1) // self.steps_per_epoch
        self.write(step, loss)

    def saved(self, seconds: float) -> None:
        """A checkpoint was written in `seconds`."""
        if self._worked_s:  # the very first lies before the steps, and comes once
            self._saved_s += seconds
            self._saving = self._saved_s / self._worked_s

    def validated(self, step: int, loss: float, seconds: float) -> None:
        """After a batch of the validation behind step `step`, which took `seconds`."""
        self._batch.add(seconds)
        self._validation_s += seconds
        self._validated += 1
        self.write(step, loss)

    def epoch_end(self, seconds: float) -> None:
        """`seconds` is what the end of an epoch took, its validation included."""
        self._rest_s = seconds - self._validation_s
        self._worked_s += self._end_s()
        self._validated, self._validation_s = 0, 0.0
        self._ends += 1

    def seconds_left(self, step: int) -> float | None:
        """Estimated seconds from global step `step` to the end of the run; None: not known yet.

        What a process does first (it builds the graphs of training and validation) is no measure
        of what is left.
        """
        steps = self.epochs * self.steps_per_epoch - step
        ends = self.epochs - self._ends
        if not steps and not ends:
            return 0.0
        step_s = self._step.seconds()
        if step_s is None:
            return None
        left = steps * step_s + ends * self._end_s() - self._validated * self._batch_s()
        # Checkpoints come by the clock, so they take a share of the time, not of the steps.
        return left * (1 + self._saving)

    def _end_s(self) -> float:
        return self.validation * self._batch_s() + self._rest_s

    def _batch_s(self) -> float:
        """Of the validation; until that is known a training step, which is seldom far from it."""
        return self._batch.seconds() or self._step.seconds() or 0.0

    def write(self, step: int, loss: float, *, now: bool = False) -> None:
        """Write progress.json, once a second at most; with `now` always."""
        self.stage.write(
            step,
            self.epochs * self.steps_per_epoch,
            self.seconds_left(step),
            now=now,
            epoch=min(step // self.steps_per_epoch + 1, self.epochs),
            epochs=self.epochs,
            loss=loss,
        )

    def epoch(self, history: list[dict], step: int) -> None:
        """After an epoch: rewrite history.csv and report its line."""
        with appearing(RunFolder(self.run_dir).history) as part:
            table(history).to_csv(part, index=False)
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
        ]
        if (left := self.seconds_left(step)) is not None:
            parts.append(f"{duration(left)} left")
        self.report("  ".join(parts))
        self.write(step, row["loss"], now=True)


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


def _rate(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
