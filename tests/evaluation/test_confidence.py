"""Temperature and threshold: what validation videos say of a model's probabilities."""

import json

import numpy as np
import pytest

from harlib.evaluation import Scores, confidence

pytestmark = pytest.mark.quick


def drawn(temperature, videos=4000, classes=5, views=1, seed=0):
    """Scores of a model whose logits are `temperature` times too large for its accuracy."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (videos, 1, classes)).repeat(views, axis=1)
    right = np.exp(logits[:, 0]) / np.exp(logits[:, 0]).sum(1, keepdims=True)
    label = (right.cumsum(1) > rng.random((videos, 1))).argmax(1)
    scores = np.exp(temperature * logits)
    scores /= scores.sum(-1, keepdims=True)
    return Scores(
        video_id=[str(i) for i in range(videos)],
        label=label,
        categories=list("abcde")[:classes],
        video_scores=scores.mean(1),
        view_scores=scores,
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_the_one_that_was_hidden(temperature):
    assert confidence.measure(drawn(temperature)).temperature == pytest.approx(temperature, rel=0.1)


def test_calibrated_probabilities_fit_the_accuracy():
    scores = drawn(3.0, views=2)
    found = confidence.measure(scores)
    sure = found.calibrated(np.log(scores.view_scores)).max(1)
    right = scores.video_scores.argmax(1) == scores.label
    assert abs(sure.mean() - right.mean()) < 0.02
    assert abs(scores.video_scores.max(1).mean() - right.mean()) > 0.1


def test_the_threshold_keeps_what_is_named_rightly():
    scores = drawn(1.0)
    found = confidence.measure(scores)
    sure = found.calibrated(np.log(scores.view_scores)).max(1)
    right = scores.video_scores.argmax(1) == scores.label
    assert (sure[right] >= found.threshold).mean() == pytest.approx(0.95, abs=0.01)
    assert found.turned_away == pytest.approx((sure < found.threshold).mean())
    assert found.accuracy == pytest.approx(right[sure >= found.threshold].mean())
    assert found.accuracy > right.mean() and found.videos == 4000


def test_a_model_that_is_never_right_names_nothing():
    scores = drawn(1.0, videos=20)
    wrong = (scores.video_scores.argmax(1) + 1) % 5
    found = confidence.measure(Scores(**vars(scores) | {"label": wrong}))
    assert found.threshold == 1.0 and found.turned_away > 0.9


@pytest.mark.parametrize("videos", [10, 80])
def test_no_error_among_few_videos_is_no_certainty(videos):
    scores = drawn(1.0, videos=videos)
    named = scores.video_scores.argmax(1)
    found = confidence.measure(Scores(**vars(scores) | {"label": named}))
    sure = found.calibrated(np.log(scores.view_scores)).max(1)
    assert found.temperature > 0.11  # the least that is tried is 0.1
    assert sure.mean() < 1 - 0.3 / videos


@pytest.mark.parametrize("classes", [2, 5])
def test_smoothing_hardly_moves_the_temperature_of_a_network_that_errs(classes):
    found = [confidence.measure(drawn(1.0, 60, classes, seed=s)).temperature for s in range(20)]
    assert np.median(found) == pytest.approx(1.0, abs=0.15)


def test_certainty_beyond_float32_and_views_that_are_not_there():
    logs = np.array([[[0.0, -500.0], [np.nan, np.nan]], [[-np.inf, 0.0], [-1.0, -0.5]]])
    found = confidence.calibrated(logs, 1.0)
    assert found[0] == pytest.approx([1, 0]) and np.isfinite(found).all()
    assert found.sum(axis=1) == pytest.approx([1, 1])


def test_test_videos_choose_nothing(tmp_path):
    drawn(1.0, videos=30).save(tmp_path)
    for split, wanted in (("val", True), ("test", False), ("train", False)):
        (tmp_path / "metrics.json").write_text(json.dumps({"protocol": {"split": split}}))
        assert (confidence.of_run(tmp_path) is not None) == wanted
    assert confidence.of_run(tmp_path / "none") is None
