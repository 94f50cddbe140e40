"""Training that ends when validation stops improving, exactly so after any interruption."""

import numpy as np
import pytest
from test_resume import Broken, assert_same_end, last_state
from tiny_training import STEPS, run, tiny_model, tiny_recipe

from harlib.models import keras_file
from harlib.training import watchers
from harlib.training.stopping import Stopping

EPOCHS = 12


def rows(accuracies, losses=None):
    losses = losses or [1.0] * len(accuracies)
    return [{"val_accuracy": a, "val_loss": x} for a, x in zip(accuracies, losses, strict=True)]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("monitor", "patience", "history", "best", "over"),
    [
        ("val_accuracy", 2, rows([0.5]), 0, False),
        ("val_accuracy", 2, rows([0.5, 0.4]), 0, False),
        ("val_accuracy", 2, rows([0.5, 0.5, 0.5]), 0, True),  # equal is no better
        ("val_accuracy", 2, rows([0.5, 0.5, 0.5], [1.0, 0.9, 0.8]), 2, False),  # a lower loss is
        ("val_accuracy", 2, rows([0.5, 0.4, 0.6, 0.5]), 2, False),
        ("val_accuracy", 0, rows([0.5, 0.4, 0.3, 0.2]), 0, False),
        ("val_loss", 1, rows([0.5, 0.9], [1.0, 1.1]), 0, True),
    ],
)
def test_which_epoch_is_best_and_whether_it_is_over(monitor, patience, history, best, over):
    rule = Stopping(monitor, patience)
    assert (rule.best(history), rule.is_over(history)) == (best, over)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(folder, history, lines, model) of a training that patience ends."""
    folder, lines, model = tmp_path_factory.mktemp("whole"), [], tiny_model()
    history = run(folder, recipe=recipe(), model=model, patience=2, report=lines.append)
    return folder, history, lines, model


def recipe():
    return tiny_recipe("study-sgd", epochs=EPOCHS, lr=0.05)


def test_it_ends_with_the_best_weights(whole):
    folder, history, lines, model = whole
    done = len(history)
    assert done < EPOCHS, "patience ended nothing: the test shows nothing"
    best = Stopping().best(history.to_dict("records"))
    assert done - 1 - best == 2
    assert (
        f"training ends after epoch {done} of {EPOCHS}, as the last 2 were no better in "
        f"validation: the model has the weights of epoch {best + 1}, the best one"
    ) in lines
    kept = keras_file.load(folder / "checkpoints" / "best.keras").get_weights()
    for path in ("model.keras",):
        for one, other in zip(kept, keras_file.load(folder / path).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    arrays, state = last_state(folder)
    assert state["step"] == done * STEPS
    apart = [np.abs(arrays[f"model.{i}"] - v).max() for i, v in enumerate(kept[:1])]
    assert max(apart) > 0, "the checkpoint must hold the last weights, to go on from"


def test_resume_at_any_point_ends_at_the_same_epoch(tmp_path, whole):
    done = len(whole[1])
    for seed, at in enumerate((3, (done - 1) * STEPS, done * STEPS - 1)):
        with pytest.raises(OSError, match="disk gone"):
            run(tmp_path, Broken(at), recipe(), tiny_model(seed), patience=2)
    run(tmp_path, recipe=recipe(), model=tiny_model(9), patience=2)
    assert_same_end(whole[0], tmp_path)
    lines = []
    again = run(  # complete: no step is taken
        tmp_path, Broken(done * STEPS), recipe(), tiny_model(8), patience=2, report=lines.append
    )
    assert len(again) == done
    assert_same_end(whole[0], tmp_path)


def test_a_run_that_patience_did_not_end_has_the_best_weights_too(tmp_path):
    lines = []
    run(tmp_path, recipe=tiny_recipe("study-sgd", epochs=2), patience=5, report=lines.append)
    assert any(line.startswith("training ends after epoch 2 of 2: the model") for line in lines)


@pytest.mark.quick
def test_without_validation_it_is_refused(tmp_path):
    with pytest.raises(ValueError, match="patience=2 ends training by the validation: give"):
        run(tmp_path, patience=2, validation=None)
    with pytest.raises(ValueError, match="from 0; received -1"):
        run(tmp_path, patience=-1)


@pytest.mark.parametrize("name", ["study-adam", "hara-sgd"])
def test_resume_for_more_epochs_equals_a_run_that_had_them_from_the_start(tmp_path, name):
    """Levels that follow the loss, Adam's moments, momentum in PyTorch's way."""
    options = {} if name == "study-adam" else {"patience": 1, "gain": 0.5}

    def trained(folder, epochs, seed):
        plan = tiny_recipe(name, epochs=epochs, **options)
        identity = {"parameters": {"epochs": epochs, "seed": 0}}
        run(
            tmp_path / folder, recipe=plan, model=tiny_model(seed), identity=identity,
            free=["parameters.epochs"],
        )  # fmt: skip

    trained("whole", 6, 0)
    trained("parts", 2, 0)
    trained("parts", 6, 9)
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def test_the_live_curves_vanish_when_patience_ends_the_training(monkeypatch):
    import IPython.display
    import pandas as pd

    shown = []

    class Handle:
        def update(self, content, raw):
            shown.append(content)

    monkeypatch.setattr(IPython.display, "display", lambda *_, **__: Handle())
    curves = watchers.LiveCurves(lambda history: b"png", epochs=9, patience=1)
    history = pd.DataFrame(rows([0.5, 0.6, 0.6])).assign(epoch=[1, 2, 3])
    curves(history.head(2))
    curves(history)
    assert shown == [{"text/plain": ""}]
