"""Copies, and clips cut from one recording, found from the pictures."""

import time

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from recordings import ALIKE, FRAMES, OTHERS, pan, scene
from stores import digests, make

from harlib import HarlibError
from harlib.cli import main
from harlib.data import Catalog, ClipStore, encode
from harlib.data.store import look_alikes, picture_hash
from harlib.study.runs import cleaning

pytestmark = pytest.mark.quick


def listed(tmp_path, videos):
    """A catalog of {(split, category, name): (frames, crf)}, whose groups are unknown."""
    rows = []
    for (split, category, name), (frames, crf) in videos.items():
        path = tmp_path / "my" / category / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(path, frames, fps=25, crf=crf)
        rows.append((name, str(path), category, split, name, np.nan, np.nan))
    columns = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]
    return Catalog(pd.DataFrame(rows, columns=columns), "my")


@pytest.fixture
def own(tmp_path):
    """(catalog, store) of clips that are called by numbers."""
    catalog = listed(tmp_path, ALIKE | OTHERS)
    make(catalog, tmp_path / "store")
    return catalog, ClipStore(tmp_path / "store")


def test_a_copy_and_a_clip_of_the_same_recording_are_found_and_no_other(own):
    catalog, store = own
    found = look_alikes.find(store, progress=False)
    names = store.videos["video_id"]
    groups = {tuple(names[found.group == n]) for n in range(found.group.max() + 1)}
    pairs = {("clip_0001", "clip_0002"), ("clip_0003", "clip_0004"), ("clip_0005", "clip_0006")}
    assert groups == pairs and not found.common
    across = found.across()
    assert set(across["video_id"]) == {"clip_0001", "clip_0002", "clip_0003", "clip_0004"}
    assert found.across("train", "test").empty
    assert found.warning("train", "val") == found.warning()
    assert found.warning() == (
        "Warning: 4 videos look like others across the split, first clip_0001 (train) and "
        "clip_0002 (val): copies, or clips of one recording or place, which make accuracies "
        "too high."
    )


def test_pairs_across_come_first_each_with_its_most_alike_frames(own):
    _, store = own
    table = look_alikes.pairs(look_alikes.find(store, progress=False))
    names = store.videos["video_id"].to_numpy()
    found = list(zip(names[table["one"]], names[table["other"]], table["across"], strict=True))
    assert set(found[:2]) == {("clip_0001", "clip_0002", True), ("clip_0003", "clip_0004", True)}
    assert found[2:] == [("clip_0005", "clip_0006", False)]
    assert (table["distance"] <= look_alikes.RADIUS).all()
    assert (np.diff(table["distance"][:2]) >= 0).all()
    turned = table[table["one"] == np.flatnonzero(names == "clip_0001")[0]].iloc[0]
    assert turned["one_frame"] == FRAMES - 1 and turned["other_frame"] == 0


def test_of_pairs_that_are_equally_alike_those_of_other_categories_come_before_more(tmp_path):
    copies = {("train", c, f"{c}{n}{k}"): (pan(ord(c) * 9 + n), 20)
              for c in "ab" for n in range(2) for k in "xy"}  # fmt: skip
    make(listed(tmp_path, copies), tmp_path / "store", codec="raw")
    store = ClipStore(tmp_path / "store")
    table = look_alikes.pairs(look_alikes.find(store, progress=False))
    assert table["distance"].tolist() == [0] * 4 and not table["across"].any()
    assert store.videos["category"].iloc[table["one"]].tolist() == ["a", "b", "a", "b"]


def test_without_look_alikes_there_are_no_pairs(tmp_path):
    make(listed(tmp_path, OTHERS), tmp_path / "store")
    found = look_alikes.find(ClipStore(tmp_path / "store"), progress=False)
    assert look_alikes.pairs(found).empty


def test_the_table_keeps_them_on_one_side(own):
    catalog, store = own
    before = digests(store.root)
    found = look_alikes.look(store, progress=False)
    look_alikes.mend(found, catalog)
    table = store.root / "look_alikes.csv"
    after = digests(store.root)
    assert before.items() <= after.items()
    assert set(after) - set(before) == {"look_alikes.csv", "look_alikes.json"}
    assert f"har new-study NAME --videos {table} keeps them on one side" in found.warning()
    mended = Catalog.from_table(table, val=0.5)
    assert len(mended) == len(catalog)
    groups = mended.frame.set_index("video_id")["group"]
    assert groups["clip_0001"] == groups["clip_0002"] == "like clip_0001"
    assert groups["clip_0005"] == groups["clip_0006"] != groups["clip_0001"]
    assert groups["clip_0007"] == "clip_0007"  # unknown, as before
    make(mended, store.root.with_name("mended"))
    again = look_alikes.find(ClipStore(store.root.with_name("mended")), progress=False)
    assert again.group.max() == 2 and again.warning() == ""

    table.write_text("mine")
    look_alikes.mend(found, catalog)
    assert table.read_text() == "mine"


def test_groups_that_are_known_stay_together_in_the_table(own):
    catalog, store = own
    known = {"clip_0001": "anna", "clip_0007": "anna", "clip_0002": "ben", "clip_0008": "carl"}
    named = catalog.frame["video_id"].map(known).fillna(catalog.frame["group"])
    catalog.frame = catalog.frame.assign(group=named, start_s=0.0)
    look_alikes.mend(look_alikes.find(store, progress=False), catalog)
    table = pd.read_csv(store.root / "look_alikes.csv", keep_default_na=False)
    assert table.columns.tolist() == ["path", "label", "group", "start_s"]
    groups = {path.split("/")[-1][:9]: group for path, group in table[["path", "group"]].to_numpy()}
    assert groups["clip_0007"] == groups["clip_0001"] == groups["clip_0002"] != ""
    assert groups["clip_0008"] == "carl" and groups["clip_0009"] == ""


def test_nothing_is_said_where_none_is_on_two_sides(tmp_path):
    split = {("train", *key[1:]): clip for key, clip in ALIKE.items()} | OTHERS
    catalog = listed(tmp_path, split)
    make(catalog, tmp_path / "store")
    found = look_alikes.look(ClipStore(tmp_path / "store"), progress=False)
    look_alikes.mend(found, catalog)
    assert found.group.max() == 2 and found.warning() == found.remark() == ""
    assert not (tmp_path / "store" / "look_alikes.csv").exists()


def test_one_background_makes_no_group(tmp_path):
    still = scene(3)[:, :96]
    videos = {}
    for number in range(12):
        clip = np.repeat(still[None], FRAMES, 0)
        for n, frame in enumerate(clip):  # someone who walks, elsewhere in each
            frame[10 + number : 30 + number, 3 * n : 3 * n + 8] = 20 * number
        side = "val" if number % 3 == 0 else "train"
        videos[side, "ab"[number % 2], f"still_{number:04d}"] = clip, 20
    make(listed(tmp_path, videos | OTHERS), tmp_path / "store")
    found = look_alikes.find(ClipStore(tmp_path / "store"), progress=False)
    assert found.common == 12 and found.warning() == "" and found.group.max() == -1
    assert found.remark().startswith("12 of 16 videos show one background, as of a fixed camera")


def test_black_pictures_are_not_alike(tmp_path):
    videos = {}
    for key, (clip, crf) in OTHERS.items():
        videos[key] = np.concatenate([np.zeros_like(clip[:8]), clip]), crf
    make(listed(tmp_path, videos), tmp_path / "store")
    assert look_alikes.find(ClipStore(tmp_path / "store"), progress=False).group.max() == -1


def test_it_is_kept_with_the_store_and_looked_for_once(own, monkeypatch):
    _, store = own
    assert look_alikes.load(store) is None  # as of a store that was made before
    found = look_alikes.look(store, progress=False)
    monkeypatch.setattr(look_alikes, "find", None)
    again = look_alikes.look(store)
    assert again.group.tolist() == found.group.tolist() and again.common == found.common
    file = store.root / "look_alikes.json"
    content = file.read_text()
    file.write_text(content.replace(store.hash, "0" * 12))  # of other videos
    assert look_alikes.load(store) is None
    file.write_text(content.replace('"groups": [', '"groups": [[99],'))
    with pytest.raises(HarlibError, match="names videos that the store has not"):
        look_alikes.load(store)
    file.write_text(content[:-20])
    with pytest.raises(HarlibError, match=r"look_alikes\.json is no JSON"):
        look_alikes.load(store)


def test_a_store_that_is_read_only_is_looked_through(own, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    catalog, store = own
    monkeypatch.setattr(look_alikes.files, "write_json", refuse)
    monkeypatch.setattr(look_alikes.files, "appearing", refuse)
    found = look_alikes.look(store, progress=False)
    look_alikes.mend(found, catalog)
    assert found.warning().endswith("too high.") and look_alikes.load(store) is None


def test_har_prepare_says_it_and_har_clean_knows_the_files(own, tmp_path):
    catalog, store = own
    catalog.to_csv(tmp_path / "my.csv")
    asked = ["prepare", str(tmp_path / "my.csv"), str(store.root), "--size", "32"]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    assert "Warning: 4 videos look like others across the split" in done.output
    assert f"har new-study NAME --videos {store.root}/look_alikes.csv" in done.output
    assert cleaning._holds_only(store.root, cleaning._STORE)


def test_hashes_that_are_alike_are_those_that_brute_force_finds():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**64, 300, dtype=np.uint64)
    for bits in range(1, 8):
        flipped = values[40 * bits : 40 * bits + 20].copy()
        for row in range(20):
            for bit in rng.choice(64, bits, replace=False):
                flipped[row] ^= np.uint64(1) << np.uint64(bit)
        values = np.append(values, flipped)
    values = np.unique(values)
    apart = np.bitwise_count(values[:, None] ^ values)
    for radius in (0, 2, 4, 6):
        one, other = np.nonzero(apart <= radius)
        truth = picture_hash.joined(one, other, len(values))
        found = picture_hash.alike(values, radius)
        assert ((found[:, None] == found) == (truth[:, None] == truth)).all()
    assert picture_hash.alike(values[:0], 4).shape == (0,)


@pytest.mark.parametrize("alike", [False, True])
def test_hundred_thousand_pictures_take_seconds(alike):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**64, 100_000, dtype=np.uint64)
    if alike:  # all differ in the same 20 bits
        values &= np.uint64(0x0000_0F0F_0F0F_0F00)
    values[1] = values[0] ^ np.uint64(0b1011)
    begun = time.perf_counter()
    group, common = look_alikes.grouped(values, np.arange(100_000), 100_000)
    assert time.perf_counter() - begun < 20
    assert common == (100_000 if alike else 0)
    assert (np.flatnonzero(group >= 0).tolist() == [0, 1]) != alike


def _pairs(groups):
    known = groups >= 0
    return (groups[:, None] == groups) & known & np.triu(np.ones((len(groups),) * 2, bool), 1)


@pytest.mark.real
def test_real_clips_of_one_recording_are_found_by_their_pictures(real_data, tmp_path):
    """UCF101 cut its clips from recordings, which it calls groups: gNN in the names."""
    root = real_data / "ucf101_mini"
    every = Catalog.from_ucf101(root / "videos", root)
    some = every.frame[every.frame["category"].isin(["PushUps", "Punch"])]
    some = some[some["group"].str[-2:].isin(["01", "02", "03", "08", "09", "10"])]
    make(Catalog(some, "some"), tmp_path / "store", size=64, workers=None)
    store = ClipStore(tmp_path / "store")
    found = _pairs(look_alikes.find(store, progress=False).group)
    true = _pairs(pd.factorize(store.videos["group"])[0])
    assert len(store) == 36 and true.sum() == 36
    assert not (found & ~true).sum()
    assert (found & true).sum() >= 0.3 * true.sum()
