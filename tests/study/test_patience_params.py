"""The parameter patience: the weights it scores, what it refuses, what a page says of it."""

import pandas as pd
import pytest
from tiny_study import write_study

from harlib.run_folder import RunFolder
from harlib.study.params.notebooks import NOTEBOOKS, ParamsError
from harlib.study.params.trained import Trained
from harlib.study.report import run_page
from harlib.study.runs import fingerprint, open_notebook, study_files
from harlib.study.wording import sentences

pytestmark = pytest.mark.quick
TRAINED = [name for name, one in NOTEBOOKS.items() if issubclass(one.params, Trained)]


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Parameters of a run whose file holds `text`."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = write_study(tmp_path, "tiny", {})

    def load(text, notebook="03_c3d", **changes):
        (folder / f"{notebook}.yaml").write_text(text)
        return study_files.load_run([folder / f"{notebook}.yaml"], changes).params

    return load


@pytest.mark.parametrize("notebook", TRAINED)
def test_with_patience_the_best_weights_are_scored_and_nothing_else_changes(load, notebook):
    recipe = "recipe: study-adam\nmodel: c3d\nweights: ''\n" if notebook[:2] == "09" else ""
    without, with_patience = (
        load(f"{recipe}{text}", notebook) for text in ("epochs: 9", "epochs: 9\npatience: 3")
    )
    assert (without.patience, without.checkpoint) == (0, "last")
    assert (with_patience.patience, with_patience.checkpoint) == (3, "best")
    settings = fingerprint.settings(with_patience)
    assert settings == fingerprint.settings(without) | {"patience": 3, "checkpoint": "best"}
    assert load(recipe, notebook, patience=3).checkpoint == "best"  # by --set


def test_a_cell_that_sets_it_says_why_the_best_weights_are_scored(load):
    load("epochs: 9")
    p, told = open_notebook.read("03_c3d", {"study": "tiny", "patience": 3})
    assert p.checkpoint == "best" and "1 value from patience" in repr(told)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patience: 3\ncheckpoint: last", "'checkpoint': is 'last', but with patience the best"),
        (
            "patience: 3\nvalidate_split: ''",
            "'patience': is 3, but nothing is scored after each epoch",
        ),
        ("patience: -1", "'patience': .*greater than or equal to 0"),
    ],
)
def test_what_does_not_go_with_it_is_refused(load, text, words):
    with pytest.raises(ParamsError, match=words):
        load(text)


@pytest.mark.parametrize("text", ["", "recipe: study-adam\nepochs: 0"])
def test_a_run_without_steps_has_none(load, text):
    with pytest.raises(ParamsError, match="'patience': is 3, but this run takes no epochs of trai"):
        load(f"{text}\npatience: 3", "09_pretrained")


def test_a_recipe_that_counts_on_every_epoch_is_warned_about(load):
    reason = load("recipe: modern\npatience: 3").length_in_recipe
    assert sentences.impatient(3, "modern", reason) == (
        "patience: 3 may end training early, but recipe modern counts on every epoch: its learning "
        "rate follows a cosine to the last epoch; it suits study-adam, study-sgd and hara-sgd"
    )
    assert not load("recipe: study-adam\npatience: 3").length_in_recipe


@pytest.mark.parametrize(
    ("accuracies", "split", "said"),
    [
        ([0.5, 0.7, 0.6, 0.7], "val",
         "Training ended after epoch 4 of 9, as the last 2 were no better; the weights are "
         "those of epoch 2. Both were chosen on the val videos, on which the accuracy was measured "
         "too: it is optimistic."),
        ([0.5, 0.7, 0.6, 0.7], "test",
         "Training ended after epoch 4 of 9, as the last 2 were no better; the weights are "
         "those of epoch 2. Both were chosen on the val videos."),
        ([0.5, 0.7, 0.8], "test",
         "Training had all of its 3 epochs; the weights are those of epoch 3. This one was chosen "
         "on the val videos."),
    ],
)  # fmt: skip
def test_a_page_says_what_ended_the_training_and_what_that_means(tmp_path, accuracies, split, said):
    columns = {"epoch": range(1, len(accuracies) + 1), "val_accuracy": accuracies, "val_loss": 1.0}
    pd.DataFrame(columns).to_csv(RunFolder(tmp_path).history, index=False)
    params = {"patience": 2, "epochs": 9, "split": split, "validate_split": "val"}
    assert run_page._stopped(tmp_path, params) == said
    assert run_page._stopped(tmp_path, params | {"patience": 0}) == ""
    assert run_page._stopped(tmp_path / "of-before", params) == ""
