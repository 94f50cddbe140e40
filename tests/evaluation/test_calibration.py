import numpy as np
import pytest
from hand_made import many, six

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
