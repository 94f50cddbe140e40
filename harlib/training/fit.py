"""Train a model by a recipe; killed at any step and started again, it ends with the same weights.

The position in the data is the global step, so a checkpoint (model, optimiser, schedule, running
sums, history) and the step's number decide everything that follows.
"""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from harlib.training.batches import read, validate
from harlib.training.checkpoint import Checkpoints, capture, restore, write_atomically
from harlib.training.divergence import TrainingDiverged, advice, first_nonfinite
from harlib.training.interrupt import Interrupt
from harlib.training.progress import Progress, duration, table, tree_memory
from harlib.training.recipe import Recipe


def fit(
    model: keras.Model,
    batches,
    recipe: Recipe,
    *,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    run_dir,
    validation=None,
    threads: int = 2,
    workers: int = 0,
    checkpoint_every_s: float = 120.0,
    checkpoint_every_steps: int | None = None,
    keep: int = 2,
    resume: bool = True,
    identity: Mapping | None = None,
    monitor: str = "val_accuracy",
    report: Callable[[str], None] = print,
    watchers: Sequence[Callable[[pd.DataFrame], None]] = (),
) -> pd.DataFrame:
    """Train `model` to the end of the recipe and return its history, one row an epoch.

    The model takes uint8 clips (batch, frames, height, width, 3) and gives float32 class
    probabilities (batch, classes). `batches[i]` is global step i's pair of clips and labels, a
    pure function of i: an infinite grain.MapDataset (read ahead by `threads`, or by `workers`
    processes) or any object with `__getitem__`. Labels are int (batch,) or float shares
    (batch, classes). `validation` is a finite dataset of such pairs, or of dicts with `clips` and
    `label`.

    Columns: `epoch` from 1; `loss`, the mean cross-entropy of the batches as they were trained on
    (dropout on, label smoothing included, without the L2 penalty and class weights); `accuracy`
    in 0..1; with validation `val_loss` and `val_accuracy` per clip, without smoothing and with
    the averaged weights where the recipe keeps them; `lr` of the last step; `seconds` of the
    epoch's steps; `clips_per_s`; `wait_share`, the part of `seconds` spent waiting for data;
    `memory_bytes` of the process tree. Every epoch's row is in `run_dir/history.csv`, and every
    one of `watchers` is called with the table so far (see `training.watch`).

    Checkpoints go to `run_dir/checkpoints` at the start, every `checkpoint_every_s` seconds and
    `checkpoint_every_steps` steps, before an error in the data or Ctrl-C leaves this function,
    and at the end. With `resume`, a run goes on from its newest one if `identity` (JSON types:
    whatever decides the data and the model), recipe and shapes are the same; otherwise the old
    ones are removed. With validation, the model of the best epoch by `monitor` is
    `run_dir/checkpoints/best.keras`. At the end `run_dir/model.keras` holds the model, without
    optimiser.

    Raises:
        TrainingDiverged: the loss or a weight is not finite.
        CheckpointMismatch: the newest checkpoint is of other parameters or data.
        CheckpointError: there are checkpoints and none can be read.
        ValueError: arguments that do not fit together.
    """
    _check(model, recipe, epochs, steps_per_epoch, validation, monitor)
    run_dir = Path(run_dir)
    run = _Run(model, recipe, run_dir, identity, keep, report)
    report(recipe.describe())
    run.begin(resume)
    source = read(batches, run.step, run.total, threads, workers)
    saved = time.monotonic()
    with Interrupt(report) as interrupt, contextlib.closing(source):
        while run.step < run.total:
            began = time.monotonic()
            try:
                clips, labels = next(source)
            except Exception:
                run.save()  # the state is whole: whoever mends the data goes on from here
                raise
            run.train(clips, labels, began, time.monotonic() - began)
            if run.step % recipe.steps_per_epoch == 0:
                run.end_epoch(validation, monitor, threads)
                for watcher in watchers:
                    watcher(table(run.history))
            due = checkpoint_every_steps and run.step % checkpoint_every_steps == 0
            if due or interrupt.signal or time.monotonic() - saved >= checkpoint_every_s:
                run.save()
                saved = time.monotonic()
            if interrupt.signal:
                name = signal.Signals(interrupt.signal).name
                report(f"stopped by {name}; checkpoint of step {run.step} of {run.total} saved")
                interrupt.leave(f"stopped at step {run.step}; run again to go on from there")
    run.finish()
    return table(run.history)


class _Run:
    """The state of one run: what a checkpoint holds, and the moves that change it."""

    def __init__(self, model, recipe, run_dir, identity, keep, report):
        self.model, self.recipe, self.run_dir, self.report = model, recipe, run_dir, report
        self.classes = model.output_shape[-1]
        self.total = recipe.epochs * recipe.steps_per_epoch
        recipe.compile(model)
        # A float16 policy wraps the optimiser for loss scaling; rate and averages are inside.
        self.optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self.step = 0
        self.schedule = recipe.start()
        self.history: list[dict] = []
        self.best: list | None = None
        self.sums = self._zero()
        self.progress = Progress(run_dir, recipe.epochs, recipe.steps_per_epoch, report)
        fingerprint = {
            "identity": dict(identity or {}),
            "recipe": recipe.config(),
            "shapes": [list(v.shape) for v in model.variables],
        }
        self.checkpoints = Checkpoints(run_dir / "checkpoints", fingerprint, keep)

    def begin(self, resume: bool) -> None:
        """Take up the newest checkpoint, or write the first one."""
        if not resume:
            self.checkpoints.clear()
        found = self.checkpoints.load(self.report)
        if found is None:
            # The first weights too: a run killed before its second checkpoint starts from them.
            self.save()
            return
        arrays, state = found
        restore(self.model, arrays)
        for key in ("step", "schedule", "history", "best", "sums"):
            setattr(self, key, state[key])
        self.report(f"resuming at step {self.step} of {self.total}")

    def save(self) -> None:
        arrays = capture(self.model)
        bad = first_nonfinite(self.model, arrays)
        if bad:
            raise TrainingDiverged(advice(f"{bad} is not finite after step {self.step}"))
        state = {k: getattr(self, k) for k in ("schedule", "history", "best", "sums")}
        self.checkpoints.save(self.step, arrays, state)

    def train(self, clips, labels, began: float, waited: float) -> None:
        """One step; `began`: when its batch was asked for; `waited`: seconds until it came."""
        lr = self.recipe.lr_at(self.step, self.schedule)
        if lr != self.sums["lr"]:
            self.optimizer.learning_rate = lr
        targets = self.recipe.targets(labels, self.classes)
        values = self.model.train_on_batch(
            clips, targets, sample_weight=self.recipe.sample_weights(targets), return_dict=True
        )
        self.step += 1
        if not math.isfinite(values["loss"]):
            bad = first_nonfinite(self.model, capture(self.model))
            where = f"; first weights that are not finite after it: {bad}" if bad else ""
            raise TrainingDiverged(
                advice(f"the loss is {values['loss']} at step {self.step}{where}")
            )
        n, sums = len(targets), self.sums
        seconds = time.monotonic() - began
        sums["clips"] += n
        sums["loss"] += n * float(values["cross_entropy"])
        sums["correct"] += n * float(values["accuracy"])
        sums["seconds"] += seconds
        sums["waited"] += waited
        sums["lr"] = lr
        self.progress.step(self.step, sums["loss"] / sums["clips"], seconds)

    def end_epoch(self, validation, monitor, threads) -> None:
        """Validate, write the row, move the schedule, keep the best."""
        sums, began = self.sums, time.monotonic()
        row = {
            "epoch": self.step // self.recipe.steps_per_epoch,
            "loss": sums["loss"] / sums["clips"],
            "accuracy": sums["correct"] / sums["clips"],
        }
        if validation is not None:
            with self._averaged():
                row |= validate(self.model, self.recipe, validation, self.classes, threads)
                if not math.isfinite(row["val_loss"]):
                    where = f"the validation loss is {row['val_loss']} after epoch {row['epoch']}"
                    raise TrainingDiverged(advice(where))
                self._keep_best(monitor, row)
        row |= {
            "lr": sums["lr"],
            "seconds": sums["seconds"],
            "clips_per_s": sums["clips"] / sums["seconds"],
            "wait_share": sums["waited"] / sums["seconds"],
            "memory_bytes": tree_memory(),
        }
        self.history.append(row)
        self.schedule = self.recipe.after_epoch(self.schedule, row)
        self.sums = self._zero()
        self.progress.epoch_end(time.monotonic() - began)
        self.progress.epoch(self.history, self.step)

    def finish(self) -> None:
        """Save the last checkpoint and the model."""
        if not self.checkpoints.holds(self.step):
            self.save()
        self._take_average()
        path = self.run_dir / "model.keras"
        _save(self.model, path)
        seconds = sum(row["seconds"] for row in self.history)
        self.report(f"trained {self.total} steps in {duration(seconds)}: {path}")

    @staticmethod
    def _zero() -> dict:
        return {"clips": 0, "loss": 0.0, "correct": 0.0, "seconds": 0.0, "waited": 0.0, "lr": None}

    @contextlib.contextmanager
    def _averaged(self):
        """Inside, the model has the weights' moving average if the recipe keeps one."""
        weights = self.model.trainable_variables if self.recipe.ema else []
        own = [_copy(w) for w in weights]
        self._take_average()
        try:
            yield
        finally:
            for weight, value in zip(weights, own, strict=True):
                weight.assign(value)

    def _take_average(self):
        """Put the weights' moving average, if there is one, into the model."""
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self.recipe.ema:
            # On JAX, weight and average are now one buffer, which a step must not be given twice.
            for weight in self.model.trainable_variables:
                weight.assign(_copy(weight))

    def _keep_best(self, monitor, row):
        gain = [row["val_accuracy"], -row["val_loss"]]  # of equal accuracies, the lower loss
        gain = gain if monitor == "val_accuracy" else gain[1:]
        if self.best is None or gain > self.best:
            self.best = gain
            _save(self.model, self.checkpoints.folder / "best.keras")


def _copy(weight) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(weight.value))


def _save(model, path) -> None:
    # The same layers in a model that was never compiled: no optimiser, a third of Adam's size.
    bare = keras.Model(model.inputs, model.outputs, name=model.name)
    write_atomically(path, lambda part: bare.save(part))


def _check(model, recipe, epochs, steps_per_epoch, validation, monitor) -> None:
    for name, given in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
        if given not in (None, getattr(recipe, name)):
            raise ValueError(
                f"the recipe was built for {name}={getattr(recipe, name)}; received {given}"
            )
    if getattr(model.layers[-1], "activation", None) is keras.activations.linear:
        raise ValueError(
            f"{model.name} ends in logits; training needs class probabilities: build it with "
            'classifier_activation="softmax"'
        )
    if monitor not in ("val_accuracy", "val_loss"):
        raise ValueError(f"monitor is val_accuracy or val_loss; received {monitor!r}")
    if recipe.level_rule and recipe.monitor == "val_loss" and validation is None:
        raise ValueError(
            f"recipe {recipe.name} lowers the rate by the validation loss: give validation, "
            'or monitor="loss" to the recipe'
        )
