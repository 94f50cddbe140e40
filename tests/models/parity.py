"""A network here beside the original it was read from: the same weights, the same numbers.

The originals are packages that `pip install 'harlib[parity]'` brings; tests are skipped without.
"""

import functools
import importlib
import importlib.util
from unittest import mock

import keras
import numpy as np
import pytest
from keras import ops

from harlib.models import export, fold_batch_norm, keras_file
from harlib.models.weights import checkpoints

_OPERATORS = ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool",
              "deform_conv2d")  # fmt: skip


def import_torchvision():
    """`torchvision.models.video`, or the test is skipped.

    A wheel that was built for CUDA lacks its compiled operators beside a PyTorch without, and its
    import fails where it describes them. Video networks use none, so their names are enough.
    """
    torch = pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        names = torch.library.Library("torchvision", "DEF")
        for name in _OPERATORS:
            for full in (name, f"_{name}_backward"):
                names.define(f"{full}(Tensor x) -> Tensor")
        import_torchvision.names = names  # they last as long as this object
        importlib.import_module("torchvision")
    return importlib.import_module("torchvision.models.video")


def import_transformers():
    """`transformers`' module of VideoMAE, or the test is skipped."""
    pytest.importorskip("torch")
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    if importlib.util.find_spec("torchvision"):
        import_torchvision()  # which `transformers` imports too
    return importlib.import_module("transformers.models.videomae.modeling_videomae")


def scramble(original, seed=0):
    """Weights unlike those of a new network, statistics and scales of its norms too."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def normal(shape):
        return torch.randn(shape, generator=generator)

    norms = {
        name
        for name, module in original.named_modules()
        if isinstance(module, (torch.nn.LayerNorm, torch.nn.modules.batchnorm._BatchNorm))
    }
    with torch.no_grad():
        for name, array in original.state_dict().items():
            owner, _, kind = name.rpartition(".")
            if kind == "num_batches_tracked" or not array.is_floating_point():
                continue
            if kind == "running_var" or (owner in norms and kind == "weight"):
                array.copy_(0.5 + torch.rand(array.shape, generator=generator))
            elif array.ndim > 1 and "rel_pos" not in name and "position" not in name:
                array.copy_(normal(array.shape) * (2 / array[0].numel()) ** 0.5)
            else:
                array.copy_(0.2 * normal(array.shape))
    return original


def error(got, wanted):
    got, wanted = np.asarray(got, "float64"), np.asarray(wanted, "float64")
    return np.abs(got - wanted).max() / np.abs(wanted).max()


def check(model, original, mean, std, tmp_path, *, axes=(0, 4, 1, 2, 3), first, last,
          file=None, trains=True):  # fmt: skip
    """{check: largest difference} of a network that ends in logits and its original.

    Args:
        mean, std: of a pixel in 0..1, as the original's documented transform has them.
        axes: of the clips as the original takes them.
        first, last: the original's names of the first and the last kernel.
        file: the weights are read from it; None takes them from the original itself.
        trains: the gradients are compared too, in float64 and so in more than twice the memory.
    """
    import torch

    arrays = {name: array.numpy().copy() for name, array in original.state_dict().items()}
    published = checkpoints.read(file) if file else arrays
    assert checkpoints.load_arrays(model, published) == []
    clips = np.random.default_rng(1).integers(0, 256, (3, *model.input_shape[1:]), "uint8")
    x = torch.tensor(((clips / 255 - mean) / std).transpose(axes).astype("float32"))
    with torch.no_grad():
        wanted = _logits(original.eval()(x))
    found = {"logits": error(model.predict_on_batch(clips), wanted)}
    assert np.abs(np.asarray(wanted[0] - wanted[1])).max() > 1e-3  # a clip tells on the logits
    if trains:
        # three clips of a published size take R(2+1)D-18 more than 22 GB
        shown = clips if clips[0].size < 300_000 else clips[:1]
        found["gradients"] = _gradients(model, original.train(), shown, axes, (first, last))
    if fold_batch_norm.can_fold(model):
        folded = fold_batch_norm.fold(model, constant=True)
        found["folded"] = error(folded.predict_on_batch(clips), wanted)
    model.save(tmp_path / "model.keras")
    loaded = keras_file.load(tmp_path / "model.keras")
    found["loaded"] = error(loaded.predict_on_batch(clips), wanted)
    if keras.backend.backend() == "tensorflow" and importlib.util.find_spec("tf2onnx"):
        import onnxruntime

        names = [str(number) for number in range(wanted.shape[1])]
        export.export(model, tmp_path / "model.onnx", "onnx", names, folded=True)
        session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
        (got,) = session.run(["scores"], {"clips": clips})
        found["exported"] = error(got, wanted)
    return found


def _logits(output):
    return getattr(output, "logits", output)


def _gradients(model, original, clips, axes, names):
    """The difference of a training step's gradients of the named kernels, in float64.

    In float32 a ReLU or a maximum that rounding turns moves gradients by more than is allowed.
    """
    import torch

    exact = fold_batch_norm.copy(model, dtype="float64")
    x = torch.tensor(np.asarray(exact.get_layer("preprocess")(clips)).transpose(axes))
    logits = _logits(original.double()(x))
    weights = np.random.default_rng(2).standard_normal(logits.shape)
    (logits * torch.tensor(weights)).sum().backward()
    wanted = {name: original.get_parameter(name).grad.numpy() for name in names}
    ours = {one.name: one for one in checkpoints.parameters(exact, wanted)}
    variables = [ours[name].variable for name in names]
    got = _backward(exact, clips, weights, variables)
    return max(
        error(gradient, ours[name].convert(wanted[name]))
        for name, gradient in zip(names, got, strict=True)
    )


def _backward(model, clips, weights, variables):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are compared on TensorFlow")
    import tensorflow as tf

    # TensorFlow pools no float64 in three dimensions.
    pools = {"max_pool": _pool(ops.maximum), "average_pool": _pool(ops.add, mean=True)}
    with mock.patch.multiple(keras.src.backend.nn, **pools), tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(clips, training=True) * weights)
    return tape.gradient(loss, [variable.value for variable in variables])


def _pool(join, mean=False):
    def pool(x, size, strides, padding, data_format):
        size, strides = (n if isinstance(n, (tuple, list)) else (n,) * 3 for n in (size, strides))
        assert padding == "valid" or join is ops.maximum and size == strides
        if padding == "same":  # windows that do not overlap are filled up at the end
            ends = [-n % k for n, k in zip(x.shape[1:4], size, strict=True)]
            x = ops.pad(x, [(0, 0), *((0, n) for n in ends), (0, 0)], constant_values=-np.inf)
        ends = [(n - k) // s * s + 1 for n, k, s in zip(x.shape[1:4], size, strides, strict=True)]
        parts = []
        for start in np.ndindex(*size):
            d, h, w = (slice(*at) for at in zip(start, np.add(start, ends), strides, strict=True))
            parts.append(x[:, d, h, w])
        return functools.reduce(join, parts) / (len(parts) if mean else 1)

    return pool
