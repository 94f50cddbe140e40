import json

import av
import numpy as np
import pytest

from harlib.bench import data, decoding, figures, kinetics_like, raw_hdf5, scaling
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import prepare
from harlib.data.video.files import decode, encode, probe
from harlib.figures.style import alt


@pytest.fixture(scope="module")
def folder(tmp_path_factory, moving_square):
    folder = tmp_path_factory.mktemp("bench")
    for number in range(3):
        clip = moving_square(frames=40, height=120, width=160, seed=number)
        encode(folder / f"{number}.mp4", clip, fps=25, keyframe=12)
    return folder


@pytest.fixture(scope="module")
def raw(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("raw")
    catalog = data._catalog(kinetics_like.chosen(folder))
    prepare(catalog, root, codec="raw", workers=1, progress=False)
    return ClipStore(root), data._paths(catalog, ClipStore(root))


@pytest.mark.quick
def test_every_reader_gives_the_frames_of_the_store(raw):
    store, paths = raw
    for name, read in decoding.peers().items():
        for row, first in ((0, 0), (1, 5), (2, 24)):
            clip = read(paths[row], first, 16, 25.0, (128, 170))
            wanted = store.read(row, np.arange(first, first + 16)).astype(int)
            apart = [np.abs(wanted - np.roll(clip, shift, 0)).mean() for shift in (0, 1, -1)]
            assert apart[0] < 4 and apart[0] == min(apart), (name, first)


@pytest.mark.quick
def test_the_studys_layout_holds_the_same_frames(raw, tmp_path):
    store, _ = raw
    raw_hdf5.write(store, tmp_path / "a.h5")
    with raw_hdf5.h5py.File(tmp_path / "a.h5") as file:
        assert np.array_equal(file["2"][()], store.read(2, np.arange(40)))
        clip = raw_hdf5.clip(file, 1, np.random.default_rng(0), 16, 112)
    assert clip.shape == (16, 112, 112, 3) and clip.dtype == np.uint8


def test_rows_table_and_figure(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "TURNS", 2)
    monkeypatch.setattr(scaling, "_study", lambda *_: {"failed": "not asked"})
    written = {"json_file": tmp_path / "rows.json", "figure": tmp_path / "rows.png"}
    rows = data.run(folder, **written, seconds=0.05, say=lambda _: None)
    assert json.loads(written["json_file"].read_text()) == rows
    assert written["figure"].read_bytes()[:4] == b"\x89PNG"
    assert {row["bench"] for row in rows} == {"data"}
    read = {(row["engine"], row["codec"]): row for row in rows if row["task"] == "read"}
    assert {("harlib", codec) for codec in ("raw", "jpeg", "h264")} < set(read)
    assert {("opencv", "original"), ("pyav", "original"), ("study-layout", "raw")} < set(read)
    assert all(row["clips_per_s"] > 0 and row["bytes_per_video"] > 0 for row in read.values())
    assert read["harlib", "raw"]["bytes_per_video"] > 40 * 128 * 170 * 3
    assert read["harlib", "h264"]["share_of_raw_bytes"] < 0.1
    scaled = [row for row in rows if row["task"] == "scaling" and row["engine"] == "harlib"]
    assert [row["cores"] for row in scaled] == [1, 2, 2, 2] * 4
    assert [(row["codec"], row["batch"]) for row in scaled[::4]] == [*scaling.BATCHES]
    for one, *two in zip(*[iter(scaled)] * 4, strict=True):
        assert {(row["codec"], row["batch"]) for row in two} == {(one["codec"], one["batch"])}
        assert one["times_one_core"] == 1
        for row in two:
            ratio = row["clips_per_s"] / one["clips_per_s"]
            assert row["times_one_core"] == pytest.approx(ratio, abs=0.01)
    (raw_row,) = (r for r in rows if r["task"] == "kinetics-600" and r["codec"] == "raw")
    # 377,000 videos of 300 frames of 128 x 170
    assert raw_row["disk_gb"] == pytest.approx(377_000 * 300 * 128 * 170 * 3 / 1e9, rel=0.02)
    text = data.table(rows)
    assert "kinetics-600" in text and "not asked" in text and "decode and scale" in text
    assert "harlib h264" in alt(figures.bytes_and_speed(rows))


def test_files_as_kinetics_has_them(folder, tmp_path):
    (path,) = kinetics_like.as_kinetics(kinetics_like.chosen(folder)[:1], tmp_path / "files")
    info = probe(path)
    assert (info.height, info.width, info.fps, info.frames) == (256, 340, 30, 300)
    frames = decode(path, size=32)
    assert np.abs(frames[10].astype(int) - frames[10 + 78]).mean() < 3  # there and back: 2 x 39


@pytest.mark.quick
def test_a_folder_without_videos(tmp_path):
    with pytest.raises(ValueError, match="holds no videos to measure on"):
        data.run(tmp_path)


@pytest.mark.soak
def test_the_studys_loader_runs_with_workers(raw, tmp_path):
    raw_hdf5.write(raw[0], tmp_path / "a.h5")
    for cores in (1, 2):
        assert scaling._study(tmp_path / "a.h5", 0.5, cores, 16, 112)["clips_per_s"] > 0
    assert "failed" in scaling._study(tmp_path / "none.h5", 0.5, 1, 16, 112)


def test_a_peer_that_cannot_read_a_file_has_a_note(raw, tmp_path, monkeypatch):
    def broken(path, *_):
        raise OSError(f"no codec for {path}\nat all")

    store, paths = raw
    monkeypatch.setattr(decoding, "peers", lambda: {"pyav": decoding.pyav, "broken": broken})
    rows = data._reading({"raw": store}, paths, tmp_path, 0.01, lambda _: None)
    by_engine = {row["engine"]: row for row in rows}
    note = by_engine["broken"]["note"]
    assert note.startswith("OSError: no codec for ") and note.endswith(".mp4 at all")
    assert "clips_per_s" not in by_engine["broken"] and by_engine["pyav"]["clips_per_s"] > 0
    assert "broken" not in alt(figures.bytes_and_speed(rows))

    def refused(path, shape):
        raise av.FFmpegError(1, "refused")

    monkeypatch.setattr(decoding, "_libav", refused)
    spent, _, notes = decoding.preparing_cpu(paths[:1], 32)
    assert "libav" not in spent and "refused" in notes["libav"]
    (row,) = (row for row in data._preparing(spent, notes, paths) if row["engine"] == "libav")
    assert row["note"] == notes["libav"]
