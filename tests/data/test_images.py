"""Folders of numbered images are videos, whatever lies in them; stills stay stills."""

import os
import shutil
import subprocess
import sys
import tarfile

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from stores import digests, make

from harlib.cli import main
from harlib.data.catalog.catalog import Catalog
from harlib.data.catalog.folder import CatalogError
from harlib.data.store import source_files
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.pack import PrepareError
from harlib.data.store.prepare import verify
from harlib.data.store.repair import repair
from harlib.data.video import images
from harlib.data.video.files import VideoError, decode, encode, probe
from harlib.data.video.reader import VideoReader

pytestmark = pytest.mark.quick


def frames_at(folder, count=8, name="{:06d}.png", start=1, size=(12, 16), step=1):
    """A folder of frames whose grey is 10 times their place."""
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(count):
        picture = np.full((*size, 3), 10 * place % 256, np.uint8)
        cv2.imwrite(str(folder / name.format(start + step * place)), picture)
    return folder


@pytest.fixture
def walk_and_run(tmp_path):
    for category in ("walk", "run"):
        for number in range(5):
            frames_at(tmp_path / "in" / category / f"{category}{number}", count=6 + number)
    return tmp_path / "in"


def said(catalog):
    return "\n".join(catalog.notes)


@pytest.mark.parametrize(("names", "files", "missing"), [
    (["000002.jpg", "000001.jpg"], ["000001.jpg", "000002.jpg"], 0),
    (["frame_9.PNG", "frame_10.png", "frame_11.png"],
     ["frame_9.PNG", "frame_10.png", "frame_11.png"], 0),
    (["v2_img_00001.jpg", "v2_img_00004.jpg", "v2_img_00002.jpg"],
     ["v2_img_00001.jpg", "v2_img_00002.jpg", "v2_img_00004.jpg"], 1),
    (["a0.jpg", "a5.jpg", "a10.jpg"], ["a0.jpg", "a5.jpg", "a10.jpg"], 0),  # every fifth
    (["frame-000000.color.png", "frame-000001.color.png"],
     ["frame-000000.color.png", "frame-000001.color.png"], 0),
    (["0001.jpg", "0002.jpg", "folder.jpg", "._0003.jpg", "notes.txt"],
     ["0001.jpg", "0002.jpg"], 0),
    (["img_1.jpg", "img_2.jpg", "flow_x_1.jpg", "flow_y_1.jpg", "flow_x_2.jpg"],
     ["img_1.jpg", "img_2.jpg"], 0),
    (["flower_1.jpg", "flower_2.jpg"], ["flower_1.jpg", "flower_2.jpg"], 0),
])  # fmt: skip
def test_frames_are_numbered_alike(names, files, missing):
    found = images.sequence(names)
    assert (found.files, found.missing, found.twice) == (files, missing, "")
    assert not {*found.others} & {*files, "._0003.jpg", "notes.txt"}


@pytest.mark.parametrize("names", [
    [], ["000001.jpg"], ["a.jpg", "b.jpg"], ["notes1.txt", "notes2.txt"],
    ["walk_1.jpg", "walk_2.jpg", "run_1.jpg", "run_2.jpg"],  # stills of several things
])  # fmt: skip
def test_other_images_are_no_frames(names):
    assert images.sequence(names) is None


def test_frames_come_in_the_order_of_their_numbers_as_the_stills_are(tmp_path):
    folder = frames_at(tmp_path / "v", count=12, name="f_{}.png", start=0)
    clip = decode(folder)
    assert clip[:, 0, 0, 0].tolist() == list(range(0, 120, 10))
    photo = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
    for number in (1, 2):
        Image.fromarray(photo).save(tmp_path / f"p{number}.jpg", quality=80)
    os.mkdir(tmp_path / "w")
    for number in (1, 2):
        shutil.move(tmp_path / f"p{number}.jpg", tmp_path / "w" / f"p{number}.jpg")
    for size in (None, 20, (64, 90)):
        still = decode(tmp_path / "w" / "p1.jpg", size=size)
        np.testing.assert_array_equal(decode(tmp_path / "w", size=size)[:1], still)


def test_the_rate_of_frames(tmp_path):
    folder = frames_at(tmp_path / "v", count=50)
    about = probe(folder)
    assert (about.fps, about.frames, about.duration_s, about.codec) == (25, 50, 2, "png")
    assert probe(images.address(folder, 50)).duration_s == 1
    (folder / "fps.txt").write_text("12.5\n")
    assert probe(folder).duration_s == 4 and probe(f"{folder}?fps=50").fps == 50
    (folder / "fps.txt").rename(folder / "fps")
    assert probe(folder).fps == 12.5
    assert len(decode(folder, fps=5)) == 20
    assert decode(folder, start_s=1, end_s=2)[:, 0, 0, 0].tolist() == [
        10 * n % 256 for n in range(13, 25)
    ]
    (folder / "fps").write_text("twelve")
    with pytest.raises(VideoError, match="'twelve' is no rate: it must be a number above 0"):
        probe(folder)


def test_a_photo_on_its_side_comes_upright(tmp_path):
    (tmp_path / "v").mkdir()
    picture = Image.fromarray(np.tile(np.arange(48, dtype=np.uint8)[None, :, None], (32, 1, 3)))
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in (1, 2):
        picture.save(tmp_path / "v" / f"{number}.jpg", exif=exif)
    assert decode(tmp_path / "v").shape == (2, 48, 32, 3)


def test_what_is_wrong_with_frames_is_said_and_the_others_are_kept(tmp_path):
    folder = frames_at(tmp_path / "v", count=10)
    (folder / "000003.png").write_bytes(b"no image")
    (folder / "000005.png").write_bytes(b"")
    (folder / "000007.png").unlink()
    cv2.imwrite(str(folder / "000009.png"), np.full((24, 16, 3), 80, np.uint8))
    with VideoReader(folder) as reader:
        clip = np.stack(list(reader))
    assert clip.shape == (7, 12, 16, 3)
    assert reader.damage == 4 and reader.remark == (
        "1 number missing between the frames; 2 of 9 frames unreadable, first 000003.png: not a "
        "readable image; 1 of 9 frames scaled to the first one's size"
    )
    # an unreadable frame keeps its place in time
    assert decode(folder, fps=25)[:, 0, 0, 0].tolist() == [0, 10, 10, 30, 30, 50, 70, 80, 90]
    for file in folder.iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(VideoError, match="no frame could be decoded, .* 9 of 9 frames unreadable"):
        decode(folder)


@pytest.mark.parametrize(("names", "reason"), [
    ([], "it is an empty folder"),
    (["000001.png"], "the folder holds one image, and a video two or more that are numbered"),
    (["a.png", "b.png"], "the folder holds 2 images, most of them not numbered as frames are"),
    (["1.png", "01.png", "2.png"], "frame 1 is there twice, 01.png and 1.png; keep one"),
    (["notes.txt"], "it is a folder, not a file"),
])  # fmt: skip
def test_a_folder_that_is_no_video_says_why(tmp_path, names, reason):
    (tmp_path / "v").mkdir()
    for name in names:
        cv2.imwrite(str(tmp_path / "v" / "x.png"), np.zeros((8, 8, 3), np.uint8))
        (tmp_path / "v" / "x.png").rename(tmp_path / "v" / name)
    with pytest.raises(VideoError) as error:
        decode(tmp_path / "v")
    assert error.value.reason.startswith(reason)
    with pytest.raises(ValueError, match=reason):
        source_files.digest(tmp_path / "v")


def test_a_folder_of_frames_below_a_category_is_a_video(walk_and_run):
    (walk_and_run / "walk" / "walk3" / "fps.txt").write_text("10")
    (walk_and_run / "walk" / "walk3" / "000004.png").unlink()
    shutil.copy(walk_and_run / "run" / "run1" / "000001.png", walk_and_run / "run/run1/folder.png")
    frames_at(walk_and_run / "run" / "alone", count=1)
    (walk_and_run / "run" / "empty").mkdir()
    frames_at(walk_and_run / "run" / "clip.avi", count=3)  # named after the file that it was
    catalog = Catalog.from_folder(walk_and_run)
    assert sorted(catalog.frame["video_id"]) == ["clip", *(f"{c}{n}" for c in ("run", "walk")
                                                          for n in range(5))]  # fmt: skip
    text = said(catalog)
    for part in (
        "11 folders of numbered images are videos, first run/clip.avi, run/run0, run/run1 ...: in "
        "10 of them no file fps.txt says how many frames are a second, so 25 are taken",
        "Warning: numbers of frames are missing in 1 folder, first walk/walk3 (1)",
        "Left out: 1 image beside the frames and not numbered as they are, first "
        "run/run1/folder.png",
        "Left out: 1 picture beside 11 folders of frames, first run/alone/000001.png. A video is",
        "Left out: 2 folders without frames where such videos lie, first run/alone, run/empty",
    ):
        assert part in text, part
    assert "fps.txt, " not in text and ".txt 1" not in text
    stated = Catalog.from_folder(walk_and_run, frame_fps=50)
    assert "run/run1 ...: 50 frames per second." in said(stated)
    assert stated.hash != catalog.hash and stated.frame["path"].str.endswith("?fps=50").all()
    stated.to_csv(walk_and_run.parent / "list.csv")
    again = Catalog.from_csv(walk_and_run.parent / "list.csv")
    assert again.hash == stated.hash and again.found == 11
    assert probe(again.frame["path"][0]).fps == 50


def test_images_right_in_a_category_are_stills(tmp_path):
    for split in ("train", "val"):
        for category in ("walk", "run"):
            frames_at(tmp_path / split / category, count=3, name=f"{split}{category}" + "_{}.png")
    catalog = Catalog.from_folder(tmp_path)
    assert len(catalog) == 12 and "frames" not in said(catalog)
    deeper = tmp_path / "deeper"
    for split in ("train", "val"):
        for category in ("walk", "run"):
            frames_at(deeper / split / category / f"{category}-{split}", count=3)
    frame = Catalog.from_folder(deeper).frame
    assert set(frame["split"]) == {"train", "val"} and set(frame["category"]) == {"walk", "run"}
    assert len(frame) == 4
    # one's own names of sides are no categories
    for side in ("fold_1", "fold_2"):
        frames_at(tmp_path / "sides" / side / "walk", count=3)
    with pytest.raises(CatalogError, match="6 videos, none at .* lie elsewhere"):
        Catalog.from_folder(tmp_path / "sides")


def test_beside_video_files_they_may_be_the_videos_own(walk_and_run, moving_square):
    for category in ("walk", "run"):
        for number in range(3):
            encode(walk_and_run / category / f"{category}{number}.mp4", moving_square(), fps=10)
    catalog = Catalog.from_folder(walk_and_run)
    assert len(catalog) == 6
    assert "Left out: 10 folders of numbered images beside 6 videos, first run/run0" in said(
        catalog
    )
    unused = Catalog.from_folder(walk_and_run, frame_fps=30)
    assert "frame_fps (30) is of no use" in said(unused) and unused.hash == catalog.hash
    (walk_and_run / "list.csv").write_text("path,label\nwalk/walk0.mp4,walk\nwalk/walk1.mp4,walk\n")
    table = Catalog.from_table(walk_and_run / "list.csv", frame_fps=30)
    assert "frame_fps (30) is of no use" in said(table)


def test_frames_in_a_tar_file_are_refused_with_the_reason(walk_and_run, tmp_path):
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed" / "all.tar", "w") as tar:
        tar.add(walk_and_run, ".")
    with pytest.raises(CatalogError, match="first run/run0, and they are no frames: .* no tar fi"):
        Catalog.from_folder(tmp_path / "packed")


def test_an_audited_store_of_frames(walk_and_run, tmp_path):
    (walk_and_run / "walk" / "walk0" / "000002.png").write_bytes(b"no image")
    (walk_and_run / "walk" / "walk1" / "fps.txt").write_text("many")
    catalog = Catalog.from_folder(walk_and_run, frame_fps=None)
    audit = make(catalog, tmp_path / "store", codec="raw", size=(12, 16))
    about = audit.videos.set_index("video_id")
    assert about.loc["walk0", "status"] == "short"
    assert "1 of 6 frames unreadable, first 000002.png" in about.loc["walk0", "reason"]
    assert about.loc["walk1", "status"] == "unreadable"
    assert about.loc["walk1", "reason"].startswith("'many' is no rate")
    assert (about.drop(["walk0", "walk1"])["status"] == "ok").all()
    store = ClipStore(tmp_path / "store")
    assert verify(tmp_path / "store").empty
    frames = store.videos.set_index("video_id")["frames"]
    assert frames.to_dict() == {"run0": 6, "run1": 7, "run2": 8, "run3": 9, "run4": 10,
                                "walk0": 5, "walk2": 8, "walk3": 9, "walk4": 10}  # fmt: skip
    assert set(store.videos["fps"]) >= {25.0}
    # nothing has changed, nothing is done
    before = digests(tmp_path / "store")
    make(catalog, tmp_path / "store", codec="raw", size=(12, 16))
    assert digests(tmp_path / "store") == before
    # damage is repaired
    file = tmp_path / "store" / "train" / "run.h5"
    content = bytearray(file.read_bytes())
    content[content.find(bytes([50]) * 576)] ^= 255  # in the sixth frame of a video
    file.write_bytes(content)
    assert len(verify(tmp_path / "store")) == 1
    repair(catalog, tmp_path / "store", codec="raw", size=(12, 16), workers=1, progress=False)
    assert digests(tmp_path / "store") == before


def test_frames_of_other_content_or_order_are_noticed(walk_and_run, tmp_path):
    catalog = Catalog.from_folder(walk_and_run)
    make(catalog, tmp_path / "store", codec="raw")
    paths = catalog.frame["path"].tolist()
    stamps = source_files.stamps(paths)
    folder = walk_and_run / "run" / "run0"
    # another file beside the frames changes nothing
    (folder / "notes.txt").write_text("mine")
    make(catalog, tmp_path / "store", codec="raw")
    # two frames change places: the same names and sizes
    one, two = folder / "000001.png", folder / "000002.png"
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    assert [s[0] for s in source_files.stamps(paths)] == [s[0] for s in stamps]
    with pytest.raises(PrepareError, match="1 of 10 videos have other content .* first run0"):
        make(catalog, tmp_path / "store", codec="raw")
    # one more frame is another size: another store
    cv2.imwrite(str(folder / "000007.png"), np.zeros((12, 16, 3), np.uint8))
    with pytest.raises(PrepareError, match="holds a store of other videos or settings"):
        make(catalog, tmp_path / "store", codec="raw")


def test_a_table_names_folders_of_frames(walk_and_run, tmp_path, moving_square):
    encode(tmp_path / "in" / "b.mp4", moving_square(), fps=10)
    frames_at(tmp_path / "in" / "one", count=1)
    (tmp_path / "in" / "none").mkdir()
    rows = ["walk/walk0,walk,12", "walk/walk1/,walk,", "b.mp4,walk,", "one,run,", "none,run,",
            "gone,run,30", "run/run1,run,29.97"]  # fmt: skip
    table = tmp_path / "in" / "list.csv"
    table.write_text("\n".join(["path,label,fps", *rows]))
    catalog = Catalog.from_table(table)
    assert "3 folders of frames without a rate" in said(catalog) and "walk1" in said(catalog)
    about = make(catalog, tmp_path / "store").videos.set_index("video_id")
    assert about["status"].to_dict() == {"walk0": "ok", "walk1": "ok", "b": "ok", "run1": "ok",
        "one": "unreadable", "none": "unreadable", "gone": "missing"}  # fmt: skip
    assert about.loc["none", "reason"] == "it is an empty folder"
    fps = ClipStore(tmp_path / "store").videos.set_index("video_id")["fps"]
    assert fps.to_dict() == {"walk0": 12, "walk1": 25, "b": 10, "run1": 29.97}
    table.write_text("path,label,fps\nwalk/walk0,walk,fast\n")
    with pytest.raises(CatalogError, match="row 2: fps 'fast' is no rate"):
        Catalog.from_table(table)


def test_without_labels_a_folder_of_frames_is_one_video(walk_and_run):
    one = Catalog.from_unlabelled(walk_and_run / "walk" / "walk0")
    assert one.frame["video_id"].tolist() == ["walk0"]
    assert "1 folder of numbered images is a video, first walk0: no file fps.txt" in said(one)
    every = Catalog.from_unlabelled(walk_and_run, frame_fps=30)
    assert len(every) == 10 and every.frame["path"].str.endswith("?fps=30").all()


def test_the_command_lists_them_at_a_rate(walk_and_run, tmp_path):
    csv = tmp_path / "own.csv"
    done = CliRunner().invoke(
        main, ["catalog", "--folder", str(walk_and_run), "--frame-fps", "30", str(csv)]
    )
    assert done.exit_code == 0 and "10 folders of numbered images are videos" in done.output
    assert "30 frames per second" in done.output
    wrong = CliRunner().invoke(
        main, ["catalog", "--folder", str(walk_and_run), "--frame-fps", "0", str(csv)]
    )
    assert wrong.exit_code == 2 and "frame-fps" in wrong.output


_MANY = """
import resource, sys
from harlib.data.video.reader import VideoReader
def read(most):
    with VideoReader(sys.argv[1], max_frames=most) as reader:
        return sum(1 for _ in reader)
assert read(100) == 100
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert read(None) == 10_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_10000_frames_are_read_in_constant_memory(tmp_path):
    folder = frames_at(tmp_path / "v", count=1, size=(120, 160))
    for number in range(2, 10_001):
        os.link(folder / "000001.png", folder / f"{number:06d}.png")
    done = subprocess.run(
        [sys.executable, "-c", _MANY, str(folder)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 20_000  # kB; the frames are 576 MB
