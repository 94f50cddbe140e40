"""Training where a video may have several labels: targets, loss, measures, refusals."""

import keras
import numpy as np
import pytest
from sklearn import metrics as sk

from harlib.models import fold_batch_norm
from harlib.training import batches, fit, recipes
from harlib.training.distributed import devices

pytestmark = pytest.mark.quick

SETS = ((0,), (0, 1), (2,))


def build(**overrides):
    return recipes.build("modern", steps_per_epoch=5, epochs=4, label_sets=SETS, **overrides)


def network(activation="sigmoid", classes=3):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((2, 6, 6, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Flatten()(x)
    layer = keras.layers.Dense(classes, activation, dtype="float32", name="classifier")
    return keras.Model(inputs, layer(x))


class Clips:
    """Element i: 8 clips whose brightness per channel tells their labels, a function of i."""

    def __getitem__(self, i):
        rng = np.random.default_rng(i)
        labels = rng.integers(0, len(SETS), 8).astype(np.int32)
        targets = build().targets(labels, 3)
        noise = rng.integers(0, 60, (8, 2, 6, 6, 3))
        return (noise + 150 * targets[:, None, None, None]).astype(np.uint8), labels

    def __len__(self):
        return 2


def test_targets_are_the_labels_of_the_set():
    recipe = build()
    np.testing.assert_array_equal(
        recipe.targets(np.array([1, 2]), 3), np.array([[1, 1, 0], [0, 0, 1]], np.float32)
    )
    shares = np.array([[0.5, 0.0, 0.5]], np.float32)  # two clips mixed
    np.testing.assert_allclose(recipe.targets(shares, 3), [[0.5, 0, 0.5]])
    with pytest.raises(ValueError, match="3 classes"):
        recipe.targets(np.array([3]), 3)


def test_single_labels_have_the_checkpoints_that_they_had():
    one = recipes.build("modern", steps_per_epoch=5, epochs=4)
    assert "label_sets" not in one.config() and build().config()["label_sets"] == list(SETS)
    assert "binary cross-entropy" in build().describe()
    assert "binary" not in one.describe() and "label_sets" not in build().describe()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_binary_cross_entropy_of_each_label(smoothing):
    recipe, model = build(label_smoothing=smoothing, l2=0.0, weight_decay=0.0), network()
    recipe.compile(model)
    clips, labels = Clips()[0]
    targets, scores = recipe.targets(labels, 3), np.asarray(model(clips))
    found = model.evaluate(clips, targets, verbose=0, return_dict=True)
    smooth = targets * (1 - smoothing) + smoothing / 2
    wanted = -(smooth * np.log(scores) + (1 - smooth) * np.log(1 - scores)).mean()
    assert found["cross_entropy"] == pytest.approx(wanted, rel=1e-4)
    assert found["loss"] == pytest.approx(wanted, rel=1e-4)
    best = targets[np.arange(8), scores.argmax(1)].mean()
    assert found["accuracy"] == pytest.approx(best)


def test_the_validation_is_scikit_learns():
    recipe, model = build(), network()
    recipe.compile(model)
    told = batches.validate(devices.of(model), recipe, Clips(), 3, 0)
    every = [Clips()[i] for i in range(2)]
    targets = recipe.targets(np.concatenate([labels for _, labels in every]), 3)
    scores = np.asarray(model(np.concatenate([clips for clips, _ in every])), np.float64)
    losses = [sk.log_loss(targets[:, k], scores[:, k], labels=[0, 1]) for k in range(3)]
    assert told["val_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    top = targets[np.arange(len(targets)), scores.argmax(1)].mean()
    assert told["val_accuracy"] == pytest.approx(top)


def test_it_learns(tmp_path):
    recipe, model = build(lr=0.03, ema=0.0, label_smoothing=0.0, mix=""), network()
    fit(model, Clips(), recipe, run_dir=tmp_path, validation=Clips(), threads=0)
    model = fold_batch_norm.copy(model)  # a compiled one, as before scoring
    clips, labels = Clips()[99]
    np.testing.assert_array_equal(np.asarray(model(clips)) >= 0.5, recipe.targets(labels, 3) > 0)


def test_what_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(ValueError, match='classifier_activation="sigmoid"'):
        fit(network("softmax"), Clips(), build(), run_dir=tmp_path)
    one = recipes.build("modern", steps_per_epoch=5, epochs=4)
    with pytest.raises(ValueError, match='classifier_activation="softmax"'):
        fit(network(), Clips(), one, run_dir=tmp_path)
    with pytest.raises(ValueError, match="class_weight weighs videos of one label"):
        build(class_weight=(1.0, 1.0, 1.0))
