"""Batches computed two at once are those computed one after the other; and in which precision."""

import keras
import numpy as np
import pytest

from harlib import models
from harlib.evaluation import predict
from harlib.training import precision


@pytest.fixture(scope="module")
def model():
    built = models.build("c3d_bn", 3, frames=4, size=16, width=0.125, dense=8)
    return predict.network(built)


def batches(count):
    rng = np.random.default_rng(0)
    return [(n, rng.integers(0, 256, (2, 4, 16, 16, 3), "uint8")) for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_outputs_come_in_order_and_bit_for_bit(model, count):
    found = [*predict.computed(model, batches(count))]
    assert [key for key, _ in found] == [*range(count)]
    for (_, output), (_, clips) in zip(found, batches(count), strict=True):
        np.testing.assert_array_equal(output, model.predict_on_batch(clips))


def test_a_model_of_another_kind_is_asked_one_batch_at_a_time():
    class Counting:
        busy = 0

        def predict_on_batch(self, clips):
            assert self.busy == 0
            self.busy += 1
            answer = len(clips)
            self.busy -= 1
            return answer

    assert predict.at_once(Counting()) == 1
    assert [n for _, n in predict.computed(Counting(), batches(3))] == [2, 2, 2]


def test_a_fault_in_a_batch_is_raised(model, monkeypatch):
    whole, calls = model.predict_on_batch, []

    def broken(clips):
        calls.append(1)
        if len(calls) == 3:
            raise ValueError("no such clips")
        return whole(clips)

    monkeypatch.setattr(model, "predict_on_batch", broken)
    keys = []
    with pytest.raises(ValueError, match="no such clips"):
        for key, _ in predict.computed(model, batches(6)):
            keys.append(key)
    assert keys == [0, 1]


def test_half_precision_that_the_device_lacks_is_scored_in_float32(monkeypatch):
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        half = models.build("c3d_bn", 3, frames=8, size=24, width=0.125, dense=8)
        frames = models.build("frame_cnn", 3, frames=1, size=32, backbone="small")
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    whole = models.build("c3d_bn", 3, frames=8, size=24, width=0.125, dense=8)
    clips = np.random.default_rng(0).integers(0, 256, (2, 8, 24, 24, 3), "uint8")

    def dtypes(model):
        return {layer.compute_dtype for layer in model._flatten_layers(include_self=False)}

    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    assert precision.lacking(half) == "" and "bfloat16" in dtypes(predict.network(half))
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    assert "mixed bfloat16, which this device has no instructions" in precision.lacking(half)
    assert precision.lacking(whole) == ""
    for model in (half, frames):
        assert dtypes(predict.network(model)) <= {"float32", "uint8"}
    exact = predict.network(half).predict_on_batch(clips)
    whole.set_weights(half.get_weights())
    np.testing.assert_allclose(exact, whole.predict_on_batch(clips), atol=1e-4)
