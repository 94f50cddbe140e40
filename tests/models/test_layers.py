"""Layers against NumPy and against stock Keras."""

import keras
import numpy as np
import pytest
from compare import error, gradients
from keras import ops

from harlib.models import conv3d_ops, grouped_conv3d
from harlib.models.layers import BatchNorm, Conv3D, GroupedConv3D, Preprocess, ResidualFrames

tf = pytest.importorskip("tensorflow")
if keras.backend.backend() != "tensorflow":
    pytest.skip("gradients here are TensorFlow's", allow_module_level=True)


def convolve(x, kernel, strides, groups):
    """Grouped convolution with k // 2 zeros, in NumPy float64, term by term of the kernel."""
    size, filters = kernel.shape[:3], kernel.shape[-1]
    x = np.pad(x.astype("float64"), [(0, 0), *((k // 2, k // 2) for k in size), (0, 0)])
    out = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:4], size, strides, strict=True)]
    x = x.reshape(*x.shape[:-1], groups, -1)
    kernel = kernel.reshape(*kernel.shape[:-1], groups, filters // groups)
    y = np.zeros((len(x), *out, groups, filters // groups))
    for index in np.ndindex(*size):
        part = x[
            (
                slice(None),
                *(slice(i, i + s * n, s) for i, s, n in zip(index, strides, out, strict=True)),
            )
        ]
        y += np.einsum("bdhwgi,igo->bdhwgo", part, kernel[index])
    return y.reshape(*y.shape[:4], filters)


SHAPES = [  # frames, height, width, channels, filters, groups, strides
    (8, 5, 6, 8, 16, 4, (1, 1, 1)),
    (4, 6, 5, 8, 8, 2, (2, 2, 2)),
    (5, 7, 7, 12, 12, 3, (2, 2, 2)),
    (2, 3, 3, 16, 16, 8, (1, 1, 1)),
    (1, 2, 2, 8, 8, 4, (2, 2, 2)),
    (3, 4, 4, 8, 8, 4, (1, 2, 2)),
]


@pytest.mark.quick
@pytest.mark.parametrize("method", ["time", "packs", "auto"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_grouped_convolution_equals_numpy(shape, method):
    *size, channels, filters, groups, strides = shape
    x = np.random.default_rng(0).standard_normal((2, *size, channels)).astype("float32")
    layer = GroupedConv3D(filters, 3, strides, groups=groups, method=method)
    y = layer(x)
    assert layer.kernel.shape == (3, 3, 3, channels // groups, filters)
    assert layer.compute_output_shape(x.shape) == tuple(y.shape)
    assert error(y, convolve(x, np.asarray(layer.kernel), strides, groups)) < 1e-5


@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2)], ids=str)
def test_grouped_gradients_equal_stock_keras(strides):
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 5, 8)).astype("float32")
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))
    stock = keras.layers.Conv3D(16, 3, strides, groups=4, use_bias=False)
    stock.build(padded.shape)
    y, to_x, to_kernel = gradients(stock, padded)()
    wanted = (y, to_x[:, 1:-1, 1:-1, 1:-1], to_kernel)
    trained = ("time",) if grouped_conv3d.has_gradient("float32") else ()
    for method in (*trained, "packs", "native"):
        layer = GroupedConv3D(16, 3, strides, groups=4, method=method)
        layer.build(x.shape)
        layer.kernel.assign(stock.kernel)
        for got, want in zip(gradients(layer, x)(), wanted, strict=True):
            assert error(got, want) < 1e-5, method


@pytest.mark.parametrize(
    ("size", "kernel", "strides"),
    [
        ((4, 5, 6), 3, 1),
        ((1, 3, 1), 3, 1),  # its neighbours are beside the frame and the clip
        ((2, 4, 2), (5, 3, 5), 1),
        ((4, 5, 6), (5, 1, 1), 1),
        ((4, 5, 6), 3, (1, 2, 2)),
        ((1, 4, 4), 3, (1, 2, 2)),
    ],
    ids=str,
)
def test_depthwise_convolution_and_its_gradients(size, kernel, strides):
    x = np.random.default_rng(0).standard_normal((2, *size, 8)).astype("float32")
    layer = GroupedConv3D(8, kernel, strides, groups=8, method="depthwise")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a way of TensorFlow's alone")
    layer.build(x.shape)
    y, *slopes = gradients(layer, x)()
    assert error(y, convolve(x, np.asarray(layer.kernel), layer.strides, 8)) < 1e-5
    dense = GroupedConv3D(8, kernel, strides, groups=8, method="packs")
    dense.build(x.shape)
    dense.kernel.assign(layer.kernel)
    for got, want in zip(slopes, gradients(dense, x)()[1:], strict=True):
        assert error(got, want) < 1e-5


@pytest.mark.quick
@pytest.mark.parametrize("strides", [(1, 2, 2), (2, 2, 2), (3, 2, 1), (2, 1, 1)], ids=str)
@pytest.mark.parametrize("size", [(4, 6, 8), (5, 7, 5), (1, 1, 1)], ids=str)
def test_every_is_a_strided_slice_and_so_is_its_gradient(size, strides):
    d, h, w = strides
    x = np.random.default_rng(0).standard_normal((2, *size, 8)).astype("float32")
    layer = Conv3D(8, 1, strides)
    layer.build(x.shape)
    layer.kernel.assign(np.eye(8, dtype="float32").reshape(1, 1, 1, 8, 8))
    y, to_x, _ = gradients(layer, x)()
    assert np.array_equal(y, x[:, ::d, ::h, ::w])
    apart = np.zeros_like(x)
    apart[:, ::d, ::h, ::w] = np.asarray(to_x)[:, ::d, ::h, ::w]
    assert apart.any() and np.array_equal(to_x, apart)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("kernel", "strides"), [(3, 1), (3, 2), (7, (1, 2, 2)), (1, 1), (1, 2), ((1, 3, 3), 1)], ids=str
)
def test_convolution_equals_numpy(kernel, strides):
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5, 4)).astype("float32")
    layer = Conv3D(8, kernel, strides)
    y = layer(x)
    assert layer.compute_output_shape(x.shape) == tuple(y.shape)
    assert error(y, convolve(x, np.asarray(layer.kernel), layer.strides, 1)) < 1e-5


@pytest.mark.quick
@pytest.mark.parametrize("frames", [1, 2, 4])
def test_convolution_gradients_equal_explicit_padding(frames):
    x = np.random.default_rng(0).standard_normal((2, frames, 5, 4, 4)).astype("float32")
    layer = Conv3D(8, 3)
    layer.build(x.shape)
    stock = keras.layers.Conv3D(8, 3, use_bias=False)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))
    stock.build(padded.shape)
    stock.kernel.assign(layer.kernel)
    y, to_x, to_kernel = gradients(stock, padded)()
    for got, want in zip(
        gradients(layer, x)(), (y, to_x[:, 1:-1, 1:-1, 1:-1], to_kernel), strict=True
    ):
        assert error(got, want) < 1e-5


@pytest.mark.quick
@pytest.mark.parametrize("kernel", [3, (1, 3, 3), (3, 1, 1)], ids=str)
@pytest.mark.parametrize("frames", [1, 4])
def test_a_kernels_gradient_is_the_same_by_products(monkeypatch, kernel, frames):
    """Wide layers take matrix products on CPUs without AVX-512, the operation on others."""
    x = np.random.default_rng(0).standard_normal((2, frames, 5, 4, 64)).astype("float32")
    layer = Conv3D(72, kernel)
    layer.build(x.shape)
    found, taken = {}, conv3d_ops._kernel_gradient
    for wide in (True, False):
        calls = []
        monkeypatch.setattr(conv3d_ops.machine, "has_avx512", lambda wide=wide: wide)
        monkeypatch.setattr(
            conv3d_ops, "_kernel_gradient", lambda *a, calls=calls: calls.append(1) or taken(*a)
        )
        found[wide] = gradients(layer, x)()
        assert bool(calls) is not wide
    for got, want in zip(found[False], found[True], strict=True):
        assert error(got, want) < 1e-5


@pytest.mark.quick
@pytest.mark.parametrize("shape", [(4, 3, 5, 6, 8), (6, 5, 4, 8)], ids=str)
def test_batch_norm_equals_keras(shape):
    rng = np.random.default_rng(0)
    x = (3 * rng.standard_normal(shape) + 1).astype("float32")
    ours, stock = BatchNorm(), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    for layer in (ours, stock):
        layer.build(shape)
        layer.gamma.assign(np.linspace(0.5, 1.5, 8))
        layer.beta.assign(np.linspace(-1, 1, 8))
    for training in (True, False):
        assert error(ours(x, training=training), stock(x, training=training)) < 1e-5
    for a, b in zip(ours.weights, stock.weights, strict=True):
        assert error(a, b) < 1e-5
    for got, want in zip(gradients(ours, x)(), gradients(stock, x)(), strict=True):
        assert error(got, want) < 1e-4


@pytest.mark.quick
def test_batch_norm_keeps_float32_statistics_under_bfloat16():
    layer = BatchNorm(dtype="mixed_bfloat16")
    y = layer(tf.cast(tf.random.normal((4, 2, 3, 3, 8)), "bfloat16"), training=True)
    assert y.dtype == "bfloat16"
    assert {str(w.dtype) for w in layer.weights} == {"float32"}
    layer.trainable = False
    before = np.asarray(layer.moving_mean)
    layer(tf.ones((4, 2, 3, 3, 8), "bfloat16"), training=True)
    assert np.array_equal(before, layer.moving_mean)  # frozen means inference statistics


@pytest.mark.quick
def test_preprocess_subtracts_then_divides_and_may_reverse():
    pixels = np.array([[[10, 20, 30]]], "uint8")
    assert np.allclose(Preprocess((1, 2, 3), 2)(pixels), [[[4.5, 9, 13.5]]])
    assert np.allclose(Preprocess((1, 2, 3), 1, reverse=True)(pixels), [[[29, 18, 7]]])


@pytest.mark.quick
def test_residual_frames_are_the_standardised_differences():
    clips = np.random.default_rng(3).integers(0, 256, (2, 5, 6, 7, 3), "uint8")
    differences = np.diff(clips.astype("float64"), axis=1)
    mean, std = (f(differences, (1, 2, 3, 4), keepdims=True) for f in (np.mean, np.std))
    wanted = (differences - mean) / (std + 2)
    found = np.asarray(ResidualFrames()(clips))
    assert found.shape == clips.shape and found.dtype == np.float32
    assert error(found[:, :-1], wanted) < 1e-5
    assert np.array_equal(found[:, -1], found[:, -2])


@pytest.mark.quick
def test_residual_frames_do_not_see_what_stands_still():
    still = np.random.default_rng(3).integers(0, 200, (1, 1, 6, 7, 3), "uint8")
    assert not np.asarray(ResidualFrames()(still.repeat(4, 1))).any()
    moving = np.random.default_rng(4).integers(0, 50, (1, 4, 6, 7, 3), "uint8")
    alone, before = (np.asarray(ResidualFrames()(clip)) for clip in (moving, moving + still))
    assert np.abs(alone).max() > 1 and np.allclose(alone, before)


@pytest.mark.quick
def test_time_is_chosen_for_short_clips_only(monkeypatch):
    monkeypatch.setattr(grouped_conv3d, "has_gradient", lambda dtype: True)
    for wide in (True, False):
        monkeypatch.setattr(grouped_conv3d.machine, "has_avx512", lambda wide=wide: wide)
        assert grouped_conv3d.choose(8, 4, (3, 3, 3), pixels=144) == "time"
        assert grouped_conv3d.choose(8, 4, (3, 3, 3), pixels=784) == ("time" if wide else "packs")
        assert grouped_conv3d.choose(4, 16, (3, 3, 3), pixels=784) == "time"
        assert grouped_conv3d.choose(32, 4, (3, 3, 3), pixels=144) == "packs"
        assert grouped_conv3d.choose(None, 4, (3, 3, 3), pixels=144) == "packs"
        assert (
            grouped_conv3d.pack_size(32, 4) == (4 if wide else 2)
            and grouped_conv3d.pack_size(32, 16) == 1
        )
    with pytest.raises(ValueError, match="'fast' is unknown"):
        GroupedConv3D(8, 3, groups=4, method="fast")
    assert ops.shape(GroupedConv3D(8, 3, groups=4)(np.zeros((1, 32, 2, 2, 8), "float32")))[1] == 32


@pytest.mark.quick
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_what_has_no_gradient_is_not_chosen(dtype):
    """The trial says what training does: the way that is chosen trains in this precision."""
    compute = dtype.removeprefix("mixed_")
    layer = GroupedConv3D(8, 3, groups=4, dtype=dtype)
    x = np.random.default_rng(0).standard_normal((2, 4, 3, 3, 8)).astype("float32")
    _, to_x, to_kernel = gradients(layer, x)()
    assert np.isfinite(np.asarray(tf.cast(to_x, "float32"))).all()
    assert float(tf.norm(to_kernel)) > 0
    chosen = grouped_conv3d.choose(4, 2, (3, 3, 3), pixels=9, dtype=compute)
    assert chosen == ("time" if grouped_conv3d.has_gradient(compute) else "packs")
