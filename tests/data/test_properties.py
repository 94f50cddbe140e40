"""What videos are like beside what they show, and whether that tells their categories."""

import numpy as np
import pandas as pd
import pytest
from stores import make

from harlib.data import Catalog, ClipStore, encode
from harlib.data.store import properties

pytestmark = pytest.mark.quick
COLUMNS = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]


def grey(level, frames=20, height=48, width=64, step=0):
    """A picture of one grey, of which `step` pixels more are white in each frame."""
    clip = np.full((frames, height, width, 3), level, np.uint8)
    for number, frame in enumerate(clip):
        frame[:, : step * number] = 255
    return clip


@pytest.fixture
def own(tmp_path):
    """(catalog, store): a bright category, a dark one, one that moves, and a still."""
    clips = {
        ("bright", "b"): (grey(200), 25),
        ("dark", "d"): (grey(50), 25),
        ("moving", "m"): (grey(50, height=32, step=2), 10),
        ("moving", "still"): (grey(100, frames=1), 25),
    }
    rows = []
    for (category, name), (clip, fps) in clips.items():
        path = tmp_path / f"{name}.mp4"
        encode(path, clip, fps=fps)
        rows.append((name, str(path), category, "train", name, np.nan, np.nan))
    rows.append(("gone", "", "dark", "train", "gone", np.nan, np.nan))
    (tmp_path / "text.mp4").write_text("no video")
    rows.append(("text", str(tmp_path / "text.mp4"), "dark", "train", "text", np.nan, np.nan))
    catalog = Catalog(pd.DataFrame(rows, columns=COLUMNS), "my")
    make(catalog, tmp_path / "store", size=None)
    return catalog, ClipStore(tmp_path / "store")


def test_length_brightness_and_motion_are_those_of_the_pictures(own):
    table = properties.measure(own[1], progress=False).set_index("video_id")
    assert table["seconds"].to_dict() == pytest.approx({"b": 0.8, "d": 0.8, "m": 2, "still": 0.04})
    assert table["brightness"].drop("m").to_dict() == pytest.approx(
        {"b": 200 / 255, "d": 50 / 255, "still": 100 / 255}, abs=0.02
    )
    assert table["motion"][["b", "d"]].max() < 0.005 and np.isnan(table["motion"]["still"])
    # 2 frames are 0.2 s, in which 4 of 64 columns go from 50 to 255
    assert table["motion"]["m"] == pytest.approx(4 / 64 * 205 / 255, rel=0.1)


def test_the_number_of_videos_that_are_looked_at_is_bounded(own):
    table = properties.measure(own[1], most=2, progress=False)
    assert table["brightness"].notna().sum() == 2
    videos = pd.DataFrame({"category": ["a"] * 900 + ["b"] * 90 + ["c"] * 3, "split": "train"})
    videos.loc[::3, "split"] = "val"
    rows = properties.some(videos, 100)
    counts = videos.iloc[rows].groupby(["category", "split"]).size()
    assert counts.to_dict() == {("a", "train"): 60, ("a", "val"): 30, ("b", "train"): 6,
                                ("b", "val"): 5, ("c", "train"): 2, ("c", "val"): 1}  # fmt: skip
    assert (np.diff(rows) > 0).all() and np.ptp(rows[:90]) > 880  # from all over the category
    assert len(properties.some(videos, len(videos))) == len(videos)


@pytest.mark.parametrize("splits", [2, 3])
def test_many_categories_do_not_lift_the_bound(splits):
    number = np.arange(27_000)
    videos = pd.DataFrame({"category": number // 45, "split": number % 45 % splits})
    cells = videos.iloc[properties.some(videos, 4000)].groupby(["category", "split"]).size()
    assert len(cells) == 600 * splits and cells.sum() < 4400 and cells.min() >= 2
    rows = properties.some(videos, 400)
    assert len(set(rows)) == 400 and videos.iloc[rows]["category"].nunique() > 199


def test_sizes_and_rates_are_those_of_the_files_that_can_be_read(own):
    catalog, _ = own
    table = properties.recorded(catalog)
    assert sorted(table["kind"]) == [
        "64 × 32 pixels, 10 frames per second",
        *["64 × 48 pixels, 25 frames per second"] * 3,
    ]
    assert table.loc[table["rate"] == 10, ["side", "shape"]].to_numpy().tolist() == [[32, 2]]
    assert len(properties.files(catalog)) == 5  # that without a file is none of them


def numbers(**by_category):
    rows = [(c, value) for c, values in by_category.items() for value in values]
    return pd.DataFrame(rows, columns=["category", "seconds"]).assign(split="train")


def test_a_category_stands_apart_where_its_number_tells_it():
    same = np.linspace(2, 4, 20)
    table = numbers(a=same, b=same, c=same / 3)
    found = properties.standing_apart(table, "seconds", "category")
    assert (found.name, found.share, found.count) == ("c", 0, 1)
    assert (found.own, found.others) == pytest.approx((1, 3))
    assert properties.standing_apart(table, "seconds", "split") is None
    assert properties.standing_apart(numbers(a=same, b=same + 0.2), "seconds", "category") is None
    few = numbers(a=same, b=[9] * 4)  # which chance alone may do
    assert properties.standing_apart(few, "seconds", "category") is None
    assert properties.standing_apart(numbers(a=[1] * 20, b=[1] * 20), "seconds", "category") is None


def test_a_split_stands_apart_and_is_not_the_one_trained_on():
    table = numbers(a=np.linspace(2, 4, 60))
    table["split"] = np.where(table["seconds"] > 3, "test", "train")
    found = properties.standing_apart(table, "seconds", "split")
    assert (found.name, found.share) == ("test", 1) and found.own > 3 > found.others


def test_a_label_is_compared_with_the_videos_that_lack_it():
    table = numbers(**{"a": [2.0] * 10 + [2.1] * 10, "a|b": [8.0] * 10, "b": [7.0] * 10})
    found = properties.standing_apart(table, "seconds", "category")
    assert found.name == "b" and found.share == 1 and found.others == pytest.approx(2.05)


def test_two_runs_measure_the_same(own):
    one, two = (properties.measure(own[1], progress=False) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)
