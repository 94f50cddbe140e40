"""A network's arithmetic agrees with the network as built."""

import math

import pytest

from harlib import models
from harlib.models import arithmetic

BUILT = {
    "c3d": ("c3d", {"width": 0.125, "dense": 8}),
    "c3d with batch norm": ("c3d_bn", {"width": 0.125, "dense": 8}),
    "resnext": ("resnext3d_26", {"width": 0.25, "cardinality": 8}),
    "small frame cnn": ("frame_cnn", {"backbone": "small", "width": 0.5}),
    "a backbone of Keras": ("frame_cnn", {"backbone": "resnet50"}),
}


@pytest.fixture(scope="module", params=BUILT)
def network(request):
    name, options = BUILT[request.param]
    return models.build(name, 5, frames=8, size=64, **options)


def test_the_formula_of_the_output_size_gives_the_layers_own(network):
    found = arithmetic.convolutions(network)
    assert found
    for one in found:
        for axis, (before, kernel, stride) in enumerate(
            zip(one.before, one.kernel, one.stride, strict=True)
        ):
            if one.padding is None:
                size = math.ceil(before / stride)
            else:
                size = (before + 2 * one.padding[axis] - kernel) // stride + 1
            assert size == one.after[axis], one


def test_weights_and_multiply_adds_are_those_of_the_network(network):
    found = arithmetic.convolutions(network)
    layers = {layer.name: layer for layer, _ in models.summary.walk(network)}
    for one in found:
        assert one.weights == math.prod(layers[one.layer].kernel.shape)
    dense = [layer for layer in layers.values() if layer.__class__.__name__ == "Dense"]
    whole = sum(one.macs for one in found)
    times = 8 if network.name == "frame_cnn" else 1
    whole += times * sum(math.prod(layer.kernel.shape) for layer in dense)
    assert whole / 1e9 == pytest.approx(models.gmacs(network), rel=1e-9)
