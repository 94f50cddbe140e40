"""Folds pooled: the numbers of all videos, each counted once."""

import numpy as np
import pytest
from hand_made import six

from harlib.evaluation import ScoreError, folds, metrics

pytestmark = pytest.mark.quick


def fold(name, **changes):
    names = [f"{name}{i}" for i in range(6)]
    return six(video_id=names, group=[f"{name}{i // 2}" for i in range(6)], **changes)


def test_pooled_folds_are_the_videos_of_all():
    a, b = fold("a"), fold("b", video_scores=np.eye(3)[[0, 0, 1, 1, 1, 2]])
    both = folds.pooled([a, b])
    found = metrics.summary(both)["video"]
    assert found["n"] == 12 and found["top1"] == pytest.approx((3 + 6) / 12)
    assert both.video_id.tolist() == [*a.video_id, *b.video_id]
    low, high = found["top1_interval"]
    assert 0 <= low < 9 / 12 < high <= 1


def test_folds_of_other_numbers_of_views_are_padded():
    a = fold("a")
    b = fold("b", view_scores=a.view_scores[:, :1])
    both = folds.pooled([a, b])
    assert both.view_scores.shape == (12, 2, 3)
    assert np.isnan(both.view_scores[6:, 1]).all() and not np.isnan(both.view_scores[:6]).any()
    assert metrics.summary(both)["clip"]["n"] == 18


def test_a_group_held_out_twice_and_other_categories_are_refused():
    with pytest.raises(ScoreError, match="group 'a0' is held out in two folds"):
        folds.pooled([fold("a"), fold("a")])
    with pytest.raises(ScoreError, match="not the same categories"):
        folds.pooled([fold("a"), fold("b", categories=["x", "y", "z"])])


def test_folds_are_known_by_their_names():
    names = [
        "01_data_prep.fold1",
        "03_c3d.fold1",
        "03_c3d.fold2",
        "04_resnext101.fold1",
        "05_fold",
    ]
    assert folds.of_names(names) == {"03_c3d": ["03_c3d.fold1", "03_c3d.fold2"]}
