import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import av
import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from harlib.cli import main
from harlib.data import category_file, packing, parts
from harlib.data import prepare as preparing
from harlib.data.audit import Audit
from harlib.data.catalog import COLUMNS, Catalog
from harlib.data.category_file import StoreError
from harlib.data.prepare import PrepareError, prepare, verify
from harlib.data.repair import repair
from harlib.data.store import ClipStore
from harlib.data.video import decode, encode

quick = pytest.mark.quick


def make(catalog, root, **options):
    return prepare(catalog, root, **{"size": 32, "workers": 1, "progress": False} | options)


def digests(root):
    """Every file's bytes, but the empty lock."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


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
        (folder / f"{number:03d}{suffix}").write_bytes(data)
    audit = make(Catalog.from_folder(tmp_path / "in"), tmp_path / "store", workers=2).videos
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
def test_a_finished_store_is_kept(tiny_catalog, tmp_path, monkeypatch):
    audit = make(tiny_catalog, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    monkeypatch.setattr(packing, "VideoReader", None)  # nothing may be decoded again
    again = make(tiny_catalog, tmp_path)
    assert again.videos.equals(audit.videos) and again.table.equals(audit.table)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before
    assert Audit.load(tmp_path).table.equals(audit.table)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *(".lock", "audit.csv", "index.csv", "store.json", "train", "val")
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
def test_nothing_decodable_is_an_error(mixed_catalog, tmp_path):
    frame = mixed_catalog.frame
    only = Catalog(frame[frame["video_id"].isin(["text", "gone"])], "bad")
    with pytest.raises(PrepareError, match="none of 2 videos could be decoded; most often: "):
        make(only, tmp_path)


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


@quick
def test_verify_finds_any_flipped_byte(tiny_store, tmp_path):
    shutil.copytree(tiny_store.root, tmp_path / "store")
    path = tmp_path / "store" / "train" / "run.h5"
    place = json.loads((tmp_path / "store/store.json").read_text())["files"][0]
    good = path.read_bytes()
    begin, size = place["payload"]
    with h5py.File(path) as file:
        offsets, frames = file["offsets"][()], file["videos/frames"][()]
    bounds = offsets[np.cumsum([0, *frames])]
    rng = np.random.default_rng(0)
    outside = [p for p in rng.integers(0, len(good), 40) if not begin <= p < begin + size]
    inside = [int(begin + p) for p in rng.integers(0, size, 20)]
    table_of_offsets = place["offsets"][0] + 8 * 30 + 1
    for spot in [0, len(good) - 1, table_of_offsets, *outside, *inside]:
        data = bytearray(good)
        data[spot] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        problems = verify(tmp_path / "store")
        assert len(problems), f"the flipped byte {spot} was not found"
        if spot in inside:
            video = np.searchsorted(bounds, spot - begin, side="right") - 1
            assert problems["video_id"].tolist() == [f"run_{video:02d}"]
        elif spot == table_of_offsets:
            assert problems["video_id"].tolist()[0] == "run_01"
    path.write_bytes(good)
    assert verify(tmp_path / "store").empty
    path.write_bytes(good[:-10])
    assert set(verify(tmp_path / "store")["video_id"]) == {"run_00", "run_01", "run_02"}
    path.write_bytes(good)
    for name in ("audit.csv", "index.csv", "store.json"):
        data = bytearray((tmp_path / "store" / name).read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / "store" / name).write_bytes(data)
        try:
            assert verify(tmp_path / "store")["problem"].tolist() == [f"{name} is damaged"]
        except StoreError as error:
            assert name in str(error)
        data[len(data) // 2] ^= 1
        (tmp_path / "store" / name).write_bytes(data)


@quick
def test_repair_decodes_the_damaged_videos_alone(tiny_catalog, tiny_store, tmp_path, monkeypatch):
    shutil.copytree(tiny_store.root, tmp_path / "store")
    options = {"size": 32, "workers": 1, "progress": False}
    wanted = digests(tmp_path / "store")
    decoded = []

    class Recorded(packing.VideoReader):
        def __init__(self, path, **options):
            decoded.append(os.path.basename(path))
            super().__init__(path, **options)

    monkeypatch.setattr(packing, "VideoReader", Recorded)
    files = json.loads((tmp_path / "store/store.json").read_text())["files"]
    run, sit = (tmp_path / "store" / file["path"] for file in files[:2])
    begin, size = files[0]["payload"]
    good = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*.*") if path.is_file()}

    def flip(path, *places):
        data = bytearray(good[path])
        for place in places:
            data[place] ^= 4
        path.write_bytes(data)

    everything = [f"run_{n:02d}" for n in range(3)]
    damages = [
        (lambda: None, []),
        (lambda: flip(run, begin + 5, begin + size - 3), ["run_00", "run_02"]),
        (lambda: flip(run, 3), everything),  # HDF5's own bytes
        (lambda: run.write_bytes(good[run][:-9]), everything),
        (lambda: run.unlink(), everything),
        (lambda: (flip(run, begin), flip(sit, files[1]["payload"][0])), ["run_00", "sit_down_00"]),
        *((lambda name=name: flip(tmp_path / "store" / name, 40), [])
          for name in ("audit.csv", "index.csv", "store.json")),
    ]  # fmt: skip
    for damage, videos in damages:
        damage()
        decoded.clear()
        audit = repair(tiny_catalog, tmp_path / "store", **options)
        assert [os.path.splitext(name)[0] for name in decoded] == videos
        assert digests(tmp_path / "store") == wanted and len(audit.videos) == 8
    with pytest.raises(PrepareError, match="other videos or settings"):
        repair(tiny_catalog, tmp_path / "store", **options | {"size": 24})


@quick
def test_the_commands_repair_what_verify_finds(tiny_catalog, tiny_store, tmp_path):
    tiny_catalog.to_csv(tmp_path / "squares.csv")
    shutil.copytree(tiny_store.root, tmp_path / "store")
    make(tiny_catalog, tmp_path / "store")

    def har(*arguments):
        done = CliRunner().invoke(main, [str(argument) for argument in arguments])
        return done.exit_code, done.output

    code, said = har("verify", tmp_path / "store")
    assert code == 0 and "every stored byte" in said
    place = json.loads((tmp_path / "store/store.json").read_text())["files"][0]["payload"][0]
    with open(tmp_path / "store" / "train" / "run.h5", "r+b") as file:
        file.seek(place + 10)
        file.write(b"damage")
    code, said = har("verify", tmp_path / "store")
    assert code == 1 and "run_00" in said and "1 damaged" in said
    code, said = har(
        "prepare", tmp_path / "squares.csv", tmp_path / "store", "--size", 32, "--repair"
    )
    assert code == 0 and "listed 8, found 8, decoded 8" in said
    assert har("verify", tmp_path / "store")[0] == 0
    assert digests(tmp_path / "store") == digests(tiny_store.root)


def write_or_crash(path, rows, settings, key, apart=False):
    """`write_part` in a worker, whose decoder dies of the videos named bad or killed."""

    class Crashing(packing.VideoReader):
        def __init__(self, path, **options):
            super().__init__(path, **options)
            for name, how in (("bad", signal.SIGSEGV), ("killed", signal.SIGKILL)):
                if name in os.path.basename(path):
                    os.kill(os.getpid(), how)

    packing.VideoReader = Crashing
    packing.write_part(path, rows, settings, key, apart)


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


@quick
def test_a_full_disk_keeps_what_is_done(tiny_catalog, tiny_store, tmp_path, monkeypatch):
    real, done = parts.write_text, []

    def full(path, text):
        if len(done) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(path)
        real(path, text)

    monkeypatch.setattr(parts, "write_text", full)
    with pytest.raises(PrepareError, match="the disk of .* is full; what is done stays"):
        make(tiny_catalog, tmp_path)
    assert (tmp_path / "train" / "run.h5").exists()
    monkeypatch.undo()
    make(tiny_catalog, tmp_path)
    assert digests(tmp_path) == digests(tiny_store.root)


@quick
def test_begun_with_other_settings_and_resumed_with_these(tiny_catalog, tiny_store, tmp_path):
    make(tiny_catalog, tmp_path, size=24)
    (tmp_path / "store.json").unlink()  # as if killed just before the end
    make(tiny_catalog, tmp_path)
    assert digests(tmp_path) == digests(tiny_store.root)


def test_a_dask_cluster_survives_a_killed_worker(write_videos, tmp_path):
    distributed = pytest.importorskip("dask.distributed", reason="extra cluster is not installed")
    catalog = write_videos(count=150)
    make(catalog, tmp_path / "whole", workers=2)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        victim = next(iter(cluster.workers.values())).process.pid
        parts = tmp_path / "store" / ".parts"

        def kill():
            while not list(parts.glob("*.json")):
                time.sleep(0.005)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        make(catalog, tmp_path / "store", scheduler=cluster.scheduler_address)
        assert not killer.is_alive()
    assert digests(tmp_path / "store") == digests(tmp_path / "whole")


KILLED = """
import os, signal, sys
from harlib.data.catalog import Catalog
from harlib.data.prepare import prepare
left, real = int(sys.argv[3]), os.replace
def replace(*names):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*names)
os.replace = replace
prepare(Catalog.from_csv(sys.argv[1]), sys.argv[2], size=32, workers=1, progress=False)
"""


@pytest.mark.parametrize("renames", [1, 6, 13])
def test_killed_between_any_two_files_and_resumed(tiny_catalog, tiny_store, tmp_path, renames):
    """Files are renamed into place 15 times: 4 x (part, record, category file), then 3."""
    tiny_catalog.to_csv(tmp_path / "squares.csv")
    store = tmp_path / "store"
    command = [sys.executable, "-c", KILLED, tmp_path / "squares.csv", store, str(renames)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    with pytest.raises(StoreError, match="no clip store"):
        ClipStore(store)
    make(tiny_catalog, store)
    assert digests(store) == digests(tiny_store.root)


RUN = """
import sys
from harlib.data.catalog import Catalog
from harlib.data.prepare import prepare
prepare(Catalog.from_csv(sys.argv[1]), sys.argv[2], size=32, workers=2, progress=False)
"""


@pytest.mark.soak
def test_killed_at_random_moments_and_resumed(write_videos, tmp_path):
    catalog = write_videos(count=200)
    make(catalog, tmp_path / "whole")
    catalog.to_csv(tmp_path / "squares.csv")
    wanted = digests(tmp_path / "whole")
    rng = np.random.default_rng(0)
    begin = time.monotonic()
    command = [sys.executable, "-c", RUN, tmp_path / "squares.csv"]
    subprocess.run([*command, tmp_path / "timed"], check=True)
    usual = time.monotonic() - begin
    killed = 0
    for trial in range(20):
        store = tmp_path / f"store{trial}"
        process = subprocess.Popen([*command, store])
        try:
            process.wait(timeout=rng.uniform(0.3, 1) * usual)
        except subprocess.TimeoutExpired:
            process.kill()  # its workers live on for a moment, and may still write
            killed += 1
            process.wait()
        make(catalog, store, workers=2)
        assert digests(store) == wanted
        shutil.rmtree(store)
    assert killed >= 10


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
