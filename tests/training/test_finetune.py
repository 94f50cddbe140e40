"""Frozen stages stay as they are; slower stages move by their share."""

import keras
import numpy as np
import pytest

from harlib import models
from harlib.training import finetune, recipes

SLIM = {
    "resnext3d_26": {"width": 0.125, "cardinality": 4},
    "c3d_bn": {"width": 0.125, "dense": 8, "dropout": 0.0},
    "frame_cnn": {"backbone": "small", "width": 0.5, "dropout": 0.0},
}


def build(name="c3d_bn"):
    keras.utils.set_random_seed(0)
    return models.build(name, 3, frames=4, size=16, **SLIM[name])


def step(model, factors=None, name="study-sgd", **overrides):
    """{variable's path: its change} of one training step."""
    recipe = recipes.build(name, steps_per_epoch=4, epochs=4, **overrides)
    if factors:
        recipe = finetune.slower(recipe, factors)
    recipe.compile(model)
    before = {v.path: keras.ops.convert_to_numpy(v).copy() for v in model.variables}
    clips = np.random.default_rng(0).integers(0, 256, (2, 4, 16, 16, 3), "uint8")
    model.train_on_batch(clips, np.eye(3, dtype="float32")[:2])
    return {
        v.path: keras.ops.convert_to_numpy(v) - before[v.path]
        for v in model.variables
        if "seed" not in v.path
    }


@pytest.mark.parametrize("name", SLIM)
def test_frozen_stages_stay_and_the_others_move(name):
    model = build(name)
    everything = models.parameters(model)
    left = finetune.freeze(model, below="stage3")
    assert 0 < left == models.trainable(model) < everything == models.parameters(model)
    changes = step(model)
    frozen = [path for path in changes if any(s in path for s in ("stem", "stage1", "stage2"))]
    assert frozen and all(not changes[path].any() for path in frozen)
    trained = [path for path in changes if path not in frozen and "kernel" in path]
    assert trained and all(changes[path].any() for path in trained)
    assert finetune.freeze(model) == everything
    assert finetune.freeze(model, "head") < left


def test_batch_norms_freeze_with_their_statistics():
    model = build()
    finetune.freeze(model, below="stage2", batch_norm=True)
    changes = step(model)
    assert not any(change.any() for path, change in changes.items() if "_bn" in path)
    assert changes[next(path for path in changes if "stage2_conv1" in path)].any()
    moved = step(build())
    assert moved[next(p for p in moved if "stage5_bn2" in p and "moving_mean" in p)].any()


@pytest.mark.parametrize(
    ("recipe", "options"),
    [("study-sgd", {}), ("study-adam", {}), ("modern", {"warmup_epochs": 0.0}),
     ("modern", {"warmup_epochs": 0.0, "accumulate": 2})],
)  # fmt: skip
def test_a_stage_moves_by_its_factor(recipe, options):
    if options.get("accumulate"):
        model = build()
        half = step(model, {"stage1": 0.1}, recipe, **options)
        assert not any(half[path].any() for path in half if "kernel" in path)  # not yet
        return
    whole = step(build(), None, recipe, **options)
    slower = step(build(), {"stage1": 0.1, "head": 0.5}, recipe, **options)
    for path, change in whole.items():
        if "moving" in path:
            continue
        is_head = "head" in path or "classifier" in path
        factor = 0.1 if "stage1" in path else 0.5 if is_head else 1.0
        tolerance = 1e-3 * np.abs(change).max() + 1e-7
        assert np.abs(slower[path] - factor * change).max() <= tolerance, path


def changes(model, recipe, steps):
    """{variable's path: its change} of each of some training steps."""
    recipe.compile(model)
    clips = np.random.default_rng(0).integers(0, 256, (2, 4, 16, 16, 3), "uint8")
    for _ in range(steps):
        before = {v.path: keras.ops.convert_to_numpy(v).copy() for v in model.trainable_variables}
        model.train_on_batch(clips, np.eye(3, dtype="float32")[:2])
        yield {
            v.path: np.abs(keras.ops.convert_to_numpy(v) - before[v.path]).max()
            for v in model.trainable_variables
        }


@pytest.mark.parametrize("accumulate", [1, 2])
def test_gradual_begins_with_the_head_then_takes_the_last_stage_then_all(accumulate):
    recipe = recipes.build(
        "finetune-gradual", steps_per_epoch=2 * accumulate, epochs=5, accumulate=accumulate
    )
    model = build()
    assert set(recipe.rates(model)) == {f"stage{n}" for n in (1, 2, 3, 4, 5)}
    moved = []
    for step in changes(model, recipe, 10 * accumulate):
        found = {models.stage(path.split("/")[0]) for path, change in step.items() if change}
        moved.append(found)
    every = {f"stage{n}" for n in (1, 2, 3, 4, 5)} | {"head"}
    updates = moved[accumulate - 1 :: accumulate]
    assert updates == [{"head"}] * 2 + [{"head", "stage5"}] * 2 + [every] * 6


def test_gradual_gives_each_stage_a_part_of_the_next_ones_rate():
    recipe = recipes.build(
        "finetune-gradual", steps_per_epoch=2, epochs=2, starts=(0.0, 0.0), stage_decay=0.5,
        weight_decay=0.0,
    )  # fmt: skip
    step = next(iter(changes(build(), recipe, 1)))
    # Adam's first step is as long as the rate, whatever the gradient
    found = {path: change for path, change in step.items() if "conv" in path and "kernel" in path}
    for path, change in found.items():
        distance = 6 - int(path[len("stage")])
        assert change == pytest.approx(1e-3 * 0.5**distance, rel=0.02), path
    assert "starts (0.2, 0.4)" not in recipe.describe()
    wrong = {"starts": (0.5, 0.2)}, {"starts": (0.5,)}, {"stage_decay": 0.0}
    for options in wrong:
        with pytest.raises(ValueError, match="starts are two|stage_decay lies"):
            recipes.build("finetune-gradual", steps_per_epoch=2, epochs=2, **options)


def test_float16_scales_its_loss_around_the_slower_stages():
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = build()
        finetune.slower(
            recipes.build("study-adam", steps_per_epoch=1, epochs=1), {"stage1": 0.1}
        ).compile(model)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert len(model.optimizer.inner_optimizer.rates) == 3  # kernel, gamma, beta


def test_a_compiled_network_is_copied_from_its_configuration():
    model = build()
    plain = recipes.build("modern", steps_per_epoch=2, epochs=2, warmup_epochs=0.0)
    finetune.slower(plain, {"stage1": 0.1}).compile(model)
    copy = keras.models.Model.from_config(model.get_config())
    copy.compile_from_config(model.get_compile_config())
    assert type(copy.optimizer) is keras.optimizers.AdamW


def test_the_factors_are_part_of_the_recipe():
    plain = recipes.build("hara-sgd", steps_per_epoch=2, epochs=2)
    tuned = finetune.slower(plain, {"stem": 0.1, "stage1": 0.2})
    assert tuned.lr_at(0) == plain.lr_at(0)
    config = tuned.config()
    assert config["stages"] == "stem,stage1" and config["factors"] == [0.1, 0.2]
    assert "stages stem,stage1" in tuned.describe()


def test_wrong_arguments_are_named():
    model, recipe = build(), recipes.build("study-sgd", steps_per_epoch=1, epochs=1)
    with pytest.raises(ValueError, match="no stage 'stage9'; it has input, stage1, stage2"):
        finetune.freeze(model, below="stage9")
    with pytest.raises(ValueError, match="no stage 'steam'"):
        finetune.slower(recipe, {"steam": 0.1}).compile(model)
    with pytest.raises(ValueError, match="factor of stage1 is 0; it is above 0"):
        finetune.slower(recipe, {"stage1": 0})
    with pytest.raises(ValueError, match="factors is empty"):
        finetune.slower(recipe, {})
