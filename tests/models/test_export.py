"""Exported networks: loaded by their own programs, they score as the network does."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from harlib import models
from harlib.models import export, export_check, log_scores, resnext3d

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


def contents(folder):
    """{relative path: bytes} of all files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


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
    export.export(build(), path, "keras", NAMES)
    before = contents(tmp_path)
    write = export._write_keras

    def write_wrong(network, path):
        network.get_layer("stem_bn").gamma.assign(3 * network.get_layer("stem_bn").gamma)
        network.get_layer("classifier").bias.assign([3.0, 2.0, 1.0])
        write(network, path)

    monkeypatch.setattr(export, "_write_keras", write_wrong)
    with pytest.raises(ValueError, match="differ from the network's by .*removed"):
        export.export(build(), path, "keras", NAMES)
    assert contents(tmp_path) == before


@pytest.mark.quick
@pytest.mark.parametrize(
    ("to", "names", "message"),
    [
        ("tflite", NAMES, "'tflite' is unknown"),
        ("keras", NAMES[:2], "2 categories do not name 3"),
        ("keras", NAMES, "x: a file of the format keras ends in .keras"),
    ],
)
def test_wrong_arguments_are_named(to, names, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.export(build(), tmp_path / "x", to, names)


@pytest.mark.quick
def test_missing_onnx_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'harlib\[export\]'"):
        export.export(build(), tmp_path / "x.onnx", "onnx", NAMES)


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


def sure(factor):
    """A network whose two best classes lie close together at logits of a size of `factor`."""
    model = build(activation="softmax")
    dense = model.get_layer("classifier")
    kernel = np.asarray(dense.kernel) * factor
    kernel[:, 1] = kernel[:, 0] * (1 + 1e-6)
    dense.set_weights([kernel, np.zeros(3, np.float32)])
    return model


@pytest.mark.parametrize("to", ["saved_model", "onnx"])
def test_rounding_is_no_fault_however_sure_the_network_is(to, tmp_path):
    if to == "onnx":
        pytest.importorskip("tf2onnx")
        pytest.importorskip("onnxruntime")
    path = tmp_path / export.FORMATS[to]
    assert export.export(sure(1e5), path, to, NAMES, folded=True) <= 1e-4
    got, _ = {"saved_model": export._run_saved_model, "onnx": export._run_onnx}[to](path, clips())
    assert np.abs(got[1]).max() > 1e3  # where probabilities of close classes move by rounding


@pytest.mark.parametrize(
    ("to", "factor"), [("keras", 1.0), ("keras", 1e5), ("saved_model", 1e5), ("onnx", 1e5)]
)
def test_a_wrong_kernel_is_found_behind_any_probability(to, factor, tmp_path, monkeypatch):
    if to == "onnx":
        pytest.importorskip("tf2onnx")
        pytest.importorskip("onnxruntime")
    write = getattr(export, f"_write_{to}")

    def write_wrong(network, path):
        layer = network.get_layer("stage2_block1_conv2")
        kernel = np.asarray(layer.kernel)
        layer.kernel.assign(kernel[::-1])  # time runs backwards in one layer
        write(network, path)

    monkeypatch.setattr(export, f"_write_{to}", write_wrong)
    with pytest.raises(ValueError, match="logits differ .* where rounding explains .*removed"):
        export.export(sure(factor), tmp_path / export.FORMATS[to], to, NAMES)
    assert contents(tmp_path) == {}


def test_what_its_own_rounding_moves_is_asked_of_a_badly_conditioned_network():
    model = build(activation="softmax")
    names, clip = NAMES, export_check.probe(model)
    scores, logits = (np.asarray(x) for x in log_scores.with_logits(model)(clip))
    good = export_check.check((scores, logits), names, model, clip, names)
    assert good == 0
    off = logits + 2e-3 * np.abs(logits).max()
    shifted = scores  # a shift of all logits changes no probability
    with pytest.raises(ValueError, match="where rounding explains"):
        export_check.check((shifted, off), names, model, clip, names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_check, "_rounding", lambda *given: 1e-4)
        assert export_check.check((shifted, off), names, model, clip, names) > 1e-3
        patch.setattr(export_check, "_rounding", lambda *given: 1e-5)
        with pytest.raises(ValueError, match="where rounding explains 1e-05"):
            export_check.check((shifted, off), names, model, clip, names)
    with pytest.raises(ValueError, match="not the softmax of its logits"):
        export_check.check((scores[:, ::-1], logits), names, model, clip, names)


_PEAK = """
import resource, sys
from harlib import models
from harlib.models import export
model = models.build("c3d", 2, frames=16, size=32, width=0.125, dense=4096)
kilobytes = 4 * model.count_params() / 1000
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
export.export(model, sys.argv[1], "onnx", ["a", "b"])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / kilobytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_onnx_takes_the_memory_of_a_few_copies_of_the_weights(tmp_path):
    """tf2onnx makes some sixty copies of what it converts: 18 GB of C3D's 0.3."""
    pytest.importorskip("tf2onnx")
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(tmp_path / "model.onnx")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(done.stdout.splitlines()[-1]) < 15
