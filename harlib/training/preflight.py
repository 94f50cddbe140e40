"""Checks before the hours are spent: the labels, the network, the loader, the room, the end."""

import contextlib
import math
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from harlib.data import Audit, ClipStore, label_sets, unknown_groups
from harlib.data.store import look_alikes
from harlib.progress import Stage
from harlib.run_folder import RunFolder
from harlib.text import count, duration
from harlib.training import resources
from harlib.training.batches import Batches, Finite, read, validate
from harlib.training.checkpoint import capture, newest_step, restore_model
from harlib.training.distributed import devices
from harlib.training.progress import tree_memory
from harlib.training.recipe import Recipe

# Memorising one batch takes Adam a few dozen steps at this rate, whatever the recipe's own is.
_RATE = 1e-3


def labels(store: ClipStore, train_split: str, validate_split: str = "") -> pd.DataFrame:
    """The audit of a store's labels: a row per check, `check, found, verdict`.

    Verdicts: "ok", "look" (may be meant) and "stop" (the result would mean nothing): categories
    without training videos, groups or equal videos on both sides of a split (stop from 1 % on;
    groups that are unknown, and look-alikes on both sides, are to look at), and the accuracy of
    always saying the largest category.
    """
    videos = store.videos
    train = videos[videos["split"] == train_split]
    counts = train["category"].value_counts().reindex(store.categories, fill_value=0)
    missing = list(counts.index[counts == 0])
    rows = []
    if label_sets.several(store.categories):
        rows.append(_several(store.categories, counts.to_numpy()))
    elif missing:
        few = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        rows.append(("training videos", f"none in {len(missing)} categories: {few}", "stop"))
    else:
        low, high = counts.min(), counts.max()
        each = f"{low}" if low == high else f"{low} to {high}"
        found = f"{len(train):,} in {len(counts)} categories, {each} each"
        if counts.max() > 3 * counts.min():
            found += "; balanced: true shows each equally often"
        uneven = counts.max() > 10 * counts.min()
        rows.append(("training videos", found, "look" if uneven else "ok"))
    other = videos[videos["split"] == (validate_split or train_split)]
    if validate_split:
        shared = (set(train["group"]) & set(other["group"])) - {"", np.nan}
        found = f"{len(shared)} in {train_split} and {validate_split}"
        verdict = _leak(len(shared), other["group"].nunique())
        both = videos[videos["split"].isin([train_split, validate_split])]
        if unknown := unknown_groups(both):
            found = f"unknown: of {unknown:,} of {len(both):,} videos no group is known; of the "
            found += f"others {len(shared)} in {train_split} and {validate_split}"
            verdict = "look" if verdict == "ok" else verdict
        rows.append(("shared groups", found, verdict))
    if (Path(store.root) / "audit.csv").is_file():
        if validate_split:
            rows.append(_alike(look_alikes.load(store), train_split, validate_split))
        rows.append(_audited(Audit.load(store.root)))
    where = validate_split or train_split
    if label_sets.several(store.categories):
        if not len(other):
            rows.append(("validation videos", f"none in {where}", "stop"))
        return _table(rows)  # no label is the answer to all videos
    share = other["category"].value_counts(normalize=True)
    found = f"{share.iloc[0]:.1%} of {where} is {share.index[0]}" if len(share) else "no videos"
    if share.nunique() == 1 < len(share):
        found = f"{share.iloc[0]:.1%} of {where}: its {len(share)} categories are equally frequent"
    rows.append(("majority class", found, "ok" if len(share) else "stop"))
    return _table(rows)


def _several(categories: Sequence[str], counts: np.ndarray) -> tuple:
    """The row about training videos of each single label, where videos have several."""
    names = label_sets.classes(categories)
    own = counts @ label_sets.members(categories)
    if lacking := [name for name, number in zip(names, own, strict=True) if not number]:
        few = ", ".join(lacking[:3]) + (" ..." if len(lacking) > 3 else "")
        return "training videos", f"none with {len(lacking)} of the labels: {few}", "stop"
    found = f"{counts.sum():,}, of each of {len(names)} labels {own.min()} to {own.max()}"
    return "training videos", found, "look" if own.max() > 10 * own.min() else "ok"


def _alike(found: look_alikes.LookAlikes | None, *splits: str) -> tuple:
    """The row about videos of both sides that look alike, whatever their groups are called."""
    if found is None:
        return "look-alikes", "unknown: har prepare, run again, compares the pictures", "look"
    number = len(found.across(*splits))
    said = f"{count(number, 'video')} of {' and '.join(splits)} like one on the other side"
    if number:
        said += f"; har new-study NAME --videos STORE/{look_alikes.TABLE} keeps them together"
    return "look-alikes", said, "look" if number else "ok"


def _audited(audit: Audit) -> tuple:
    """The row about what was listed and is not there, or is there twice."""
    videos = audit.videos
    lost = int((~videos["status"].isin(["ok", "short"])).sum())
    across = 0
    for _, video in videos[videos["same_as"] != ""].iterrows():
        split = video["same_as"].split("/")[0]
        across += split != video["split"]
    found = f"{len(videos):,} videos listed, {lost} unreadable or missing"
    found += f", {across} equal to one of another split"
    share = lost / max(1, len(videos))
    leak = _leak(across, len(videos))
    return "label audit", found, "look" if leak == "ok" and share > 0.02 else leak


def _leak(shared: int, count: int) -> str:
    """A few in a web-sized set do not decide a result; one in a hundred may."""
    return "ok" if not shared else "look" if shared < 0.01 * count else "stop"


def check(
    model: keras.Model,
    batches: Batches,
    recipe: Recipe,
    *,
    run_dir: Path,
    validation: Finite | None = None,
    threads: int = 2,
    workers: int = 0,
    keep: int = 2,
    steps: int = 60,
    seconds: float = 20.0,
    stage: Stage | None = None,
) -> pd.DataFrame:
    """What can be known before training: a row per check, `check, found, verdict`.

    The arguments are those of `fit.fit`. At most `steps` steps and about `seconds` seconds (after
    the first step, which builds the graph) go into learning `batches[0]` by heart, without dropout.
    `stage` is told how far that is, without a time: it ends as soon as the batch is learned.

    Afterwards the model has its weights, random states and dropout back, and it is not compiled
    with this trial's optimiser any more than with another: `fit` compiles it anew.
    """
    run_dir = Path(run_dir)
    classes = model.output_shape[-1]
    group = devices.of(model)
    with group.scope(), same_random(), _untouched(model):
        trial = _Trial(group, recipe, classes, stage)
        with contextlib.closing(read(batches, 0, 1, 0)) as source:
            trial.learn(next(source), steps, seconds)
        memory = tree_memory()
        on_device = resources.device_memory()
        sizes = resources.sizes(model)
        load_s = _loading(batches, threads, workers, seconds=min(seconds, 3.0))
        validate_s = _validating(group, recipe, validation, classes)
    rows = [trial.first_loss(), trial.overfitted()]
    clips, step_s = trial.clips, trial.step_s
    loader, network = clips / load_s, clips / step_s
    waiter = "the network waits for the loader" if load_s > step_s else "the loader waits"
    found = f"loader {loader:,.0f} clips/s, network {network:,.0f} clips/s: {waiter}"
    rows.append(("speed", found, "look" if load_s > step_s else "ok"))
    rows += resources.rows(memory, on_device, sizes, run_dir, keep)
    # On a CPU the readers take their time from the network's cores; beside an accelerator they
    # work at the same time.
    together = max(step_s, load_s) if on_device else step_s + load_s
    whole = recipe.epochs * recipe.steps_per_epoch
    left = whole - min(whole, newest_step(RunFolder(run_dir).checkpoints))
    epochs_left = math.ceil(left / recipe.steps_per_epoch)
    total = left * together + epochs_left * validate_s + max(0.0, trial.graph_s)
    end = time.strftime("%a %d %b %H:%M", time.localtime(time.time() + total))
    what = f"{whole:,} steps" if left == whole else f"the last {left:,} of {whole:,} steps"
    rows.append(("estimated end", f"{duration(total)} for {what}: {end}", "ok"))
    return _table(rows)


class _Trial:
    """The attempt to learn one batch by heart."""

    def __init__(
        self, group: devices.Single, recipe: Recipe, classes: int, stage: Stage | None
    ) -> None:
        self.group, self.classes, self.stage = group, classes, stage
        length = recipe.steps_per_epoch, recipe.epochs
        # The average's memory is the recipe's; it changes nothing here.
        self.recipe = Recipe(
            *("preflight", "", *length),
            optimizer="adam",
            lr=_RATE,
            ema=recipe.ema,
            label_sets=recipe.label_sets,
        )
        self.recipe.compile(group.model)
        self.losses: list[float] = []
        self.accuracy = 0.0

    def learn(self, batch: tuple[np.ndarray, np.ndarray], steps: int, seconds: float) -> None:
        clips, given = batch
        targets = self.recipe.targets(given, self.classes)
        self.clips, times = len(targets), []
        # Mixed labels leave a floor above zero: their entropy.
        entropy = -targets * np.log(np.maximum(targets, 1e-9))
        if self.recipe.label_sets:
            others = 1 - targets
            entropy = (entropy - others * np.log(np.maximum(others, 1e-9))) / self.classes
        self.floor = float(entropy.sum(1).mean())
        began = None
        while len(self.losses) < steps:
            if self.stage is not None:
                self.stage.write(len(self.losses), steps)
            start = time.monotonic()
            values = self.group.train(clips, targets, None)
            times.append(time.monotonic() - start)
            self.losses.append(float(values["cross_entropy"]))
            self.accuracy = float(values["accuracy"])
            began = time.monotonic() if began is None else began
            learned = self.accuracy >= 0.95 and self.progress() > 0.5
            late = time.monotonic() - began > seconds
            if not math.isfinite(self.losses[-1]) or len(times) > 3 and (learned or late):
                break
        self.step_s = float(np.median(times[1:])) if len(times) > 1 else times[0]
        self.graph_s = times[0] - self.step_s  # the first step builds the graph

    def progress(self) -> float:
        """Share of the way from the first loss to the lowest one possible."""
        way = max(self.losses[0] - self.floor, 1e-9)
        return (self.losses[0] - self.losses[-1]) / way

    def first_loss(self) -> tuple:
        answers = 2 if self.recipe.label_sets else self.classes  # of each label yes or no
        first, uniform = self.losses[0], math.log(answers)
        found = f"{first:.3f}; guessing costs ln({answers}) = {uniform:.3f}"
        if not math.isfinite(first):
            return "loss at start", found, "stop"
        # Well below: the network was trained before, or an input gives the label away.
        return "loss at start", found, "ok" if 0.7 < first / uniform < 1.5 else "look"

    def overfitted(self) -> tuple:
        last, count = self.losses[-1], len(self.losses)
        found = f"loss {self.losses[0]:.3f} to {last:.3f}, accuracy {self.accuracy:.0%}"
        found += f" after {count} steps"
        if not math.isfinite(last) or (self.progress() < 0.05 and count > 20):
            return "one batch learned by heart", found, "stop"
        learned = self.accuracy >= 0.9 or self.progress() > 0.5
        return "one batch learned by heart", found, "ok" if learned else "look"


@contextlib.contextmanager
def same_random() -> Iterator[None]:
    """Inside, random numbers may be drawn; afterwards the states are as before."""
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


@contextlib.contextmanager
def _untouched(model: keras.Model) -> Iterator[None]:
    """Inside, the model may be trained; afterwards all of it is as before.

    Not a copy: it would need the memory twice, and making one draws from Python's generator.
    """
    before = capture(model)
    dropouts = [
        (layer, layer.rate)
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Dropout)
    ]
    penalties = [(v, v.regularizer) for v in model.trainable_variables]
    for layer, _ in dropouts:
        layer.rate = 0
    try:
        yield
    finally:
        for layer, rate in dropouts:
            layer.rate = rate
        for variable, penalty in penalties:
            variable.regularizer = penalty
        restore_model(model, before)


def _loading(batches: Batches, threads: int, workers: int, seconds: float) -> float:
    """Seconds between two batches when nobody computes; the first ones start the readers."""
    ahead = 2 * max(1, workers or threads)
    with contextlib.closing(read(batches, 1, 10**6, threads, workers)) as source:
        for _ in range(1 + ahead):  # what was read ahead of the clock must not count
            next(source)
        count, start = 0, time.monotonic()
        while count < 4 or time.monotonic() - start < seconds and count < 40:
            next(source)
            count += 1
        return (time.monotonic() - start) / count


def _validating(
    group: devices.Single, recipe: Recipe, validation: Finite | None, classes: int
) -> float:
    """Seconds of a validation, from its first batches."""
    if validation is None:
        return 0.0
    count = min(3, len(validation))
    first, some = validation[0], [validation[i] for i in range(count)]
    validate(group, recipe, [first], classes, 0)  # builds the graph
    start = time.monotonic()
    validate(group, recipe, some, classes, 0)
    return (time.monotonic() - start) / count * len(validation)


def _table(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["check", "found", "verdict"])
