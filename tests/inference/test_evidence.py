"""The clip that a network is shown to have looked at is the one that speaks most for the label."""

import dataclasses
import io

import keras
import numpy as np
import pytest
from PIL import Image

from harlib import HarlibError, models
from harlib.data import ClipSpec, Settings, encode
from harlib.evaluation import gradcam
from harlib.inference import Predictor, evidence
from harlib.inference.views import Cut


class Brightness:
    """Names a clip by its mean."""

    def predict_on_batch(self, clips):
        mean = clips.reshape(len(clips), -1).mean(axis=1) / 255
        return np.stack([mean, 1 - mean], axis=1).astype(np.float32)


@pytest.fixture
def flash(tmp_path):
    """Two dark seconds with a bright half from 1.0 s on."""
    frames = [np.full((48, 64, 3), 240 if 25 <= n < 38 else 30, np.uint8) for n in range(50)]
    encode(tmp_path / "flash.mp4", frames, fps=25)
    return tmp_path / "flash.mp4"


@pytest.mark.parametrize("fps", [10.0, None])
def test_it_is_the_window_that_speaks_most(flash, fps):
    clip = ClipSpec(frames=4, size=24)
    predictor = Predictor("a/b", Brightness(), ("bright", "dark"), Settings("raw", 32, fps),
                          Cut(clip, crops=3), clips=None)  # fmt: skip
    said = predictor(flash)
    assert said.label == "dark"
    shown = evidence.clip(predictor, flash, said)
    assert shown.shape == (4, 24, 24, 3) and shown.max() < 60
    turned = dataclasses.replace(said, windows=0.5 * said.windows + np.array([0.5, 0.0]))
    assert turned.label == "bright"
    assert evidence.clip(predictor, flash, turned).min() > 200
    assert 0.9 <= turned.start_s[evidence.telling(turned)] <= 1.3
    with pytest.raises(HarlibError, match="where an exported network looked cannot be shown"):
        evidence.picture(predictor, flash, said)


def test_the_picture_moves_for_five_seconds_at_most(flash, monkeypatch):
    keras.utils.set_random_seed(0)
    model = models.build("c3d", 2, frames=8, size=32, width=0.0625, dense=8)
    predictor = Predictor("a/b", model, ("a", "b"), Settings("raw", 32, 10.0),
                          Cut(ClipSpec(frames=8, size=32)))  # fmt: skip
    said = predictor(flash)
    picture = Image.open(io.BytesIO(evidence.picture(predictor, flash, said)))
    assert (picture.format, picture.n_frames, picture.size) == ("WEBP", 8, (224, 224))
    picture.load()
    assert picture.info["loop"] * 8 * picture.info["duration"] <= 5000
    monkeypatch.setattr(gradcam, "gradcam", lambda model, clip, label: np.zeros(clip.shape[:3]))
    with pytest.raises(HarlibError, match="no place of this video speaks for the category"):
        evidence.picture(predictor, flash, said)
