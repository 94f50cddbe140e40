"""A run that was stopped and resumed equals one that was not, bit by bit."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from tiny_training import EPOCHS, STEPS, Batches, run, tiny_model, tiny_recipe

from harlib.training.checkpoint import (
    CheckpointError,
    CheckpointMismatch,
    Checkpoints,
    capture,
    differences,
    restore,
)

TOTAL = STEPS * EPOCHS
SCRIPT = Path(__file__).with_name("tiny_training.py")
TIMES = ["seconds", "clips_per_s", "wait_share", "memory_bytes"]


@pytest.fixture(params=["float32", "mixed_bfloat16"])
def policy(request):
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


class Broken(Batches):
    """Element `at` cannot be read, once."""

    def __init__(self, at, error=lambda: OSError("disk gone")):
        self.at, self.error = at, error

    def __getitem__(self, i):
        if i == self.at:
            self.at = None
            raise self.error()
        return super().__getitem__(i)


def last_state(run_dir):
    """Arrays and JSON state of the newest checkpoint."""
    with np.load(sorted(Path(run_dir, "checkpoints").glob("step-*.npz"))[-1]) as file:
        arrays = dict(file)
    return arrays, json.loads(arrays.pop("state").tobytes())


def assert_same_end(one, other):
    """All variables, the schedule, the history and the saved model are equal, not close."""
    (arrays, state), (others, other_state) = last_state(one), last_state(other)
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)
    for key in ("step", "schedule", "best"):
        assert state[key] == other_state[key], key
    tables = [pd.read_csv(Path(d, "history.csv")).drop(columns=TIMES) for d in (one, other)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    for name in ("model.keras", "checkpoints/best.keras"):
        weights = [keras.models.load_model(Path(d, name)).get_weights() for d in (one, other)]
        for a, b in zip(*weights, strict=True):
            np.testing.assert_array_equal(a, b)


RECIPES = {
    "levels": lambda: tiny_recipe(),
    "average": lambda: tiny_recipe("modern", ema=0.9, class_weight=[1.0, 2.0, 0.5]),
    "accumulated": lambda: tiny_recipe("study-sgd", accumulate=3, l2=1e-3, drop_epochs=[2]),
    "plateau": lambda: tiny_recipe("hara-sgd", patience=1, gain=0.5),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_resume_after_an_error_in_the_data(tmp_path, policy, recipe):
    run(tmp_path / "whole", recipe=RECIPES[recipe]())
    for seed, at in enumerate((7, 10)):  # inside an epoch, and right after one
        with pytest.raises(OSError, match="disk gone"):
            run(tmp_path / "parts", Broken(at), RECIPES[recipe](), tiny_model(seed))
    run(tmp_path / "parts", recipe=RECIPES[recipe](), model=tiny_model(seed=99))
    assert_same_end(tmp_path / "whole", tmp_path / "parts")
    if recipe == "levels":
        assert last_state(tmp_path / "whole")[1]["schedule"]["level"] == 2, "no level was taken"


def test_resume_from_an_older_checkpoint_replays_the_lost_steps(tmp_path):
    run(tmp_path / "whole")
    with pytest.raises(OSError):
        run(tmp_path / "parts", Broken(13), checkpoint_every_steps=4)
    newest = sorted((tmp_path / "parts" / "checkpoints").glob("step-*"))[-1]
    assert "000000013" in newest.name
    newest.unlink()  # as if killed at step 13, a step after the checkpoint of 12
    run(tmp_path / "parts", model=tiny_model(seed=5))
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_resume_after_ctrl_c_and_sigterm(tmp_path, number):
    run(tmp_path / "whole")
    lines = []

    class Interrupted(Batches):
        def __getitem__(self, i):
            if i == 8:
                os.kill(os.getpid(), number)
            return super().__getitem__(i)

    before = signal.getsignal(number)
    expected = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    with pytest.raises(expected):
        run(tmp_path / "parts", Interrupted(), report=lines.append)
    assert signal.getsignal(number) is before
    assert last_state(tmp_path / "parts")[1]["step"] == 9, "the step under way was not finished"
    assert any("checkpoint of step 9 of 20 saved" in line for line in lines)
    run(tmp_path / "parts", report=lines.append)
    assert any("resuming at step 9" in line for line in lines)
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def kill_and_resume(tmp_path, policy, kills, seed):
    print(f"kills drawn with seed {seed}")
    keras.config.set_dtype_policy(policy)
    try:
        recipe = tiny_recipe(epochs=5 * kills)
        run(tmp_path / "whole", recipe=recipe, model=tiny_model(0))
    finally:
        keras.config.set_dtype_policy("float32")
    command = [sys.executable, SCRIPT, tmp_path / "killed", policy, str(kills), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 * kills)
    assert done.returncode == 0, done.stderr[-2000:]
    assert_same_end(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_kill_3_times_and_resume(tmp_path, policy):
    kill_and_resume(tmp_path, policy, kills=3, seed=random.randrange(1000))


@pytest.mark.soak
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("seed", range(3))
def test_kill_20_times_and_resume(tmp_path, policy, seed):
    kill_and_resume(tmp_path, policy, kills=20, seed=seed)


def test_resume_of_a_complete_run_returns_its_history(tmp_path):
    first = run(tmp_path)
    again = run(tmp_path, Broken(0), model=tiny_model(seed=7))
    pd.testing.assert_frame_equal(first, again, check_exact=True)


def test_resume_false_starts_anew(tmp_path):
    whole = run(tmp_path / "whole")
    run(tmp_path / "again", model=tiny_model(seed=3), identity={"seed": 3})
    again = run(tmp_path / "again", resume=False)
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    pd.testing.assert_frame_equal(whole[columns], again[columns], check_exact=True)


@pytest.mark.quick
def test_resume_with_other_parameters_is_refused_with_the_difference(tmp_path):
    with pytest.raises(OSError):
        run(tmp_path, Broken(4), identity={"data": {"seed": 1, "store": "abc"}, "gone": 1})
    with pytest.raises(CheckpointMismatch) as error:
        run(tmp_path, identity={"data": {"seed": 2, "store": "abc"}}, recipe=tiny_recipe(lr=0.03))
    message = str(error.value)
    assert "identity.data.seed: 1 then, 2 now" in message
    assert "identity.gone: 1 then, absent now" in message
    assert "recipe.lr: 0.02 then, 0.03 now" in message
    assert "store" not in message and "patience" not in message


@pytest.mark.quick
@pytest.mark.parametrize(("done", "epochs"), [(STEPS * EPOCHS, 2), (7, 1)])
def test_resume_with_fewer_epochs_than_done_returns_what_is_there_and_says_so(
    tmp_path, done, epochs
):
    if done == STEPS * EPOCHS:
        history = run(tmp_path)
        before = keras.models.load_model(tmp_path / "model.keras").get_weights()
    else:
        with pytest.raises(OSError):
            run(tmp_path, Broken(done))
        history = None
    lines = []
    again = run(tmp_path, recipe=tiny_recipe(epochs=epochs), model=(model := tiny_model(9)),
                report=lines.append)  # fmt: skip
    said = f"trained for {done} steps before, more than the {STEPS * epochs} asked for"
    assert [said in line for line in lines].count(True) == 1
    assert f"history of {len(again)} epochs stay" in " ".join(lines)
    assert f"trained {done} steps in" in lines[-1]
    assert not any("resuming" in line for line in lines)
    if history is not None:
        pd.testing.assert_frame_equal(again, history, check_exact=True)
        for one, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.quick
def test_differences_of_nested_values():
    assert differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == ["a.1.b: 2 then, 3 now"]
    assert differences({"a": [1]}, {"a": [1, 2]}) == ["a: [1] then, [1, 2] now"]
    assert differences({"a": 1.0}, {"a": 1.0}) == []


@pytest.mark.quick
def test_resume_falls_back_from_a_damaged_checkpoint(tmp_path):
    store = Checkpoints(tmp_path, {"x": 1}, keep=3)
    for step in (1, 2, 3):
        store.save(step, {"model.0": np.full(50, step, np.float32)}, {})
    good, cut, flipped = store.paths()
    cut.write_bytes(cut.read_bytes()[:-100])
    lines = []
    rng = np.random.default_rng(0)
    whole = flipped.read_bytes()
    for position in rng.integers(0, len(whole), 20):
        flipped.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        cut.write_bytes(b"")
        arrays, state = store.load(lines.append)
        assert state["step"] == 1 and (arrays["model.0"] == 1).all()
        assert lines[-2:] == [
            f"checkpoint {p.name} is damaged; trying the one before" for p in (flipped, cut)
        ]
        assert store.paths() == [good], "a damaged file would count as one of the last kept"
    good.write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="all 1 checkpoints"):
        store.load(lines.append)


@pytest.mark.quick
def test_kill_while_writing_leaves_no_debris_and_the_last_are_kept(tmp_path):
    (tmp_path / ".part-1.npz").write_bytes(b"half")
    store = Checkpoints(tmp_path, {}, keep=2)
    for step in (5, 50, 1000, 10_000_000_000):
        store.save(step, {}, {})
    assert [int(p.name.split("-")[1]) for p in store.paths()] == [1000, 10_000_000_000]
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ValueError, match="keep"):
        Checkpoints(tmp_path, {}, keep=0)


@pytest.mark.quick
def test_checkpoint_moves_between_precisions(tmp_path):
    recipe = tiny_recipe()
    full = tiny_model(0)
    recipe.compile(full)
    arrays = capture(full)
    assert {"model.6", "optimizer.1"} <= arrays.keys()
    seeds = [v for v in full.variables if "seed" in v.path]
    assert len(seeds) == 1, "the checkpoint would miss the dropout's random state"
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = tiny_model(1)
        recipe.compile(mixed)
        restore(mixed, arrays)
    finally:
        keras.config.set_dtype_policy("float32")
    for name, array in capture(mixed).items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.quick
def test_restore_refuses_another_network():
    recipe = tiny_recipe()
    model = tiny_model()
    recipe.compile(model)
    arrays = capture(model)
    with pytest.raises(CheckpointMismatch, match="model.0 is missing in the checkpoint"):
        restore(model, {k: v for k, v in arrays.items() if k != "model.0"})
    with pytest.raises(CheckpointMismatch, match=r"kernel has shape \(1, 3, 3, 3, 4\)"):
        restore(model, arrays | {"model.0": np.zeros((2, 2), np.float32)})
