"""Exported networks: loaded by their own programs, they score as the network does."""

import json
import sys

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from harlib import models
from harlib.cli import main
from harlib.models import export, resnext3d

if keras.backend.backend() != "tensorflow":
    pytest.skip("export runs on TensorFlow", allow_module_level=True)
NAMES = ["sit down", "stand up", "wave: left"]


def build(policy="float32", activation=None, preprocessing="hara"):
    """A network with grouped convolutions of both strides, in logits unless told otherwise."""
    keras.utils.set_random_seed(0)
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        model = models.build(
            "resnext3d_26",
            3,
            frames=4,
            size=24,
            width=0.125,
            cardinality=4,
            classifier_activation=activation,
            preprocessing=preprocessing,
        )
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("moving_mean", "beta"):
            weight.assign(0.1 * rng.standard_normal(weight.shape))
    return model


def clips(count=3):
    return np.random.default_rng(5).integers(0, 256, (count, 4, 24, 24, 3), "uint8")


@pytest.fixture(autouse=True)
def few_blocks(monkeypatch):
    monkeypatch.setitem(resnext3d.BLOCKS, 26, (1, 1, 0, 0))


@pytest.mark.parametrize(
    ("to", "folded", "policy"),
    [
        ("keras", False, "float32"),
        ("keras", True, "mixed_bfloat16"),
        ("saved_model", True, "float32"),
        ("onnx", False, "mixed_bfloat16"),
        ("onnx", True, "float32"),
    ],
)
def test_exported_network_scores_as_the_network(to, folded, policy, tmp_path):
    if to == "onnx":
        pytest.importorskip("tf2onnx")
        pytest.importorskip("onnxruntime")
    path = tmp_path / export.FORMATS[to]
    assert export.export(build(policy), path, to, NAMES, folded=folded) <= 1e-4
    wanted = np.asarray(build()(clips()))
    if to == "keras":
        loaded = keras.saving.load_model(path, compile=False)
        got, names = np.asarray(loaded(clips())), loaded.get_layer("scores").categories
        kinds = {type(layer).__name__ for layer in loaded.layers}
        assert ("BatchNorm" in kinds) != folded
    elif to == "saved_model":
        import tensorflow as tf

        serve = tf.saved_model.load(str(path)).signatures["serving_default"]
        out = {name: value.numpy() for name, value in serve(clips=tf.constant(clips())).items()}
        got, names = out["scores"], [name.decode() for name in out["categories"]]
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        assert [i.name for i in session.get_inputs()] == ["clips"]
        assert session.get_inputs()[0].type == "tensor(uint8)"
        (got,) = session.run(["scores"], {"clips": clips()})
        names = json.loads(session.get_modelmeta().custom_metadata_map["categories"])
    assert names == NAMES
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.parametrize("to", ["keras", "onnx"])
def test_a_network_on_residual_frames_is_exported(to, tmp_path):
    if to == "onnx":
        pytest.importorskip("tf2onnx")
        pytest.importorskip("onnxruntime")
    model = build("mixed_bfloat16", preprocessing="residual")
    assert export.export(model, tmp_path / export.FORMATS[to], to, NAMES) <= 1e-4


def test_a_file_that_scores_otherwise_is_refused_and_the_old_one_kept(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    path.write_text("the export of yesterday")
    write = export._write_keras

    def write_wrong(network, path):
        network.get_layer("stem_bn").gamma.assign(3 * network.get_layer("stem_bn").gamma)
        network.get_layer("classifier").bias.assign([3.0, 2.0, 1.0])
        write(network, path)

    monkeypatch.setattr(export, "_write_keras", write_wrong)
    with pytest.raises(ValueError, match="differ from the network's by .*removed"):
        export.export(build(), path, "keras", NAMES)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.keras"]
    assert path.read_text() == "the export of yesterday"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("to", "names", "message"),
    [("tflite", NAMES, "'tflite' is unknown"), ("keras", NAMES[:2], "2 categories do not name 3")],
)
def test_wrong_arguments_are_named(to, names, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.export(build(), tmp_path / "x", to, names)


@pytest.mark.quick
def test_missing_onnx_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'harlib\[export\]'"):
        export.export(build(), tmp_path / "x.onnx", "onnx", NAMES)


def test_har_export_of_a_run(tmp_path):
    done = CliRunner().invoke(main, ["export", str(tmp_path)])
    assert done.exit_code == 1 and "model.keras is not there: train the run" in done.output
    build(activation="softmax").save(tmp_path / "model.keras")
    done = CliRunner().invoke(main, ["export", str(tmp_path)])
    assert done.exit_code == 1 and "scores.npz is not there: har evaluate" in done.output
    np.savez(tmp_path / "scores.npz", categories=np.array(NAMES))
    done = CliRunner().invoke(main, ["export", str(tmp_path), "--fold"])
    assert done.exit_code == 0, done.output
    assert "loaded and run" in done.output
    loaded = keras.saving.load_model(tmp_path / "export" / "model.keras", compile=False)
    assert np.allclose(np.asarray(loaded(clips())).sum(1), 1, atol=1e-5)


def test_a_small_probability_that_differs_is_found(tmp_path, monkeypatch):
    names = [f"class {number}" for number in range(3)]
    model = build(activation="softmax")
    model.get_layer("classifier").bias.assign([15.0, 0.0, 0.0])  # of these two some 1e-7 each
    write = export._write_keras

    def write_wrong(network, path):
        network.get_layer("classifier").bias.assign([15.0, 3.0, 0.0])
        write(network, path)

    assert export.export(model, tmp_path / "model.keras", "keras", names) <= 1e-4
    monkeypatch.setattr(export, "_write_keras", write_wrong)
    with pytest.raises(ValueError, match="differ from the network's by .*removed"):
        export.export(model, tmp_path / "model.keras", "keras", names)
