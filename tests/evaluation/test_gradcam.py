"""Grad-CAM on a network whose answer is known: it looks where the brightness is."""

import keras
import numpy as np
import pytest

from harlib import models
from harlib.evaluation import gradcam


def watcher(frames=4, side=12):
    """A network that sums brightness in its first class: what is bright speaks for it."""
    clips = keras.Input((frames, side, side, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255, name="preprocess")(clips)
    x = keras.layers.Conv3D(4, 1, kernel_initializer="ones", name="maps")(x)
    x = keras.layers.GlobalAveragePooling3D()(x)
    scores = keras.layers.Dense(2, activation="softmax", name="classifier")(x)
    model = keras.Model(clips, scores, name="watcher")
    model.get_layer("classifier").set_weights([np.array([[1.0, -1.0]] * 4), np.zeros(2)])
    return model


@pytest.fixture
def clip():
    made = np.zeros((4, 12, 12, 3), np.uint8)
    made[2, 3:6, 8:11] = 255
    return made


def test_the_bright_place_and_time_speak(clip):
    heat = gradcam.gradcam(watcher(), clip, label=0)
    assert heat.shape == (4, 12, 12)
    assert heat.max() == pytest.approx(1)
    np.testing.assert_allclose(heat, clip.mean(axis=-1) / 255, atol=1e-5)


def test_nothing_speaks_for_the_other_category(clip):
    assert gradcam.gradcam(watcher(), clip, label=1).max() == 0


def test_frozen_weights_and_sure_answers_still_count(clip):
    model = watcher()
    model.get_layer("classifier").set_weights([np.array([[900.0, -900.0]] * 4), np.zeros(2)])
    model.trainable = False
    assert gradcam.gradcam(model, clip).max() == pytest.approx(1)


def test_a_network_of_the_project_and_its_layers():
    model = models.build("c3d_bn", 3, frames=8, size=32, width=0.125, dense=8)
    clip = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    heat = gradcam.gradcam(model, clip, layer="stage3_relu2")
    assert heat.shape == (8, 32, 32)
    assert heat.min() >= 0 and heat.max() <= 1
    with pytest.raises(ValueError, match="layer='nowhere'.*stage3_relu2"):
        gradcam.gradcam(model, clip, layer="nowhere")


def test_a_network_of_single_frames_has_no_map_over_time(clip):
    frames = keras.Input((4, 12, 12, 3), dtype="uint8")
    flat = keras.layers.Flatten()(frames)
    model = keras.Model(frames, keras.layers.Dense(2)(flat), name="flat")
    with pytest.raises(ValueError, match="flat has no layer with maps"):
        gradcam.gradcam(model, clip)


@pytest.mark.quick
def test_an_overlay_keeps_the_shape_and_marks_the_place(clip):
    heat = np.zeros(clip.shape[:3])
    heat[0, 5, 5] = 1
    marked = gradcam.overlay(clip, heat)
    assert marked.shape == clip.shape and marked.dtype == np.uint8
    assert marked[0, 5, 5].max() > marked[0, 0, 0].max()
