"""A person's own folder: nothing in it is left out unsaid, and no single file ends its listing."""

import os
import re
import unicodedata

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from test_published_lists import touch

from harlib.cli import main
from harlib.data.catalog import folder as found
from harlib.data.catalog import held_out, own_videos
from harlib.data.catalog.catalog import Catalog
from harlib.data.catalog.published_lists import CatalogError

pytestmark = pytest.mark.quick


@pytest.fixture
def walk_and_run(tmp_path):
    touch(tmp_path, *(f"{c}/{c}{n}.mp4" for c in ("walk", "run") for n in range(5)))
    return tmp_path


def said(catalog):
    return "\n".join(catalog.notes)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"),
                                   OSError(5, "Input/output error"),
                                   OSError(116, "Stale file handle"),
                                   FileNotFoundError(2, "No such file or directory")])  # fmt: skip
def test_a_folder_that_cannot_be_listed_ends_the_listing_with_its_name(
    walk_and_run, monkeypatch, error
):
    real = os.scandir

    def scandir(path):
        if os.path.basename(path) == "run":
            raise type(error)(*error.args, path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    message = f"1 folder cannot be listed.*{walk_and_run}/run: {error.strerror}; make them readable"
    with pytest.raises(CatalogError, match=message):
        Catalog.from_folder(walk_and_run)
    (walk_and_run / "list.csv").write_text("label,youtube_id,time_start,time_end,split\n")
    with pytest.raises(CatalogError, match=message):
        Catalog.from_kinetics_csv(walk_and_run / "list.csv", walk_and_run)


# as cameras, phones, recorders, discs and converters call them
ENDINGS = [
    "MTS",
    "asf",
    "vob",
    "3g2",
    "m2v",
    "mxf",
    "dv",
    "f4v",
    "rm",
    "ogv",
    "wmv",
    "flv",
    "divx",
    "mpe",
    "m2t",
    "mts",
    "qt",
    "mjpg",
    "webm",
    "MP4",
    "Mov",
    "mk3d",
    "3gpp",
    "y4m",
    "ts",
    "m1v",
    "ogm",
    "rmvb",
    "lrv",
    "insv",
    "tod",
    "mod",
    "hevc",
    "h264",
    "ivf",
    "nut",
]


def test_other_endings_are_taken_or_counted(walk_and_run):
    names = [f"walk/x_{ending}.{ending}" for ending in ENDINGS]
    touch(walk_and_run, *names, "walk/notes.txt", "run/a.dav", "run/b.dav", "run/README")
    catalog = Catalog.from_folder(walk_and_run)
    listed = {os.path.basename(path) for path in catalog.frame["path"]}
    assert set(map(os.path.basename, names)) - listed == {"x_mjpg.mjpg"}
    assert (
        "Left out: 5 files whose ending is of no video that is read (.dav 2, none 1, .txt 1, "
        ".mjpg 1), first run/README, run/a.dav, run/b.dav ..." in said(catalog)
    )


def test_empty_categories_are_named(walk_and_run):
    (walk_and_run / "jump").mkdir()
    touch(walk_and_run, "sit/notes.txt")
    assert "2 empty folders where categories lie, jump, sit." in said(
        Catalog.from_folder(walk_and_run)
    )
    touch(walk_and_run / "split", "train/walk/a.mp4", "val/walk/b.mp4", "val/run/b.txt")
    assert "1 empty folder where categories lie, val/run." in said(
        Catalog.from_folder(walk_and_run / "split")
    )


SYSTEM = [".ipynb_checkpoints", "__MACOSX", "@eaDir", ".Trash-0", "$RECYCLE.BIN", "lost+found",
          "System Volume Information", "#recycle", "__pycache__", ".thumbnails"]  # fmt: skip


def test_system_folders_and_files_are_no_categories_and_no_videos(walk_and_run):
    touch(walk_and_run, *(f"{folder}/a.mp4" for folder in SYSTEM), "walk/@eaDir/b.mp4")
    touch(walk_and_run, "walk/._walk1.mp4", "run/.hidden.mp4", ".DS_Store", "walk/Thumbs.db")
    touch(walk_and_run, "run/desktop.ini")
    catalog = Catalog.from_folder(walk_and_run)
    assert catalog.categories == ["run", "walk"] and len(catalog) == 10
    assert "Left out: 11 hidden or system folders, " in said(catalog)
    assert all(folder in said(catalog) for folder in ("__MACOSX", "@eaDir"))
    assert "Left out: 2 hidden files, first run/.hidden.mp4, walk/._walk1.mp4." in said(catalog)
    assert "ending" not in said(catalog)  # what no person made is no question to anyone


def test_pictures_beside_videos_are_no_videos(walk_and_run):
    touch(walk_and_run, "walk/folder.jpg", "walk/walk1.jpg", "run/thumb.PNG")
    catalog = Catalog.from_folder(walk_and_run)
    assert len(catalog) == 10
    assert "Left out: 3 pictures beside 10 videos, first run/thumb.PNG, walk/folder.jpg" in said(
        catalog
    )
    # alone, stills are what is learned from, also beside a few that move
    touch(walk_and_run / "stills", *(f"{c}/{c}{n}.jpg" for c in "ab" for n in range(5)))
    touch(walk_and_run / "stills", "a/x.gif")
    assert len(Catalog.from_folder(walk_and_run / "stills")) == 11


NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("folders", "category"),
    [
        (["Jump", "jump", "JUMP"], "JUMP"),
        (["jump", "jump "], "jump"),
        ([" jump", "jump\t"], "jump"),
        ([NFC, NFD], NFC),
        (["jump", "jump\u200f", "\u202djump\u202c"], "jump"),
        (["jump", "\ufeffjump", "ju\u200bmp"], "jump"),
        (["sit_down", "sit down"], "sit down"),
        (["jump\u00a0up", "jump up"], "jump up"),
        ([NFD], NFC),
        (["jump\u3000"], "jump"),
    ],
)
def test_folders_that_look_alike_are_one_category(tmp_path, folders, category):
    for number, folder in enumerate(folders):
        touch(tmp_path, *(f"{folder}/{number}_{n}.mp4" for n in range(4)))
    touch(tmp_path, *(f"other/{n}.mp4" for n in range(4)))
    catalog = Catalog.from_folder(tmp_path)
    assert catalog.categories == sorted([category, "other"])
    if len(folders) > 1:
        assert "look alike and are one category" in said(catalog)
    else:
        assert f"{ascii(folders[0])} is the category {category!r}" in said(catalog)


def test_names_that_no_table_can_hold_are_written_out(walk_and_run):
    odd = [b"a\nb.mp4", b"a\xff\xfe.mp4", b"a\tb.mp4", b" a .mp4", b" .mp4", b"a\r.mp4",
           b"\xe2\x80\xa8.mp4", b"\x1b[31mred.mp4", b'"=cmd".mp4', b"-rf.mp4"]  # fmt: skip
    for name in odd:
        with open(os.path.join(os.fsencode(walk_and_run), b"walk", name), "wb"):
            pass
    touch(walk_and_run, *(f"walk{n}/a.mp4".replace("walk0", "wa\nlk") for n in range(2)))
    os.makedirs(os.path.join(os.fsencode(walk_and_run), b"w\xff"))
    os.link(walk_and_run / "walk/walk1.mp4", os.fsencode(walk_and_run) + b"/w\xff/z\xff.mp4")
    catalog = Catalog.from_folder(walk_and_run)
    assert len(catalog) == 10 + len(odd) + 3
    catalog.to_csv(walk_and_run / "list.csv")
    again = Catalog.from_csv(walk_and_run / "list.csv")
    assert again.hash == catalog.hash
    assert again.frame["path"].tolist() == catalog.frame["path"].tolist()
    assert all(map(os.path.isfile, again.frame["path"]))  # the very files
    shown = again.frame["video_id"].str.rpartition("/")[2]
    assert {r"a\x0ab", r"a\xff\xfe", r"a\x09b", " ", r"a\x0d", " a ", r"\u2028"} <= set(shown)
    assert not again.frame["video_id"].str.contains("[\x00-\x1f\ud800-\udfff]").any()
    assert r"w\xff" in catalog.categories


def test_videos_of_one_name_in_a_folder_all_stay(walk_and_run):
    touch(walk_and_run, "walk/walk1.avi", "walk/walk1.AVI", "run/walk2.mp4")
    (walk_and_run / "walk/n\n.mp4").touch()
    (walk_and_run / r"walk/n\x0a.mp4").touch()
    frame = Catalog.from_folder(walk_and_run).frame
    assert len(frame) == 15 and frame["video_id"].nunique() == 15
    ids = set(frame["video_id"])
    assert {"walk/walk1.avi", "walk/walk1.AVI", "walk/walk1.mp4", "run/walk2", "walk/walk2"} < ids
    # the same recording in three containers is on one side
    same = frame[frame["video_id"].str.startswith("walk/walk1.")]
    assert same["split"].nunique() == 1


def test_links_pipes_and_folders_named_like_videos_are_listed_once(walk_and_run):
    (walk_and_run / "walk/loop.mp4").symlink_to("loop.mp4")
    (walk_and_run / "walk/gone.mp4").symlink_to("nowhere.mp4")
    os.mkfifo(walk_and_run / "walk/pipe.mp4")
    touch(walk_and_run, "walk/folder.mp4/inside.mp4")
    (walk_and_run / "run2").symlink_to(walk_and_run / "run")
    (walk_and_run / "run/back").symlink_to(walk_and_run)
    (walk_and_run / "knot").symlink_to(walk_and_run / "knot")
    catalog = Catalog.from_folder(walk_and_run)
    assert len(catalog) == 14 and catalog.categories == ["run", "walk"]
    assert re.search(
        r"Left out: 2 links to what is listed already, run/back, run2\.", said(catalog)
    )
    catalog.to_csv(walk_and_run / "list.csv")
    assert len(Catalog.from_csv(walk_and_run / "list.csv")) == 14


def test_videos_elsewhere_are_named(walk_and_run):
    touch(walk_and_run, "lost.mp4", "walk/deep/er/x.mp4")
    with pytest.raises(
        CatalogError, match="12 videos, not all .* 2 lie .*, lost.mp4, walk/deep/er"
    ):
        Catalog.from_folder(walk_and_run)
    touch(walk_and_run / "none", "walk/a.dav")
    with pytest.raises(CatalogError, match=r"none holds no videos. Left out: 1 file .*\.dav 1"):
        Catalog.from_folder(walk_and_run / "none")


@pytest.mark.parametrize("names", [("Train", "Valid"), ("training", "testing"), ("train ", "val")])
def test_split_folders_by_any_usual_name(tmp_path, names):
    touch(tmp_path, *(f"{name}/{c}/{name[:2]}{c}.mp4" for name in names for c in ("run", "walk")))
    frame = Catalog.from_folder(tmp_path).frame
    assert set(frame["split"]) == {"train", "test" if "testing" in names else "val"}


def sides(root, seed=0, **options):
    frame = Catalog.from_folder(root, seed=seed, **options).frame
    return frame.set_index(frame["category"] + "/" + frame["path"].map(os.path.basename))["split"]


def test_a_video_more_or_less_moves_no_other(tmp_path):
    """Of 20 groups per category none moves, whatever comes or goes; rarely one at the border."""
    touch(tmp_path, *(f"{c}/{c}_{n}.mp4" for c in ("walk", "run", "jump") for n in range(20)))
    moved = changes = 0
    for seed in range(8):
        before = sides(tmp_path, seed)
        for name in ("run/new.mp4", "walk/run_3.mp4", "zap/z.mp4", "run/run_1.avi"):
            touch(tmp_path, name)
            after = sides(tmp_path, seed).reindex(before.index)
            assert (after != before).sum() <= 1, (seed, name)
            moved += (after != before).sum()
            (tmp_path / name).unlink()
        for number in range(0, 20, 5):
            (tmp_path / f"run/run_{number}.mp4").rename(tmp_path / "aside")
            after = sides(tmp_path, seed)
            assert (after != before[after.index]).sum() <= 1, (seed, number)
            moved += (after != before[after.index]).sum()
            (tmp_path / "aside").rename(tmp_path / f"run/run_{number}.mp4")
        changes += 8
    assert moved <= 0.05 * changes, moved


def test_a_growing_set_keeps_its_sides():
    """5 to 60 groups, one at a time: between training and test at most a few ever move."""
    taken = total = 0
    for seed in range(20):
        before = {}
        for count in range(5, 61):
            keys = pd.Series([f"run/{n}" for n in range(count)])
            table = pd.DataFrame({"category": "run", "group": keys})
            split, _ = held_out.split(table, keys, 0.2, seed)
            now = dict(zip(keys, split, strict=True))
            moved = [key for key in before if before[key] != now[key]]
            assert len(moved) <= 1
            assert 0 < (split == "val").sum() <= np.ceil(0.4 * count)
            taken, total, before = taken + len(moved), total + count, now
    assert taken < 0.002 * total, (taken, total)


def test_the_share_reached_is_said(walk_and_run):
    catalog = Catalog.from_folder(walk_and_run)
    held = (catalog.frame["split"] == "val").sum()
    assert f"Held out: {held} of 10 groups ({held / 10:.0%}; asked: 20%)." in said(catalog)
    touch(walk_and_run, "jump/only.mp4")
    assert "None in jump, with too few groups." in said(Catalog.from_folder(walk_and_run))
    touch(walk_and_run / "ones", "run/a.mp4", "walk/b.mp4")
    with pytest.raises(CatalogError, match="each of 2 categories has one group only, first 'run'"):
        Catalog.from_folder(walk_and_run / "ones")


def test_every_category_is_on_both_sides(tmp_path):
    """Also where actors are shared by some categories."""
    rng = np.random.default_rng(0)
    for seed in range(30):
        rows = [
            (f"c{c}", f"actor{a}")
            for c in range(6)
            for a in rng.permutation(9)[: 2 + c]
            for _ in "ab"
        ]
        table = pd.DataFrame(rows, columns=["category", "group"])
        split, _ = held_out.split(table, table["group"], 1 / 3, seed)
        assert (table.assign(split=split).groupby("group")["split"].nunique() == 1).all()
        assert "train" in set(split) and "val" in set(split)
        both = table.assign(split=split).groupby("category")["split"].agg(set)
        assert all("train" in sides for sides in both), (seed, both)


def test_unknown_groups_are_said(walk_and_run):
    unknown = Catalog.from_folder(walk_and_run)
    assert own_videos.unknown_groups(unknown.frame) == 10
    assert "Warning: the groups of all videos are unknown" in said(unknown)
    named = Catalog.from_folder(walk_and_run, group=r"(\d)")
    assert own_videos.unknown_groups(named.frame) == 0 and "groups of" not in said(named)
    touch(walk_and_run, "run/aaaaaaaaaaa_000001_000011.mp4")
    assert "Warning: the groups of 10 of 11 videos are unknown" in said(
        Catalog.from_folder(walk_and_run)
    )


def test_the_command_says_all_of_it(walk_and_run):
    touch(walk_and_run, "walk/a.dav", "Run/z.mp4", "__MACOSX/x.mp4", "walk/folder.jpg")
    (walk_and_run / "jump").mkdir()
    csv = walk_and_run.parent / "own.csv"
    done = CliRunner().invoke(main, ["catalog", "--folder", str(walk_and_run), str(csv)])
    assert done.exit_code == 0
    for text in ("found 11 of 11 listed videos", "Categories: Run 6, walk 5.", ".dav 1", "__MACOSX",
                 "'Run', 'run' look alike", "walk/folder.jpg", "jump", "Held out: ",
                 "groups of all videos are unknown"):  # fmt: skip
        assert text in done.output, text


KINETICS = "label,youtube_id,time_start,time_end,split\n" + "".join(
    f"run,{c * 11},0,10,train\n" for c in "abcd"
)


def test_listed_videos_that_are_not_found_are_counted_and_named(tmp_path):
    (tmp_path / "list.csv").write_text(KINETICS)
    touch(tmp_path, "v/aaaaaaaaaaa_000000_000010.mp4", "v/bbbbbbbbbbb_000000_000010.dav")
    catalog = Catalog.from_kinetics_csv(tmp_path / "list.csv", tmp_path / "v")
    assert catalog.found == 1
    assert "Warning: 3 of 4 listed videos have no file, first bbbbbbbbbbb_000000_000010, c" in said(
        catalog
    )
    assert ".dav 1" in said(catalog)  # why one is not found
    arguments = ["catalog", "--kinetics", tmp_path / "list.csv", "--videos", tmp_path / "v"]
    done = CliRunner().invoke(main, [*map(str, arguments), str(tmp_path / "out.csv")])
    assert "found 1 of 4 listed videos" in done.output and "3 of 4 listed" in done.output


def test_members_of_shards_are_looked_at_in_the_same_way(tmp_path):
    import io
    import tarfile

    with tarfile.open(tmp_path / "part.tar", "w") as tar:
        for name in ("run/a.MTS", "run/b.mp4", "run/c.dav", "__MACOSX/run/a.mp4", "run/._b.mp4"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    files = found.look(tmp_path)
    assert [os.path.basename(path) for path in files.files] == ["a.MTS", "b.mp4"]
    assert len(files.hidden) == 2 and len(files.others) == 1


def test_a_list_with_a_byte_order_mark_or_no_utf8(tmp_path):
    (tmp_path / "list.csv").write_bytes(b"\xef\xbb\xbf" + KINETICS.encode())
    assert len(Catalog.from_kinetics_csv(tmp_path / "list.csv", tmp_path)) == 4
    (tmp_path / "some.txt").write_bytes(b"\xef\xbb\xbfrun\n")
    catalog = Catalog.from_kinetics_csv(tmp_path / "list.csv", tmp_path)
    assert catalog.select(tmp_path / "some.txt").categories == ["run"]
    (tmp_path / "list.csv").write_bytes(KINETICS.replace("run", "ré").encode("latin-1"))
    with pytest.raises(CatalogError, match="list.csv is no UTF-8 text .* save it as UTF-8"):
        Catalog.from_kinetics_csv(tmp_path / "list.csv", tmp_path)
