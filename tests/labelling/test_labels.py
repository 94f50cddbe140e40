"""The table of labels: rows are added and taken back, nothing that was there is changed."""

import csv
import os

import pytest

from harlib import HarlibError
from harlib.data import Catalog
from harlib.data.catalog import table
from harlib.labelling.table import Labels, told

pytestmark = pytest.mark.quick


@pytest.fixture
def videos(tmp_path):
    """Eight files of videos in two folders; nothing here looks into them."""
    paths = [tmp_path / "new" / f"day {n % 2}" / f"actor{n}_x.mp4" for n in range(8)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video")
    return list(map(str, paths))


def rows(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_labels_are_rows_that_a_catalog_reads(tmp_path, videos):
    labels = Labels(tmp_path / "labels.csv")
    assert not labels.path.exists() and not labels.counts
    for number, video in enumerate(videos[:6]):
        labels.add(video, ["walking, fast", "jump"][number % 2])
    assert rows(labels.path)[:2] == [["path", "label"], ["new/day 0/actor0_x.mp4", "walking, fast"]]
    assert labels.counts == {"walking, fast": 3, "jump": 3}
    assert labels.categories == ["walking, fast", "jump"]
    found = Catalog.from_table(labels.path).frame
    assert dict(zip(found["path"], found["category"], strict=True)) == {
        video: labels.label(video) for video in videos[:6]
    }
    again = Labels(labels.path)
    assert again.label(videos[1]) == "jump" and again.label(videos[6]) is None


def test_a_label_is_never_overwritten(tmp_path, videos):
    labels = Labels(tmp_path / "labels.csv")
    labels.add(videos[0], "walk")
    with pytest.raises(HarlibError, match="actor0_x.mp4 is labelled 'walk' already"):
        labels.add(videos[0], "jump")
    os.symlink(tmp_path / "new", tmp_path / "other name")
    with pytest.raises(HarlibError, match="already"):
        labels.add(videos[0].replace("/new/", "/other name/"), "jump")
    assert len(rows(labels.path)) == 2


def test_what_somebody_else_adds_meanwhile_stays(tmp_path, videos):
    labels = Labels(tmp_path / "labels.csv")
    labels.add(videos[0], "walk")
    with open(labels.path, "a") as file:
        file.write("new/day 1/actor1_x.mp4,jump")  # without an end of line
    with pytest.raises(HarlibError, match="changed by somebody else"):
        labels.undo()
    with pytest.raises(HarlibError, match="'jump' already"):
        labels.add(videos[1], "walk")
    labels.add(videos[2], "walk")
    assert [row[1] for row in rows(labels.path)[1:]] == ["walk", "jump", "walk"]


def test_undo_takes_back_what_this_one_has_written(tmp_path, videos):
    path = tmp_path / "labels.csv"
    path.write_text("path,label\nnew/day 0/actor0_x.mp4,walk\n")
    before = path.read_bytes()
    labels = Labels(path)
    with pytest.raises(HarlibError, match="nothing to undo"):
        labels.undo()
    labels.add(videos[1], "jump")
    labels.skip(videos[2])
    labels.add(videos[3], "jump")
    assert [labels.undo(), labels.undo()] == [videos[3], videos[2]]
    assert not labels.is_skipped(videos[2]) and labels.label(videos[3]) is None
    assert labels.undo() == videos[1]
    assert path.read_bytes() == before
    with pytest.raises(HarlibError, match="nothing to undo"):
        labels.undo()


def test_skipped_videos_are_kept_apart(tmp_path, videos):
    labels = Labels(tmp_path / "labels.csv")
    labels.skip(videos[4])
    labels.skip(videos[4])
    labels.add(videos[5], "walk")
    assert rows(tmp_path / "labels-skipped.csv") == [["path"], ["new/day 0/actor4_x.mp4"]]
    assert Labels(labels.path).is_skipped(videos[4]) and len(rows(labels.path)) == 2


def test_a_table_with_other_columns_keeps_them(tmp_path, videos):
    path = tmp_path / "labels.csv"
    text = '\ufefffile;action;actor;note\r\nnew/day 0/actor0_x.mp4;walk;Anna;by "A"\r\n'
    path.write_bytes(text.encode())
    labels = Labels(path)
    labels.add(videos[1], "jump; high")
    assert path.read_bytes() == text.encode() + b'new/day 1/actor1_x.mp4;"jump; high";;\r\n'
    assert [(row.path, row.label) for row in table.content(path)[2]] == [
        (videos[0], "walk"),
        (videos[1], "jump; high"),
    ]


def test_a_link_to_a_table_stays_one(tmp_path, videos):
    (tmp_path / "kept").mkdir()
    os.symlink(tmp_path / "kept" / "real.csv", tmp_path / "labels.csv")
    labels = Labels(tmp_path / "labels.csv")
    labels.add(videos[0], "walk")
    assert (tmp_path / "labels.csv").is_symlink()
    assert rows(tmp_path / "kept" / "real.csv")[1] == [videos[0], "walk"]
    assert Labels(tmp_path / "labels.csv").label(videos[0]) == "walk"


@pytest.mark.parametrize("label", ["", "  ", "two\nlines", "\x07"])
def test_what_is_no_label_is_refused(tmp_path, videos, label):
    labels = Labels(tmp_path / "labels.csv")
    with pytest.raises(HarlibError, match="is no label"):
        labels.add(videos[0], label)
    assert not labels.path.exists()


def test_a_table_that_takes_no_labels_is_said_at_once(tmp_path, videos):
    with pytest.raises(HarlibError, match="is no CSV"):
        Labels(tmp_path / "labels.parquet")
    path = tmp_path / "split.csv"
    path.write_text("path,label,split\nnew/day 0/actor0_x.mp4,walk,train\n")
    with pytest.raises(HarlibError, match="has a column split"):
        Labels(path)
    path.write_text("path,kind\nnew/day 0/actor0_x.mp4,walk\n")
    with pytest.raises(HarlibError, match="no column label"):
        Labels(path)


def test_files_that_are_gone_or_from_elsewhere_are_said_and_stay(tmp_path, videos):
    other = tmp_path / "older.mp4"
    other.write_bytes(b"video")
    labels = Labels(tmp_path / "labels.csv")
    labels.add(str(other), "walk")
    labels.add(videos[0], "walk")
    labels.add(videos[1], "jump")
    os.remove(videos[0])
    said = told(Labels(labels.path), videos[1:])
    assert said[0].endswith("labels.csv: 3 labels: walk 2, jump 1.")
    assert "1 video of" in said[1] and "not there any more, first actor0_x.mp4" in said[1]
    assert "from elsewhere, first older.mp4" in said[2] and len(said) == 3
    with pytest.raises(HarlibError, match="is gone"):
        labels.add(videos[0].replace("actor0", "actor9"), "walk")
