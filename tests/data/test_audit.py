import os
import shutil
import signal
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from stores import make

from harlib.data.catalog.catalog import COLUMNS, Catalog
from harlib.data.store import pack
from harlib.data.store import prepare as preparing
from harlib.data.store.audit import COLUMNS as AUDITED
from harlib.data.store.audit import Audit
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import PrepareError, verify
from harlib.data.video.files import encode
from harlib.data.video.images import STILL_SUFFIXES

quick = pytest.mark.quick


@pytest.fixture(scope="module")
def mixed_catalog(tmp_path_factory, moving_square):
    """Good, short, damaged, foreign and missing videos."""
    folder = tmp_path_factory.mktemp("mixed")
    clip = moving_square(frames=30)
    encode(folder / "good.mp4", clip, fps=25)
    shutil.copy(folder / "good.mp4", folder / "copy.mp4")
    encode(folder / "part.mp4", np.concatenate([clip] * 4), fps=25)
    (folder / "text.mp4").write_text("no video\n" * 100)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "cut.mp4").write_bytes((folder / "good.mp4").read_bytes()[:1500])
    with av.open(str(folder / "whole.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for image in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode(None))
    data = (folder / "whole.avi").read_bytes()
    (folder / "short.avi").write_bytes(data[: len(data) // 2])
    nan = np.nan
    rows = [
        ("good", "good.mp4", "run", "train", nan, nan),
        ("copy", "copy.mp4", "sit", "val", nan, nan),
        ("part", "part.mp4", "run", "train", 1.0, 2.0),
        ("tail", "part.mp4", "run", "train", 4.0, 14.0),
        ("text", "text.mp4", "run", "train", nan, nan),
        ("empty", "empty.mp4", "run", "train", nan, nan),
        ("cut", "cut.mp4", "run", "train", nan, nan),
        ("short", "short.avi", "sit", "train", nan, nan),
        ("gone", "", "sit", "train", nan, nan),
        ("moved", "moved.mp4", "sit", "train", nan, nan),
        ("nothing", "", "zap", "val", nan, nan),
    ]
    table = pd.DataFrame(
        [(v, str(folder / p) if p else "", c, s, v, a, b) for v, p, c, s, a, b in rows],
        columns=COLUMNS,
    )
    return Catalog(table, "mixed")


@quick
def test_the_audit_names_every_video(mixed_catalog, tmp_path):
    audit = make(mixed_catalog, tmp_path / "store")
    videos = audit.videos.set_index("video_id")
    reasons = {
        "good": ("ok", ""),
        "copy": ("ok", ""),
        "part": ("ok", ""),
        "tail": ("short", "0.80 s decoded of 10.00 s that the list promises"),
        "text": ("unreadable", "not a video that can be opened"),
        "empty": ("unreadable", "the file is empty (0 bytes)"),
        "cut": ("unreadable", "not a video that can be opened"),
        "short": ("short", "s decoded of 1.20 s that the file promises"),
        "gone": ("missing", "no such file"),
        "moved": ("missing", "no such file"),
        "nothing": ("missing", "no such file"),
    }
    assert set(videos.index) == set(reasons)
    for name, (status, reason) in reasons.items():
        assert videos.loc[name, "status"] == status, name
        assert reason in videos.loc[name, "reason"], name
    table = audit.table
    assert table.columns.tolist() == [
        *("listed", "found", "decoded", "short", "unreadable", "duplicates")
    ]
    assert table.loc["run"].tolist() == [6, 6, 3, 1, 3, 0]
    assert table.loc["sit"].tolist() == [4, 2, 2, 1, 0, 1]
    assert table.loc["zap"].tolist() == [1, 0, 0, 0, 0, 0]
    assert str(audit) == "listed 11, found 8, decoded 5, short 2, unreadable 3, duplicates 1"
    # nothing takes the place of what is missing, and every listed category keeps its number
    store = ClipStore(tmp_path / "store")
    assert store.categories == ["run", "sit", "zap"]
    assert store.videos["video_id"].tolist() == ["good", "part", "tail", "short", "copy"]
    assert store.videos.set_index("video_id")["frames"].to_dict() == {
        "good": 30,
        "copy": 30,
        "part": 25,
        "tail": 20,
        "short": store.videos["frames"][3],
    }
    assert 5 < store.videos["frames"][3] < 18
    assert verify(tmp_path / "store").empty


def test_210_hostile_files_are_each_a_line_of_the_audit(tmp_path, moving_square):
    folder = tmp_path / "in" / "train" / "run"
    folder.mkdir(parents=True)
    encode(folder / "good.mp4", moving_square(frames=10), fps=25)
    good = (folder / "good.mp4").read_bytes()
    sizes = [good.find(b"avc1") + 28, good.find(b"tkhd") + 80, good.find(b"stsz") + 12]
    rng = np.random.default_rng(1)
    for number in range(210):
        data, suffix = bytearray(good), ".mp4"
        match number % 7:
            case 0:
                data = data[: rng.integers(0, len(data))]
            case 1:  # absurd frame sizes, counts and lengths in the headers
                place = sizes[number // 7 % 3]
                data[place : place + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x7f\xff\x7f\xff"])
            case 2:  # a video that is called something else
                suffix = str(rng.choice([".avi", ".mkv", ".ts", ".png", ".gif", ".bmp", ".wmv"]))
            case 3:
                data = bytearray(rng.bytes(rng.integers(0, 3000)))
            case _:
                for place in rng.integers(0, len(data), 1 + number % 40):
                    data[place] = rng.integers(0, 256)
        path = folder / f"{number:03d}{suffix}"
        if suffix in STILL_SUFFIXES:  # beside videos, a folder's pictures are left out
            path = Path(str(path).replace("/in/", "/pictures/"))
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    tables = [Catalog.from_folder(tmp_path / name).frame for name in ("in", "pictures")]
    catalog = Catalog(pd.concat(tables), "hostile")
    audit = make(catalog, tmp_path / "store", workers=2).videos
    assert len(audit) == 211
    assert set(audit["status"]) == {"ok", "short", "unreadable"}
    assert ((audit["status"] == "ok") == (audit["reason"] == "")).all()
    assert (audit["status"] == "unreadable").sum() > 60
    assert verify(tmp_path / "store").empty


@quick
def test_duplicates_are_found_across_splits(mixed_catalog, tmp_path):
    frame = mixed_catalog.frame
    audit = make(Catalog(frame[frame["video_id"].isin(["good", "copy"])], "two"), tmp_path)
    assert audit.videos.set_index("video_id")["same_as"].to_dict() == {
        "good": "",
        "copy": "train/run/good",
    }
    assert audit.table["duplicates"].to_dict() == {"run": 0, "sit": 1}


@quick
def test_a_trimmed_file_shorter_than_its_listed_part_is_short(tiny_catalog, tmp_path):
    frame = tiny_catalog.frame.copy()
    frame.loc[0, "video_id"] = "abcdefghijk_000010_000020"
    videos = make(Catalog(frame, "squares"), tmp_path).videos
    assert videos["status"].tolist() == ["short", *["ok"] * 7]
    assert videos["reason"][0] == "0.80 s decoded of 10.00 s that the list promises"


@quick
def test_nothing_decodable_is_an_error(mixed_catalog, tmp_path):
    frame = mixed_catalog.frame
    only = Catalog(frame[frame["video_id"].isin(["text", "gone"])], "bad")
    with pytest.raises(PrepareError, match="none of 2 videos could be decoded; most often: "):
        make(only, tmp_path)


def write_or_crash(path, rows, settings, key, apart=False):
    """`write_part` in a worker, whose decoder dies of the videos named bad or killed."""

    class Crashing(pack.VideoReader):
        def __init__(self, path, **options):
            super().__init__(path, **options)
            for name, how in (("bad", signal.SIGSEGV), ("killed", signal.SIGKILL)):
                if name in os.path.basename(path):
                    os.kill(os.getpid(), how)

    pack.VideoReader = Crashing
    pack.write_part(path, rows, settings, key, apart)


def test_a_video_that_crashes_the_decoder_is_a_line_of_the_audit(
    tiny_catalog, tiny_store, tmp_path, monkeypatch
):
    frame = tiny_catalog.frame.copy()
    shutil.copy(frame["path"][1], tmp_path / "bad.mp4")
    frame.loc[1, "path"] = str(tmp_path / "bad.mp4")
    monkeypatch.setattr(preparing, "write_part", write_or_crash)
    videos = make(Catalog(frame, "squares"), tmp_path / "store", workers=2).videos
    assert videos["status"].tolist() == ["ok", "unreadable", *["ok"] * 6]
    assert videos["reason"][1] == "the decoder crashed (SIGSEGV)"
    assert ClipStore(tmp_path / "store").videos["frames"].tolist() == (
        tiny_store.videos["frames"].drop(1).tolist()
    )
    assert verify(tmp_path / "store").empty
    # a process that is killed is no fault of its video
    os.rename(tmp_path / "bad.mp4", tmp_path / "killed.mp4")
    frame.loc[1, "path"] = str(tmp_path / "killed.mp4")
    with pytest.raises(PrepareError, match="killed.mp4: its decoder was killed, perhaps for want"):
        make(Catalog(frame, "squares"), tmp_path / "other", workers=2)


@pytest.mark.real
def test_real_clips_are_audited(real_data, tmp_path):
    shutil.copytree(real_data / "ingestion", tmp_path / "videos" / "train" / "mixed")
    (tmp_path / "videos/train/mixed/test.mp4").rename(tmp_path / "videos/train/mixed/other.mp4")
    (tmp_path / "videos/train/mixed/not.mp4").write_text("no video")
    catalog = Catalog.from_folder(tmp_path / "videos")
    audit = make(catalog, tmp_path / "store", size=48, workers=2)
    status = audit.videos.set_index("file")["status"]
    assert status.to_dict() == {
        name: "unreadable" if name == "not.mp4" else "ok" for name in status.index
    }
    assert len(status) == 10
    same = audit.videos.set_index("file")["same_as"]
    assert same["v_ApplyEyeMakeup_g01_c01.avi"] == "train/mixed/test"
    assert verify(tmp_path / "store").empty


@pytest.mark.quick
def test_no_cell_of_the_table_is_a_formula_and_the_names_come_back(tmp_path):
    names = ["=1+1", "-abc", "+x", "@y", "'=z", "''-q", "'plain", "a=b", "\tt", "ok"]
    audit = Audit(pd.DataFrame({column: names for column in AUDITED}))
    (tmp_path / "audit.csv").write_text(audit.to_csv())
    cells = pd.read_csv(tmp_path / "audit.csv", dtype=str).to_numpy().ravel()
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r"]
    pd.testing.assert_frame_equal(Audit.load(tmp_path).videos, audit.videos)
