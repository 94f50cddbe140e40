import json
import pickle
import shutil
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest

from harlib.data.loading.batches import training_batches
from harlib.data.loading.prefetch import ReadError, iterate
from harlib.data.loading.specs import ClipSpec
from harlib.data.store import category_file, clip_store
from harlib.data.store.category_file import StoreError
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.codecs import CODECS, CodecError
from harlib.data.store.prepare import prepare
from harlib.data.video.files import decode

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module", params=[*CODECS])
def any_store(request, tiny_catalog, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    prepare(tiny_catalog, root, codec=request.param, size=32, workers=1, progress=False)
    return ClipStore(root)


@pytest.fixture
def copied_store(tiny_store, tmp_path):
    """A store that may be damaged."""
    shutil.copytree(tiny_store.root, tmp_path / "store")
    return tmp_path / "store"


def test_table_and_attributes(tiny_store, tiny_catalog):
    videos = tiny_store.videos
    assert videos.columns.tolist() == [
        *("video_id", "category", "label", "split", "group", "frames", "height", "width", "fps")
    ]
    assert videos.index.tolist() == list(range(8)) and len(tiny_store) == 8
    key = ["split", "category", "video_id"]
    assert videos[key].equals(tiny_catalog.frame[key])
    assert tiny_store.categories == ["run", "sit down"]
    assert videos["label"].tolist() == [0, 0, 0, 1, 1, 1, 0, 1]
    assert set(videos["height"]) == {32} and set(videos["width"]) == {42}
    assert set(videos["fps"]) == {25.0}
    assert tiny_store.codec == "jpeg"
    assert tiny_store.settings == {"codec": "jpeg", "size": 32, "fps": None, "quality": 90}
    assert len(tiny_store.hash) == 12
    assert tiny_store.bytes == sum(p.stat().st_size for p in tiny_store.root.rglob("*.h5"))
    assert tiny_store.rows("val").tolist() == [6, 7]
    with pytest.raises(StoreError, match="no videos in split 'test'; it has: train, val"):
        tiny_store.rows("test")


def test_every_clip_comes_back(any_store, tiny_catalog):
    tolerance = {"raw": 0, "jpeg": 3, "h264": 8}[any_store.codec]
    rng = np.random.default_rng(0)
    for index, path in enumerate(tiny_catalog.frame["path"]):
        frames = decode(path, size=32)
        length = any_store.videos.loc[index, "frames"]
        assert length == len(frames)
        whole = any_store.read(index, np.arange(length))
        assert whole.dtype == np.uint8 and whole.shape == frames.shape
        assert np.abs(whole.astype(int) - frames).mean() <= tolerance
        # any order, gaps and repeats give the same pixels as reading all
        for wanted in ([0], [length - 1, 0, 0], rng.integers(0, length, 12), range(10, 19)):
            wanted = np.array(wanted)
            assert np.array_equal(any_store.read(index, wanted), whole[wanted])


def test_equally_spaced_raw_frames_are_not_copied(tiny_catalog, tmp_path):
    prepare(tiny_catalog, tmp_path, codec="raw", size=32, workers=1, progress=False)
    raw = ClipStore(tmp_path)
    whole = raw.read(0, np.arange(20))
    for frames in ([7], range(3, 19), range(0, 20, 3)):
        clip = raw.read(0, frames)
        assert not clip.flags.owndata and not clip.flags.writeable
        assert np.array_equal(clip, whole[list(frames)])
    for frames in ([3, 3, 3], [5, 4, 3], [0, 1, 3], [18, 19, 0, 1]):
        clip = raw.read(0, frames)
        assert clip.flags.writeable and np.array_equal(clip, whole[frames])


def test_reading_needs_no_hdf5(any_store, monkeypatch):
    monkeypatch.setattr(category_file.h5py, "File", None)
    assert ClipStore(any_store.root).read(0, [0]).shape[0] == 1


@pytest.mark.parametrize("frames", [[], [-1], [25], [0, 10_000]])
def test_frames_out_of_range(tiny_store, frames):
    with pytest.raises(IndexError, match="run_00.* has frames 0 to 19; asked for"):
        tiny_store.read(0, frames)


def test_pickles_and_serves_threads(tiny_store):
    again = pickle.loads(pickle.dumps(tiny_store))
    assert again.hash == tiny_store.hash and again.videos.equals(tiny_store.videos)
    wanted = [tiny_store.read(i, np.arange(16)) for i in range(8)]
    wrong = []

    def read(seed):
        for index in np.random.default_rng(seed).integers(0, 8, 40):
            if not np.array_equal(again.read(index, np.arange(16)), wanted[index]):
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_few_files_are_open_at_a_time(tiny_store, monkeypatch):
    monkeypatch.setattr(clip_store, "MAPS", 1)
    fresh = ClipStore(tiny_store.root)
    for index in (0, 7, 0, 3):
        assert np.array_equal(fresh.read(index, [3, 4]), tiny_store.read(index, [3, 4]))
    assert len(fresh._maps) == 1
    monkeypatch.setattr(clip_store, "MAPS", 2)
    files = fresh._file[[0, 3, 7]]
    assert len(set(files)) == 3
    for index in (0, 3, 0, 7):  # the file read longest ago goes
        fresh.read(index, [0])
    assert [*fresh._maps] == [files[0], files[2]]


def test_missing_and_unfinished_stores(tmp_path):
    with pytest.raises(StoreError, match="no clip store at .*store.json is missing"):
        ClipStore(tmp_path / "none")
    (tmp_path / ".parts").mkdir()
    with pytest.raises(StoreError, match="was not finished; run `har prepare`"):
        ClipStore(tmp_path)


def rewrite(root, **changes):
    """Change store.json as an attacker would: with a digest that fits."""
    about = json.loads((root / "store.json").read_text()) | changes
    about.pop("digest")
    about["digest"] = clip_store.about_digest(about)
    (root / "store.json").write_text(json.dumps(about))


def test_foreign_and_damaged_indexes_are_refused(copied_store):
    good = json.loads((copied_store / "store.json").read_text())
    file = good["files"][0]
    changes = [
        ({"format": "other"}, "does not describe"),
        ({"version": 99}, "has version 99"),
        ({"settings": good["settings"] | {"codec": "zip"}}, "codec 'zip'"),
        ({"hash": "0" * 12}, "index.csv is not the one"),
        ({"files": [file | {"path": "../../secret.h5"}]}, "impossible entry"),
        ({"files": [file | {"path": "/etc/a.h5"}]}, "impossible entry"),
        ({"files": [file | {"payload": [0, 1 << 60]}]}, "impossible entry"),
        ({"files": [file | {"offsets": [-8, 10]}]}, "impossible entry"),
    ]
    for change, message in changes:
        rewrite(copied_store, **good | change)
        with pytest.raises(StoreError, match=message):
            ClipStore(copied_store)
    text = json.dumps(good).replace('"quality": 90', '"quality": 91')
    (copied_store / "store.json").write_text(text)
    with pytest.raises(StoreError, match="digest is wrong"):
        ClipStore(copied_store)
    for text, message in [("{", "not JSON"), ("[]", "does not describe")]:
        (copied_store / "store.json").write_text(text)
        with pytest.raises(StoreError, match=message):
            ClipStore(copied_store)


def test_damaged_bytes_name_the_video(copied_store):
    file = copied_store / "train" / "run.h5"
    place = json.loads((copied_store / "store.json").read_text())["files"][0]
    assert place["path"] == "train/run.h5"
    data = bytearray(file.read_bytes())
    begin = place["payload"][0]
    data[begin : begin + 20] = bytes(20)
    file.write_bytes(data)
    damaged = ClipStore(copied_store)
    with pytest.raises(StoreError, match=r"video run_00 \(run, train\): its stored bytes are not"):
        damaged.read(0, [5])  # also where its other frames are asked for
    assert damaged.read(1, [0]).shape == (1, 32, 42, 3)
    file.write_bytes(data[:-1])
    with pytest.raises(StoreError, match="the index says"):
        ClipStore(copied_store).read(0, [0])
    file.unlink()
    with pytest.raises(StoreError, match="cannot be opened: No such file"):
        ClipStore(copied_store).read(0, [0])


def change_a_bit(root, row, rng):
    """Of a training video's stored bytes: its length stays, and often it decodes."""
    whole = ClipStore(root)
    file = whole._files[whole._file[row]]
    _, offsets, *_ = category_file.mapped(root / file["path"], file)
    first, length = whole._first[row], whole.videos["frames"][row]
    place = file["payload"][0] + int(rng.integers(offsets[first], offsets[first + length]))
    data = bytearray((root / file["path"]).read_bytes())
    data[place] ^= 1 << int(rng.integers(0, 8))
    (root / file["path"]).write_bytes(data)
    return whole.videos["video_id"][row]


@pytest.mark.parametrize("threads", [0, 2])
def test_any_changed_bit_is_noticed_by_who_reads(any_store, tmp_path, threads):
    rng = np.random.default_rng(0)
    for number in range(4):
        root = tmp_path / str(number)
        shutil.copytree(any_store.root, root)
        video = change_a_bit(root, int(rng.integers(0, 6)), rng)
        batches = training_batches(ClipStore(root), ClipSpec(4, size=16), batch=6, seed=number)
        with pytest.raises(ReadError, match=f"'{video}'.* its stored bytes are not those"):
            list(iterate(batches, stop=1, threads=threads))


def test_a_reading_process_notices_a_changed_bit(copied_store):
    video = change_a_bit(copied_store, 4, np.random.default_rng(0))
    batches = training_batches(ClipStore(copied_store), ClipSpec(4, size=16), batch=6)
    with pytest.raises(ReadError, match=f"'{video}'.* its stored bytes are not those"):
        list(iterate(batches, stop=1, workers=1))


def test_bytes_are_compared_once_also_by_several_processes(tiny_store, monkeypatch):
    real, calls = category_file.checksum, []
    monkeypatch.setattr(category_file, "checksum", lambda *bytes: calls.append(1) or real(*bytes))
    fresh = ClipStore(tiny_store.root)
    for _ in range(3):
        for row in range(len(fresh)):
            fresh.read(row, [0])
    assert len(calls) == len(fresh)
    # what a process compares the others know, and the program
    fresh = ClipStore(tiny_store.root)
    fresh.read(7, [0])
    batches = training_batches(fresh, ClipSpec(4, size=16), batch=6)
    list(iterate(batches, stop=1, workers=1))
    assert fresh._compared.tolist() == [1] * 6 + [0, 1]


def test_codecs_refuse_bytes_of_another_size(moving_square):
    for codec in CODECS.values():
        chunks = list(codec.encode(iter(moving_square(frames=4)), 90))
        payload = np.frombuffer(b"".join(chunks), np.uint8)
        offsets = np.cumsum([0, *map(len, chunks)])
        assert codec.decode(payload, offsets, np.array([1]), 48, 64).shape == (1, 48, 64, 3)
        with pytest.raises(CodecError):
            codec.decode(payload, offsets, np.array([1]), 48, 62)


def test_slugs_are_safe_and_different():
    names = category_file.slugs(["sit down", "Sit-Down", "../../etc", "日本", "x" * 300, "run"])
    assert names["run"] == "run"
    assert len(set(names.values())) == 6
    assert all(name.replace("_", "").isalnum() and len(name) <= 90 for name in names.values())


@pytest.fixture(scope="module")
def large_index(tmp_path_factory):
    """An index of 350,000 videos in 600 categories, as Kinetics-600's training split."""
    root = tmp_path_factory.mktemp("large")
    count, names = 350_000, [f"category number {i:03d}" for i in range(600)]
    label = np.sort(np.arange(count) % 600)
    number = pd.Series(np.arange(count)).map("{:011x}".format)
    videos = pd.DataFrame(
        {
            "video_id": number + "_000012_000022",
            "category": np.array(names)[label],
            "label": label,
            "split": "train",
            "group": number,
            "frames": 300,
            "height": 128,
            "width": 170,
            "fps": 30.0,
            "file": label,
            "first": 0,
            "checksum": number,
        }
    )
    files = [
        {"path": f"train/c{i}.h5", "bytes": 10**9, "payload": [2048, 10**8], "offsets": [2048, 301]}
        for i in range(600)
    ]
    text = videos.to_csv(index=False)
    (root / "index.csv").write_text(text)
    about = {
        "format": category_file.FORMAT,
        "version": category_file.VERSION,
        "hash": clip_store.short_hash(text),
        "settings": {"codec": "jpeg", "size": 128, "fps": None, "quality": 90},
        "categories": names,
        "files": files,
    }
    (root / "store.json").write_text(json.dumps(about | {"digest": clip_store.about_digest(about)}))
    return root


OPENING = """
import sys, time
from harlib.data.store.clip_store import ClipStore

def peak():
    return next(int(x.split()[1]) for x in open("/proc/self/status") if x.startswith("VmHWM"))

before, began = peak(), time.process_time()
opened = ClipStore(sys.argv[1])
seconds = time.process_time() - began
print(len(opened.rows("train")), seconds, peak() - before)
"""


def test_opening_350000_videos(large_index):
    # in a process of its own, whose peak no other test has raised; what a process starts with is
    # in ru_maxrss, but not in VmHWM
    done = subprocess.run(
        [sys.executable, "-c", OPENING, large_index], capture_output=True, text=True, check=True
    )
    count, seconds, kilobytes = map(float, done.stdout.split())
    assert count == 350_000
    assert seconds < 2 and kilobytes / 1024 < 300


@pytest.mark.parametrize(
    "column, value",
    [("file", 9), ("file", -1), ("label", 2), ("first", -1), ("first", 10**12),
     ("frames", 2**31 - 1), ("frames", -5), ("height", 0), ("width", 2**31 - 1),
     ("height", 2**40), ("fps", "many")],
)  # fmt: skip
def test_an_index_with_impossible_numbers_is_refused(copied_store, column, value):
    index = pd.read_csv(copied_store / "index.csv", dtype=str)
    index.loc[2, column] = str(value)
    text = index.to_csv(index=False)
    (copied_store / "index.csv").write_text(text)
    rewrite(copied_store, hash=clip_store.short_hash(text))
    with pytest.raises(StoreError, match="impossible entry for video 'run_02'|no index of a store"):
        ClipStore(copied_store)


def test_damaged_h264_is_an_error_not_wrong_pixels(moving_square):
    chunks = [*CODECS["h264"].encode(iter(moving_square(frames=4)), 90)]
    offsets = np.cumsum([0, *map(len, chunks)])
    payload = np.frombuffer(b"".join(chunks[:2] + [bytes(len(chunks[2]))] + chunks[3:]), np.uint8)
    with pytest.raises(CodecError):
        CODECS["h264"].decode(payload, offsets, np.arange(4), 48, 64)
