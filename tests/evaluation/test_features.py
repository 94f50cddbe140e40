"""Feature vectors: a network's own numbers, in the order of the videos, resumed exactly."""

import keras
import numpy as np
import pytest
from tiny_store import bright_and_dark

from harlib import HarlibError, models
from harlib.data import ClipSpec, Protocol, evaluation_batches
from harlib.data.loading import sampling
from harlib.evaluation.features import features
from harlib.models.features import extractor

CLIP = ClipSpec(frames=4, size=32)
SLIM = {
    "c3d_bn": {"width": 0.125, "dense": 8},
    "x3d_xs": {"width": 1 / 3},
    "efficientnet_lite0": {"width": 0.25},
    "frame_cnn": {"backbone": "small", "width": 0.25},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return bright_and_dark(tmp_path_factory.mktemp("videos"))[1]


def build(name="c3d_bn", **options):
    keras.utils.set_random_seed(0)
    options = SLIM[name] | options
    return models.build(name, 2, frames=CLIP.frames, size=CLIP.size, **options)


def collected(model, store, **options):
    protocol = Protocol("val", clips=options.pop("clips", 2))
    options = {"batch": 3, "progress": False} | options
    answers = features(model, store, CLIP, protocol, **options)
    return [np.concatenate(part) for part in zip(*answers, strict=True)]


@pytest.mark.parametrize("name", SLIM)
def test_the_classifier_makes_the_logits_of_them(name, store):
    model = build(name, classifier_activation=None)
    video, view, start_s, vectors = collected(model, store)
    dataset = evaluation_batches(store, CLIP, Protocol("val", clips=2), batch=3)
    elements = [dataset[i] for i in range(len(dataset))]
    assert video.tolist() == [int(v) for e in elements for v in e["video"]]
    assert view.tolist() == [0, 1] * 8
    assert start_s.tolist() == [float(s) for e in elements for s in e["start_s"]]
    clips = np.concatenate([e["clips"] for e in elements])
    kernel, bias = model.get_layer("classifier").get_weights()
    wanted = model.predict(clips, verbose=0)
    np.testing.assert_allclose(vectors @ kernel + bias, wanted, rtol=1e-4, atol=1e-5)
    assert np.ptp(vectors, axis=0).max() > 1e-3 * np.abs(vectors).max() > 0


def test_a_view_begins_where_its_first_frame_is(store):
    video, view, start_s, _ = collected(build(), store, clips="windows")
    lengths = store.videos["frames"].to_numpy()
    wanted = [
        (k, n, frames[0] / 10)  # ten frames a second
        for k in range(len(lengths))
        for n, frames in enumerate(sampling.windows(lengths[k], 4, 1))
    ]
    assert max(s for *_, s in wanted) >= 0.8
    assert [(k, n) for k, n, _ in wanted] == list(zip(video.tolist(), view.tolist(), strict=True))
    np.testing.assert_allclose(start_s, [s for *_, s in wanted], atol=1e-6)


def test_any_layer_by_its_name_and_its_mean_over_positions(store):
    model = build()
    inner = keras.Model(model.inputs, model.get_layer("stage2_relu1").output)
    _, _, _, vectors = collected(model, store, layer="stage2_relu1")
    dataset = evaluation_batches(store, CLIP, Protocol("val", clips=2), batch=3)
    clips = np.concatenate([dataset[i]["clips"] for i in range(len(dataset))])
    wanted = inner.predict(clips, verbose=0).mean((1, 2, 3))
    np.testing.assert_allclose(vectors, wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(HarlibError, match="no layer 'stage9'; its last ones are .*classifier"):
        extractor(model, "stage9")


def test_an_interrupted_computation_resumes_to_the_same_numbers(store, tmp_path, capsys):
    model, kept = build(), tmp_path / "kept"
    whole = collected(model, store)
    begun = features(model, store, CLIP, Protocol("val", clips=2), batch=3, kept=kept,
                     progress=False)  # fmt: skip
    for _ in range(3):
        next(begun)
    begun.close()  # as Ctrl-C does
    assert list(kept.glob("*.npz"))
    again = collected(model, store, kept=kept)
    assert "scoring resumes after" in capsys.readouterr().out
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, other)
    # of another layer they are begun anew
    collected(model, store, kept=kept, layer="stage1_relu1")
    assert "scored from the start" in capsys.readouterr().out
