"""The same weights score and train the same on every installed backend."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import parity
import pytest

from harlib import models

HERE = os.path.dirname(__file__)
NETWORKS = ("c3d", "resnext3d_26", "frame_cnn", "x3d_xs", "slowfast_r50")
# Prints nothing; writes scores, and scores after one training step, of small networks.
SCRIPT = """
import sys, numpy as np, keras
from harlib import models
from harlib.models import (
    c3d, frame_cnn, mvit, resnet50, resnext3d, slowfast, swin3d, videomae, x3d,
)
from harlib.training import finetune, recipes
# Every kind of layer once: op by op, another backend compiles for minutes.
c3d.STAGES, frame_cnn.SMALL_STAGES = ((64,), (128,)), (16,)
resnext3d.BLOCKS[26] = mvit.BLOCKS = (1, 1, 0, 0)
swin3d.BLOCKS, swin3d.HEADS, swin3d.WINDOW = (2, 1), (3, 6), (1, 3, 3)
videomae.SIZES["s"] = (16, 1, 2)
x3d.BLOCKS, resnet50.BLOCKS, slowfast.BLOCKS = (1, 2, 0, 0), (1, 1, 0, 0), (1, 1, 0, 0)
out = {}

def randomise(model, rng):
    for w in model.weights:
        scale = 0.1 if len(w.shape) == 1 else np.sqrt(2 / np.prod(w.shape[:-1]))
        w.assign(scale * rng.standard_normal(w.shape) + ("gamma" in w.name or "var" in w.name))

for name, options in {
    "c3d": {"width": 0.125, "dense": 8, "dropout": 0.0},
    "resnext3d_26": {"width": 0.125, "cardinality": 4},
    "frame_cnn": {"backbone": "small", "width": 0.5, "dropout": 0.0},
    "x3d_xs": {"width": 1 / 3, "dropout": 0.0},
    "slowfast_r50": {"width": 0.125, "dropout": 0.0},
}.items():
    model = models.build(name, 3, frames=4, size=16, **options)
    rng = np.random.default_rng(0)
    randomise(model, rng)
    clips = rng.integers(0, 256, (4, 4, 16, 16, 3), "uint8")
    out[name] = model.predict_on_batch(clips)
    rate = 5e-2 if name == "frame_cnn" else 1e-2
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    model.train_on_batch(clips, np.array([0, 1, 2, 0]))
    out[name + "_after"] = model.predict_on_batch(clips)
for name, options in {
    "mvit_v2_s": {"width": 1 / 12},
    "swin3d_t": {"width": 1 / 4},
    "videomae_s": {},
}.items():
    model = models.build(name, 3, frames=4, size=(16, 32), **options)
    randomise(model, rng)
    out[name] = model.predict_on_batch(rng.integers(0, 256, (2, 4, 16, 32, 3), "uint8"))
model = models.build("c3d", 3, frames=4, size=16, width=0.125, dense=8, dropout=0.0)
for w in model.weights:
    w.assign(0.1 * rng.standard_normal(w.shape))
finetune.freeze(model, "stage2")
before = np.array(model.get_layer("stage2_conv1").get_weights()[0])
recipe = recipes.build("study-sgd", steps_per_epoch=1, epochs=1, lr=1e-2)
finetune.slower(recipe, {"head": 0.1, "stage2": 10.0}).compile(model)
model.train_on_batch(clips, np.eye(3, dtype="float32")[[0, 1, 2, 0]])
out["finetuned_after"] = model.predict_on_batch(clips)
out["finetuned_kernel"] = np.asarray(model.get_layer("stage2_conv1").get_weights()[0])
out["finetuned_moved"] = out["finetuned_kernel"] - before
assert keras.backend.backend() == sys.argv[2]
if sys.argv[2] != "tensorflow":
    assert "tensorflow" not in sys.modules
np.savez(sys.argv[1], **out)
"""


# The networks with published weights, of few blocks; their arrays are set as a file's are.
CONVERTED = """
import sys, numpy as np, keras
import pytest, shallow
from harlib import models
from harlib.models.weights import checkpoints
shallow.shorten(pytest.MonkeyPatch())
out = {}
for name, options in {
    "c2d_r50": {}, "i3d_r50": {}, "slow_r50": {}, "r3d_34": {"shortcut": "A"}, "r3d_50": {},
    "r3d_18": {"stem": "tran"}, "mc3_18": {}, "r2plus1d_18": {}, "s3d": {},
    "resnext3d_101": {"cardinality": 4}, "efficientnet_lite0": {"frames": 1, "size": 64},
}.items():
    options = {"frames": 8, "size": 64 if name == "s3d" else 32, "width": 1 / 8} | options
    model = models.build(name, 5, classifier_activation=None, **options)
    rng, arrays = np.random.default_rng(0), {}
    for one in checkpoints.parameters(model):
        scale = 0.1 if len(one.shape) == 1 else np.sqrt(2 / np.prod(one.shape[1:]))
        array = scale * rng.standard_normal(one.shape)
        ones = len(one.shape) == 1 and one.name.endswith(("weight", "running_var"))
        arrays[one.name] = (array + ones).astype("float32")
    assert checkpoints.load_arrays(model, arrays) == []
    out[name] = model.predict_on_batch(rng.integers(0, 256, (3, *model.input_shape[1:]), "uint8"))
    assert np.abs(out[name][0] - out[name][1]).max() > 1e-2 * np.abs(out[name]).max(), name
assert keras.backend.backend() == sys.argv[2]
np.savez(sys.argv[1], **out)
"""


def run(script, backend, path):
    environment = os.environ | {
        "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")])),
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-c", script, str(path), backend], env=environment, check=True, timeout=550
    )
    return dict(np.load(path))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return run(SCRIPT, "tensorflow", tmp_path_factory.mktemp("reference") / "scores.npz")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_backend_agrees_with_tensorflow(backend, reference, same, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    scores = run(SCRIPT, backend, tmp_path / "scores.npz")
    for name, wanted in reference.items():
        difference = np.abs(scores[name] - wanted).max()
        if name in models.names():
            same(name, {backend: difference})
        assert difference <= (1e-3 if name.endswith("_after") else 1e-4), name
    # and the step is one that a step doing nothing cannot be taken for
    for name in NETWORKS:
        assert np.abs(reference[f"{name}_after"] - reference[name]).max() >= 10 * 1e-3, name
    assert np.abs(reference["finetuned_moved"]).max() >= 10 * 1e-4


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    return run(CONVERTED, "tensorflow", tmp_path_factory.mktemp("converted") / "scores.npz")


@pytest.mark.soak
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_converted_networks_have_the_same_logits(backend, converted, same, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    scores = run(CONVERTED, backend, tmp_path / "scores.npz")
    for name, wanted in converted.items():
        same(name, {backend: parity.error(scores[name], wanted)})


STRIDED = """
import jax, numpy as np
from harlib.models import conv3d_ops
rng = np.random.default_rng(0)
x = rng.standard_normal((2, 4, 6, 6, 3)).astype("float32")
kernel = rng.standard_normal((1, 1, 1, 3, 5)).astype("float32")
def loss(x, kernel):
    return (conv3d_ops.multiply(x, kernel, (2, 2, 2)) ** 2).sum()
def plain(x, kernel):
    return (x[:, ::2, ::2, ::2] @ kernel[0, 0, 0]) ** 2
found = jax.value_and_grad(loss, (0, 1))
wanted = jax.value_and_grad(lambda *given: plain(*given).sum(), (0, 1))
for one, other in zip(jax.tree.leaves(found(x, kernel)), jax.tree.leaves(wanted(x, kernel))):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
text = jax.jit(found).lower(x, kernel).as_text()
assert "convolution" in text and "dot_general" not in text, text
"""


def test_on_jax_no_product_has_strided_rows():
    """XLA on a GPU aborts where it joins the two (github.com/openxla/xla/issues/47381)."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", STRIDED], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
