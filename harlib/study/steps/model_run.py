"""The steps of notebooks 02 to 04, and of `har train`: build, train, score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harlib import HarlibError, MissingFile, evaluation
from harlib.data import Catalog, ClipStore, label_sets
from harlib.data.loading import batches as loader
from harlib.data.loading import clip_input
from harlib.data.store import prepare as preparing
from harlib.evaluation import metrics, naming
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study.params.notebooks import Common
from harlib.study.params.trained import FrameCNN, Network3D, Trained
from harlib.study.runs import fingerprint, session
from harlib.study.steps import begin, inputs, transfer
from harlib.study.wording import sentences, tables

if TYPE_CHECKING:
    import keras

    from harlib.training import Recipe

# Models and training, and with them Keras, are imported where they are used: the command line
# and the notebooks that work on files alone start in a second.


def build(p: Trained, store: ClipStore, *, frames: int | None = None) -> keras.Model:
    """The notebook's network for the store's categories, a keras.Model.

    With published weights and frozen stages where the parameters name them.
    """
    from harlib import models
    from harlib.training import finetune
    from harlib.training.distributed import devices

    transfer.refuse_probe(p, store)
    with devices.scope(p.devices):
        model = models.build(
            p.model,
            len(label_sets.classes(store.categories)),
            frames=frames or p.frames,
            size=p.size,
            classifier_activation=_activation(store),
            **p.network_options(),
        )
        if isinstance(p, Network3D) and p.weights:
            names = label_sets.classes(store.categories)
            said = models.load_weights(model, transfer.weights(p), categories=names)
            transfer.check(p, said.new)
            print(said)
    below, batch_norm = p.frozen
    if below or batch_norm:
        finetune.freeze(model, below or None, batch_norm=batch_norm)
    return model


def _activation(store: ClipStore) -> str:
    return "sigmoid" if label_sets.several(store.categories) else "softmax"


def network_cost(p: Trained, model: keras.Model, store: ClipStore) -> tables.Sentence:
    """What training this network on this store costs, in arithmetic."""
    from harlib import models

    clips = len(store.rows(p.train_split))
    trained = models.trainable(model)
    return sentences.cost(models.parameters(model), models.gmacs(model), clips, p.epochs, trained)


def recipe(p: Trained, store: ClipStore, *, epochs: int | None = None) -> Recipe:
    """The training recipe, a `training.recipe.Recipe`, for the length of this run.

    Raises:
        HarlibError: the run takes no steps (recipe probe, epochs: 0).
    """
    from harlib.training import finetune, recipes

    if not p.takes_steps:
        raise HarlibError(f"run {p.run} takes no training steps, so it has no plan of them")
    steps = loader.steps_per_epoch(store, p.train_split, p.batch)
    options = dict(p.recipe_options)
    if p.mix:
        options["mix"] = "" if p.mix == "none" else p.mix
    options["label_sets"] = label_sets.indices(store.categories)
    for key in ("class_weights", "balanced"):
        if options["label_sets"] and getattr(p, key):
            raise HarlibError(
                f"{key} is for videos of one label each, and these have several: leave it out"
            )
    if p.class_weights:
        labels = store.videos["label"].to_numpy()[store.rows(p.train_split)]
        options["class_weight"] = recipes.balanced_weights(labels, len(store.categories))
    plan = recipes.build(p.recipe, steps_per_epoch=steps, epochs=epochs or p.epochs, **options)
    return finetune.slower(plan, p.lr_multipliers) if p.lr_multipliers else plan


def plan(p: Trained, store: ClipStore) -> Recipe | None:
    """The recipe of the run's steps; None where it takes none."""
    return recipe(p, store) if p.takes_steps else None


def train(p: Trained, model: keras.Model, plan: Recipe, store: ClipStore) -> pd.DataFrame:
    """Trains to the end of the recipe, going on where an interrupted run stopped."""
    if session.kept(p):
        return taught(model, p.run_dir)[1]
    transfer.note_weights(p)
    if p.patience and (reason := p.length_in_recipe):
        session.note(p, sentences.impatient(p.patience, p.recipe, reason))
    stage = session.stage(p, "training")
    return _fit(p, model, plan, store, p.run_dir, stage, p.frames, patience=p.patience)


def preflight(
    p: Trained,
    model: keras.Model | None,
    plan: Recipe | None,
    store: ClipStore,
    *,
    begun: bool = True,
) -> tables.Table | tables.Sentence:
    """Checks before the hours are spent, a row each; the model stays as it is.

    `model` None (what is trained comes later): a new network like it is checked. `plan` None (no
    step is taken): the labels alone are. `begun` False:
    the run has not begun, so that nothing is written into its folder.

    Raises:
        ValueError: a check says that the result would mean nothing, unless the parameter preflight
            says "show".
    """
    from harlib.training import preflight as checks

    if begun and session.kept(p):
        return tables.Sentence("No checks before training: this run is complete.")
    if p.preflight == "off":
        return tables.Sentence("No checks before training (parameter preflight).")
    audit = checks.labels(store, p.train_split, p.validate_split or p.split)
    if plan is None:
        return tables.Table(audit)
    with checks.same_random():
        trial = checks.check(
            model or build(p, store),
            inputs.batches(p, plan, store, p.frames),
            plan,
            run_dir=p.run_dir,
            validation=inputs.validation(p, store, p.frames),
            threads=p.threads,
            keep=p.checkpoints_kept,
            stage=session.stage(p, "checks before training") if begun else None,
        )
    table = pd.concat([audit, trial], ignore_index=True)
    if p.preflight == "stop" and len(bad := table[table["verdict"] == "stop"]):
        found = "; ".join(f"{row.check}: {row.found}" for row in bad.itertuples())
        raise ValueError(f"{found} (preflight: show trains all the same)")
    return tables.Table(table)


def train_or_probe(
    p: Trained, model: keras.Model, plan: Recipe | None, store: ClipStore
) -> pd.DataFrame:
    """`train`, or without a plan `transfer.without_steps`."""
    if plan is None:
        return transfer.without_steps(p, model, store)
    return train(p, model, plan, store)


def _fit(
    p: Trained,
    model: keras.Model,
    plan: Recipe,
    store: ClipStore,
    folder: Path,
    stage: Any,
    frames: int,
    validate_split: str | None = None,
    patience: int = 0,
) -> pd.DataFrame:
    import keras

    from harlib.training import fit

    batches = inputs.batches(p, plan, store, frames)
    validation = inputs.validation(p, store, frames, validate_split)
    return fit(
        model,
        batches,
        plan,
        run_dir=folder,
        validation=validation,
        threads=p.threads,
        checkpoint_every_s=60 * p.checkpoint_minutes,
        checkpoint_every_steps=p.checkpoint_steps or None,
        keep=p.checkpoints_kept,
        identity={
            "clip store": store.hash,
            "precision": keras.config.dtype_policy().name,
            "parameters": fingerprint.settings(p),
        },
        # a recipe that depends on it says so itself
        free=["parameters.epochs"],
        patience=patience,
        watchers=inputs.watchers(p, plan, folder, patience),
        stage=stage,
    )


def taught(model: keras.Model, folder: Path) -> tuple[keras.Model, pd.DataFrame]:
    """Gives the model the weights of a complete training; returns it with its history."""
    from harlib.models import keras_file

    model.set_weights(keras_file.load(RunFolder(folder).model).get_weights())
    return model, pd.read_csv(RunFolder(folder).history)


def stills_store(p: FrameCNN) -> ClipStore | None:
    """The labelled still images as a store of one-frame videos; None when none are given."""
    if not p.stills:
        return None
    short_side = p.size if isinstance(p.size, int) else min(p.size)
    size = max(short_side * 8 // 7, short_side)
    listed = Catalog.from_stills(p.made(p.root / p.stills))
    root = preparing.place(listed, p.data_dir / f"stills-store-{short_side}", size=size)
    preparing.prepare(listed, root, size=size, progress=session.stage(p, "preparing stills"))
    return ClipStore(root)


def train_stills(p: FrameCNN, stills: ClipStore | None) -> tuple[object, pd.DataFrame | None]:
    """Trains the frame CNN on stills; returns it with its history, or two Nones without stills."""
    if stills is None:
        return None, None
    model, folder = build(p, stills, frames=1), p.folder.stills
    if session.kept(p):
        return taught(model, folder)
    plan = recipe(p, stills, epochs=p.stills_epochs)
    splits = set(stills.videos["split"])
    held_out = next((split for split in ("val", "test") if split in splits), "")
    stage = session.stage(p, "training on stills")
    history = _fit(p, model, plan, stills, folder, stage, frames=1, validate_split=held_out)
    return model, history


def build_on_stills(p: FrameCNN, store: ClipStore, on_stills: keras.Model | None) -> keras.Model:
    """The network for video frames: a new one, or that of the stills with a new classifier."""
    if on_stills is None:
        return build(p, store)
    from harlib import models
    from harlib.training.distributed import devices

    with devices.of(on_stills).scope():
        return models.replace_classifier(
            on_stills,
            len(label_sets.classes(store.categories)),
            frames=p.frames,
            classifier_activation=_activation(store),
        )


def score(
    p: Trained, model: keras.Model, store: ClipStore, *, checkpoint: str | None = None
) -> evaluation.Scores:
    """Scores the split's videos with the chosen weights and saves ``scores.npz``, ``views.npz``.

    checkpoint: by default the run's own; given, a complete run is scored again.
    """
    if checkpoint is None and session.kept(p):
        return evaluation.Scores.load(p.run_dir)
    if (checkpoint or p.checkpoint) == "best":
        model = load_model(p, "best")
    elif p.devices > 1 and checkpoint is None:
        model = load_model(p)  # scores on one device
    return evaluation.score(
        model,
        store,
        inputs.clip_spec(p),
        inputs.protocol(p),
        batch=p.score_batch,
        run_dir=p.run_dir,
        listed=session.listed(p),
        threads=p.threads,
        progress=session.stage(p, f"scoring {p.split}"),
    )


def measure(
    p: Trained, model: keras.Model, scores: evaluation.Scores, *, minutes: float | None = None
) -> tables.Sentence:
    """Writes ``metrics.json`` and says the result in one sentence.

    minutes: of the run; by default until now.
    """
    if minutes is None and session.kept(p):
        return sentences.answer(read_json(p.folder.metrics))
    from harlib import models

    protocol = p.model_dump(
        include={
            "split",
            "clips",
            "crops",
            "crop_scale",
            "frames",
            "stride",
            "clip_fps",
            "size",
            "checkpoint",
        }
    )
    network = {
        "name": p.model if not isinstance(p, FrameCNN) else f"{p.model} ({p.backbone})",
        "parameters": models.parameters(model),
        "trainable": models.trainable(model),
        "gmacs": models.gmacs(model),
    } | naming.options(p.model_dump())
    # for those who use the network elsewhere: what its clips are made of
    protocol["stored"] = clip_input.stored(p.store_dir)
    if minutes is None:  # pages derive from the run's folder alone
        alike = session.look_alikes(p, ClipStore(p.store_dir), p.train_split, p.split)
        p.folder.write_state(look_alikes=alike)
    taken = session.minutes(p) if minutes is None else minutes
    return sentences.answer(metrics.write(p.run_dir, scores, protocol, network, taken))


def load_model(p: Trained, checkpoint: str = "last") -> keras.Model:
    """The trained network of a run: its ``last`` weights or the ``best`` epoch's.

    Raises:
        FileNotFoundError: there is none; the message says how to get there.
        HarlibError: a file of another kind.
    """
    from harlib.models import keras_file

    path = p.folder.weights(checkpoint)
    if not path.is_file():
        remedy = "set validate_split" if checkpoint == "best" else "train it first"
        raise MissingFile(f"{session.from_root(p, path)} is not there: {remedy}")
    model = keras_file.load(path)
    height, width = (p.size, p.size) if isinstance(p.size, int) else p.size
    if tuple(model.input_shape[1:]) != (p.frames, height, width, 3):
        raise HarlibError(
            f"{session.from_root(p, path)} takes clips of {tuple(model.input_shape[1:])}, the "
            f"run's are {(p.frames, height, width, 3)}: put its own file back, or train it again"
        )
    return model


def run(p: Common) -> tables.Sentence:
    """A whole model run without its notebook: `har train`.

    Raises:
        ValueError: parameters of a notebook that trains nothing.
    """
    if not isinstance(p, Trained):
        raise ValueError(f"run {p.run!r} trains nothing; give a file of notebook 02, 03, 04 or 09")
    print(begin.start(p, anew=True))
    store = session.open_store(p)
    model = build_and_train(p, store)
    said = measure(p, model, score(p, model, store))
    session.finish(p)
    return said


def build_and_train(p: Trained, store: ClipStore) -> keras.Model:
    """The trained network, a frame CNN by way of its stills."""
    if isinstance(p, FrameCNN):
        model = build_on_stills(p, store, train_stills(p, stills_store(p))[0])
    else:
        model = build(p, store)
    train_or_probe(p, model, plan(p, store), store)
    return model


def preflight_run(p: Common) -> tables.Table | tables.Sentence:
    """`har preflight`: the checks of a model run, without leaving anything behind.

    Raises:
        ValueError: parameters of a notebook that trains nothing.
    """
    import keras

    from harlib.training import precision
    from harlib.training.distributed import devices

    if not isinstance(p, Trained):
        raise ValueError(f"run {p.run!r} trains nothing; give a file of notebook 02, 03, 04 or 09")
    if not (p.store_dir / "store.json").is_file():
        raise MissingFile(
            f"no clip store at {session.from_root(p, p.store_dir)}: make it first (har study "
            f"{p.study} --only 01_data_prep)"
        )
    devices.prepare(p.most_devices)
    keras.utils.set_random_seed(p.seed)
    precision.use(p.precision)
    store = ClipStore(p.store_dir)
    return preflight(p, None, plan(p, store), store, begun=False)
