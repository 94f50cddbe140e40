"""Drawn untrimmed videos: what happens when, who acts, and the table that says so."""

from itertools import islice, pairwise

import numpy as np
import pytest

from harlib.data import Catalog
from harlib.data.demo import dataset, recording, untrimmed

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("number", range(8))
def test_every_action_once_with_pauses_between_them(number):
    segments = untrimmed.segments("test", number)
    assert sorted(one.category for one in segments) == list(dataset.CATEGORIES)
    assert all(3 <= one.end - one.start <= 7 for one in segments)
    assert all(later.start - one.end >= 2 for one, later in pairwise(segments))
    assert segments[0].start >= 2 and untrimmed.SECONDS - segments[-1].end >= 2
    shots = untrimmed.shots("test", number)
    assert sum(shot.seconds for shot in shots) == pytest.approx(untrimmed.SECONDS)
    assert all(shot.before >= 0 and shot.after >= 0 for shot in shots)


def test_videos_differ_in_order_and_times_and_the_seed_decides():
    assert untrimmed.shots("train", 0) == untrimmed.shots("train", 0)
    kinds = [("train", 0, 0), ("train", 1, 0), ("test", 0, 0), ("train", 0, 1)]
    assert len({tuple(untrimmed.shots(*kind)) for kind in kinds}) == 4
    assert any(not shot.category for n in range(4) for shot in untrimmed.shots("train", n))


def test_nobody_acts_in_two_splits_or_in_the_trimmed_videos():
    splits = ("train", "val", "test", "untrimmed train", "untrimmed val", "untrimmed test")
    assert len({recording.actor(split, 0) for split in splits}) == 6


def test_a_person_rests_before_and_after_and_acts_between():
    rest, acting = [], []
    for number in range(3):
        shot = untrimmed.shots("val", number)[0]
        frames, fps = untrimmed.draw(number=number, split="val")
        shown = np.stack(list(islice(frames, round(shot.seconds * fps)))).astype(np.int16)
        assert shown.dtype == np.int16 and shown.shape[1] >= 120 and shown.shape[3] == 3
        change = np.abs(np.diff(shown, axis=0)).mean((1, 2, 3)) * fps
        times = (np.arange(len(change)) + 0.5) / fps
        inside = (times > shot.before + 0.5) & (times < shot.before + shot.action - 0.5)
        outside = (times < shot.before - 0.1) | (times > shot.before + shot.action + 0.1)
        rest.append(change[outside].mean())
        acting.append(change[inside].mean())
    assert np.mean(acting) > 1.5 * np.mean(rest)


def test_no_joint_leaps_where_standing_becomes_acting():
    shot = next(s for s in untrimmed.shots("val", 0) if s.category == "jumping jacks")
    times = np.arange(0, shot.seconds, 0.02)
    seen = []

    def film(person, motion, *_):
        seen.append(motion.skeleton.joints())
        return np.zeros((len(times), 8, 8, 3), np.uint8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(untrimmed, "film", film)
        rng = recording.rng_of(0, "any")
        untrimmed._shot(shot, times, recording.actor("val", 0), (8, 8), 1, rng)
    speed = np.linalg.norm(np.diff(seen[0], axis=0), axis=-1) / 0.02  # body heights a second
    assert speed.max() < 8
    still = times[1:] < shot.before - 0.1
    assert speed[still].max() < 0.2 < speed[~still].max()


def test_the_table_lists_the_segments_and_has_a_background(tmp_path, monkeypatch):
    def drawn(**_):
        return iter(np.zeros((240, 16, 16, 3), np.uint8)), 2  # two minutes of them

    monkeypatch.setattr(untrimmed, "draw", drawn)
    how = {"val": 1, "test": 1, "workers": 1, "progress": False}
    table = untrimmed.write(tmp_path, train=2, **how)
    assert untrimmed.write(tmp_path, train=2, **how) == table
    with pytest.raises(dataset.AnotherDataset, match="train=2 there, 3 asked"):
        untrimmed.write(tmp_path, train=3, **how)
    listed = Catalog.from_table(table, background=2)
    assert listed.categories == sorted([*dataset.CATEGORIES, "background"])
    counts = listed.frame.groupby(["split", "category"]).size()
    assert counts["train", "background"] == 4 and counts["train", "waving"] == 2
    assert (listed.frame.groupby("path")["split"].nunique() == 1).all()
    assert listed.frame["group"].nunique() == 4
