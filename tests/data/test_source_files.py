"""A store is of the videos as they were: what changes under their names is noticed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stores import digests, make

from harlib.data.catalog.catalog import COLUMNS, Catalog
from harlib.data.store import source_files
from harlib.data.store.prepare import PrepareError, verify
from harlib.data.store.repair import repair
from harlib.data.video.files import encode

pytestmark = pytest.mark.quick


@pytest.fixture
def own(tiny_catalog, tmp_path):
    """The tiny catalog with files that may be changed."""
    frame = tiny_catalog.frame.copy()
    (tmp_path / "videos").mkdir()
    frame["path"] = [shutil.copy(path, tmp_path / "videos") for path in frame["path"]]
    return Catalog(frame, "squares")


def other_content(path, keep_times=False):
    about = os.stat(path)
    data = bytearray(Path(path).read_bytes())
    place = len(data) // 3  # of no sample at the head, the middle or the end
    data[place : place + 8] = bytes(byte ^ 255 for byte in data[place : place + 8])
    with open(path, "wb") as file:
        file.write(data)
    if keep_times:
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


@pytest.mark.parametrize("keep_times", [False, True])
def test_other_content_of_the_same_size_is_refused(own, tmp_path, keep_times):
    make(own, tmp_path / "store")
    before = digests(tmp_path / "store")
    other_content(own.frame["path"][3], keep_times)
    for call in (make, repair_tiny):
        with pytest.raises(PrepareError, match="1 of 8 videos have other content than .* sit_down"):
            call(own, tmp_path / "store")
    assert digests(tmp_path / "store") == before  # what was made of the old videos stays


def repair_tiny(catalog, root):
    repair(catalog, root, size=32, workers=1, progress=False)


def test_touched_and_copied_videos_are_compared_once(own, tmp_path, monkeypatch):
    make(own, tmp_path / "store")
    for path in own.frame["path"]:
        os.utime(path)
    read = []
    real = source_files.digest
    monkeypatch.setattr(source_files, "digest", lambda source: read.append(source) or real(source))
    make(own, tmp_path / "store")
    assert len(read) == 8
    make(own, tmp_path / "store")
    assert len(read) == 8
    (tmp_path / "store/.sources.json").write_text("{")  # a cache: without it all are compared
    make(own, tmp_path / "store")
    assert len(read) == 16
    other_content(own.frame["path"][0])
    (tmp_path / "store/.sources.json").unlink()
    with pytest.raises(PrepareError, match="1 of 8 videos have other content"):
        make(own, tmp_path / "store")


def test_a_video_that_can_be_read_by_now_is_noticed(own, tmp_path, monkeypatch):
    path = own.frame["path"][1]
    real = source_files.digest

    def digest(source):
        if source == path:
            raise PermissionError(13, "Permission denied")
        return real(source)

    monkeypatch.setattr(source_files, "digest", digest)
    videos = make(own, tmp_path / "store").videos
    assert videos.loc[1, ["status", "reason"]].tolist() == ["unreadable", "Permission denied"]
    make(own, tmp_path / "store")
    monkeypatch.undo()
    os.chmod(path, 0o600)
    with pytest.raises(PrepareError, match="1 of 8 videos have other content"):
        make(own, tmp_path / "store")


@pytest.mark.parametrize("finished", ["part", "category file"])
def test_what_changed_before_a_resume_is_packed_anew(own, tmp_path, monkeypatch, finished):
    from harlib.data.store import prepare as preparing

    def killed(*_):
        raise KeyboardInterrupt

    name = "_assemble" if finished == "part" else "finish"
    first, second = own.frame["path"][[0, 1]]
    size = max(os.path.getsize(path) for path in (first, second))
    content = Path(second).read_bytes()
    for path in (first, second):  # trailing bytes change no frame: now they are of one size
        with open(path, "ab") as file:
            file.write(bytes(size - os.path.getsize(path)))
    monkeypatch.setattr(preparing, name, killed)
    with pytest.raises(KeyboardInterrupt):
        make(own, tmp_path / "again", codec="raw")
    monkeypatch.undo()
    with open(first, "wb") as file:
        file.write(content + bytes(size - len(content)))
    audit = make(own, tmp_path / "again", codec="raw")
    assert audit.videos.loc[1, "same_as"] == "train/run/run_00"
    make(own, tmp_path / "fresh", codec="raw")
    assert digests(tmp_path / "again") == digests(tmp_path / "fresh")


@pytest.mark.parametrize("lost", ["train/run.h5", "val/sit_down.h5", "audit.csv", "index.csv"])
def test_what_is_missing_from_a_finished_store_is_made_again(own, tmp_path, lost):
    make(own, tmp_path / "store")
    before = digests(tmp_path / "store")
    (tmp_path / "store" / lost).unlink()
    make(own, tmp_path / "store")
    assert digests(tmp_path / "store") == before and verify(tmp_path / "store").empty


def test_a_cut_category_file_is_named_with_its_cure(own, tmp_path):
    make(own, tmp_path / "store")
    path = tmp_path / "store/train/run.h5"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(PrepareError, match=r"run.h5 is damaged: it has .* --repair makes it whole"):
        make(own, tmp_path / "store")
    repair_tiny(own, tmp_path / "store")
    assert verify(tmp_path / "store").empty


@pytest.fixture
def odd(tmp_path, moving_square):
    """One good video and many that raise something of their own."""
    import cv2

    folder = tmp_path / "odd"
    folder.mkdir()
    encode(folder / "good.mp4", moving_square(), fps=25)
    encode(folder / "strip.mp4", np.zeros((5, 2, 1024, 3), np.uint8), fps=25)
    encode(folder / "tower.mp4", np.zeros((5, 1024, 2, 3), np.uint8), fps=25)
    cv2.imwrite(str(folder / "line.png"), np.zeros((1, 900, 3), np.uint8))
    cv2.imwrite(str(folder / "dot.png"), np.zeros((1, 1, 3), np.uint8))
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "null.png").symlink_to("/dev/null")
    shutil.copy(folder / "good.mp4", os.fsencode(folder) + b"/by\xffte.mp4")
    shutil.copy(folder / "good.mp4", folder / "new\nline.mp4")
    names = [os.fsdecode(name) for name in sorted(os.listdir(os.fsencode(folder)))]
    rows = [(f"v{n}", str(folder / name), np.nan, np.nan) for n, name in enumerate(names)]
    inf, nan = np.inf, np.nan
    for part in [(1e300, nan), (inf, nan), (-inf, nan), (-1.0, 2.0), (0.0, inf), (nan, -5.0),
                 (0.0, 1e300), (5.0, 5.0), (3.0, 1.0), (50.0, 60.0)]:  # fmt: skip
        rows.append((f"part {part}", str(folder / "good.mp4"), *part))
    table = pd.DataFrame(
        [(v, path, "run", "train", f"g{v}", a, b) for v, path, a, b in rows], columns=COLUMNS
    )
    return Catalog(table, "odd")


@pytest.mark.parametrize("codec", ["raw", "jpeg", "h264"])
def test_whatever_a_file_raises_is_its_reason(odd, tmp_path, codec):
    audit = make(odd, tmp_path / "store", codec=codec, size=64)
    videos = audit.videos.set_index("video_id")
    files = audit.videos[audit.videos["video_id"].str.startswith("v")].set_index("file")
    reasons = {
        "strip.mp4": "frames of 2 x 1024 pixels would become 64 x 32768; at most 16,384 a side",
        "tower.mp4": "frames of 1024 x 2 pixels would become 32768 x 64; at most 16,384 a side",
        "line.png": "frames of 1 x 900 pixels would become 64 x 57600; at most 16,384 a side",
        "loop.mp4": "a link that leads to itself",
        "folder.mp4": "it is an empty folder",
        "pipe.mp4": "it is a pipe or device, not a file",
        "device.mp4": "it is a pipe or device, not a file",
        "null.png": "it is a pipe or device, not a file",
    }
    for file, reason in reasons.items():
        assert files.loc[file, "status"] == "unreadable", file
        assert files.loc[file, "reason"].startswith(reason), file
    assert files.loc["gone.mp4", "status"] == "missing"
    for file in ("good.mp4", r"by\xffte.mp4", r"new\x0aline.mp4", "dot.png"):
        assert files.loc[file, "status"] == "ok", file
    parts = videos[videos.index.str.startswith("part")]
    assert len(parts) == 10 and (parts["status"] == "unreadable").all()
    assert "there is no part from 1e+300 s to nan s" in set(parts["reason"])
    assert not audit.videos["reason"].str.contains("Traceback|Error:|\n").any()
    before = digests(tmp_path / "store")
    again = make(odd, tmp_path / "store", codec=codec, size=64, workers=2)
    assert again.videos.equals(audit.videos) and digests(tmp_path / "store") == before


def test_the_reasons_do_not_depend_on_workers(odd, tmp_path):
    for workers in (1, 2):
        make(odd, tmp_path / str(workers), workers=workers)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_a_full_disk_is_no_fault_of_a_video(own, tmp_path, monkeypatch):
    import errno

    from harlib.data.store import pack

    class Full:
        def update(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pack, "hasher", Full)
    with pytest.raises(PrepareError, match="the disk of .* is full"):
        make(own, tmp_path / "store")
