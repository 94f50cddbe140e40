"""The state of one training run, and the moves that change it: step, end of an epoch, save."""

import contextlib
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from harlib.files import appearing
from harlib.models import keras_file
from harlib.progress import Stage
from harlib.run_folder import RunFolder
from harlib.text import duration
from harlib.training import precision
from harlib.training.batches import Batches, Finite, read, validate
from harlib.training.checkpoint import Checkpoints, as_numpy, capture, restore
from harlib.training.distributed import devices
from harlib.training.divergence import TrainingDiverged, advice, first_layer, first_nonfinite
from harlib.training.progress import Progress, tree_memory
from harlib.training.recipe import Recipe
from harlib.training.stopping import Stopping


class Run:
    """The state of one run: what a checkpoint holds, and the moves that change it."""

    def __init__(
        self,
        group: devices.Single,
        recipe: Recipe,
        run_dir: Path,
        identity: Mapping | None,
        keep: int,
        report: Callable[[str], None],
        stage: Stage | None,
        stopping: Stopping,
        free: Collection[str],
    ) -> None:
        self.group, self.model = group, (model := group.model)
        self.stopping = stopping
        self.recipe, self.run_dir, self.report = recipe, run_dir, report
        self.classes = model.output_shape[-1]
        self.total = recipe.epochs * recipe.steps_per_epoch
        recipe.compile(model)
        precision.check(model)
        # A float16 policy wraps the optimiser for loss scaling; rate and averages are inside.
        self.optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self.step = 0
        self.schedule = recipe.start()
        self.history: list[dict] = []
        self.best: list | None = None
        self.sums = self._zero()
        self.told = False  # how a batch is shared
        length = recipe.epochs, recipe.steps_per_epoch
        stage = stage or Stage(run_dir, "training")
        self.progress = Progress(run_dir, *length, report, stage)
        fingerprint = {
            "identity": dict(identity or {}),
            "recipe": recipe.config(),
            "shapes": [list(v.shape) for v in model.variables],
        }
        if group.process:  # until process 0 has tidied the folder and left a checkpoint there
            group.meet("begun")
        self.checkpoints = Checkpoints(
            RunFolder(run_dir).checkpoints, fingerprint, keep, [f"identity.{name}" for name in free]
        )

    def begin(self, resume: bool) -> None:
        """Take up the newest checkpoint, or write the first one."""
        if not resume and not self.group.process:
            self.checkpoints.clear()
        found = self.checkpoints.load(self.report)
        if found is None:
            # The first weights too: a run killed before its second checkpoint starts from them.
            self.save()
        if self.group.processes > 1:
            if not self.group.process:
                self.group.meet("begun")
            # Also at the first step: all of them begin with the weights of process 0.
            found = found or self.checkpoints.load(self.report)
        if found is None:
            return
        arrays, state = found
        restore(self.model, arrays)
        for key in ("step", "schedule", "history", "best", "sums"):
            setattr(self, key, state[key])
        if self.step > self.total:
            self.report(
                f"this run was trained for {self.step} steps before, more than the {self.total} "
                f"asked for: its model and history of {len(self.history)} epochs stay as they are; "
                f"give another run_dir to train for {self.recipe.epochs}"
            )
        elif self.step or self.group.processes == 1:
            self.report(f"resuming at step {self.step} of {self.total}")

    def save(self) -> None:
        """Write a checkpoint of the present step; process 0 does it for all.

        Raises:
            TrainingDiverged: something in it is not finite.
        """
        if self.group.process:
            return
        began = time.monotonic()
        arrays = capture(self.model)
        bad = first_nonfinite(self.model, arrays)
        if bad:
            raise TrainingDiverged(advice(f"{bad} is not finite after step {self.step}"))
        state = {k: getattr(self, k) for k in ("schedule", "history", "best", "sums")}
        self.checkpoints.save(self.step, arrays, state)
        self.progress.saved(time.monotonic() - began)

    def train(self, clips: np.ndarray, labels: np.ndarray, began: float, waited: float) -> None:
        """One step; `began`: when its batch was asked for; `waited`: seconds until it came."""
        lr = self.recipe.lr_at(self.step, self.schedule)
        if lr != self.sums["lr"]:
            self.recipe.set_rate(self.optimizer, lr, self.sums["lr"])
        targets = self.recipe.targets(labels, self.classes)
        if not self.told:
            self.told = True
            if self.recipe.mix and np.ndim(labels) == 1:
                raise ValueError(
                    f"recipe {self.recipe.name} has {self.recipe.mix}, the batches have plain "
                    'labels: read them with the same mix, or build the recipe with mix=""'
                )
            if shared := self.group.describe(len(targets)):
                self.report(shared)
        values = self.group.train(clips, targets, self.recipe.sample_weights(targets))
        self.step += 1
        if not math.isfinite(values["loss"]):
            bad = first_nonfinite(self.model, capture(self.model))
            where = f"; first weights that are not finite after it: {bad}" if bad else ""
            raise TrainingDiverged(
                advice(f"the loss is {values['loss']} at step {self.step}{where}")
            )
        n, sums = len(targets) * self.group.processes, self.sums
        seconds = time.monotonic() - began
        sums["clips"] += n
        sums["loss"] += n * float(values["cross_entropy"])
        sums["correct"] += n * float(values["accuracy"])
        sums["seconds"] += seconds
        sums["waited"] += waited
        sums["lr"] = lr
        if self.group.process == 0:
            self.progress.step(self.step, sums["loss"] / sums["clips"], seconds)

    def explain(self, batches: Batches, error: TrainingDiverged) -> TrainingDiverged:
        """`error` with the layer where it began, found by training again from the checkpoint."""
        failed = self.step
        if self.group.processes > 1 or failed == 0:
            return error  # the other processes are waiting inside their step
        if (newest := self.checkpoints.load(self.report)) is None:
            return error
        arrays, state = newest
        again = failed - state["step"]
        self.report(f"diverged; training the last {again} steps again to find the layer")
        restore(self.model, arrays)
        self.schedule, found = state["schedule"], ""
        for step, (clips, labels) in enumerate(
            read(batches, state["step"], failed, 0), state["step"]
        ):
            before = capture(self.model)
            if first_nonfinite(self.model, before):
                break  # not the step's doing
            self.optimizer.learning_rate = self.recipe.lr_at(step, self.schedule)
            targets = self.recipe.targets(labels, self.classes)
            values = self.group.train(clips, targets, self.recipe.sample_weights(targets))
            broken = first_nonfinite(self.model, capture(self.model))
            if broken or not math.isfinite(values["loss"]):
                restore(self.model, before)
                found = first_layer(self.model, clips, targets)
                break
        return TrainingDiverged(f"{error}; at step {step + 1} {found}") if found else error

    def end_epoch(self, validation: Finite | None, threads: int) -> None:
        """Validate, write the row, move the schedule, keep the best."""
        sums, began = self.sums, time.monotonic()
        row = {
            "epoch": self.step // self.recipe.steps_per_epoch,
            "loss": sums["loss"] / sums["clips"],
            "accuracy": sums["correct"] / sums["clips"],
        }
        if validation is not None:
            with self._averaged():
                row |= validate(
                    self.group, self.recipe, validation, self.classes, threads, self._validated
                )
                if not math.isfinite(row["val_loss"]):
                    where = f"the validation loss is {row['val_loss']} after epoch {row['epoch']}"
                    raise TrainingDiverged(advice(where))
                self._keep_best(row)
        row |= {
            "lr": sums["lr"],
            "seconds": sums["seconds"],
            "clips_per_s": sums["clips"] / sums["seconds"],
            "wait_share": sums["waited"] / sums["seconds"],
            "memory_bytes": tree_memory(),
        }
        self.history.append(row)
        self.schedule = self.recipe.after_epoch(self.schedule, row)
        self.sums = self._zero() | {"lr": sums["lr"]}
        self.progress.epoch_end(time.monotonic() - began)
        if self.group.process == 0:
            self.progress.epoch(self.history, self.step)

    def _validated(self, seconds: float) -> None:
        """A batch of the validation took `seconds`."""
        if self.group.process == 0:
            loss = self.sums["loss"] / self.sums["clips"]
            self.progress.validated(self.step, loss, seconds)

    @property
    def is_over(self) -> bool:
        """Whether no step is left, or none that would help."""
        return self.step >= self.total or self.stopping.is_over(self.history)

    def finish(self) -> None:
        """Save the last checkpoint and the model, with patience the best epoch's."""
        self.group.meet("trained")
        if not self.checkpoints.holds(self.step):
            self.save()
        self._take_average()
        if self.stopping.patience:
            self._take_best()
        if self.group.process:
            return
        path = RunFolder(self.run_dir).model
        _save(self.model, path)
        seconds = sum(row["seconds"] for row in self.history)
        # the last folder alone: what a notebook says goes into pages that are meant to be sent
        saved = f"{self.run_dir.name}/{path.name}"
        self.report(f"trained {self.step} steps in {duration(seconds)}: {saved}")

    @staticmethod
    def _zero() -> dict:
        return {"clips": 0, "loss": 0.0, "correct": 0.0, "seconds": 0.0, "waited": 0.0, "lr": None}

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Inside, the model has the weights' moving average if the recipe keeps one."""
        weights = self.model.trainable_variables if self.recipe.ema else []
        own = [_copy(w) for w in weights]
        self._take_average()
        try:
            yield
        finally:
            for weight, value in zip(weights, own, strict=True):
                weight.assign(value)

    def _take_best(self) -> None:
        """Put the best epoch's weights into the model."""
        best = keras_file.load(RunFolder(self.run_dir).best_model)
        for weight, own in zip(self.model.weights, best.weights, strict=True):
            weight.assign(as_numpy(own))
        epoch = self.history[self.stopping.best(self.history)]["epoch"]
        ended = f"training ends after epoch {len(self.history)} of {self.recipe.epochs}"
        if self.stopping.is_over(self.history):
            ended += f", as the last {self.stopping.patience} were no better in validation"
        self.report(f"{ended}: the model has the weights of epoch {epoch}, the best one")

    def _take_average(self) -> None:
        """Put the weights' moving average, if there is one, into the model."""
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self.recipe.ema:
            # On JAX, weight and average are now one buffer, which a step must not be given twice.
            for weight in self.model.trainable_variables:
                weight.assign(_copy(weight))

    def _keep_best(self, row: dict[str, Any]) -> None:
        merit = self.stopping.merit(row)
        if self.best is None or merit > self.best:
            self.best = merit
            if self.group.process == 0:
                _save(self.model, RunFolder(self.run_dir).best_model)


def _copy(weight: keras.Variable) -> np.ndarray:
    return np.array(as_numpy(weight))


def _save(model: keras.Model, path: Path) -> None:
    # The same layers in a model that was never compiled: no optimiser, a third of Adam's size.
    bare = keras.Model(model.inputs, model.outputs, name=model.name)
    with appearing(path, suffix=path.suffix) as part:  # by which Keras chooses the format
        bare.save(part)
