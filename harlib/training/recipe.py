"""A training recipe: optimiser, learning-rate schedule and regularisation as plain numbers.

The learning rate of a step is a pure function of the step and of a small state that changes
once an epoch, so a resumed run continues the same schedule.
"""

import dataclasses
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import keras
import numpy as np

from harlib.data import MIXES
from harlib.training import stage_rates
from harlib.training.checkpoint import as_numpy
from harlib.training.stage_rates import Rate

_UNSAID = ("lr", "levels", "drop_epochs", "label_sets")

# A schedule that lowers the rate by itself looks at these columns of an epoch's history row.
_MONITORS = ("loss", "val_loss")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way to train a classifier whose output is class probabilities.

    With `label_sets` each class has a probability of its own (sigmoid), and the loss is the binary
    cross-entropy, the mean over the classes. An accuracy is then the share of clips whose most
    probable class is one of theirs. Smoothed labels s lie at s / 2 and 1 - s / 2.

    The learning rate of a step is
    ``lr · levels[level] · drop_factor^drops / (1 + decay · update) · warm-up · cosine``,
    where the unused factors are 1 and ``update = step // accumulate``.
    """

    name: str
    source: str
    steps_per_epoch: int
    epochs: int
    optimizer: str  # "adam", "adamw" or "sgd"
    lr: float
    momentum: float = 0.0  # sgd only
    rate_in_velocity: bool = True  # Caffe's and Keras' sgd; False is PyTorch's, see `set_rate`
    weight_decay: float = 0.0  # adamw only: decoupled, kernels only
    l2: float = 0.0  # penalty l2 · sum(w²) on every kernel; its gradient is 2 · l2 · w
    decay: float = 0.0  # tf.keras 2.1's time decay, per update
    drop_epochs: tuple[int, ...] = ()  # after each the rate is times drop_factor
    drop_factor: float = 0.1
    levels: tuple[float, ...] = (1.0,)  # factors of lr, taken one after the other
    level_rule: str = ""  # "window" or "best": when the next level begins; see `after_epoch`
    monitor: str = "loss"
    patience: int = 3
    gain: float = 0.01  # relative improvement that counts
    warmup_epochs: float = 0.0  # linear, from lr / steps to lr
    cosine: bool = False  # to zero at the end of the run
    label_smoothing: float = 0.0
    mix: str = ""  # "mixup" or "cutmix": how the batches' clips and labels have been blended
    ema: float = 0.0  # a batch's momentum of the weights' moving average; 0 keeps none
    clip_norm: float = 0.0  # global norm of the gradients; 0 clips nothing
    accumulate: int = 1  # batches whose gradients are averaged into one update
    class_weight: tuple[float, ...] = ()  # weight of a video's loss by class index
    # of several labels per video: the class indices of each label set that the batches name
    label_sets: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    def start(self) -> dict:
        """The schedule's state before the first epoch, in JSON types."""
        return {"level": 0, "best": None, "waited": 0, "recent": []}

    def lr_at(self, step: int, state: Mapping | None = None) -> float:
        """Learning rate of global step `step` (from 0); `state` None = the first level."""
        lr = self.lr * self.levels[state["level"] if state else 0]
        lr /= 1 + self.decay * (step // self.accumulate)
        lr *= self.drop_factor ** sum(step >= e * self.steps_per_epoch for e in self.drop_epochs)
        warmup = round(self.warmup_epochs * self.steps_per_epoch)
        if step < warmup:
            return lr * (step + 1) / warmup
        if self.cosine:
            total = self.steps_per_epoch * self.epochs
            lr *= 0.5 + 0.5 * math.cos(math.pi * (step - warmup) / (total - warmup))
        return lr

    def set_rate(self, optimizer: keras.Optimizer, lr: float, before: float | None) -> None:
        """Give the rate of the next step to the optimiser; `before` is that of the last step.

        Keras' velocity holds past steps, with the rates that they had. PyTorch's holds gradients,
        so that a lower rate shortens at once what is left of the past steps too.
        """
        optimizer.learning_rate = lr
        if before and not self.rate_in_velocity:
            for velocity in optimizer.momentums:
                velocity.assign(as_numpy(velocity) * (lr / before))

    def after_epoch(self, state: Mapping, row: Mapping) -> dict:
        """The state after an epoch whose history row is `row`.

        "window": the next level begins when the monitored value improved by less than `gain`
        over the last `patience` epochs at the present level. "best" (PyTorch's
        ReduceLROnPlateau): when more than `patience` epochs in a row did not improve the best
        value by `gain`.
        """
        state = dict(state)
        if not self.level_rule:
            return state
        value = float(row[self.monitor])
        if self.level_rule == "window":
            recent = [*state["recent"], value][-self.patience - 1 :]
            full = len(recent) > self.patience
            lower = full and recent[0] - value < self.gain * recent[0]
            state["recent"] = [] if lower else recent
        else:
            better = state["best"] is None or value < state["best"] * (1 - self.gain)
            state["best"] = value if better else state["best"]
            state["waited"] = 0 if better else state["waited"] + 1
            lower = state["waited"] > self.patience
            state["waited"] = 0 if lower else state["waited"]
        if lower:
            state["level"] = min(state["level"] + 1, len(self.levels) - 1)
        return state

    def compile(self, model: keras.Model) -> None:
        """Give `model` a fresh optimiser, the loss, the metrics and the kernels' L2 penalty.

        The recipe decides the whole regularisation: a kernel's own regulariser is replaced.
        """
        kernels = [v for v in model.trainable_variables if "kernel" in v.name]
        for kernel in kernels:
            kernel.regularizer = keras.regularizers.L2(self.l2) if self.l2 else None
        optimizer = self._make_optimizer(model, kernels)
        if rates := self.rates(model):
            stage_rates.give(optimizer, model, rates)
        losses, metrics = keras.losses, keras.metrics
        smoothing = {"label_smoothing": self.label_smoothing}
        loss: Any = losses.CategoricalCrossentropy
        measured: Any = metrics.CategoricalCrossentropy
        accuracy: Any = metrics.CategoricalAccuracy(name="accuracy")
        if self.label_sets:
            loss, measured = losses.BinaryCrossentropy, metrics.BinaryCrossentropy
            accuracy = metrics.MeanMetricWrapper(_named_one, name="accuracy")
        model.compile(
            optimizer=optimizer,
            loss=loss(**smoothing),
            # The compiled loss holds the L2 penalty, so the cross-entropy is measured beside it.
            metrics=[
                measured(name="cross_entropy", **smoothing),
                accuracy,
            ],
            # XLA makes these networks slower on TensorFlow; JAX cannot train without it.
            jit_compile=keras.backend.backend() == "jax",
        )
        model.optimizer.build(model.trainable_variables)

    def rates(self, model: keras.Model) -> dict[str, Rate]:
        """Learning rates by stage, where they are not the same everywhere."""
        return {}

    def _make_optimizer(
        self, model: keras.Model, kernels: list[keras.Variable]
    ) -> keras.optimizers.Optimizer:
        options = {
            "learning_rate": self.lr_at(0),
            "global_clipnorm": self.clip_norm or None,
            "use_ema": bool(self.ema),
            "ema_momentum": self.ema or 0.99,  # unused without use_ema; Keras checks its range
            "gradient_accumulation_steps": self.accumulate if self.accumulate > 1 else None,
        }
        if self.optimizer == "sgd":
            return keras.optimizers.SGD(momentum=float(self.momentum), **options)
        if self.optimizer == "adam":
            return keras.optimizers.Adam(**options)
        optimizer = keras.optimizers.AdamW(weight_decay=self.weight_decay, **options)
        decayed = {id(v) for v in kernels}
        optimizer.exclude_from_weight_decay(
            var_list=[v for v in model.trainable_variables if id(v) not in decayed]
        )
        return optimizer

    def targets(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """float32 (batch, classes) from int labels (batch,) or from shares (batch, classes).

        With `label_sets` labels and shares are of these sets, and a clip's targets may be several.

        Raises:
            ValueError: labels of another shape, or class indices outside 0..classes - 1.
        """
        if self.label_sets:
            members = np.zeros((len(self.label_sets), classes), np.float32)
            for row, own in zip(members, self.label_sets, strict=True):
                row[list(own)] = 1
            return self._shares(labels, len(members)) @ members
        return self._shares(labels, classes)

    def _shares(self, labels: np.ndarray, classes: int) -> np.ndarray:
        labels = np.asarray(labels)
        if labels.ndim == 2 and labels.shape[1] == classes and labels.dtype.kind == "f":
            return labels.astype(np.float32)
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise ValueError(
                f"labels are int (batch,) or float (batch, {classes}); "
                f"received {labels.dtype} {labels.shape}"
            )
        if labels.size and (labels.min() < 0 or labels.max() >= classes):
            raise ValueError(
                f"the model has {classes} classes, so labels lie in 0..{classes - 1}; "
                f"received {labels.min()}..{labels.max()}"
            )
        return np.eye(classes, dtype=np.float32)[labels]

    def sample_weights(self, targets: np.ndarray) -> np.ndarray | None:
        """float32 (batch,): each sample's weight in the loss; None without class weights."""
        if not self.class_weight:
            return None
        if len(self.class_weight) != targets.shape[1]:
            raise ValueError(
                f"class_weight has {len(self.class_weight)} numbers, "
                f"the model has {targets.shape[1]} classes"
            )
        return (targets @ np.asarray(self.class_weight)).astype(np.float32)

    def config(self) -> dict:
        """The numbers that decide the weights after a given step, in JSON types."""
        values = dataclasses.asdict(self)
        if not self.label_sets:  # as runs had it before there were any
            del values["label_sets"]
        if not self.cosine:  # only a cosine needs to know how long the run is
            del values["epochs"]
        del values["source"]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def describe(self) -> str:
        """Two lines for people: what differs from the plain optimiser, and the rate over time.

        A third where the batches do not divide into updates.
        """
        parts = [
            f"{f.name} {_plain(getattr(self, f.name))}"
            for f in dataclasses.fields(self)[5:]
            if getattr(self, f.name) != f.default and f.name not in _UNSAID
        ]
        marks = sorted({0, 1, self.epochs // 4, self.epochs // 2, self.epochs - 1})
        rates = [
            f"epoch {e + 1}: {self.lr_at(e * self.steps_per_epoch):.3g}"
            for e in marks
            if e < self.epochs
        ]
        later = ""
        if self.level_rule:
            rule = f"{self.monitor} gained under {self.gain:.3g}"
            levels = ", ".join(f"{self.lr * x:.3g}" for x in self.levels[1:4])
            later = f"; on {rule} over {self.patience} epochs: {levels}"
        total = self.steps_per_epoch * self.epochs
        unused = ""
        if rest := total % self.accumulate:
            unused = (
                f"\nof {total} batches the last {rest} change no weight: {self.accumulate} make an "
                f"update"
            )
        if self.label_sets:
            parts.append("binary cross-entropy of each label")
        return (
            f"{self.name}: {self.optimizer}, {', '.join(parts)}\n"
            f"learning rate {', '.join(rates)}{later}{unused}"
        )


@keras.saving.register_keras_serializable("harlib")  # a compiled network's copy has it too
def _named_one(targets: Any, scores: Any) -> Any:
    """1 for a clip whose most probable class is one of its labels: (batch,)."""
    best = keras.ops.argmax(scores, axis=-1)
    found = keras.ops.take_along_axis(targets, keras.ops.expand_dims(best, -1), axis=-1)
    return keras.ops.squeeze(found, -1)


def _plain(value: Any) -> str:
    if isinstance(value, tuple) and len(value) > 4:
        return f"{len(value)} numbers from {min(value):.3g} to {max(value):.3g}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


_KINDS = {
    str: ("a text", lambda v: isinstance(v, str)),
    bool: ("true or false", lambda v: isinstance(v, bool)),
    int: ("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
    float: ("a number", _number),
    tuple: ("a list of numbers", lambda v: isinstance(v, tuple) and all(map(_number, v))),
}


def _check(r: Recipe) -> None:
    """Refuse numbers out of range and combinations that fight each other."""
    for f in dataclasses.fields(r):
        if f.name == "label_sets":
            continue  # made by `harlib.data.label_sets`, by nobody's hand
        kind, fits = _KINDS[f.type if f.type in _KINDS else tuple]
        if not fits(getattr(r, f.name)):
            raise ValueError(
                f"recipe {r.name}: {f.name} is {kind}; received {getattr(r, f.name)!r}"
            )
    adaptive, fixed = bool(r.level_rule), bool(r.cosine or r.decay)
    refusals = [
        (r.steps_per_epoch < 1 or r.epochs < 1, "steps_per_epoch and epochs are at least 1"),
        (r.optimizer not in ("adam", "adamw", "sgd"), "optimizer is adam, adamw or sgd"),
        (r.lr <= 0, "lr is above 0"),
        (not 0 <= r.momentum < 1, "momentum lies in [0, 1)"),
        (r.momentum and r.optimizer != "sgd", "momentum belongs to sgd; Adam has its own"),
        (not r.rate_in_velocity and not r.momentum, "rate_in_velocity is of sgd with momentum"),
        (r.weight_decay < 0 or r.l2 < 0 or r.decay < 0, "weight_decay, l2 and decay are 0 or more"),
        (r.weight_decay and r.optimizer != "adamw",
         "weight_decay is adamw's; with sgd or adam give l2 = weight decay / 2"),
        (r.weight_decay and r.l2, "weight_decay and l2 both shrink the kernels: give one"),
        (r.level_rule not in ("", "window", "best"), 'level_rule is "window", "best" or ""'),
        (r.monitor not in _MONITORS, f"monitor is one of {', '.join(_MONITORS)}"),
        (r.patience < 1 or r.gain < 0, "patience is at least 1 and gain 0 or more"),
        (not r.levels or min(r.levels) <= 0, "levels are one or more factors above 0"),
        (adaptive and fixed, "a rate that follows the loss and one that follows the step "
         "(cosine, decay) fight each other: set level_rule to \"\" or leave the other"),
        (r.cosine and r.decay, "cosine and decay are two schedules: give one"),
        (r.cosine and r.drop_epochs, "cosine and drop_epochs are two schedules: give one"),
        (r.drop_factor <= 0, "drop_factor is above 0"),
        (not 0 <= r.warmup_epochs < r.epochs, f"warmup_epochs lies in [0, {r.epochs})"),
        (not 0 <= r.label_smoothing < 1, "label_smoothing lies in [0, 1)"),
        (r.mix not in ("", *MIXES), f'mix is one of {", ".join(MIXES)} or ""'),
        (not 0 <= r.ema < 1, "ema lies in [0, 1)"),
        (r.clip_norm < 0, "clip_norm is 0 or more"),
        (r.accumulate < 1, "accumulate is at least 1"),
        (r.accumulate > (steps := r.steps_per_epoch * r.epochs),
         f"accumulate={r.accumulate} batches an update, but the run has {steps} in all: nothing "
         f"would be trained; give at most {steps}"),
        (r.class_weight and r.label_sets, "class_weight weighs videos of one label each, and these "
         "have several: leave it out"),
        (r.class_weight and min(r.class_weight) < 0, "class_weight holds numbers from 0"),
    ]  # fmt: skip
    for refused, why in refusals:
        if refused:
            raise ValueError(f"recipe {r.name}: {why}")
