import os
import shutil

import h5py
import numpy as np
import psutil
import pytest
from stores import digests, make

from harlib.data.catalog.catalog import Catalog
from harlib.data.store import category_file, pack
from harlib.data.store.audit import Audit
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import PrepareError
from harlib.data.video.files import decode, encode

quick = pytest.mark.quick


@quick
def test_a_finished_store_is_kept(tiny_catalog, tmp_path, monkeypatch):
    audit = make(tiny_catalog, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    monkeypatch.setattr(pack, "VideoReader", None)  # nothing may be decoded again
    again = make(tiny_catalog, tmp_path)
    assert again.videos.equals(audit.videos) and again.table.equals(audit.table)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before
    assert Audit.load(tmp_path).table.equals(audit.table)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *(".sources.json", "audit.csv", "index.csv", "store.json", "train", "val")
    ]


@quick
def test_a_store_of_something_else_is_refused(tiny_catalog, tmp_path, moving_square):
    make(tiny_catalog, tmp_path / "store")
    for change in ({"size": 24}, {"codec": "raw"}, {"quality": 80}, {"fps": 5.0}):
        with pytest.raises(PrepareError, match="holds a store of other videos or settings"):
            make(tiny_catalog, tmp_path / "store", **change)
    # a video that changed since, under the same name
    frame = tiny_catalog.frame.copy()
    changed = tmp_path / os.path.basename(frame["path"][0])
    encode(changed, moving_square(frames=9), fps=25)
    frame.loc[0, "path"] = str(changed)
    with pytest.raises(PrepareError, match="other videos"):
        make(Catalog(frame, "squares"), tmp_path / "store")


@quick
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": "zip"}, "unknown codec 'zip'; known: raw, jpeg, h264"),
        ({"size": 0}, "size is 0"),
        ({"size": (1, 2, 3)}, r"size is \(1, 2, 3\)"),
        ({"size": "128"}, "size is '128'"),
        ({"codec": "h264", "size": (128, 171)}, "H.264 needs even sides"),
        ({"quality": 0}, "quality is 0"),
        ({"fps": -1}, "fps is -1"),
    ],
)
def test_wrong_settings(tiny_catalog, tmp_path, options, message):
    with pytest.raises(PrepareError, match=message):
        make(tiny_catalog, tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()


@quick
def test_sizes_rates_and_stills(tiny_catalog, tmp_path):
    make(tiny_catalog, tmp_path / "a", size=(24, 33), fps=5, codec="raw")
    store = ClipStore(tmp_path / "a")
    path = tiny_catalog.frame["path"][0]
    assert set(store.videos["fps"]) == {5.0}
    wanted = decode(path, size=(24, 33), fps=5)
    assert np.array_equal(store.read(0, np.arange(len(wanted))), wanted)
    make(tiny_catalog, tmp_path / "b", size=None, codec="raw")
    assert ClipStore(tmp_path / "b").read(0, [0]).shape == (1, 48, 64, 3)


@quick
def test_any_hdf5_tool_reads_the_file(tiny_store):
    with h5py.File(tiny_store.root / "train" / "sit_down.h5") as file:
        assert dict(file.attrs)["category"] == "sit down"
        assert file["payload"].chunks is None and file["payload"].compression is None
        assert file["videos/video_id"][()].tolist() == [
            *(b"sit_down_00", b"sit_down_01", b"sit_down_02")
        ]
        offsets = file["offsets"][()]
        assert len(offsets) == file["videos/frames"][()].sum() + 1
        first = file["payload"][offsets[0] : offsets[1]].tobytes()
        assert first[:2] == b"\xff\xd8"  # a JPEG


def test_the_bytes_do_not_depend_on_workers(write_videos, tmp_path):
    catalog = write_videos(count=70)  # two pieces a category
    for codec in ("jpeg", "h264"):
        for workers in (1, 2):
            make(catalog, tmp_path / f"{codec}{workers}", codec=codec, workers=workers)
        assert digests(tmp_path / f"{codec}1") == digests(tmp_path / f"{codec}2")
    left = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert not [command for command in left if "popen_loky" in command]  # no idle workers


@quick
def test_files_whose_data_lie_elsewhere_are_not_ours(tiny_store, tmp_path):
    good = tiny_store.root / "train" / "run.h5"
    assert category_file.key(good)
    for number, name in enumerate(("payload", "offsets")):
        for kind in (
            h5py.ExternalLink(str(good), name),
            h5py.SoftLink("/other"),
            "external",
            "chunks",
        ):
            path = tmp_path / f"{number}.h5"
            shutil.copy(good, path)
            with h5py.File(path, "r+") as file:
                data = file[name][()]
                del file[name]
                if kind == "external":
                    other = [(str(tmp_path / "secret"), 0, data.nbytes)]
                    file.create_dataset(name, data.shape, data.dtype, external=other)
                elif kind == "chunks":
                    file.create_dataset(name, data=data, chunks=True)
                else:
                    file["other"] = data
                    file[name] = kind
            assert category_file.key(path) is None


@quick
def test_two_preparations_of_one_folder(tiny_catalog, tmp_path):
    import fcntl

    with open(tmp_path / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(PrepareError, match="is being prepared by another process"):
            make(tiny_catalog, tmp_path)


@pytest.mark.real
def test_real_ucf101_videos(real_data, tmp_path):
    mini = real_data / "ucf101_mini"
    catalog = Catalog.from_ucf101(mini / "videos", mini)
    few = Catalog(catalog.frame.groupby(["split", "category"]).head(3), "few")
    audit = make(few, tmp_path, size=112, workers=2)
    assert audit.table["decoded"].to_dict() == {"BabyCrawling": 6, "Punch": 6, "PushUps": 6}
    store = ClipStore(tmp_path)
    assert set(store.videos["fps"]) == {25.0}
    wanted = decode(few.frame["path"][0], size=112)
    clip = store.read(0, np.arange(16))
    assert np.abs(clip.astype(int) - wanted[:16]).mean() < 4
