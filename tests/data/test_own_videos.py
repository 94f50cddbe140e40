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


@pytest.mark.parametrize("val", [0.2, 1 / 3])
def test_categories_that_share_actors_are_on_both_sides_wherever_they_can(val):
    """Of eight categories each has four of nine actors, so that no actor's side is free."""
    rng = np.random.default_rng(0)
    for seed in range(100):
        rows = [(f"c{c}", f"actor{a}") for c in range(8) for a in rng.permutation(9)[:4]]
        table = pd.DataFrame(rows, columns=["category", "group"])
        split, _ = held_out.split(table, table["group"], val, seed)
        both = table.assign(split=split).groupby("category")["split"].agg(set)
        assert all(sides == {"train", "val"} for sides in both), (seed, both)


def test_groups_that_cannot_be_held_out_are_no_silent_training():
    table = pd.DataFrame([("a", "x"), ("a", "y"), ("b", "x"), ("c", "y")])
    table.columns = ["category", "group"]
    with pytest.raises(
        CatalogError, match="each is the only one of some category, .* first '[xy]'"
    ):
        held_out.split(table, table["group"], 0.5, 0)


def test_an_actor_found_in_the_names_is_on_one_side(tmp_path):
    actors = ("daria", "denis", "eli", "ido", "ira")
    touch(tmp_path, *(f"{c}/{a}_{c}{n}.mp4" for c in ("walk", "run") for a in actors for n in "12"))
    catalog = Catalog.from_folder(tmp_path)
    assert own_videos.unknown_groups(catalog.frame) == 0
    assert catalog.frame.groupby("group")["split"].nunique().tolist() == [1] * 5
    sentence = (
        "Groups: 5 from the first word of the names (daria, denis, eli ...): their videos stay on "
        "one side of the split. --group REGEX, or group in the parameters, sets others."
    )
    assert sentence in catalog.notes and "Warning" not in said(catalog)
    touch(tmp_path / "given", "train/walk/daria_walk.mp4", "train/walk/eli_walk.mp4")
    touch(tmp_path / "given", "train/run/daria_run.mp4", "train/run/eli_run.mp4")
    touch(tmp_path / "given", "val/walk/daria_walk2.mp4", "val/run/ira_run.mp4")
    given = Catalog.from_folder(tmp_path / "given")
    assert own_videos.unknown_groups(given.frame) == 6
    assert "1 group would lie on both sides of the split that is given, first daria." in said(given)
    assert "Warning: the groups of all videos are unknown" in said(given)


def test_folders_inside_the_categories_are_groups(tmp_path):
    days = ("monday", "tuesday", "friday")
    touch(tmp_path, *(f"{c}/{d}/000{n}.mp4" for c in ("walk", "run") for d in days for n in "01"))
    catalog = Catalog.from_folder(tmp_path)
    assert catalog.categories == ["run", "walk"] and set(catalog.frame["group"]) == set(days)
    assert "walk/monday/0001" in set(catalog.frame["video_id"])
    assert (
        "The outer folders are the categories (run, walk), not those inside them, first friday, "
        "monday, tuesday." in catalog.notes
    )
    assert "Groups: 3 from the folders inside the categories (friday, monday, tues" in said(catalog)
    touch(tmp_path, "walk/0007.mp4")
    with pytest.raises(
        CatalogError, match="13 videos, not all at .*: 1 lie elsewhere .* walk/0007"
    ):
        Catalog.from_folder(tmp_path)
    days = {"train": ("monday", "tuesday"), "val": ("friday", "sunday")}
    touch(
        tmp_path / "split",
        *(
            f"{side}/{c}/{d}/{n}.mp4"
            for side in days
            for d in days[side]
            for c in "ab"
            for n in "12"
        ),
    )
    frame = Catalog.from_folder(tmp_path / "split").frame
    assert set(frame["category"]) == {"a", "b"} and set(frame["split"]) == {"train", "val"}
    assert set(frame["group"]) == {*days["train"], *days["val"]}


@pytest.mark.parametrize("place", ["walk/train/", "trainset/walk/", "fold_1/walk/", "Test 2/walk/"])
def test_splits_of_other_names_and_places_are_no_categories_and_no_groups(tmp_path, place):
    touch(tmp_path, *(f"{place}{n}.mp4" for n in range(4)))
    with pytest.raises(CatalogError, match="4 videos, none at .* 4 lie elsewhere, "):
        Catalog.from_folder(tmp_path)


def test_pictures_in_folders_inside_categories_are_no_stills_to_learn_from(tmp_path):
    touch(tmp_path, *(f"{c}/{n}/000001.jpg" for c in ("walk", "run") for n in range(9)))
    with pytest.raises(CatalogError, match="first run/0, and they are no frames: .* running numb"):
        Catalog.from_folder(tmp_path)


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
