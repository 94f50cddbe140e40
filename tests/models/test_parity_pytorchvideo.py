"""PyTorchVideo's networks here against the originals, with random weights and statistics.

The originals compute in the same run (`pip install 'harlib[parity]'`, see CONTRIBUTING.md).
"""

import copy
import functools
import importlib
import sys
import types

import keras
import numpy as np
import parity
import pytest
import shallow

from harlib import models
from harlib.models import export, fold_batch_norm
from harlib.models.layers import SlowFrames
from harlib.models.weights import checkpoints

torch = pytest.importorskip("torch")
pytest.importorskip("pytorchvideo", reason="the originals: pip install 'harlib[parity]'")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="test_backends.py compares the backends"
)

CLASSES = 5
# Options of the originals and of ours that give the same small network; the published clip, one
# that is not square and one of another length, as frames, height, width.
NETWORKS = {
    "x3d_xs": (
        {"stem_dim_in": 4, "head_dim_out": 680},
        1 / 3,
        [(4, 160, 160), (4, 160, 200), (7, 182, 160)],
    ),
    "x3d_s": (
        {"stem_dim_in": 4, "head_dim_out": 680},
        1 / 3,
        [(13, 160, 160), (13, 160, 200), (16, 182, 160)],
    ),
    "x3d_m": (
        {"stem_dim_in": 4, "head_dim_out": 680},
        1 / 3,
        [(16, 224, 224), (16, 224, 256), (17, 224, 230)],
    ),
    "slow_r50": ({"stem_dim_out": 8}, 1 / 8, [(8, 224, 224), (8, 224, 260), (9, 224, 224)]),
    "c2d_r50": ({"stem_dim_out": 8}, 1 / 8, [(8, 224, 224), (8, 224, 260), (11, 224, 224)]),
    "i3d_r50": ({"stem_dim_out": 8}, 1 / 8, [(8, 224, 224), (8, 224, 260), (11, 224, 224)]),
    "slowfast_r50": (
        {"stem_dim_outs": (16, 2)},
        1 / 4,
        [(32, 224, 224), (32, 224, 260), (16, 128, 96)],
    ),
}
SMALL = {name: (8, 64, 64) for name in NETWORKS} | {"slowfast_r50": (16, 64, 64)}
# On the small clip X3D's three sizes are one network.
EACH = [
    pytest.param(name, marks=pytest.mark.soak) if name in ("x3d_xs", "x3d_m") else name
    for name in NETWORKS
]


@functools.cache
def hub():
    """PyTorchVideo's builders. Of torchvision they name one detection layer, and use none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
        patch.setitem(sys.modules, "torchvision.ops", types.SimpleNamespace(RoIAlign=None))
        from pytorchvideo.models import hub
    return hub


def hub_module(name):
    """The module of PyTorchVideo that builds these networks."""
    hub()
    return importlib.import_module(f"pytorchvideo.models.{name}")


def original_of(name, options):
    """PyTorchVideo's network, logits out, with random weights, scales and statistics."""
    if name.startswith("x3d"):
        options = options | {"head_activation": None}
    torch.manual_seed(0)
    network = getattr(hub(), name)(model_num_class=CLASSES, dropout_rate=0.0, **options)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv3d):
                torch.nn.init.kaiming_normal_(module.weight)
            if isinstance(module, torch.nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.0)
                module.bias.normal_(0, 0.1)
            if type(module).__name__ == "Swish":
                # the same; the original's gradient asks for what PyTorch no longer has
                module.forward = torch.nn.functional.silu
            if isinstance(module, torch.nn.AvgPool3d):
                # as it is for the published clip; a smaller one has no whole window
                module.forward = functools.partial(_pool, module.kernel_size)
    return network.eval()


def _pool(window, x):
    window = [min(k, n) for k, n in zip(window, x.shape[2:], strict=True)]
    return torch.nn.functional.avg_pool3d(x, window, 1)


def original_scores(name, network, clips):
    """The original's transform and its logits."""
    x = (torch.from_numpy(clips).float() / 255 - 0.45) / 0.225
    x = x.permute(0, 4, 1, 2, 3)
    if name == "slowfast_r50":  # PackPathway of its documentation
        frames = x.shape[2]
        taken = torch.linspace(0, frames - 1, frames // 4).long()
        x = [torch.index_select(x, 2, taken), x]
    return network(x)


def arrays_of(network):
    return {name: value.numpy() for name, value in network.state_dict().items()}


def build(name, clip, width, arrays, classes=CLASSES, **options):
    frames, *size = clip
    model = models.build(
        name, classes, frames=frames, size=tuple(size), width=width, dropout=0.0, **options
    )
    assert checkpoints.load_arrays(model, arrays) == []
    return model


def noise(clip, batch=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (batch, *clip, 3), "uint8")


@pytest.fixture(scope="module", params=NETWORKS)
def pair(request):
    """Name, width factor and the original of a small network."""
    options, width, _ = NETWORKS[request.param]
    return request.param, width, original_of(request.param, options)


def test_logits(pair, same):
    name, width, network = pair
    for seed, clip in enumerate(NETWORKS[name][2]):
        clips = noise(clip, seed=seed)
        with torch.inference_mode():
            wanted = original_scores(name, network, clips).numpy()
        model = build(name, clip, width, arrays_of(network), classifier_activation=None)
        same(name, {"logits": parity.error(model(clips, training=False), wanted)})


@pytest.mark.parametrize("pair", EACH, indirect=True)
def test_gradients_in_training(pair, same):
    import tensorflow as tf

    name, width, network = pair
    network = copy.deepcopy(network).train()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm3d):
                # Fewer ReLUs at their bend: rounding alone, which bends them the other way, moved
                # the original's own gradient by 6 % between float32 and float64 without this.
                module.bias += 2
    clips = noise(SMALL[name], batch=3)
    weights = np.random.default_rng(1).standard_normal((3, CLASSES)).astype("float32")
    model = build(name, SMALL[name], width, arrays_of(network), classifier_activation=None)
    (original_scores(name, network, clips) * torch.from_numpy(weights)).sum().backward()
    named = dict(network.named_parameters())
    wanted = [one for one in checkpoints.parameters(model) if one.variable.name == "kernel"]
    wanted = [wanted[0], wanted[-1]]
    assert [one.layer for one in wanted][1] == "classifier"

    @tf.function(autograph=False)
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x, training=True) * weights)
        return tape.gradient(loss, [one.variable.value for one in wanted])

    for one, gradient in zip(wanted, step(clips), strict=True):
        theirs = one.convert(named[one.name].grad.numpy())
        same(name, {"gradients": parity.error(gradient, theirs)})


@pytest.mark.soak
@pytest.mark.parametrize("pair", EACH, indirect=True)
def test_scores_after_folding_saving_and_exporting(pair, same, tmp_path):
    _folded_saved_and_exported(*pair, same, tmp_path)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("x3d_xs", "x3d_m")])
def test_scores_of_few_blocks_after_folding_saving_and_exporting(name, same, tmp_path, monkeypatch):
    shallow.shorten(monkeypatch)
    options, width, _ = NETWORKS[name]
    if name.startswith("x3d"):
        options = options | {"depth_factor": 0.4}
    for module in (hub_module("resnet"), hub_module("slowfast")):
        monkeypatch.setitem(module._MODEL_STAGE_DEPTH, 50, shallow.RESNET50)
    network = original_of(name, options)
    _folded_saved_and_exported(name, width, network, same, tmp_path)


def _folded_saved_and_exported(name, width, network, same, tmp_path):
    pytest.importorskip("tf2onnx")
    clips = noise(SMALL[name], batch=2)
    with torch.inference_mode():
        wanted = original_scores(name, network, clips)
        probabilities = wanted.softmax(1).numpy()
    model = build(name, SMALL[name], width, arrays_of(network), classifier_activation=None)
    folded = fold_batch_norm.fold(model, constant=True)
    assert not [x for x in folded.layers if isinstance(x, keras.layers.BatchNormalization)]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for what, found in (("logits", model), ("folded", folded), ("loaded", loaded)):
        same(name, {what: parity.error(found.predict_on_batch(clips), wanted)})
    model = build(name, SMALL[name], width, arrays_of(network))
    categories = [str(i) for i in range(CLASSES)]
    for to, run in (("onnx", export._run_onnx), ("saved_model", export._run_saved_model)):
        path = tmp_path / export.FORMATS[to]
        export.export(model, path, to, categories, folded=True)
        (scores, logits), _ = run(path, clips)
        same(name, {"exported": parity.error(logits, wanted)})
        assert np.abs(scores - probabilities).max() <= 1e-4


def test_a_file_of_another_network_is_refused_and_nothing_set(pair):
    name, width, network = pair
    other = "c2d_r50" if name != "c2d_r50" else "i3d_r50"
    model = models.build(other, CLASSES, frames=4, size=32, width=1 / 8)
    before = [np.asarray(w) for w in model.weights]
    with pytest.raises(ValueError, match=f"do not fit {other}") as error:
        checkpoints.load_arrays(model, arrays_of(network))
    assert "\n" not in str(error.value)
    assert all(np.array_equal(a, w) for a, w in zip(before, model.weights, strict=True))


def test_a_file_as_the_zoo_keeps_it(pair, tmp_path):
    name, width, network = pair
    path = tmp_path / "NETWORK.pyth"
    torch.save({"model_state": network.state_dict()}, path)
    model = models.build(name, 7, frames=4, size=32, width=width)
    assert checkpoints.load_published(model, path) == ["classifier"]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cut short or damaged"):
        checkpoints.load_published(model, path)


@pytest.mark.soak
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_at_full_size(name, same):
    network = original_of(name, {})
    for seed, clip in enumerate(NETWORKS[name][2]):
        clips = noise(clip, seed=seed)
        with torch.inference_mode():
            wanted = original_scores(name, network, clips).numpy()
        model = build(name, clip, 1.0, arrays_of(network), classifier_activation=None)
        same(name, {"logits": parity.error(model.predict_on_batch(clips), wanted)})


def test_slow_frames_are_the_originals():
    for frames in (4, 8, 16, 32, 64, 95, 160, 200):
        wanted = torch.linspace(0, frames - 1, frames // 4).long().numpy()
        assert np.array_equal(SlowFrames(4).indices(frames), wanted), frames
