"""The embedded action videos: reproducible, reversible, disjoint, varied, and in known formats."""

import csv
import hashlib

import numpy as np
import pytest

from harlib.data.catalog.catalog import Catalog
from harlib.data.demo import dataset as actions
from harlib.data.demo import motions, recording
from harlib.data.video.files import decode, probe

pytestmark = pytest.mark.quick

SMALL = dict(train=2, val=1, stills=4, categories=["waving", "raising arms"], progress=False)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("actions")
    return actions.write_dataset(root, workers=1, **SMALL).parent


def rows(root):
    with open(root / "videos.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digests(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_catalogue_holds_pairs_and_cycles():
    paired = {name for pair in actions.PAIRS for name in pair}
    assert len(actions.CATEGORIES) >= 12 and list(actions.CATEGORIES) == sorted(actions.CATEGORIES)
    assert len(actions.PAIRS) >= 4 and len(paired) == 2 * len(actions.PAIRS)
    assert paired < set(actions.CATEGORIES)
    assert len(set(actions.CATEGORIES) - paired) >= 4


@pytest.mark.parametrize("pair", actions.PAIRS, ids="-".join)
def test_a_pair_is_one_recording_played_both_ways(pair):
    (forward, fps), (backward, same_fps) = (actions.draw(name, number=3) for name in pair)
    assert fps == same_fps
    np.testing.assert_array_equal(forward, backward[::-1])
    # and the direction shows: the two halves of the recording differ
    half = len(forward) // 2
    change = np.abs(forward[:half].mean(0) - forward[half:].mean(0)).max()
    assert change > 40


@pytest.mark.parametrize("pair", actions.PAIRS, ids="-".join)
def test_a_pair_moves_most_of_the_time(pair):
    frames, fps = actions.draw(pair[0], number=5)
    steps = frames[:: max(1, round(fps / 8))].astype(np.int16)
    moving = np.abs(np.diff(steps, axis=0)).max((1, 2, 3)) > 40
    assert moving.mean() > 0.7


def test_same_seed_same_frames_other_seed_other_frames():
    first, fps = actions.draw("kicking ball", number=2, seed=7)
    again, same = actions.draw("kicking ball", number=2, seed=7)
    other, _ = actions.draw("kicking ball", number=2, seed=8)
    assert fps == same and np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_frames_do_not_depend_on_the_workers(dataset, tmp_path):
    actions.write_dataset(tmp_path, workers=2, **SMALL)
    assert digests(tmp_path) == digests(dataset)


def test_csv_names_the_files_and_actors_are_disjoint(dataset):
    table = rows(dataset)
    assert list(table[0]) == ["label", "youtube_id", "time_start", "time_end", "split"]
    assert len(table) == 2 * 3
    groups = {"train": set(), "val": set()}
    for row in table:
        groups[row["split"]].add(row["youtube_id"])
        start, end = int(row["time_start"]), int(row["time_end"])
        path = (
            dataset
            / "videos"
            / row["split"]
            / row["label"]
            / f"{row['youtube_id']}_{start:06}_{end:06}.mp4"
        )
        info = probe(path)
        assert info.codec == "h264" and abs(info.duration_s - (end - start)) < 0.1
    assert not groups["train"] & groups["val"]
    assert len(list((dataset / "videos").rglob("*.mp4"))) == len(table)


def test_actors_differ_between_splits_and_numbers():
    looks = {
        recording.actor(split, number)
        for split in ("train", "val", "stills")
        for number in range(5)
    }
    assert len(looks) == 15


def test_a_tape_has_no_overlaps(tmp_path):
    spans = sorted(actions.tape("train", 0).values())
    assert all(end == start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))
    assert all(2 <= end - start <= 6 for start, end in spans)


def test_encoded_frames_are_the_drawn_ones(dataset):
    frames, fps = actions.draw("waving", number=1)
    path = next((dataset / "videos" / "train" / "waving").glob("actorT00001*"))
    decoded = decode(path)
    assert decoded.shape == frames.shape and round(probe(path).fps) == fps
    assert np.abs(decoded.astype(int) - frames).mean() < 6


def test_what_should_vary_varies():
    seen = [actions.draw("waving", number=k) for k in range(8)]
    assert len({frames.shape[1:3] for frames, _ in seen}) > 3  # video size
    assert len({fps for _, fps in seen}) > 2
    assert len({len(frames) / fps for frames, fps in seen}) > 1
    looks = [recording.actor("train", k) for k in range(8)]
    assert len({a.top for a in looks}) == 8 and len({a.body for a in looks}) == 8
    assert len({a.skin for a in looks}) > 2
    walls = [frames[0, 2, 2].tolist() for frames, _ in seen]
    assert len({tuple(w) for w in walls}) > 5


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_difficulty_adds_shake(size):
    """Difficulty 1 mostly stands on a tripod, 3 never does."""
    rngs = [np.random.default_rng(k) for k in range(20)]
    seconds = np.arange(30) / 15
    still = [not recording._shake(seconds, (144, 192), 3 if size else 1, r).any() for r in rngs]
    assert (sum(still) == 0) if size else (5 < sum(still) < 19)


def test_stills_have_stanford40s_layout(dataset):
    images, lists = dataset / "stills" / "JPEGImages", dataset / "stills" / "ImageSplits"
    names = [line.split()[0] for line in (lists / "actions.txt").read_text().splitlines()[1:]]
    assert names == sorted(actions.STILLS)
    for name in names:
        train, test = (
            (lists / f"{name}_{part}.txt").read_text().split() for part in ("train", "test")
        )
        assert (len(train), len(test)) == (3, 1) and not set(train) & set(test)
        for file in train + test:
            assert file.startswith(f"{name}_") and decode(images / file).shape[0] == 1


def test_a_still_shows_a_pose_of_its_motion():
    image = actions.draw_still("waving", number=1)
    assert image.dtype == np.uint8 and image.ndim == 3 and min(image.shape[:2]) >= 200


def test_interrupted_call_keeps_what_is_there(dataset, tmp_path):
    actions.write_dataset(tmp_path, workers=1, **SMALL)
    made, kept = tmp_path / "dataset.json", next(tmp_path.rglob("*.mp4"))
    made.write_text(made.read_text().replace("true", "false"))
    lost = sorted(tmp_path.rglob("*.mp4"))[-1]
    lost.unlink()
    (lost.parent / f".part-1-{lost.name}").write_bytes(b"half")
    before = kept.stat().st_mtime_ns
    actions.write_dataset(tmp_path, workers=1, **SMALL)
    assert kept.stat().st_mtime_ns == before
    assert digests(tmp_path) == digests(dataset)


def test_complete_dataset_returns_at_once_and_other_arguments_are_refused(dataset):
    before = digests(dataset)
    actions.write_dataset(dataset, **SMALL)
    assert digests(dataset) == before
    with pytest.raises(ValueError, match="seed=0 there, 1 asked"):
        actions.write_dataset(dataset, **SMALL, seed=1)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="no such categories: flying"):
        actions.draw("flying")
    with pytest.raises(ValueError, match="difficulty must be 1, 2 or 3; received 4"):
        actions.draw("waving", difficulty=4)


def test_any_moment_shows_the_same_performance():
    """Random numbers are drawn before the times are looked at."""
    body = recording.actor("train", 0).body
    seconds = np.linspace(0, 3, 7)
    for generator in set(actions.STILLS.values()):
        whole = generator(body, seconds, 3.0, np.random.default_rng(5)).skeleton.joints()
        part = generator(body, seconds[2:4], 3.0, np.random.default_rng(5)).skeleton.joints()
        np.testing.assert_allclose(whole[2:4], part)
        assert np.isfinite(whole).all()
    assert motions.sit in actions.STILLS.values()


def test_two_people_act_side_by_side(tmp_path):
    small = dict(train=1, val=1, stills=0, categories=["waving", "walking", "raising arms"])
    table = actions.write_dataset(tmp_path, people=2, workers=1, progress=False, **small)
    labels = {row["label"] for row in rows(tmp_path)}
    assert labels == {"raising arms", "walking", "waving", "raising arms|walking",
                      "raising arms|waving", "walking|waving"}  # fmt: skip
    listed = Catalog.from_kinetics_csv(table, tmp_path / "videos")
    assert listed.found == len(listed) == 12 and set(listed.categories) == labels
    assert not [path for path in tmp_path.rglob("*|*")]
    with pytest.raises(actions.AnotherDataset, match="people=2 there, None asked"):
        actions.write_dataset(tmp_path, workers=1, progress=False, **small)


def test_a_second_person_moves_beside_the_first():
    one, _ = actions.draw_together("raising arms", number=4)
    two, _ = actions.draw_together("raising arms|walking", number=4)
    again, _ = actions.draw_together("raising arms|walking", number=4)
    np.testing.assert_array_equal(two, again)
    # how wide the part of the picture is in which anything moves
    wide = [np.ptp(np.flatnonzero(np.abs(np.diff(f.astype(int), axis=0)).max((0, 1, 3)) > 40))
            / f.shape[2] for f in (one, two)]  # fmt: skip
    assert wide[1] > wide[0] + 0.1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (dict(people=3), "people must be 1 or 2"),
        (dict(people=2, categories=["opening door", "waving"]), "of two people: opening door"),
        (dict(people=2, categories=["waving"]), "two categories"),
    ],
)
def test_what_two_people_cannot_do(tmp_path, asked, said):
    with pytest.raises(ValueError, match=said):
        actions.write_dataset(tmp_path, progress=False, **asked)
