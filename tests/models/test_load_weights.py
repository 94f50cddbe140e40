"""Weights by name, from a file, or from a run: the head is kept by name where it can be."""

import dataclasses

import keras
import numpy as np
import pytest

from harlib import HarlibError, models
from harlib.models.weights import checkpoints, load
from harlib.pretrained import published

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.quick
OPTIONS = dict(frames=8, size=32, width=0.125)


def slim(classes=3, seed=0, **options):
    keras.utils.set_random_seed(seed)
    return models.build("r2plus1d_18", classes, **OPTIONS | options)


def published_file(model, path):
    """A state dict with the model's weights under the published names."""
    arrays = {}
    for one in checkpoints.parameters(model):
        value = np.random.default_rng(len(arrays)).uniform(0.5, 1, one.shape)
        arrays[one.name] = torch.from_numpy(value.astype("float32"))
    torch.save(arrays, path)
    return arrays


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """A set of published weights of four classes in a cache of its own."""
    monkeypatch.setenv("HARLIB_CACHE", str(tmp_path))
    row = dataclasses.replace(
        published.find("r2plus1d_18/kinetics400"),
        sha256="", classes=4, categories=("bow", "clap", "jump", "wave"),
    )  # fmt: skip
    monkeypatch.setattr(load, "find", lambda name, network: row)
    return row, published_file(slim(classes=4), row.path)


def test_a_head_of_a_part_of_the_classes_is_kept_by_name(shelf):
    row, arrays = shelf
    model = slim(classes=2)
    loaded = models.load_weights(model, "kinetics400", categories=["wave", "bow"])
    assert loaded.new == () and loaded.licence == "BSD-3-Clause"
    assert loaded.digest == published.digest(row.path)
    kernel, bias = model.get_layer("classifier").get_weights()
    np.testing.assert_array_equal(kernel, arrays["fc.weight"].numpy()[[3, 0]].T)
    np.testing.assert_array_equal(bias, arrays["fc.bias"].numpy()[[3, 0]])
    assert str(loaded) == (
        "weights of r2plus1d_18/kinetics400 (licence: BSD-3-Clause): every layer is set"
    )


@pytest.mark.parametrize(
    "categories", [("x", "y"), ("wave", "swim"), ("bow", "clap", "jump", "swim")]
)
def test_a_head_of_other_classes_stays_new(shelf, categories):
    """Also where they are as many as the source's: the number alone makes no category another."""
    model = slim(classes=len(categories))
    before = model.get_layer("classifier").get_weights()
    loaded = models.load_weights(model, "kinetics400", categories=categories)
    assert loaded.new == ("classifier",) and "but classifier, new for these" in str(loaded)
    for old, new in zip(before, model.get_layer("classifier").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_without_names_as_many_classes_are_the_sources(shelf):
    model = slim(classes=4)
    assert models.load_weights(model, "kinetics400").new == ()
    kernel = model.get_layer("classifier").get_weights()[0]
    np.testing.assert_array_equal(kernel, shelf[1]["fc.weight"].numpy().T)


def test_a_folder_of_the_name_is_not_taken_for_the_weights(shelf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kinetics400").mkdir()
    assert models.load_weights(slim(), "kinetics400").name == "r2plus1d_18/kinetics400"


def test_a_run_gives_its_layers_and_its_head_by_name(tmp_path):
    trained = slim(classes=3, seed=1)
    trained.save(tmp_path / "model.keras")
    model = slim(classes=2)
    assert models.load_weights(model, tmp_path, categories=["a", "b"]).new == ("classifier",)
    stem = [one.get_layer("stem_space").get_weights()[0] for one in (trained, model)]
    np.testing.assert_array_equal(*stem)
    np.savez(tmp_path / "scores.npz", categories=np.array(["a", "b", "c"]))
    loaded = models.load_weights(model, tmp_path / "model.keras", categories=["c", "a"])
    assert loaded.new == () and loaded.digest == published.digest(tmp_path / "model.keras")
    kernels = [one.get_layer("classifier").get_weights()[0] for one in (trained, model)]
    np.testing.assert_array_equal(kernels[0][:, [2, 0]], kernels[1])


def test_a_head_of_one_label_is_none_of_several_nor_the_other_way_round(shelf, tmp_path):
    sigmoid = {"classifier_activation": "sigmoid"}
    said = models.load_weights(
        slim(classes=2, **sigmoid), "kinetics400", categories=["bow", "jump"]
    )
    assert said.new == ("classifier",)
    np.savez(tmp_path / "scores.npz", categories=np.array(["a", "b", "c"]))
    for own, theirs in (({}, sigmoid), (sigmoid, {}), (sigmoid, sigmoid), ({}, {})):
        slim(classes=3, **theirs).save(tmp_path / "model.keras")
        said = models.load_weights(slim(classes=2, **own), tmp_path, categories=["a", "b"])
        assert said.new == (() if own == theirs else ("classifier",))


def test_what_does_not_fit_is_one_line_and_nothing_is_set(shelf, tmp_path):
    model = slim(width=0.25)
    before = [weight.numpy() for weight in model.weights]
    slim().save(tmp_path / "model.keras")
    for source, error, message in (
        (tmp_path, ValueError, "is of another network than r2plus1d_18: its layers stem_time"),
        ("kinetics400", ValueError, "do not fit r2plus1d_18: "),
        (tmp_path / "none", HarlibError, "no file '.*none', and no published weights"),
        ("gone.pth", HarlibError, "no file 'gone.pth'"),
        (tmp_path.parent, HarlibError, "holds no model.keras: give a trained run"),
    ):
        with pytest.raises(error, match=message) as raised:
            models.load_weights(model, source)
        assert "\n" not in str(raised.value)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_weights_of_another_network_are_refused():
    with pytest.raises(HarlibError, match="r3d_18/kinetics400 are weights of r3d_18, and this"):
        models.load_weights(slim(), "r3d_18/kinetics400")
