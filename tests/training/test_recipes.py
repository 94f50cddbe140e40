"""What a recipe holds, says of itself, and refuses."""

import numpy as np
import pytest

from harlib.training import recipes

pytestmark = pytest.mark.quick


def build(name, epochs=20, steps=10, **overrides):
    return recipes.build(name, steps_per_epoch=steps, epochs=epochs, **overrides)


def test_targets_and_weights():
    recipe = build("modern", class_weight=[1, 2, 4])
    hard = recipe.targets(np.array([2, 0], np.int32), 3)
    assert hard.dtype == np.float32 and hard.tolist() == [[0, 0, 1], [1, 0, 0]]
    mixed = np.array([[0.25, 0.75, 0]])
    np.testing.assert_array_equal(recipe.targets(mixed, 3), mixed)
    assert recipe.sample_weights(hard).tolist() == [4, 1]
    assert recipe.sample_weights(mixed).tolist() == [1.75]
    assert build("modern").sample_weights(hard) is None
    for labels, message in [
        (np.array([0, 3]), "labels lie in 0..2; received 0..3"),
        (np.array([0.5, 1.0]), "received float64 (2,)"),
        (np.zeros((2, 4), np.float32), "received float32 (2, 4)"),
    ]:
        with pytest.raises(ValueError) as error:
            recipe.targets(labels, 3)
        assert message in str(error.value)
    with pytest.raises(ValueError, match="class_weight has 3 numbers, the model has 2"):
        recipe.sample_weights(np.eye(2))


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("modren", {}, "nearest: 'modern'"),
        ("modern", {"learning_rat": 1}, "no number 'learning_rat'"),
        ("modern", {"warmup": 1}, "nearest: 'warmup_epochs'"),
        ("modern", {"lr": "1e-3"}, "lr is a number; received '1e-3'"),
        ("modern", {"lr": 0.0}, "lr is above 0"),
        ("modern", {"lr": float("nan")}, "lr is a number; received nan"),
        ("modern", {"accumulate": 2.5}, "accumulate is a whole number"),
        ("modern", {"accumulate": 201}, "has 200 in all: nothing would be trained; .* most 200"),
        ("modern", {"l2": 1e-4}, "weight_decay and l2"),
        ("modern", {"momentum": 0.9}, "belongs to sgd"),
        ("modern", {"decay": 0.1}, "cosine and decay"),
        ("modern", {"drop_epochs": [3]}, "cosine and drop_epochs"),
        ("modern", {"level_rule": "best"}, "fight each other"),
        ("modern", {"warmup_epochs": 20}, r"lies in \[0, 20\)"),
        ("modern", {"label_smoothing": 1.0}, "label_smoothing"),
        ("modern", {"mix": "blend"}, "mix is one of mixup, cutmix"),
        ("modern", {"rate_in_velocity": False}, "rate_in_velocity is of sgd"),
        ("study-sgd", {"weight_decay": 1e-3}, "l2 = weight decay / 2"),
        ("study-sgd", {"optimizer": "lion"}, "optimizer is adam, adamw or sgd"),
        ("hara-sgd", {"decay": 1e-3}, "fight each other"),
        ("hara-sgd", {"monitor": "val_los"}, "monitor is one of"),
        ("study-adam", {"levels": []}, "levels are"),
        ("study-adam", {"levels": ["a"]}, "levels is a list of numbers"),
    ],
)
def test_unsuitable_numbers_are_refused_with_a_reason(name, overrides, message):
    with pytest.raises(ValueError, match=message):
        build(name, **overrides)


def test_batches_that_end_no_update_are_said():
    assert (
        "200 batches the last 2 change no weight: 3 make an update"
        in build("study-adam", accumulate=3).describe()
    )
    for accumulate in (1, 4, 200):
        assert "change no weight" not in build("study-adam", accumulate=accumulate).describe()


def test_balanced_weights_make_every_category_count_the_same():
    labels = np.array([0] * 6 + [1] * 2 + [2])
    weights = recipes.balanced_weights(labels, 3)
    np.testing.assert_allclose(np.bincount(labels) * weights, [3, 3, 3])
    assert build("modern", class_weight=weights).class_weight == weights
    with pytest.raises(ValueError, match="category 3 has no training video"):
        recipes.balanced_weights(labels, 4)


def test_every_recipe_names_its_source_and_describes_itself():
    assert recipes.names() == [
        *("study-adam", "study-sgd", "hara-sgd", "tran-sgd", "modern"),
        *("finetune-head", "finetune-gradual"),
    ]
    for name in recipes.names():
        for epochs in (1, 2, 16):
            recipe = build(name, epochs=epochs)
            assert recipe.source and name in recipe.describe()
            assert all(recipe.lr_at(t) > 0 for t in range(10 * epochs))
    assert build("tran-sgd", epochs=16).drop_epochs == (4, 8, 12)
    assert "5e-05, 1e-05" in build("study-adam").describe()


def test_modern_is_all_that_its_name_says():
    recipe = build("modern", epochs=20, steps=10)
    assert (recipe.optimizer, recipe.weight_decay, recipe.cosine) == ("adamw", 0.05, True)
    assert (recipe.warmup_epochs, recipe.label_smoothing, recipe.mix) == (2, 0.1, "mixup")
    assert recipe.ema == pytest.approx(1 - 25 / 200)
    # ImageNet for 600 epochs in batches of 1024, as torchvision does: its 2e-5 a clip and epoch.
    steps = 1_281_167 // 1024
    assert 1 - build("modern", epochs=600, steps=steps).ema == pytest.approx(
        2e-5 * 1024 / 600, rel=0.03
    )
    assert build("modern", epochs=2, steps=10).ema == 0, "20 steps are too few for an average"
    plain = build("modern", mix="", ema=0)
    assert not plain.mix and not plain.ema
    assert "mix mixup, ema 0.875" in recipe.describe()


def test_config_knows_the_length_only_where_the_rate_does():
    assert build("study-adam", epochs=5).config() == build("study-adam", epochs=9).config()
    assert build("modern", epochs=20).config() != build("modern", epochs=21).config()
