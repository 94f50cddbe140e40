"""Scores of a real, tiny network over a real, tiny clip store."""

import numpy as np
import pytest
from tiny_store import bright_and_dark

from harlib.data import ClipSpec, Protocol
from harlib.data.loading import sampling
from harlib.evaluation import Scores, metrics, predict, score, scoring


@pytest.fixture(scope="module")
def listed_and_store(tmp_path_factory):
    return bright_and_dark(tmp_path_factory.mktemp("store"))


def test_views_of_a_store(listed_and_store, tmp_path):
    import keras

    catalog, store = listed_and_store
    clips = keras.Input((4, 16, 16, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(clips)
    x = keras.layers.GlobalAveragePooling3D()(x)
    outputs = keras.layers.Dense(2, activation="softmax", use_bias=False)(x)
    model = keras.Model(clips, outputs)
    model.set_weights([np.array([[1.0, -1.0]] * 3)])  # bright pixels for the first category
    how = ClipSpec(4, size=16), Protocol("val", clips=3, crops=3)
    listed = catalog.frame
    scores = score(model, store, *how, batch=5, listed=listed, run_dir=tmp_path, progress=False)
    assert scores.view_scores.shape == (8, 9, 2)
    assert scores.categories.tolist() == ["bright", "dark"]
    assert scores.missing_id.tolist() == ["v8"]
    assert metrics.top_k(scores) == 8 / 9  # eight are easy, the ninth could not be read
    assert metrics.summary(scores)["clip"]["n"] == 72
    expected = scores.view_scores.astype(np.float32).mean(axis=1)
    np.testing.assert_allclose(scores.video_scores, expected, atol=1e-3)
    again = score(model, store, *how, batch=72, progress=False)
    np.testing.assert_allclose(again.video_scores, scores.video_scores, atol=1e-5)
    np.testing.assert_array_equal(Scores.load(tmp_path).video_scores, scores.video_scores)


def test_windows_give_longer_videos_more_views(listed_and_store):
    class Uniform:
        def predict_on_batch(self, clips):
            return np.full((len(clips), 2), 0.5)

    _, store = listed_and_store
    windows = Protocol("val", clips="windows")
    scores = score(Uniform(), store, ClipSpec(4, size=16), windows, batch=4, progress=False)
    views = (~np.isnan(scores.view_scores[..., 0])).sum(axis=1)
    lengths = store.videos["frames"].to_numpy()
    assert views.tolist() == [len(sampling.windows(length, 4, 1)) for length in lengths]
    assert len(set(views)) > 1


def trained_like(name, policy="float32"):
    """A slim network whose batch norms are not those of a new one."""
    import keras

    from harlib import models

    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    try:
        options = {"backbone": "small", "width": 0.5} if name == "frame_cnn" else {"width": 0.125}
        model = models.build(name, 2, frames=4, size=32, **options)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("moving_mean", "beta"):
            weight.assign(0.1 * rng.standard_normal(weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1, weight.shape))
    return model


@pytest.mark.parametrize(
    ("name", "policy", "tolerance"),
    [
        ("c3d_bn", "float32", 1e-4),
        ("frame_cnn", "float32", 1e-4),
        # eight bits of mantissa, rounded at other places
        ("c3d_bn", "mixed_bfloat16", 0.05),
    ],
)
def test_a_network_scores_as_its_folded_copy(
    listed_and_store, monkeypatch, name, policy, tolerance
):
    import keras

    model = trained_like(name, policy)
    how = ClipSpec(4, size=32), Protocol("val", clips=2)
    options = dict(batch=5, progress=False)
    used = []
    made = predict.network
    monkeypatch.setattr(scoring, "network", lambda given: used.append(made(given)) or used[0])
    scores = score(model, listed_and_store[1], *how, **options)
    layers = used[0]._flatten_layers()
    assert not [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]
    monkeypatch.setattr(scoring, "network", lambda given: given)
    plain = score(model, listed_and_store[1], *how, **options)
    assert np.ptp(plain.video_scores, axis=0).max() > 1e-3  # the videos do differ
    np.testing.assert_allclose(scores.video_scores, plain.video_scores, atol=tolerance)


def test_what_cannot_be_folded_is_scored_as_it_is():
    import keras

    class Own(keras.Model):
        def call(self, clips):
            return clips

    plain = keras.Sequential([keras.Input((4, 8, 8, 3)), keras.layers.Conv3D(2, 3)])
    inputs = keras.Input((4, 8, 8, 3))
    inside = keras.Model(inputs, keras.layers.BatchNormalization()(plain(inputs)))
    dense = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    for model in (Own(), plain, inside, dense, object()):
        assert predict.network(model) is model
