"""The steps of notebook 09: what a network that knows something already is given, and its cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harlib import HarlibError, evaluation, figures
from harlib.data import ClipStore, label_sets
from harlib.evaluation import metrics, ranking
from harlib.files import appearing, write_npz
from harlib.run_folder import RunFolder
from harlib.study.params.trained import Network3D, Trained
from harlib.study.runs import fingerprint, session
from harlib.study.steps import inputs
from harlib.study.wording import sentences, tables

if TYPE_CHECKING:
    import keras

    from harlib.training import Recipe


def weights(p: Network3D) -> str | Path:
    """The run's starting weights, a file or folder by its place in the project."""
    return p.published.name if p.published else p.root / p.weights


def note_weights(p: Trained) -> None:
    """Keeps in the run's state which weights it begins with: name, digest, licence."""
    if isinstance(p, Network3D) and p.weights:
        from harlib.models.weights import load

        p.folder.write_state(weights=load.identify(weights(p), p.model))


def check(p: Trained, new: Sequence[str]) -> None:
    """Refuses to score what nobody has taught.

    new: layers that the weights left as they were.

    Raises:
        HarlibError: epochs: 0, and the classifier is new.
    """
    if not p.epochs and new:
        raise HarlibError(
            "epochs: 0 scores the network as it is, but its weights have no classifier for these "
            "categories: name the categories as the weights' data does (of Kinetics-400, with "
            "spaces; one label per video, or several, as there), or train with recipe: probe"
        )


def refuse_probe(p: Trained, store: ClipStore) -> None:
    """Refuses to fit a linear probe to videos of several labels.

    Raises:
        HarlibError: the recipe is probe, and a category holds "|".
    """
    if p.epochs and not p.takes_steps and label_sets.several(store.categories):
        raise HarlibError(
            "recipe: probe names one label per video, and these have several: train the head "
            "instead (recipe: finetune-head)"
        )


def without_steps(p: Trained, model: keras.Model, store: ClipStore) -> pd.DataFrame:
    """Gives the network its classifier by a linear probe; with epochs: 0 it stays as it is.

    What it says of the training clips, and the strengths that were tried, stay in the run's folder.

    Returns:
        The strengths, as `training.probe.Probe.tried`; empty with epochs: 0.
    Raises:
        ValueError: as `training.probe.fit`.
    """
    folder = p.folder
    if session.kept(p):
        from harlib.models import keras_file

        model.set_weights(keras_file.load(folder.model).get_weights())
        return pd.read_csv(folder.probe) if folder.probe.is_file() else pd.DataFrame()
    note_weights(p)
    tried = _probe(p, model, store) if p.epochs else pd.DataFrame()
    with appearing(folder.model, suffix=".keras") as part:
        model.save(part)
    return tried


def _probe(p: Trained, model: keras.Model, store: ClipStore) -> pd.DataFrame:
    refuse_probe(p, store)
    from harlib.training import probe

    answers = evaluation.features.features(
        model,
        store,
        inputs.clip_spec(p),
        dataclasses.replace(inputs.protocol(p), split=p.train_split),
        batch=p.score_batch,
        kept=p.folder.describing,
        threads=p.threads,
        progress=session.stage(p, f"features of {p.train_split}"),
    )
    video, view, _, vectors = (np.concatenate(part) for part in zip(*answers, strict=True))
    write_npz(p.folder.features, video=video, view=view, vectors=vectors)
    evaluation.resume.drop(p.folder.describing)
    rows = store.videos.iloc[video]
    # where no group is known every video is one
    groups = rows["group"].where(rows["group"] != "", rows["video_id"]).to_numpy()
    found = probe.fit(
        vectors,
        rows["label"].to_numpy(),
        groups,
        len(store.categories),
        balanced=p.balanced or bool(p.class_weights),
        seed=p.seed,
    )
    model.get_layer("classifier").set_weights([found.kernel, found.bias])
    with appearing(p.folder.probe) as part:
        found.tried.to_csv(part, index=False)
    return found.tried


def show_plan(p: Trained, recipe: Recipe | None) -> tables.Sentence | None:
    """Draws the learning rate over the steps to come, or says that there are none."""
    if recipe is not None:
        figures.show(figures.schedule(recipe))
        return None
    if not p.epochs:
        return tables.Sentence("No training: the network is scored as its weights have made it.")
    return tables.Sentence(
        "No training by steps: the network is shown each training video once, and a linear "
        "classifier is fitted to what it says of them. How strongly large weights are punished is "
        "chosen by folds of the training videos, a group always on one side."
    )


def show_training(trained: pd.DataFrame) -> tables.Sentence | tables.Table:
    """Learning curves of a training by steps; of a probe what each strength reached."""
    if "loss" in trained:
        figures.show(figures.learning_curves(trained))
        return sentences.training(trained)
    if trained.empty:
        return tables.Sentence("Nothing was trained.")
    return tables.Table(trained.assign(chosen=np.where(trained["chosen"], "yes", "")))


def cost(p: Trained) -> tables.Table:
    """The study's runs of this notebook side by side, with minutes a point of accuracy.

    A point counts from always saying the most frequent category, of several labels from guessing.
    """
    folders = [file.parent for file in sorted(p.run_dir.parent.glob("09_*/metrics.json"))]
    folders = [one for one in folders if one == p.run_dir or fingerprint.is_ended(one)]
    table = metrics.table(folders)
    values = [RunFolder(folder).read_params() for folder in folders]
    table["weights"] = [one["weights"] or "none: from scratch" for one in values]
    table["recipe"] = [one["recipe"] if one["epochs"] else "none" for one in values]
    table["95 % interval"] = [
        f"{100 * row.low:.1f} to {100 * row.high:.1f} %" for row in table.itertuples()
    ]
    key = ranking.measure(table)
    points = 100 * (table[key] - table["chance" if key == "mean_ap" else "majority"])
    table["minutes a point"] = (table["minutes"] / points).where(points > 0)
    shown = ["run", "network", "weights", "recipe", key, "95 % interval", "minutes",
             "minutes a point"]  # fmt: skip
    return tables.Table(table[shown])
