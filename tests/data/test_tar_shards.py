import io
import json
import os
import tarfile

import numpy as np
import pytest
from stores import make

from harlib.data.catalog.catalog import Catalog
from harlib.data.catalog.published_lists import CatalogError
from harlib.data.store import category_file
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import verify
from harlib.data.store.repair import repair
from harlib.data.video import tar_shards
from harlib.data.video.files import VideoError, decode, encode, probe

quick = pytest.mark.quick


def pack(path, *members, mode="w"):
    """A tar file of (name, bytes), or (name, TarInfo attributes) for anything odd."""
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                for attribute, value in content.items():
                    setattr(info, attribute, value)
                tar.addfile(info)
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory, moving_square):
    """Two small videos and a still, by name."""
    folder = tmp_path_factory.mktemp("loose")
    for number in range(2):
        encode(folder / f"{number}.mp4", moving_square(frames=20, seed=number), fps=25)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@quick
@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w")])
def test_members_are_read_in_one_pass_whatever_the_shard_is_called(tmp_path, name, mode):
    content = {f"./part/{i}.mp4": bytes([i]) * 1000 * i for i in range(5)}
    shard = pack(tmp_path / name, *content.items(), mode=mode)
    assert tar_shards.members(shard) == [f"part/{i}.mp4" for i in range(5)]
    wanted = {"part/3.mp4", "part/1.mp4", "none.mp4"}
    found = dict(tar_shards.stream(shard, wanted))
    assert list(found) == ["part/1.mp4", "part/3.mp4", "none.mp4"]
    assert found["part/3.mp4"] == content["./part/3.mp4"]
    assert str(found["none.mp4"]) == "the shard has no such member"
    assert tar_shards.read(tar_shards.address(shard, "part/2.mp4")) == content["./part/2.mp4"]
    assert tar_shards.split(shard) is None
    assert os.listdir(tmp_path) == [name]


@quick
def test_addresses():
    assert tar_shards.split("/a/b.tar.gz!/c/d.mp4") == ("/a/b.tar.gz", "c/d.mp4")
    assert tar_shards.split("/a/b.tar!/../d.mp4") == ("/a/b.tar", "../d.mp4")
    assert tar_shards.split("/a/b.zip!/d.mp4") is None
    assert tar_shards.place("/a/b.tar!/../../c/./d.mp4") == "/a/c/d.mp4"
    assert tar_shards.place("/a/d.mp4") == "/a/d.mp4"


@quick
@pytest.mark.parametrize(("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz")])
def test_a_member_decodes_like_the_file(tmp_path, videos, suffix, mode):
    for name, data in videos.items():
        (tmp_path / name).write_bytes(data)
    shard = pack(tmp_path / f"x{suffix}", *videos.items(), mode=mode)
    member = tar_shards.address(shard, "1.mp4")
    assert np.array_equal(decode(member), decode(tmp_path / "1.mp4"))
    assert probe(member) == probe(tmp_path / "1.mp4")
    with pytest.raises(VideoError, match="the shard has no such member"):
        decode(tar_shards.address(shard, "2.mp4"))
    with pytest.raises(VideoError, match="No such file"):
        decode(tar_shards.address(tmp_path / "none.tar", "2.mp4"))


LIST = "label,youtube_id,time_start,time_end,split\n"


@pytest.fixture
def packed(tmp_path, moving_square):
    """A Kinetics-like data set as loose files and in shards: (list, files, shards)."""
    lines, files = [], []
    for number in range(8):
        youtube, split = f"video_{number:05d}", "val" if number % 4 == 3 else "train"
        label = ("run", "sit down")[number // 4]
        lines.append(f"{label},{youtube},5,6,{split}\n")
        path = tmp_path / "loose" / f"{youtube}_000005_000006.mp4"
        path.parent.mkdir(exist_ok=True)
        encode(path, moving_square(frames=24 + number, seed=number), fps=25)
        files.append(path)
    (tmp_path / "list.csv").write_text(LIST + "".join(lines))
    for number, chosen in enumerate((files[::2], files[1::2])):
        folder = tmp_path / "shards" / "train"
        folder.mkdir(parents=True, exist_ok=True)
        members = [(f"./{path.name}", path.read_bytes()) for path in reversed(chosen)]
        mode, suffix = [("w:gz", ".tar.gz"), ("w", ".tar")][number]
        pack(folder / f"part_{number}{suffix}", *members, mode=mode)
    return tmp_path / "list.csv", tmp_path / "loose", tmp_path / "shards"


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_and_loose_files_make_the_same_store(packed, tmp_path, workers):
    table, loose, folder = packed
    listed = Catalog.from_kinetics_csv(table, folder)
    assert all("!/" in path for path in listed.frame["path"])
    assert listed.hash == Catalog.from_kinetics_csv(table, loose).hash
    listed.to_csv(folder.parent / "shards.csv")
    assert Catalog.from_csv(folder.parent / "shards.csv").frame.equals(listed.frame)
    make(Catalog.from_kinetics_csv(table, loose), tmp_path / "a")
    audit = make(listed, tmp_path / "b", workers=workers)
    assert set(audit.videos["status"]) == {"ok"} and not (tmp_path / "b" / ".parts").exists()
    for name in ("index.csv", "audit.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    a, b = ClipStore(tmp_path / "a"), ClipStore(tmp_path / "b")
    assert np.array_equal(a.read(3, np.arange(10)), b.read(3, np.arange(10)))
    assert verify(tmp_path / "b").empty


def test_a_tar_is_cut_into_tasks_and_a_packed_one_is_not(packed, tmp_path, monkeypatch):
    table, _, folder = packed
    listed = Catalog.from_kinetics_csv(table, folder)
    make(listed, tmp_path / "a")
    real, asked = tar_shards.stream, []

    def recorded(shard, wanted):
        asked.append((os.path.splitext(shard)[1], len(wanted)))
        return real(shard, wanted)

    monkeypatch.setattr(tar_shards, "stream", recorded)
    monkeypatch.setattr("harlib.data.store.prepare.SHARD_PIECE", 3)
    make(listed, tmp_path / "b")
    assert sorted(asked) == [(".gz", 4), (".tar", 1), (".tar", 3)]
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("become", [os.mkdir, os.mkfifo])
def test_a_shard_that_cannot_be_opened_is_a_listed_reason(packed, tmp_path, become):
    table, _, folder = packed
    listed = Catalog.from_kinetics_csv(table, folder)
    (shard,) = (folder / "train").glob("*.tar")
    shard.unlink()
    become(shard)
    videos = make(listed, tmp_path / "a").videos
    lost = videos[videos["status"] != "ok"]
    assert len(lost) == 4 and len(videos) == 8
    assert set(lost["video_id"].str[:11]) == {f"video_{n:05d}" for n in (1, 3, 5, 7)}
    assert set(lost["reason"]) == {"no such file"}


def test_a_pipe_is_not_waited_for(packed):
    table, _, folder = packed
    os.mkfifo(folder / "train" / "z.tar")
    with pytest.raises(CatalogError, match=r"z\.tar: .* \(it is no regular file\)"):
        Catalog.from_kinetics_csv(table, folder)


def test_killed_after_the_shards_were_read_and_resumed(packed, tmp_path, monkeypatch):
    table, loose, folder = packed
    listed = Catalog.from_kinetics_csv(table, folder)
    make(listed, tmp_path / "a")
    wanted = {name: (tmp_path / "a" / name).read_bytes() for name in FILES}
    real, written = category_file.write, []

    def killed(*arguments):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(arguments)
        real(*arguments)

    monkeypatch.setattr(category_file, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        make(listed, tmp_path / "b")
    monkeypatch.undo()
    monkeypatch.setattr(tar_shards, "stream", None)  # no shard may be read again
    make(listed, tmp_path / "b")
    assert {name: (tmp_path / "b" / name).read_bytes() for name in FILES} == wanted


FILES = ("store.json", "index.csv", "audit.csv", *(
    f"{split}/{name}.h5" for split in ("train", "val") for name in ("run", "sit_down")
))  # fmt: skip


def test_repair_reads_only_the_damaged_members(packed, tmp_path, monkeypatch):
    table, _, folder = packed
    listed = Catalog.from_kinetics_csv(table, folder)
    make(listed, tmp_path / "store")
    file = tmp_path / "store" / "train" / "run.h5"
    good = file.read_bytes()
    place = json.loads((tmp_path / "store" / "store.json").read_text())["files"][0]["payload"][0]
    file.write_bytes(good[: place + 9] + b"damage" + good[place + 15 :])
    real, asked = tar_shards.stream, []

    def recorded(shard, wanted):
        asked.extend(wanted)
        return real(shard, wanted)

    monkeypatch.setattr(tar_shards, "stream", recorded)
    repair(listed, tmp_path / "store", size=32, workers=1, progress=False)
    assert asked == ["video_00000_000005_000006.mp4"]
    assert file.read_bytes() == good and verify(tmp_path / "store").empty


def test_of_a_damaged_video_and_its_replacement_the_replacement_is_taken(packed):
    table, _, folder = packed
    (folder / "replacement").mkdir()
    pack(folder / "replacement" / "more.tgz", ("x/video_00000_000005_000006.mp4", b"1"))
    frame = Catalog.from_kinetics_csv(table, folder).frame.set_index("group")
    assert "/replacement/more.tgz!/" in frame.loc["video_00000", "path"]
    assert "/train/part_1.tar!/" in frame.loc["video_00001", "path"]


@quick
def test_folders_of_a_shard_are_categories(tmp_path, videos):
    (tmp_path / "train").mkdir()
    members = [
        (f"{category}/{n}_{category}.mp4", videos[f"{n}.mp4"])
        for category in ("run", "sit")
        for n in range(2)
    ]
    pack(tmp_path / "train" / "all.tar", *members)
    frame = Catalog.from_folder(tmp_path).frame
    assert frame["split"].tolist() == ["train"] * 4
    assert frame["category"].tolist() == ["run", "run", "sit", "sit"]


HOSTILE = {
    "../up.mp4": (b"x", "leads out of the shard"),
    "/etc/root.mp4": (b"x", "leads out of the shard"),
    "run/../../twice.mp4": (b"x", "leads out of the shard"),
    "run/link.mp4": ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "is a link"),
    "run/hard.mp4": ({"type": tarfile.LNKTYPE, "linkname": "run/0.mp4"}, "is a link"),
    "run/fifo.mp4": ({"type": tarfile.FIFOTYPE}, "no plain file"),
    "run/device.mp4": ({"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}, "no plain file"),
    "run/empty.mp4": (b"", "the file is empty"),
    "run/text.mp4": (b"no video\n" * 99, "not a video"),
    "run/list.mp4": (b"ffconcat version 1.0\nfile /etc/passwd\n", "not a video"),
    "run/hls.mp4": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "not a video"),
}


@quick
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_hostile_members_are_named_in_the_audit(tmp_path, videos, mode):
    folder = tmp_path / "in" / "train" / "run"
    folder.mkdir(parents=True)
    odd = [(name, content) for name, (content, _) in HOSTILE.items()]
    pack(folder / "x.tar", ("0.mp4", videos["0.mp4"]), *odd, mode=mode)
    stem = {name: os.path.splitext(os.path.basename(name))[0] for name in HOSTILE}
    names = {"0": ""} | {stem[name]: reason for name, (_, reason) in HOSTILE.items()}
    lists = LIST + "".join(f"run,{name},0,10,train\n" for name in names)
    (tmp_path / "list.csv").write_text(lists)
    listed = Catalog.from_kinetics_csv(tmp_path / "list.csv", tmp_path / "in")
    listed.to_csv(tmp_path / "catalog.csv")
    back = Catalog.from_csv(tmp_path / "catalog.csv")
    assert back.frame.equals(listed.frame)
    videos_ = make(back, tmp_path / "store").videos.set_index("video_id")
    for name, reason in names.items():
        row = videos_.loc[f"{name}_000000_000010"]
        assert row["status"] == ("unreadable" if reason else "short") and reason in row["reason"]
    assert sorted(os.listdir(tmp_path)) == ["catalog.csv", "in", "list.csv", "store"]


@quick
def test_a_member_may_not_claim_more_than_the_shard_can_hold(tmp_path, videos):
    info = tarfile.TarInfo("bomb.mp4")
    info.size = 1 << 40
    (tmp_path / "x.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(tar_shards.ShardError, match="after 0 members .*claims 1,099,511,627,776"):
        tar_shards.members(tmp_path / "x.tar")


def test_a_shard_cut_short_names_what_is_lost(packed, tmp_path):
    table, _, folder = packed
    listed = Catalog.from_kinetics_csv(table, folder)
    for shard in (folder / "train").iterdir():
        shard.write_bytes(shard.read_bytes()[: shard.stat().st_size * 6 // 10])
    with pytest.raises(CatalogError, match="breaks off after .* get this shard again"):
        Catalog.from_kinetics_csv(table, folder)
    status = make(listed, tmp_path / "store").videos
    assert 1 <= (status["status"] == "ok").sum() <= 7
    lost = status[status["status"] != "ok"]
    assert lost["reason"].str.contains("the shard breaks off").all()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_mutated_shards_end_in_videos_or_reasons(tmp_path, videos, mode):
    good = pack(tmp_path / "a.tar", *videos.items(), mode=mode).read_bytes()
    rng = np.random.default_rng(0)
    outcomes = {"whole": 0, "broken": 0}
    for trial in range(60):
        data = bytearray(good)
        if trial % 3 == 0:
            data = data[: rng.integers(0, len(data))]
        else:
            # every third one in a header, where most of a tar's structure lies
            end = 512 if trial % 3 == 1 and mode == "w" else len(data)
            for place in rng.integers(0, end, 1 + trial % 20):
                data[place] = rng.integers(0, 256)
        (tmp_path / "b.tar").write_bytes(data)
        try:
            tar_shards.members(tmp_path / "b.tar")
            outcomes["whole"] += 1
        except tar_shards.ShardError as error:
            assert "\n" not in str(error)
            outcomes["broken"] += 1
        for _, content in tar_shards.stream(tmp_path / "b.tar", set(videos)):
            assert isinstance(content, bytes | tar_shards.ShardError)
    assert outcomes["broken"] > 10
