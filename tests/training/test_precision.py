"""Precision policies, and what a model makes of them."""

import keras
import pytest

from harlib import models
from harlib.training import fit, precision, recipes


@pytest.fixture(autouse=True)
def restore():
    before = keras.mixed_precision.dtype_policy()
    yield
    keras.mixed_precision.set_dtype_policy(before)


def build(name="c3d_bn"):
    options = {} if name == "resnext3d_26" else {"dense": 8}
    if name == "resnext3d_26":
        options = {"cardinality": 4}
    return models.build(name, 3, frames=4, size=16, width=0.125, **options)


@pytest.mark.quick
@pytest.mark.parametrize("name", ["c3d_bn", "resnext3d_26"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_batch_norm_softmax_and_weights_stay_float32(policy, name):
    keras.mixed_precision.set_dtype_policy(policy)
    model = build(name)
    model.compile("sgd", "sparse_categorical_crossentropy")
    table = precision.check(model).set_index("kind")
    assert set(table.loc[["Conv3D"]].compute) == {policy.removeprefix("mixed_")}
    assert table.loc["Dense" if name == "resnext3d_26" else "BatchNorm"].variables == "float32"
    assert model.get_layer("classifier").compute_dtype == "float32"
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


@pytest.mark.quick
def test_auto_takes_bfloat16_only_where_it_is_computed(monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    assert precision.use("auto") == "mixed_bfloat16"
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    assert precision.use("auto") == "float32"
    assert keras.mixed_precision.dtype_policy().name == "float32"


@pytest.mark.quick
@pytest.mark.parametrize(("capability", "has"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_decides_before_the_cpu(monkeypatch, capability, has):
    monkeypatch.setattr(precision, "_gpu_capability", lambda: capability)
    assert precision.has_bfloat16() is has


@pytest.mark.quick
def test_a_policy_without_kernels_is_refused_in_one_line():
    """TensorFlow has no float16 maximum over a 3D window on any CPU."""
    if keras.backend.backend() != "tensorflow" or precision._gpu_capability() is not None:
        pytest.skip("float16 trains on this device")
    keras.mixed_precision.set_dtype_policy("float32")
    with pytest.raises(ValueError, match=r"^mixed_float16: .* cannot train in float16") as e:
        precision.use("mixed_float16")
    assert "\n" not in str(e.value) and "set precision: float32, or auto" in str(e.value)
    assert keras.mixed_precision.dtype_policy().name == "float32"


@pytest.mark.quick
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_policy_that_can_be_computed_is_set(policy):
    assert precision.use(policy) == policy == keras.mixed_precision.dtype_policy().name


@pytest.mark.quick
def test_bfloat16_that_the_cpu_lacks_is_said_with_its_cost(monkeypatch):
    monkeypatch.setattr(precision, "_gpu_capability", lambda: None)
    monkeypatch.setattr(precision.machine, "slow_kernels", lambda: "")
    for has, policy, lines in (
        (True, "mixed_bfloat16", 0),
        (False, "mixed_bfloat16", 1),
        (False, "float32", 0),
    ):
        monkeypatch.setattr(precision.machine, "has_bfloat16", lambda has=has: has)
        keras.mixed_precision.set_dtype_policy(policy)
        assert len(precision.slow()) == lines
        assert all(
            "0.24 clips per second where float32 reached 1.33" in x for x in precision.slow()
        )
    monkeypatch.setattr(precision, "_gpu_capability", lambda: (7, 5))
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    assert precision.slow() == []


@pytest.mark.quick
def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="'bf16' is unknown; it is one of float32"):
        precision.use("bf16")


@pytest.mark.quick
def test_a_bfloat16_head_and_weights_are_refused():
    precision.use("mixed_bfloat16")
    inputs = keras.Input((4,))
    scores = keras.layers.Dense(3, activation="softmax", name="classifier")(inputs)
    with pytest.raises(ValueError, match="classifier: computes in bfloat16.*the loss reads"):
        precision.check(keras.Model(inputs, scores))
    hidden = keras.layers.Dense(3, dtype="bfloat16", name="hidden")(inputs)
    with pytest.raises(ValueError, match="hidden: weights in bfloat16"):
        precision.check(keras.Model(inputs, hidden))


@pytest.mark.quick
def test_float16_without_loss_scaling_is_refused():
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    model = build()
    model.compile("sgd", "sparse_categorical_crossentropy", auto_scale_loss=False)
    with pytest.raises(ValueError, match="loss scaling is off"):
        precision.check(model)


@pytest.mark.quick
def test_training_refuses_a_wrong_bfloat16_network(tmp_path):
    precision.use("mixed_bfloat16")
    inputs = keras.Input((4, 8, 8, 3), dtype="uint8")
    hidden = keras.layers.GlobalAveragePooling3D()(keras.layers.Rescaling(1 / 255)(inputs))
    scores = keras.layers.Dense(3, activation="softmax", name="classifier")(hidden)
    plan = recipes.build("study-sgd", steps_per_epoch=1, epochs=1)
    with pytest.raises(ValueError, match="classifier: computes in bfloat16"):
        fit(keras.Model(inputs, scores), [], plan, run_dir=tmp_path, report=lambda line: None)
