"""Of a very sure network most probabilities are too small for their number type, yet they rank."""

import numpy as np
import pytest
from hand_made import six
from tiny_store import bright_and_dark

from harlib.data import ClipSpec, Protocol
from harlib.evaluation import Scores, comparison, hits, metrics, predict, score
from harlib.run_folder import RunFolder
from harlib.study.steps import example_videos

HOW = dict(clip=ClipSpec(4, size=16), protocol=Protocol("val", clips=2))
CLASSES, VIDEOS, VIEWS = 12, 40, 3


def sure(nats, *, logs=True, seed=0):
    """(Scores of a network whose classes lie about so many nats apart, its exact logits)."""
    rng = np.random.default_rng(seed)
    label = np.arange(VIDEOS) % CLASSES
    logits = rng.normal(size=(VIDEOS, 1, CLASSES)) + 0.01 * rng.normal(size=(1, VIEWS, CLASSES))
    logits[np.arange(VIDEOS), :, label] += 1.5
    logits *= nats
    exact = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    share = np.exp(exact).astype(np.float32)
    lost = (share < np.finfo(np.float32).tiny).any()
    given = {"view_logs": exact} if logs and lost else {}
    names = [f"c{number:02d}" for number in range(CLASSES)]
    ids = [f"v{number}" for number in range(VIDEOS)]
    return Scores(ids, label, names, share.mean(axis=1), share, **given), exact


def wanted(exact, label, k):
    """Share of single views, and of videos, right within k, in 64 bits."""
    views = np.argsort(-exact, axis=-1)[..., :k] == label[:, None, None]
    mean = np.logaddexp.reduce(exact, axis=1)
    videos = np.argsort(-mean, axis=-1)[:, :k] == label[:, None]
    return views.any(axis=-1).mean(), videos.any(axis=-1).mean()


@pytest.mark.quick
@pytest.mark.parametrize("nats", [1, 10, 30, 300, 1e5])
@pytest.mark.parametrize("k", [1, 5])
def test_clips_and_videos_rank_however_sure_the_network_is(nats, k, tmp_path):
    scores, exact = sure(nats)
    clip, video = wanted(exact, scores.label, k)
    scores.save(tmp_path)
    for own in (scores, Scores.load(tmp_path)):
        assert metrics.top_k(own, k, level="clip") == pytest.approx(clip)
        assert metrics.top_k(own, k) == pytest.approx(video)
    with np.load(tmp_path / "views.npz") as file:
        assert file["view_scores"].dtype == np.float32
        assert ("view_logs" in file.files) == (nats > 10)  # no second array without need


@pytest.mark.quick
def test_what_float16_lost():
    scores, exact = sure(30)
    clip, _ = wanted(exact, scores.label, 5)
    old = Scores(scores.video_id, scores.label, scores.categories, scores.video_scores,
                 scores.view_scores.astype(np.float16))  # fmt: skip
    assert metrics.top_k(scores, 5, level="clip") == pytest.approx(clip)
    assert metrics.top_k(old, 5, level="clip") < clip - 0.02


@pytest.mark.quick
def test_views_of_the_old_kind_are_read_and_rank_as_they_did(tmp_path):
    scores = six()
    scores.save(tmp_path)
    old = scores.view_scores.astype(np.float16)
    np.savez(tmp_path / "views.npz", view_scores=old)
    loaded = Scores.load(tmp_path)
    assert loaded.view_scores.dtype == np.float32 and not loaded.view_logs.size
    np.testing.assert_array_equal(loaded.view_scores, old.astype(np.float32))
    assert metrics.summary(loaded) == metrics.summary(scores)


@pytest.mark.quick
def test_pairs_ensembles_and_cases_follow():
    scores, exact = sure(300)
    mean = np.logaddexp.reduce(exact, axis=1)
    own = np.isin(scores.label, (0, 1))
    right = mean[own, scores.label[own]] > mean[own, 1 - scores.label[own]]
    table = metrics.pair_accuracy(scores, [("c00", "c01")])
    assert table["right"].iloc[0] == right.sum()
    twice = comparison.ensemble([scores, scores])
    assert metrics.top_k(twice, 5, level="clip") == metrics.top_k(scores, 5, level="clip")
    np.testing.assert_allclose(hits.video_logs(twice), hits.video_logs(scores), rtol=1e-6)
    mixed = comparison.ensemble([scores, sure(1, seed=1)[0]], [0.5, 0.5])
    assert mixed.view_logs.shape == (VIDEOS, VIEWS, CLASSES)
    alone = comparison.ensemble([scores, sure(1, seed=1)[0]], [1, 0])
    np.testing.assert_allclose(alone.view_logs, scores.view_logs)
    wrong = np.flatnonzero(scores.video_scores.argmax(1) != scores.label)
    hardest = wrong[np.argsort(mean[wrong, scores.label[wrong]])][:3]
    assert example_videos.chosen(scores, 3)["row"].tolist()[:3] == hardest.tolist()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return bright_and_dark(tmp_path_factory.mktemp("sure"))[1]


@pytest.mark.parametrize("name", ["c3d_bn", "frame_cnn"])
def test_a_network_gives_logarithms_that_its_softmax_has_lost(name, store, tmp_path):
    import keras

    from harlib import models

    keras.utils.set_random_seed(0)
    options = {"backbone": "small", "width": 0.5} if name == "frame_cnn" else {"width": 0.125}
    model = models.build(name, 2, frames=4, size=16, **options)
    options = dict(HOW, batch=5, progress=False)
    plain = score(model, store, **options)
    assert not plain.view_logs.size
    dense = model.get_layer("classifier")
    dense.set_weights([np.array([[1.0, -1.0]] * dense.kernel.shape[0]), np.array([4e3, 0.0])])
    scores = score(model, store, run_dir=tmp_path / "whole", **options)
    assert (scores.view_scores[..., 1] == 0).all()
    assert (scores.view_logs[..., 0] == 0).all() and (scores.view_logs[..., 1] < -3e3).all()
    assert len(np.unique(scores.view_logs[..., 1])) > 2
    # interrupted between two batches it ends in the same bytes
    asked, fast = [], predict.logged(predict.network(model))
    assert isinstance(fast.predict_on_batch(np.zeros((1, 4, 16, 16, 3), np.uint8)), list)

    def stopping(answer):
        asked.append(1)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return answer

    with pytest.MonkeyPatch.context() as patch:
        # never asked of a network that gives its own
        patch.setattr(predict, "logarithms", lambda values: pytest.fail("asked"))
        patch.setattr(predict, "_check", lambda *given: stopping(None))
        with pytest.raises(KeyboardInterrupt):
            score(model, store, run_dir=tmp_path / "part", **options)
    assert list(RunFolder(tmp_path / "part").scoring.glob("*.npz"))
    score(model, store, run_dir=tmp_path / "part", **options)
    for file in ("scores.npz", "views.npz"):
        assert (tmp_path / "part" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_scores_are_those_without_the_logarithms(store, monkeypatch):
    from harlib import models
    from harlib.evaluation import scoring

    model = models.build("resnext3d_26", 2, frames=4, size=16, width=0.125, cardinality=4)
    options = dict(HOW, batch=5, progress=False)
    both = score(model, store, **options)
    monkeypatch.setattr(scoring, "logged", lambda network: network)
    np.testing.assert_array_equal(score(model, store, **options).view_scores, both.view_scores)
