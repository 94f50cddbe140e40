"""What `fit` writes, says, returns and refuses."""

import json
import re

import grain
import keras
import numpy as np
import pandas as pd
import pytest
from tiny_training import CLASSES, EPOCHS, STEPS, Batches, Validation, run, tiny_model, tiny_recipe

from harlib.training import fit, precision
from harlib.training.distributed import devices
from harlib.training.divergence import TrainingDiverged

COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
COLUMNS += ["clips_per_s", "wait_share", "memory_bytes"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One whole run with an average of the weights: (folder, history, lines, model)."""
    folder, lines, model = tmp_path_factory.mktemp("run"), [], tiny_model(dropout=0.0)
    recipe = tiny_recipe("modern", ema=0.5, lr=0.05)
    history = run(folder, recipe=recipe, model=model, report=lines.append)
    return folder, history, lines, model


@pytest.mark.quick
def test_history_has_a_row_an_epoch_and_learning_shows(done):
    folder, history, _, _ = done
    assert list(history.columns) == COLUMNS
    assert list(history.epoch) == list(range(1, EPOCHS + 1))
    assert history.loss.iloc[-1] < history.loss.iloc[0]
    assert (
        history[["accuracy", "val_accuracy", "wait_share"]]
        .apply(lambda c: c.between(0, 1))
        .all()
        .all()
    )
    assert (history.memory_bytes > 1e7).all()
    recipe = tiny_recipe("modern", ema=0.5, lr=0.05)
    assert list(history.lr) == [recipe.lr_at(STEPS * (e + 1) - 1) for e in range(EPOCHS)]
    pd.testing.assert_frame_equal(pd.read_csv(folder / "history.csv"), history)


@pytest.mark.quick
def test_report_is_one_line_an_epoch(done):
    _, _, lines, _ = done
    epochs = [line for line in lines if line.startswith("epoch")]
    pattern = (
        r"epoch \d/4  loss [\d.]+  accuracy [\d.]+%  val_loss [\d.]+  val_accuracy [\d.]+%  "
        r"lr \S+  \S+ clips/s  waiting for data \d+%  \d+ s left"
    )
    assert len(epochs) == EPOCHS
    assert all(re.fullmatch(pattern, line) for line in epochs), epochs
    assert lines[0].startswith("modern: adamw") and "learning rate epoch 1" in lines[0]
    assert len(lines) == EPOCHS + 2 + len(precision.slow())  # on a CPU without oneDNN one more
    assert lines[-1].endswith(f": {done[0].name}/model.keras")


@pytest.mark.quick
def test_accumulating_on_mirrored_devices_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "of", lambda model: object.__new__(devices.Mirrored))
    with pytest.raises(ValueError, match="accumulate=2, but on several devices of TensorFlow"):
        run(tmp_path, recipe=tiny_recipe(accumulate=2))


class Mixed(Batches):
    """Shares instead of labels, as of blended clips."""

    def __getitem__(self, i):
        clips, labels = super().__getitem__(i)
        return clips, 0.8 * np.eye(CLASSES)[labels] + 0.2 * np.eye(CLASSES)[np.roll(labels, 1)]


@pytest.mark.quick
def test_a_recipe_with_mixup_wants_mixed_batches(tmp_path):
    recipe = tiny_recipe("modern", epochs=1, mix="mixup")
    with pytest.raises(ValueError, match="modern has mixup, the batches have plain labels"):
        run(tmp_path / "plain", recipe=recipe)
    assert len(run(tmp_path / "mixed", Mixed(), recipe)) == 1


@pytest.mark.quick
def test_progress_tells_the_runner_where_it_is(done):
    progress = json.loads((done[0] / "progress.json").read_text())
    loss = progress.pop("loss")
    assert loss == pytest.approx(done[1].loss.iloc[-1])
    where = {"stage": "training", "done": 20, "total": 20, "epoch": 4, "epochs": 4}
    assert progress == where | {"seconds_left": 0.0}


@pytest.mark.quick
def test_saved_model_is_the_average_without_the_optimiser(done):
    folder, history, _, model = done
    saved = keras.models.load_model(folder / "model.keras")
    assert getattr(saved, "optimizer", None) is None
    clips = Batches()[0][0]
    scores = saved.predict_on_batch(clips)
    np.testing.assert_array_equal(scores, model.predict_on_batch(clips))
    # The last validation was of the averaged weights too.
    loss, correct = 0.0, 0
    for i in range(2):
        element = Validation()[i]
        scores = saved.predict_on_batch(element["clips"])
        loss -= np.log(scores[np.arange(4), element["label"]]).sum() / 8
        correct += (scores.argmax(1) == element["label"]).sum()
    assert history.val_loss.iloc[-1] == pytest.approx(loss, rel=1e-5)
    assert history.val_accuracy.iloc[-1] == correct / 8
    newest = sorted((folder / "checkpoints").glob("step-*.npz"))[-1]
    with np.load(newest) as file:
        raw = file["model.0"]
    assert np.abs(raw - saved.get_weights()[0]).max() > 1e-4, "the average equals the weights"


def test_best_model_is_of_the_best_epoch(tmp_path):
    class Judge(Validation):
        """First what the model believes most (at most ln 3), then what it believes least."""

        reads = 0

        def __getitem__(self, i):
            clips = super().__getitem__(i)["clips"]
            scores = model.predict_on_batch(clips)
            self.reads += 1
            return clips, scores.argmax(1) if self.reads <= 2 else scores.argmin(1)

    model = tiny_model()
    history = run(tmp_path, model=model, validation=Judge(), monitor="val_loss")
    assert history.val_loss.idxmin() == 0
    saved = keras.models.load_model(tmp_path / "checkpoints" / "best.keras")
    scores = np.concatenate([saved.predict_on_batch(Validation()[i]["clips"]) for i in range(2)])
    assert history.val_loss[0] == pytest.approx(-np.log(scores.max(1)).mean(), rel=1e-5)


def test_without_validation_no_best_and_no_columns(tmp_path):
    history = run(tmp_path, validation=None, recipe=tiny_recipe(epochs=1))
    assert list(history.columns) == [c for c in COLUMNS if not c.startswith("val_")]
    assert not (tmp_path / "checkpoints" / "best.keras").exists()


def test_loss_is_without_the_penalty_and_the_class_weights(tmp_path):
    options = {"lr": 1e-9, "drop_epochs": []}
    plain = run(tmp_path / "a", recipe=tiny_recipe("tran-sgd", epochs=1, **options))
    extra = {"l2": 1.0, "class_weight": [3.0, 3.0, 3.0]}
    heavy = run(tmp_path / "b", recipe=tiny_recipe("tran-sgd", epochs=1, **options, **extra))
    assert heavy.loss[0] == pytest.approx(plain.loss[0], rel=1e-5)


def test_class_weights_decide_what_is_learned(tmp_path):
    recipe = tiny_recipe("study-adam", lr=0.1, class_weight=[0.0, 1.0, 0.0])
    run(tmp_path, recipe=recipe, validation=None, model=(model := tiny_model()))
    assert (model.predict_on_batch(Batches()[0][0]).argmax(1) == 1).all()


def test_grain_batches_equal_the_same_batches_by_index(tmp_path):
    source = Batches()
    dataset = grain.MapDataset.range(10**6).map(lambda i: source[i])
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    one, other = run(tmp_path / "a"), run(tmp_path / "b", dataset, threads=3)
    pd.testing.assert_frame_equal(one[columns], other[columns], check_exact=True)


@pytest.mark.quick
def test_divergence_says_where_and_what_to_try(tmp_path):
    class Poisoned(Batches):
        def __getitem__(self, i):
            clips, labels = super().__getitem__(i)
            if i == 7:
                model.trainable_variables[2].assign(np.array([0, np.nan, 0, 0], np.float32))
            return clips, labels

    model = tiny_model()
    with pytest.raises(TrainingDiverged) as error:
        run(tmp_path, Poisoned(), model=model)
    message = str(error.value)
    assert "the loss is nan at step 8" in message
    assert "try a lower lr" in message and "\n" not in message
    names = [p.name for p in (tmp_path / "checkpoints").glob("step-*")]
    assert len(names) == 1 and "step-000000000" in names[0], "a broken state was saved"


@keras.saving.register_keras_serializable("tests")
class Fragile(keras.layers.Layer):
    """At 0 its output is infinite, or only its gradient."""

    def __init__(self, kind, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, x):
        return keras.ops.log(x) if self.kind == "output" else keras.ops.sqrt(x)


@pytest.mark.parametrize("kind", ["output", "gradient"])
def test_divergence_names_the_layer_where_it_began(tmp_path, kind):
    """At batch 7 alone a layer in the middle fails; after the step all weights are NaN."""

    class Dark(Batches):
        def __getitem__(self, i):
            clips, labels = super().__getitem__(i)
            return (np.zeros_like(clips) if i == 7 else np.maximum(clips, 1)), labels

    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((2, 6, 6, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv3D(4, 1, use_bias=False, kernel_initializer="ones", name="first")(x)
    x = keras.layers.ReLU()(x)
    x = Fragile(kind, name="fragile")(x)
    x = keras.layers.GlobalAveragePooling3D()(x)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, "softmax", name="last")(x))
    recipe, lines = tiny_recipe("modern", lr=1e-4), []
    with pytest.raises(TrainingDiverged) as error:
        run(tmp_path, Dark(), model=model, recipe=recipe, validation=None, report=lines.append)
    expected = {
        "gradient": "at step 8 layer first is the first, from the loss, with gradients not finite",
        "output": "at step 8 layer fragile is the first whose output is not finite",
    }
    assert expected[kind] in str(error.value)
    assert any("again to find the layer" in line for line in lines)


def test_divergence_is_seen_before_a_checkpoint_is_written(tmp_path):
    class Poisoned(Batches):
        def __getitem__(self, i):
            if i == 6:
                model.optimizer.variables[3].assign(np.full((1, 3, 3, 3, 4), np.inf, np.float32))
                raise OSError("disk gone")
            return super().__getitem__(i)

    model = tiny_model()
    with pytest.raises(
        TrainingDiverged, match=r"conv3d.* \(108 of 108\) is not finite after step 6"
    ):
        run(tmp_path, Poisoned(), model=model)


def test_what_does_not_fit_together_is_refused(tmp_path):
    inputs = keras.Input((2, 6, 6, 3), dtype="uint8")
    pooled = keras.layers.GlobalAveragePooling3D()(keras.layers.Rescaling(1.0)(inputs))
    logits = keras.Model(inputs, keras.layers.Dense(CLASSES)(pooled))
    cases = [
        ({"model": logits}, "ends in logits"),
        ({"recipe": tiny_recipe("hara-sgd"), "validation": None}, "give validation"),
        ({"epochs": EPOCHS + 1}, f"built for epochs={EPOCHS}; received {EPOCHS + 1}"),
        ({"steps_per_epoch": 1}, f"built for steps_per_epoch={STEPS}; received 1"),
        ({"monitor": "accuracy"}, "val_accuracy or val_loss; received 'accuracy'"),
        ({"keep": 0}, "keep"),
        ({"batches": grain.MapDataset.range(3).map(lambda i: Batches()[i])}, "end at 3, 20 are"),
        ({"recipe": tiny_recipe(class_weight=[1.0])}, "class_weight has 1 numbers"),
    ]
    for i, (options, message) in enumerate(cases):
        with pytest.raises(ValueError, match=message):
            run(tmp_path / str(i), **options)


@pytest.mark.quick
def test_public_signature():
    assert fit.__kwdefaults__["threads"] == 2
    assert fit.__kwdefaults__["checkpoint_every_s"] == 120
    assert fit.__kwdefaults__["resume"] is True


@pytest.mark.soak
def test_memory_stays_flat_over_100_epochs(tmp_path):
    history = run(tmp_path, recipe=tiny_recipe(epochs=100), checkpoint_every_steps=STEPS)
    growth = history.memory_bytes.iloc[-1] / history.memory_bytes.iloc[2] - 1
    assert growth < 0.02, f"memory grew by {growth:.1%}"
