"""The networks against the original code's outputs, and what weights are refused."""

import ast
import os
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest

from harlib import models
from harlib.models.weights import checkpoints

FIXTURES = Path(__file__).parents[1] / "fixtures"
NETWORKS = {
    "resnext3d_101": (
        "resnext101_16x112.npz",
        400,
        {
            "maxpool": "stem_pool",
            "layer1": "stage1_block3_relu3",
            "layer2": "stage2_block4_relu3",
            "layer3": "stage3_block23_relu3",
            "layer4": "stage4_block3_relu3",
        },
    ),
    "c3d": (
        "c3d_16x112.npz",
        487,
        {
            **{f"pool{n}": f"stage{n}_pool" for n in range(1, 6)},
            "fc6": "head_fc6",
            "fc7": "head_fc7",
        },
    ),
}


def made(key, shape):
    """The weight of a name, by the recipe the originals' outputs were made with."""
    rng = np.random.RandomState(zlib.crc32(key.encode()))
    if key.endswith("running_var"):
        array = rng.uniform(0.5, 1.5, shape)
    elif key.endswith("running_mean"):
        array = 0.1 * rng.standard_normal(shape)
    elif len(shape) == 1 and key.endswith("weight"):
        array = rng.uniform(0.5, 1.0, shape)
    elif len(shape) == 1:
        array = 0.1 * rng.standard_normal(shape)
    else:
        array = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return array.astype("float32")


def arrays_of(model):
    """Arrays by published names that fit a (slim) model."""
    return {one.name: made(one.name, one.shape) for one in checkpoints.parameters(model)}


@pytest.fixture
def slim():
    return models.build("resnext3d_26", 5, size=32, width=0.125, cardinality=4)


@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_the_original(name):
    file, classes, points = NETWORKS[name]
    with np.load(FIXTURES / file) as content:
        wanted = dict(content)
    model = models.build(name, classes, classifier_activation=None)
    weights = {
        str(key): made(str(key), ast.literal_eval(str(shape)))
        for key, shape in zip(wanted["keys"], wanted["shapes"], strict=True)
    }
    assert checkpoints.load_arrays(model, weights) == []
    # The originals' input went straight to the first convolution.
    x = np.random.RandomState(7).uniform(-1, 1, (2, 3, 16, 112, 112)).astype("float32")
    inner = keras.Model(
        model.get_layer("preprocess").output,
        {"logits": model.output} | {k: model.get_layer(v).output for k, v in points.items()},
    )
    got = {k: np.asarray(v) for k, v in inner(x.transpose(0, 2, 3, 4, 1), training=False).items()}
    difference = np.abs(got["logits"] - wanted["logits"]).max()
    assert difference <= 1e-4 * np.abs(wanted["logits"]).max()
    for point in points:
        batch, channels, *size = wanted[f"shape_{point}"]
        assert got[point].shape == (batch, *size, channels)
        assert got[point].mean() == pytest.approx(wanted[f"mean_{point}"], rel=1e-4, abs=1e-6)
        assert got[point].std(ddof=1) == pytest.approx(wanted[f"std_{point}"], rel=1e-4)


@pytest.mark.quick
def test_other_classes_keep_the_models_classifier(slim):
    weights = arrays_of(slim)
    weights["fc.weight"], weights["fc.bias"] = np.ones((9, 256), "f"), np.ones(9, "f")
    before = slim.get_layer("classifier").get_weights()
    assert checkpoints.load_arrays(slim, weights) == ["classifier"]
    after = slim.get_layer("classifier").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert np.array_equal(
        np.moveaxis(weights["conv1.weight"], (0, 1), (-1, -2)), slim.get_layer("stem_conv").kernel
    )


@pytest.mark.quick
def test_weights_that_do_not_fit_are_named_and_none_is_set(slim):
    weights = arrays_of(slim)
    del weights["layer2.0.bn2.running_var"]
    weights["layer9.weight"] = np.ones(3, "f")
    weights["conv1.weight"] = np.ones((128, 3, 7, 7, 7), "f")
    before = np.asarray(slim.get_layer("stem_bn").gamma)
    with pytest.raises(ValueError) as caught:
        checkpoints.load_arrays(slim, weights)
    message = str(caught.value)
    assert "layer2.0.bn2.running_var is missing" in message
    assert "layer9.weight is left over" in message
    assert "conv1.weight is (128, 3, 7, 7, 7), not (8, 3, 7, 7, 7)" in message
    assert "stem=128" in message
    assert np.array_equal(before, slim.get_layer("stem_bn").gamma)


# torchvision 0.21, models/video/resnet.py: a block's `conv1` holds convolution, norm, ReLU; in
# R(2+1)D the convolution itself is (1x3x3, norm, ReLU, 3x1x1).
TORCHVISION = {
    "r3d_18": (
        {"stem": "tran"},
        {
            "stem.0.weight": (8, 3, 3, 7, 7),
            "stem.1.running_mean": (8,),
            "layer1.0.conv1.0.weight": (8, 8, 3, 3, 3),
            "layer4.1.conv2.1.running_var": (64,),
            "layer2.0.downsample.0.weight": (16, 8, 1, 1, 1),
            "layer2.0.downsample.1.bias": (16,),
            "fc.weight": (5, 64),
        },
    ),
    "r2plus1d_18": (
        {},
        {
            "stem.0.weight": (8, 3, 1, 7, 7),
            "stem.1.weight": (8,),
            "stem.3.weight": (8, 8, 3, 1, 1),
            "stem.4.weight": (8,),
            "layer1.0.conv1.0.0.weight": (18, 8, 1, 3, 3),
            "layer1.0.conv1.0.1.running_var": (18,),
            "layer1.0.conv1.0.3.weight": (8, 18, 3, 1, 1),
            "layer1.0.conv1.1.bias": (8,),
            "layer3.0.downsample.0.weight": (32, 16, 1, 1, 1),
            "fc.bias": (5,),
        },
    ),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_names_of_the_18_layer_networks(name):
    options, shapes = TORCHVISION[name]
    model = models.build(name, 5, frames=4, size=32, width=0.125, **options)
    weights = arrays_of(model)
    assert {key: weights[key].shape for key in shapes} == shapes
    # a weight and a bias of fc; a weight of every convolution and four arrays of its norm
    convolutions = {"r3d_18": 1 + 16 + 3, "r2plus1d_18": 2 + 32 + 3}[name]
    assert len(weights) == 2 + 5 * convolutions
    assert checkpoints.load_arrays(model, weights) == []
    hara = models.build("r3d_18", 5, frames=4, size=32, width=0.125)
    assert "layer1.0.bn1.weight" in arrays_of(hara) and "conv1.weight" in arrays_of(hara)


@pytest.mark.quick
def test_networks_without_published_weights_say_so():
    with pytest.raises(ValueError, match="c3d_bn has no published PyTorch weights"):
        checkpoints.load_arrays(models.build("c3d_bn", 3, size=16, width=0.125, dense=8), {})


@pytest.mark.parametrize("wrapped", [True, False])
def test_published_file_is_read(slim, wrapped, tmp_path):
    torch = pytest.importorskip("torch")
    weights = {f"module.{k}": torch.tensor(v) for k, v in arrays_of(slim).items()}
    weights["module.bn1.num_batches_tracked"] = torch.tensor(3)
    content = {"state_dict": weights, "epoch": 3, "arch": "resnext-26"} if wrapped else weights
    torch.save(content, tmp_path / "weights.pth")
    assert checkpoints.load_published(slim, tmp_path / "weights.pth") == []
    assert np.array_equal(
        slim.get_layer("stage4_block2_bn3").moving_variance,
        weights["module.layer4.1.bn3.running_var"].numpy(),
    )


def test_published_c3d_file_is_read_and_its_classifier_replaced(tmp_path):
    torch = pytest.importorskip("torch")
    slim = models.build("c3d", 5, size=32, width=0.125, dense=16)
    weights = {k: torch.tensor(v) for k, v in arrays_of(slim).items()}
    assert {"conv1.weight", "conv3b.bias", "conv5a.weight", "fc6.weight", "fc8.bias"} < set(weights)
    weights["fc8.weight"], weights["fc8.bias"] = torch.ones(487, 16), torch.ones(487)
    torch.save(weights, tmp_path / "c3d-pretrained.pth")
    before = slim.get_layer("classifier").get_weights()
    assert checkpoints.load_published(slim, tmp_path / "c3d-pretrained.pth") == ["classifier"]
    after = slim.get_layer("classifier").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    kernel = weights["conv5a.weight"].numpy().transpose(2, 3, 4, 1, 0)
    assert np.array_equal(slim.get_layer("stage5_conv1").kernel, kernel)
    # fc6 reads (channels, frames, height, width) in the file, channels last here
    channels = slim.get_layer("stage5_pool").output.shape[-1]
    wanted = weights["fc6.weight"].numpy().reshape(16, channels, -1).transpose(2, 1, 0)
    got = np.asarray(slim.get_layer("head_fc6").kernel).reshape(-1, channels, 16)
    assert np.array_equal(got, wanted)


class Hostile:
    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_hostile_pickle_is_refused(slim, tmp_path):
    torch = pytest.importorskip("torch")
    hostile = Hostile()
    hostile.path = tmp_path / "was_run"
    torch.save({"state_dict": hostile}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="refused"):
        checkpoints.load_published(slim, tmp_path / "weights.pth")
    assert not hostile.path.exists()


def test_damaged_files_are_named(slim, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    torch.save({k: torch.tensor(v) for k, v in arrays_of(slim).items()}, path)
    whole = path.read_bytes()
    old = tmp_path / "old.pth"
    torch.save({"a": torch.zeros(500)}, old, _use_new_zipfile_serialization=False)
    for data, what in (
        (b"", "empty"),
        (whole[: len(whole) // 2], "cut short or damaged"),
        (whole[:40], "cut short or damaged"),
        (old.read_bytes()[:1500], "cut short or damaged"),
        (b"a page that says 404", "refused|cut short or damaged|no PyTorch file"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=what) as error:
            checkpoints.load_published(slim, path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["state_dict", "model_state", "model", "module"])
def test_the_containers_of_published_files_are_known(slim, key, tmp_path):
    torch = pytest.importorskip("torch")
    weights = {k: torch.tensor(v) for k, v in arrays_of(slim).items()}
    torch.save({key: weights, "epoch": 3}, tmp_path / "weights.pyth")
    assert checkpoints.load_published(slim, tmp_path / "weights.pyth") == []
    assert np.array_equal(slim.get_layer("stem_bn").gamma, weights["bn1.weight"].numpy())


def test_safetensors_are_read_without_unpickling(slim, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    weights, path = arrays_of(slim), tmp_path / "model.safetensors"
    safetensors.save_file(weights, path)
    assert checkpoints.load_published(slim, path) == []
    assert np.array_equal(slim.get_layer("stem_bn").gamma, weights["bn1.weight"])
    whole = path.read_bytes()
    for data, what in ((b"", "empty"), (whole[:-40], "cut short"), (whole[:9], "cut short")):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=what) as error:
            checkpoints.load_published(slim, path)
        assert "\n" not in str(error.value)
