"""The frame CNN's backbones of keras.applications."""

import urllib.error

import keras
import numpy as np
import pytest

from harlib import HarlibError, models
from harlib.models.frame_cnn import _like, applications
from harlib.models.weights import published


def test_inception_resnet_v2_is_the_studys():
    model = models.build("frame_cnn", 1000, frames=2, size=299)
    # 55,813,192 trainable of Keras' 55,873,736 with the 1000-class head
    assert models.parameters(model) == 55_813_192
    assert models.gmacs(model) == pytest.approx(2 * 13.16, rel=0.01)
    table = published.table().set_index("name").loc["frame_cnn"]
    assert models.parameters(model) - 600 * 1537 == table.parameters  # 400 classes there
    assert 8 * models.gmacs(model) - 16 * 600 * 1536e-9 == pytest.approx(table.gmacs, abs=6e-4)
    norms = [
        layer
        for layer in model.get_layer("backbone").layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {layer.momentum for layer in norms} == {0.9}


def test_any_application_scores_clips():
    model = models.build("frame_cnn", 3, frames=2, size=32, backbone="mobilenet_v2")
    assert model(np.zeros((1, 2, 32, 32, 3), "uint8")).shape == (1, 3)


@pytest.mark.quick
@pytest.mark.parametrize("name", ["inception_resnet_v2", "resnet50", "densenet121", "vgg16"])
def test_pixels_are_prepared_as_the_weights_expect(name):
    _, function = applications()[name]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype("uint8")
    assert np.allclose(_like(function)(pixels), function(pixels.astype("float32")), atol=1e-3)


@pytest.mark.quick
def test_without_a_network_the_file_and_its_place_are_named(monkeypatch, tmp_path):
    from keras.src.utils import file_utils

    def unreachable(*_):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(file_utils, "urlretrieve", unreachable)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        models.build("frame_cnn", 3, size=96, backbone="mobilenet_v2", weights="imagenet")
    said = str(caught.value)
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5"
    assert "no network" in said and "https://" in said and "\n" not in said
    assert f"at {tmp_path / 'models' / name}, or give its path as weights" in said


def test_a_local_file_of_the_backbone_is_read(tmp_path):
    backbone = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg"
    )
    backbone.save_weights(tmp_path / "own.weights.h5")
    model = models.build(
        "frame_cnn",
        3,
        frames=1,
        size=32,
        backbone="mobilenet_v2",
        weights=str(tmp_path / "own.weights.h5"),
    )
    for got, wanted in zip(
        model.get_layer("backbone").get_weights(), backbone.get_weights(), strict=True
    ):
        assert np.array_equal(got, wanted)
    with pytest.raises(FileNotFoundError, match="nowhere.h5"):
        models.build(
            "frame_cnn", 3, frames=1, size=32, backbone="mobilenet_v2", weights="nowhere.h5"
        )


@pytest.mark.quick
@pytest.mark.parametrize("maps", [True, False])
def test_a_backbone_of_ones_own_sees_pixels_as_they_are(maps, tmp_path):
    frames = keras.Input((None, None, 3) if maps else (32, 32, 3))
    x = keras.layers.Conv2D(5, 3)(frames)
    own = keras.Model(frames, x if maps else keras.layers.GlobalAveragePooling2D()(x))
    own.save(tmp_path / "own.keras")
    model = models.build(
        "frame_cnn", 3, frames=2, size=32, backbone=str(tmp_path / "own.keras"),
        classifier_activation=None, dropout=0.0,
    )  # fmt: skip
    clips = np.random.default_rng(0).integers(0, 256, (1, 2, 32, 32, 3), "uint8")
    seen = np.asarray(own(clips[0].astype("float32")))
    seen = seen.mean((1, 2)) if maps else seen
    kernel, bias = model.get_layer("classifier").get_weights()
    wanted = (seen @ kernel + bias).mean(0)
    np.testing.assert_allclose(model.predict(clips, verbose=0)[0], wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.quick
def test_a_file_that_is_no_backbone_is_said(tmp_path):
    def build(model, **options):
        model.save(tmp_path / "own.keras")
        return models.build(
            "frame_cnn", 3, size=32, backbone=str(tmp_path / "own.keras"), **options
        )

    frames = keras.Input((24, 24, 3))
    with pytest.raises(HarlibError, match=r"takes \(None, 24, 24, 3\), and frames here are .*32"):
        build(keras.Model(frames, keras.layers.Flatten()(frames)))
    frames = keras.Input((32, 32, 3))
    rows = keras.Model(frames, keras.layers.Reshape((32, 96))(frames))
    with pytest.raises(HarlibError, match=r"gives \(None, 32, 96\); a backbone gives"):
        build(rows)
    with pytest.raises(ValueError, match="has its own weights"):
        build(rows, weights="imagenet")
    with pytest.raises(HarlibError, match="no file .*none.keras"):
        models.build("frame_cnn", 3, size=32, backbone=str(tmp_path / "none.keras"))
