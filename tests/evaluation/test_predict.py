"""Batches computed two at once are those computed one after the other."""

import numpy as np
import pytest

from harlib import models
from harlib.evaluation import predict


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
