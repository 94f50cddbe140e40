"""Train a model by a recipe; killed at any step and started again, it ends with the same weights.

The position in the data is the global step, so a checkpoint (model, optimiser, schedule, running
sums, history) and the step's number decide everything that follows.
"""

import contextlib
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import keras
import pandas as pd

from harlib.progress import Stage
from harlib.training import precision
from harlib.training.batches import Batches, Finite, read
from harlib.training.distributed import devices
from harlib.training.divergence import TrainingDiverged
from harlib.training.progress import table
from harlib.training.recipe import Recipe
from harlib.training.signals import Interrupt, leave
from harlib.training.stopping import Stopping
from harlib.training.trainer import Run

# Steps between two questions to the other processes whether one of them was told to stop: each is
# an exchange over the network, and a scheduler waits 30 s after SIGTERM.
AGREE_EVERY = 4


def fit(
    model: keras.Model,
    batches: Batches,
    recipe: Recipe,
    *,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    run_dir: str | Path,
    validation: Finite | None = None,
    threads: int = 2,
    workers: int = 0,
    checkpoint_every_s: float = 120.0,
    checkpoint_every_steps: int | None = None,
    keep: int = 2,
    resume: bool = True,
    identity: Mapping | None = None,
    free: Collection[str] = (),
    monitor: str = "val_accuracy",
    patience: int = 0,
    report: Callable[[str], None] = print,
    watchers: Sequence[Callable[[pd.DataFrame], None]] = (),
    stage: Stage | None = None,
) -> pd.DataFrame:
    """Train `model` to the end of the recipe and return its history, one row per epoch.

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
    one of `watchers` is called with the table so far (see `training.watch`). `stage` is whose
    `progress.json` says how far the training is; without it `run_dir`'s.

    Checkpoints go to `run_dir/checkpoints` at the start, every `checkpoint_every_s` seconds and
    `checkpoint_every_steps` steps, before an error in the data, Ctrl-C or SIGTERM leaves this
    function (of several processes, all at the same step), and at the end. With `resume`, a run goes
    on from its newest one if `identity` (JSON types: whatever decides the data and the model),
    recipe and shapes are the same; otherwise the old ones are removed. Entries of `identity` in
    `free`, as "parameters.epochs", may differ: where the recipe does not depend on the number of
    epochs (`recipe_numbers.length_in`), a run with more of them goes on and ends as if it had had
    them from the start. Where it had
    been trained for longer than the recipe asks, nothing is trained: its model and the longer
    history are what is returned, and `report` is told. With validation, the model
    of the best epoch by `monitor` is `run_dir/checkpoints/best.keras`. At the end
    `run_dir/model.keras` holds the model, without optimiser. With `patience` training ends once so
    many epochs in a row were no better than the best by `monitor`, and the model has the best
    epoch's weights, however it ended.

    A model that was built for several devices (`training.devices`) is trained on all of them. Of
    several processes (`training.cluster`) each gives its own part of every batch, equally large
    and in the order of their numbers; process 0 writes all files, which the others must see.

    Raises:
        TrainingDiverged: the loss or a weight is not finite.
        CheckpointMismatch: the newest checkpoint is of other parameters or data.
        CheckpointError: there are checkpoints and none can be read.
        ValueError: arguments that do not fit together.
    """
    stopping = Stopping(monitor, patience)
    _check(model, recipe, epochs, steps_per_epoch, validation, stopping)
    group = devices.of(model)
    if recipe.accumulate > 1 and isinstance(group, devices.Mirrored):
        raise ValueError(
            f"accumulate={recipe.accumulate}, but on several devices of TensorFlow Keras cannot "
            "accumulate: give a larger batch, or set KERAS_BACKEND=jax"
        )
    with group.scope():
        if group.process:  # process 0 speaks, draws and logs for all
            report, watchers = _silent, ()
        run = Run(group, recipe, Path(run_dir), identity, keep, report, stage, stopping, free)
        if validation is not None:
            run.progress.validation = len(group.own(len(validation)))
        report(recipe.describe())
        for line in precision.slow():
            report(line)
        run.begin(resume)
        every = checkpoint_every_s, checkpoint_every_steps
        _steps(run, batches, validation, threads, workers, every, watchers)
        run.finish()
    return table(run.history)


def _silent(line: str) -> None:
    """Says nothing."""


def _steps(
    run: Run,
    batches: Batches,
    validation: Finite | None,
    threads: int,
    workers: int,
    every: tuple[float, int | None],
    watchers: Sequence[Callable[[pd.DataFrame], None]],
) -> None:
    """All steps from the run's own to its last, with what comes between them."""
    recipe, report = run.recipe, run.report
    checkpoint_every_s, checkpoint_every_steps = every
    source = read(batches, run.step, run.total, threads, workers)
    saved = time.monotonic()
    with Interrupt(report) as interrupt, contextlib.closing(source):
        while not run.is_over:
            began = time.monotonic()
            try:
                clips, labels = next(source)
            except Exception:
                run.save()  # the state is whole: once the data are mended it resumes from here
                raise
            try:
                run.train(clips, labels, began, time.monotonic() - began)
            except TrainingDiverged as error:
                raise run.explain(batches, error) from None
            if run.step % recipe.steps_per_epoch == 0:
                run.end_epoch(validation, threads)
                for watcher in watchers:
                    watcher(table(run.history))
            due = checkpoint_every_steps and run.step % checkpoint_every_steps == 0
            asked = run.group.processes == 1 or run.step % AGREE_EVERY == 0
            stop = interrupt.agreed(run.group) if asked else 0
            if due or stop or time.monotonic() - saved >= checkpoint_every_s:
                run.save()
                saved = time.monotonic()
            if stop:
                name = signal.Signals(stop).name
                report(f"stopped by {name}; checkpoint of step {run.step} of {run.total} saved")
                leave(stop, run.group, f"training: stopped after step {run.step} of {run.total}")


def _check(
    model: keras.Model,
    recipe: Recipe,
    epochs: int | None,
    steps_per_epoch: int | None,
    validation: Finite | None,
    stopping: Stopping,
) -> None:
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
    activations = [layer.activation for layer in model.layers if layer.name == "classifier"]
    wrong = keras.activations.softmax if recipe.label_sets else keras.activations.sigmoid
    if wrong in activations:
        has, needs = ("several labels", "sigmoid") if recipe.label_sets else ("one", "softmax")
        raise ValueError(
            f"{model.name} ends in {wrong.__name__}, and by the recipe a video has {has}: build it "
            f'with classifier_activation="{needs}"'
        )
    if stopping.monitor not in ("val_accuracy", "val_loss"):
        raise ValueError(f"monitor is val_accuracy or val_loss; received {stopping.monitor!r}")
    if stopping.patience < 0:
        raise ValueError(f"patience is a number of epochs, from 0; received {stopping.patience}")
    if stopping.patience and validation is None:
        raise ValueError(
            f"patience={stopping.patience} ends training by the validation: give validation, or "
            "patience=0"
        )
    if recipe.level_rule and recipe.monitor == "val_loss" and validation is None:
        raise ValueError(
            f"recipe {recipe.name} lowers the rate by the validation loss: give validation, "
            'or monitor="loss" to the recipe'
        )
