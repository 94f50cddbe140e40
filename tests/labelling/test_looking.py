"""What a network sees in videos: its own probabilities and features, each video looked at once."""

import dataclasses
import os

import keras
import numpy as np
import pytest

from harlib import HarlibError, models
from harlib.data import ClipSpec, Settings, encode
from harlib.evaluation.predict import network
from harlib.inference import Predictor
from harlib.inference.views import Cut
from harlib.labelling import looking


@pytest.fixture(scope="module")
def predictor():
    """As `inference.load` gives one: a small C3D, folded."""
    keras.utils.set_random_seed(0)
    model = models.build("c3d", 2, frames=4, size=24, width=0.0625, dense=8)
    return Predictor(
        name="mine/03_c3d",
        model=network(model),
        categories=("run", "sit down"),
        settings=Settings("raw", 32, None),
        cut=Cut(ClipSpec(frames=4, size=24)),
        clips=3,
    )


@pytest.fixture
def eye(predictor, monkeypatch):
    monkeypatch.setattr(looking, "load", lambda source, nameless: predictor)
    return looking.eye("mine/03_c3d")


@pytest.fixture
def videos(tmp_path, moving_square):
    paths = [tmp_path / f"{number}.mp4" for number in range(3)]
    for number, path in enumerate(paths):
        encode(path, moving_square(seed=number), fps=25)
    return list(map(str, paths))


def test_probabilities_are_those_of_predict_and_each_video_is_looked_at_once(
    eye, predictor, videos, tmp_path, monkeypatch
):
    first = looking.look(eye, videos[:2], tmp_path / "seen", progress=False)
    assert eye.categories == ("run", "sit down")
    wanted = [predictor(video).probabilities for video in videos[:2]]
    np.testing.assert_allclose(first.probabilities, wanted, atol=1e-6)
    assert first.features.shape == (2, (1 + looking.PARTS) * 8)
    own, asked = looking._vector, []
    monkeypatch.setattr(
        looking, "_vector", lambda eye, video: asked.append(video) or own(eye, video)
    )
    encode(videos[0], np.zeros((12, 48, 64, 3), np.uint8), fps=25)  # another video of this name
    again = looking.look(eye, videos, tmp_path / "seen", progress=False)
    assert asked == [videos[0], videos[2]]
    np.testing.assert_array_equal(again.features[1], first.features[1])
    assert not np.allclose(again.features[0], first.features[0])


def test_published_weights_give_features_alone(predictor, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(looking, "load", lambda source, nameless: predictor)
    eye = looking.eye("x3d_s/kinetics400")
    seen = looking.look(eye, videos, tmp_path / "seen", progress=False)
    assert eye.categories == () and seen.probabilities is None
    assert seen.features.shape == (3, (1 + looking.PARTS) * 8)


def test_a_video_that_cannot_be_read_is_said(eye, videos, tmp_path):
    with open(videos[1], "wb") as file:
        file.write(b"no video")
    seen = looking.look(eye, videos, tmp_path / "seen", progress=False)
    assert seen.videos == (videos[0], videos[2]) and list(seen.errors) == [videos[1]]
    os.remove(videos[0])
    with pytest.raises(HarlibError, match="none of 2 videos can be read"):
        looking.look(eye, videos[:2], tmp_path / "another", progress=False)


def test_a_damaged_cache_and_a_program_without_features_are_said(
    eye, videos, tmp_path, monkeypatch, predictor
):
    (tmp_path / "seen").write_bytes(b"no database of anything" * 100)
    with pytest.raises(HarlibError, match="cannot be used .*: delete it, it is made again"):
        looking.look(eye, videos, tmp_path / "seen", progress=False)

    class Program:
        pass

    program = dataclasses.replace(predictor, model=Program())
    monkeypatch.setattr(looking, "load", lambda source, nameless: program)
    with pytest.raises(HarlibError, match="gives scores and no features"):
        looking.eye("export.onnx")
