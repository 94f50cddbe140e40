import numpy as np
import pytest
from hand_made import many, six

from harlib.evaluation import Scores
from harlib.evaluation.calibration import calibration_error, equal_counts, reliability

pytestmark = pytest.mark.quick


def test_reliability_by_hand():
    # confidences 0.7 right, 0.5 wrong, 0.75 right, 0.6 wrong, 0.5 right, 0.5 wrong
    table = reliability(six(), bins=4)
    assert table["videos"].tolist() == [0, 3, 3, 0]
    assert table["confidence"].iloc[1:3].tolist() == pytest.approx([0.5, 2.05 / 3], abs=1e-6)
    assert table["accuracy"].iloc[1:3].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert np.isnan(table["accuracy"].iloc[0])


def test_calibration_error_by_hand():
    # bins of a quarter: 3/6 * |0.5 - 1/3| + 3/6 * |2.05/3 - 2/3|
    expected = 0.5 * (0.5 - 1 / 3) + 0.5 * (2.05 / 3 - 2 / 3)
    assert calibration_error(six(), bins=4) == pytest.approx(expected, abs=1e-6)


def test_a_sure_and_right_model_has_no_error():
    right = np.eye(3)[six().label]
    assert calibration_error(six(video_scores=right)) == 0
    assert reliability(six(video_scores=right))["videos"].tolist() == [0] * 9 + [6]


def test_bins_of_equal_counts():
    scores = many(95)
    table = equal_counts(scores)
    assert table["videos"].tolist() == [11] * 5 + [10] * 4  # none of fewer than ten
    assert table["confidence"].is_monotonic_increasing
    right = (scores.video_scores.argmax(axis=1) == scores.label).mean()
    assert table["videos"] @ table["accuracy"] / 95 == pytest.approx(right)
    assert (table["accuracy_low"] <= table["accuracy"]).all()
    assert equal_counts(six())["videos"].tolist() == [6]


def sure(confidences, right):
    """Scores of two categories, each video with this confidence."""
    scores = np.stack([confidences, 1 - np.asarray(confidences)], axis=1)
    return Scores(
        video_id=np.arange(len(right)), label=1 - np.asarray(right, int), categories=("x", "y"),
        video_scores=scores, view_scores=scores[:, None], group=np.arange(len(right)),
    )  # fmt: skip


def test_videos_of_the_same_confidence_share_a_bin():
    first = np.arange(200) < 100
    table = equal_counts(sure(np.ones(200), first))
    assert table["videos"].tolist() == [200] and table["accuracy"].tolist() == [0.5]
    table = equal_counts(sure(np.where(first, 0.6, 1.0), first))
    assert table["videos"].tolist() == [100, 100] and table["accuracy"].tolist() == [1, 0]
    confidences = np.append(np.linspace(0.6, 0.9, 45), np.ones(155))
    orders = [np.arange(200), np.arange(200)[::-1]]
    found = [equal_counts(sure(confidences[order], first[order])) for order in orders]
    assert found[0]["accuracy"].tolist() == found[1]["accuracy"].tolist()
    assert found[0]["videos"].tolist() == [20, 20, 160]
    few = equal_counts(sure(np.append(np.linspace(0.6, 0.9, 4), np.ones(196)), first))
    assert few["videos"].tolist() == [200]  # four are too few for a bin
