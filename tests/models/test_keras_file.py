"""Keras files: those of earlier versions load; one that is no network is told at once."""

import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from harlib import HarlibError
from harlib.models import keras_file

SAVED = Path(__file__).parents[1] / "fixtures" / "saved_before_the_move"
MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    path = tmp_path_factory.mktemp("network") / "model.keras"
    model.save(path)
    return path


def rewritten(source, path, **changes):
    """The file again, compressed, with other bytes in some members; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in MEMBERS:
            content = changes.get(name.split(".")[0], old.read(name))
            if content is not None:
                new.writestr(name, content)
    return path


def broken(kind, network, path):
    whole = network.read_bytes()
    plain = {"empty": b"", "text": b"hello", "cut off": whole[: len(whole) // 2],
             "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(500)}  # fmt: skip
    if kind in plain:
        path.write_bytes(plain[kind])
        return path
    changes = {"bomb": {"model": bytes(200_000_000)}, "no weights": {"model": None},
               "cut weights": {"model": b"\x89HDF\r\n\x1a\n" + bytes(50)},
               "deep": {"config": b"[" * 100_000}}  # fmt: skip
    return rewritten(network, path, **changes[kind])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty", r"is empty \(0 bytes\)"),
        ("text", "is no Keras file, or is cut off"),
        ("cut off", "is no Keras file, or is cut off"),
        ("HDF5", "is no Keras file, or is cut off"),
        ("no weights", "it lacks model.weights.h5"),
        ("bomb", "says it unpacks to 200,0"),
        ("cut weights", "cannot be read as a network"),
        ("deep", "cannot be read as a network"),
    ],
)
def test_what_is_no_network_is_said_with_its_path(kind, words, network, tmp_path):
    path = broken(kind, network, tmp_path / "model.keras")
    began = time.process_time()
    with pytest.raises(HarlibError, match=words) as caught:
        keras_file.load(path)
    assert time.process_time() - began < 5
    assert str(caught.value).startswith(str(path))
    assert "train the run again" in str(caught.value)


def test_a_network_comes_back(network, tmp_path):
    weights = keras_file.load(network).get_weights()
    same = keras_file.load(rewritten(network, tmp_path / "model.keras")).get_weights()
    for one, other in zip(weights, same, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["c3d_bn", "frame_cnn", "resnext3d_26"])
def test_networks_that_were_saved_before_modules_moved_still_load(name):
    """Of harlib's layers their registered names count, not the modules that they were in."""
    expected = np.load(SAVED / "expected.npz")
    code = zipfile.ZipFile(SAVED / f"{name}.keras").read("config.json").decode()
    assert "harlib>" in code
    for load in (keras_file.load, keras.saving.load_model):
        given = load(SAVED / f"{name}.keras").predict(expected["clips"], verbose=0)
        np.testing.assert_allclose(given, expected[name], rtol=0, atol=1e-5)
