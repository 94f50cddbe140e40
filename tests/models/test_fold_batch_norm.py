"""Batch norm folded into convolutions, and copies in another precision."""

from collections import Counter

import keras
import numpy as np
import pytest

from harlib import models
from harlib.models import fold_batch_norm
from harlib.models.layers import BatchNorm, Conv3D

SLIM = {
    "c3d": {"width": 0.125, "dense": 8},
    "c3d_bn": {"width": 0.125, "dense": 8},
    "r3d_18": {"width": 0.125},
    "r3d_50": {"width": 0.125},
    "mc3_18": {"width": 0.125},
    "r2plus1d_18": {"width": 0.125},
    "s3d": {"width": 0.125},
    "mvit_v2_s": {"width": 1 / 12},
    "resnext3d_26": {"width": 0.125, "cardinality": 4},
    "frame_cnn": {"backbone": "small", "width": 0.5},
}


def build(name, frames=8, size=32):
    """A slim network that ends in logits, with statistics unlike those of a new one."""
    keras.utils.set_random_seed(0)
    options = SLIM.get(name) or {"backbone": name}
    name = name if name in SLIM else "frame_cnn"
    model = models.build(name, 4, frames=frames, size=size, classifier_activation=None, **options)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("moving_mean", "beta", "bias"):
            weight.assign(0.1 * rng.standard_normal(weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1, weight.shape))
    return model


def clips(frames=8, size=32):
    return np.random.default_rng(1).integers(0, 256, (2, frames, size, size, 3), "uint8")


def norms(model):
    return sum(
        isinstance(layer, keras.layers.BatchNormalization) for layer in model._flatten_layers()
    )


def error(got, wanted):
    return np.abs(np.asarray(got) - np.asarray(wanted)).max() / np.abs(wanted).max()


@pytest.mark.parametrize("name", SLIM)
def test_folded_network_scores_the_same_without_batch_norm(name):
    model = build(name)
    folded = fold_batch_norm.fold(model)
    assert norms(folded) == 0
    assert error(folded(clips()), model(clips())) < 1e-5
    assert models.describe(folded).iloc[-1].layer == models.describe(model).iloc[-1].layer


@pytest.mark.quick
@pytest.mark.parametrize("name", ["c3d_bn", "resnext3d_26"])
def test_constant_kernels_score_the_same_and_are_no_variables(name):
    model = build(name)
    constant = fold_batch_norm.fold(model, constant=True)
    assert error(constant.predict_on_batch(clips()), model(clips())) < 1e-5
    if keras.backend.backend() == "tensorflow":
        before = constant.predict_on_batch(clips())
        constant.get_layer("stem_conv" if "res" in name else "stage1_conv1").kernel.assign(
            0 * next(w for w in constant.weights if w.name == "kernel")
        )
        assert np.array_equal(constant.predict_on_batch(clips()), before)


@pytest.mark.parametrize(("backbone", "left"), [("mobilenet_v2", 0), ("resnet50v2", 17)])
def test_batch_norms_of_other_architectures_fold_where_they_can(backbone, left):
    # resnet50v2 normalises before its convolutions: 16 blocks and the last one stay
    model = build(backbone, frames=2)
    folded = fold_batch_norm.fold(model)
    assert norms(folded) == left < norms(model)
    assert error(folded(clips(2)), model(clips(2))) < 1e-4


@pytest.mark.quick
def test_a_convolution_read_twice_keeps_its_batch_norm():
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 3)(inputs)
    y = keras.layers.BatchNormalization()(x)
    model = keras.Model(inputs, keras.layers.Add()([x, y]))
    assert norms(fold_batch_norm.fold(model)) == 1
    active = keras.layers.Conv2D(2, 3, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(active))
    assert norms(fold_batch_norm.fold(model)) == 1


@pytest.mark.quick
def test_the_copy_has_its_own_weights():
    model = build("c3d_bn")
    before = np.asarray(model(clips()))
    folded = fold_batch_norm.fold(model)
    for weight in folded.weights:
        weight.assign(0 * weight)
    assert np.array_equal(model(clips()), before)


@pytest.mark.parametrize("name", ["resnext3d_26", "frame_cnn"])
def test_float32_copy_of_a_bfloat16_network(name):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(name)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    copied = fold_batch_norm.copy(model, dtype="float32", folded=True)
    layers = [x for x in copied._flatten_layers() if not isinstance(x, keras.Model)]
    assert {layer.compute_dtype for layer in layers} - {"uint8"} == {"float32"}
    exact = build(name)
    assert error(copied(clips()), exact(clips())) < 1e-5
    assert error(model(clips()), exact(clips())) > 1e-5  # the original did compute in bfloat16


def test_a_network_with_a_new_classifier_folds():
    # The old and the new network share layers, so each convolution is read in two graphs.
    old = build("frame_cnn", frames=1)
    new = models.replace_classifier(old, 6, frames=8)
    assert norms(fold_batch_norm.fold(new)) == 0
    assert error(fold_batch_norm.fold(new)(clips()), new(clips())) < 1e-5


def test_bias_and_relu_behind_a_product_are_computed_in_its_kernel():
    model = build("resnext3d_26")
    folded = fold_batch_norm.fold(model, constant=True)
    products = [x for x in model.layers if isinstance(x, Conv3D) and x.kernel_size == (1, 1, 1)]
    first = [x.name for x in products if x.name.endswith("conv1")]
    assert first and {folded.get_layer(name).activation for name in first} == {
        keras.activations.relu
    }
    relus = {layer.name for layer in folded.layers if isinstance(layer, keras.layers.ReLU)}
    assert not [name for name in relus if name.endswith("_relu1")]
    # a residual's sum and a convolution of another kind keep theirs
    assert len([name for name in relus if name.endswith(("_relu2", "_relu3"))]) == 2 * len(first)
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    traced = tf.function(lambda x: folded(x, training=False)).get_concrete_function(clips())
    kinds = Counter(operation.type for operation in traced.graph.get_operations())
    assert kinds["BiasAdd"] >= len(products)
    after = [op.inputs[0].op.type for op in traced.graph.get_operations() if op.type == "BiasAdd"]
    assert after.count("MatMul") >= len(products)


def test_a_bounded_relu_and_one_beside_another_reader_stay():
    clip = keras.Input((2, 4, 4, 8))
    x = BatchNorm(name="norm1")(Conv3D(8, 1, name="conv1")(clip))
    x = keras.layers.ReLU(max_value=1.0, name="bounded")(x)
    y = BatchNorm(name="norm2")(Conv3D(8, 1, name="conv2")(x))
    y = keras.layers.Add()([keras.layers.ReLU(name="beside")(y), y])
    model = keras.Model(clip, y)
    folded = fold_batch_norm.fold(model, constant=True)
    assert norms(folded) == 0
    assert {"bounded", "beside"} <= {layer.name for layer in folded.layers}
    x = np.random.default_rng(0).standard_normal((2, 2, 4, 4, 8)).astype("float32")
    assert error(folded.predict_on_batch(x), model(x)) < 1e-5
