"""bfloat16 gradients of every convolution of the shipped networks against float32."""

import functools

import keras
import numpy as np
import pytest

from harlib import models
from harlib.models import grouped_conv3d
from harlib.models.layers import Conv3D, GroupedConv3D

tf = pytest.importorskip("tensorflow")
if keras.backend.backend() != "tensorflow":
    pytest.skip("the wrong gradient is TensorFlow's", allow_module_level=True)
from compare import error, gradients  # noqa: E402

# Of the largest gradient. bfloat16 rounds by 2**-8 at most: both factors of a product, the result
# and, where the CPU has no instructions for it, partial sums, whose errors add up like random
# steps. Sixteen roundings are 6 %; what the wrong kernel gives is 90 % off and more.
TOLERANCE = 16 * 2**-8

# c3d_bn's convolutions are c3d's; the slim 26 layers of the demo see 48 pixels.
NETWORKS = {
    "c3d": {},
    "resnext3d_101": {},
    "resnext3d_26": {"size": 48, "width": 0.25},
    "r3d_18": {},
    "r2plus1d_18": {},
}


@functools.cache
def convolutions(name):
    """(input shape, layer's options) of each different convolution of a network."""
    found = {}
    for layer in models.build(name, 5, **NETWORKS[name]).layers:
        if isinstance(layer, Conv3D):
            options = {
                "filters": layer.filters,
                "kernel_size": layer.kernel_size,
                "strides": layer.strides,
                "groups": layer.groups,
            }
            found[layer.input.shape[1:], tuple(options.values())] = options
    return [(shape, options) for (shape, _), options in found.items()]


def compare(shape, options, calls, **method):
    layer = GroupedConv3D if options["groups"] > 1 else Conv3D
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype("float32")
    exact = layer(**options, **method)
    exact.build(x.shape)
    half = layer(**options, **method, dtype="mixed_bfloat16")
    half.build(x.shape)
    half.kernel.assign(exact.kernel)
    wanted = gradients(exact, x)()
    step = gradients(half, x)
    for _ in range(calls):  # the garbage is another one at every call
        for got, want in zip(step(), wanted, strict=True):
            assert error(tf.cast(got, "float32"), want) < TOLERANCE, (shape, options, method)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_every_convolution_in_few_channels_and_pixels(name):
    """The wrong gradient depends on frames and the kernel's depth alone."""
    seen = set()
    for (frames, height, width, channels), options in convolutions(name):
        groups = options["groups"]
        own = channels // groups if groups > 1 else min(channels, 16)
        small = (frames, min(height, 8), min(width, 8), own * min(groups, 4))
        options = options | {"groups": min(groups, 4), "filters": small[-1]}
        if (key := (small, *options.values())) in seen:
            continue
        seen.add(key)
        ways = ["time", "packs"] if grouped_conv3d.has_gradient("bfloat16") else ["packs"]
        for method in [{"method": way} for way in ways] if groups > 1 else [{}]:
            compare(small, options, calls=12 if frames < 3 else 2, **method)
    assert {key[0][0] for key in seen} >= {2, 4, 8}, "all depths of the network"


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_every_convolution_at_full_size(name):
    for shape, options in convolutions(name):
        compare(shape, options, calls=36 if shape[0] < 3 else 3)
