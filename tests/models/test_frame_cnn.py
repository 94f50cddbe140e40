"""The frame CNN's backbones of keras.applications."""

import keras
import numpy as np
import pytest

from harlib import models
from harlib.models import published
from harlib.models.frame_cnn import _like, applications


def test_inception_resnet_v2_is_the_studys():
    model = models.build("frame_cnn", 1000, frames=2, size=299)
    # 55,813,192 trainable of Keras' 55,873,736 with the 1000-class head
    assert models.parameters(model) == 55_813_192
    assert models.gmacs(model) == pytest.approx(2 * 13.16, rel=0.01)
    table = published.table().set_index("name").loc["frame_cnn"]
    frame = models.build("frame_cnn", 400, frames=1, size=299)
    assert models.parameters(frame) == table.parameters
    assert 16 * models.gmacs(frame) == pytest.approx(table.gmacs, abs=6e-4)
    norms = [
        layer for layer in model.get_layer("backbone").layers
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
