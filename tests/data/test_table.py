"""Tables of videos: read as people write them, and every mistake is one line with its row."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from test_published_lists import touch

from harlib.data.catalog.catalog import Catalog
from harlib.data.catalog.own_videos import unknown_groups
from harlib.data.catalog.published_lists import CatalogError

pytestmark = pytest.mark.quick
ACTORS = ("daria", "denis", "eli")


@pytest.fixture
def clips(tmp_path):
    """Six files of three actors; a table of them is written beside `clips`."""
    touch(tmp_path, *(f"clips/{actor}_{c}.avi" for actor in ACTORS for c in ("walk", "run")))
    return tmp_path


def write(folder, text, name="list.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


PATHS = "".join(f"clips/{a}_{c}.avi,{c}\n" for a in ACTORS for c in ("walk", "run"))


def said(catalog):
    return "\n".join(catalog.notes)


def test_two_columns_are_enough(clips):
    catalog = Catalog.from_table(write(clips, "path,label\n" + PATHS))
    frame = catalog.frame
    assert catalog.name == "list" and catalog.categories == ["run", "walk"] and catalog.found == 6
    assert set(frame["video_id"]) == {f"{a}_{c}" for a in ACTORS for c in ("walk", "run")}
    assert set(frame["group"]) == set(ACTORS)
    assert set(frame["path"]) == {str(clips / "clips" / f"{i}.avi") for i in frame["video_id"]}
    assert frame["start_s"].isna().all() and frame["end_s"].isna().all()
    assert all(found == {"train", "val"} for found in frame.groupby("category")["split"].agg(set))
    assert (
        "Not in the table and filled in: video_id from the paths, split by group, group as the "
        "names tell it, start at the file's beginning, end at the file's end."
    ) in catalog.notes
    assert "Groups: 3 from the first word of the names (daria, denis, eli):" in said(catalog)
    assert "Held out: 1 of 3 groups (33%; asked: 20%)." in catalog.notes
    assert "Warning" not in said(catalog)


def test_all_columns_by_any_name_and_in_any_order(clips):
    text = (
        "Split;END;Class; Filename;note;Person;start\n"
        "Training;4;walk;clips/daria_walk.avi;good;1;2\n"
        "validation;;run;clips/eli_run.avi;;2;1.5\n"
    )
    catalog = Catalog.from_table(write(clips, text))
    frame = catalog.frame.set_index("group")
    assert frame.loc["1", ["split", "category", "start_s", "end_s"]].tolist() == [
        *("train", "walk", 2, 4)
    ]
    assert frame.loc["1", "video_id"] == "daria_walk_000002_000004"
    assert frame.loc["2", "video_id"] == "eli_run_000001.500_end"
    assert np.isnan(frame.loc["2", "end_s"]) and frame.loc["2", "split"] == "val"
    assert catalog.notes == [
        "Not read: the columns note.",
        "Not in the table and filled in: video_id from the paths.",
    ]


def test_what_a_catalog_writes_is_read_alike(clips):
    catalog = Catalog.from_table(write(clips, "path,label\n" + PATHS))
    catalog.to_csv(clips / "again.csv")
    again = Catalog.from_table(clips / "again.csv")
    pd.testing.assert_frame_equal(again.frame, catalog.frame)
    assert not [note for note in again.notes if "start" not in note]


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_parquet(clips):
    columns = {
        "video": [f"clips/{a}_walk.avi" for a in ACTORS] + [None],
        "Label": pd.Categorical(["walk", "walk", "run", None]),
        "start": [np.nan, 1.5, np.nan, np.nan],
        "end_s": [3, 4, 5, None],
    }
    pd.DataFrame(columns).to_parquet(clips / "list.parquet")
    frame = Catalog.from_table(clips / "list.parquet", val=0.5).frame.set_index("video_id")
    assert set(frame.index) == {
        *("daria_walk_000000_000003", "denis_walk_000001.500_000004", "eli_walk_000000_000005")
    }
    assert frame["end_s"].sort_values().tolist() == [3, 4, 5]
    pd.DataFrame({"path": ["x.mp4", ""], "label": ["a", "b"]}).to_parquet(clips / "bad.pq")
    with pytest.raises(CatalogError, match=r"bad.pq, row 2 has no path"):
        Catalog.from_table(clips / "bad.pq")
    with pytest.raises(CatalogError, match=r"no.pq is not a readable Parquet file"):
        Catalog.from_table(write(clips, "path,label\n", "no.pq"))
    with pytest.raises(CatalogError, match=r"gone.pq: no such file"):
        Catalog.from_table(clips / "gone.pq")


def test_parquet_without_pyarrow(clips, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CatalogError, match="Parquet files need pyarrow: pip install pyarrow"):
        Catalog.from_table(clips / "list.parquet")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpath,label\n" + PATHS,
        "path,label\r\n" + PATHS.replace("\n", "\r\n"),
        "\n \npath,label\n\n" + PATHS.replace("\n", "\n\n,\n"),
        "PATH, Label \n" + PATHS.replace(",", ", "),
        "path\tlabel\n" + PATHS.replace(",", "\t"),
        "path,label,split,group,start\n" + PATHS.replace("\n", ",,,\n"),
        "path,label\n" + PATHS.replace("clips/", " clips/"),
    ],
)
def test_tables_as_programs_and_people_write_them(clips, text):
    plain = Catalog.from_table(write(clips, "path,label\n" + PATHS))
    assert Catalog.from_table(write(clips, text)).frame.equals(plain.frame)


HEAD = "path,label,split,group,start,end\n"
GOOD = "clips/daria_walk.avi,walk,train,a,,\n\n"  # row 2, and a blank one
MISTAKES = [
    ("", "list.csv is empty; a table needs path"),
    ("\n\n", "list.csv is empty; a table needs path"),
    (HEAD, "list.csv has no rows below its header"),
    ("clip,label\na,b\n", r"has no column path, its first line is clip, label; .*video, file"),
    ("path,name\na,b\n", "has no column label, its first line .*category, class, action"),
    ("a.mp4,walk\nb.mp4,run\n", "no column path and no column label, its first line is a.mp4, w"),
    ("path,path,label\na,b,c\n", "has 2 columns path; one is needed"),
    (HEAD + GOOD + ",walk,train,b,,\n", "row 4 has no path; it needs the path of a video"),
    (HEAD + GOOD + "a.avi, ,train,b,,\n", "row 4 has no label; it needs the category"),
    (HEAD + GOOD + "a.avi\n", "row 4 has no label"),
    (HEAD + GOOD + "a.avi,run,dev,b,,\n", "row 4: unknown split 'dev'; known: train, val, test"),
    (HEAD + GOOD + "a.avi,run,,b,,\n", "row 4 has no split, and others have; fill"),
    (HEAD + GOOD + "a.avi,run,val,b,9,5\n", "row 4: start 9 s is not before end 5 s"),
    (HEAD + GOOD + "a.avi,run,val,b,5,5\n", "row 4: start 5 s is not before end 5 s"),
    (HEAD + GOOD + "a.avi,run,val,b,,0\n", "row 4: start 0 s is not before end 0 s; leave"),
    (HEAD + GOOD + "a.avi,run,val,b,1:30,2:00\n", "row 4: start is '1:30'; it must be seconds"),
    (HEAD + GOOD + "a.avi,run,val,b,-1,2\n", "row 4: start is '-1'; it must be seconds"),
    (HEAD + GOOD + "a.avi,run,val,b,1,inf\n", "row 4: end is 'inf'; it must be seconds"),
    (HEAD + GOOD + "clips,run,val,b,,\n", "row 4: path 'clips' is a folder; a row names one"),
    (HEAD + GOOD + "./clips//daria_walk.avi,walk,train,a,,\n", "row 4 lists the same .* as row 2"),
    (HEAD + GOOD + "a.avi,run,val,b,1,2\na.avi,run,val,b,1.0,2\n", "row 5 lists .* as row 4"),
    (HEAD + GOOD + "a.avi,run,val,b,1,2,3\n", "row 4 has 7 cells, the header 6; .* in quotes"),
    (HEAD + GOOD + '"a.avi,run,val\n', "line .*: not a readable CSV: unexpected end"),
    (HEAD + GOOD + "a.avi,r\x07n,val,b,,\n", r"row 4: label 'r\\x07n' holds a control"),
    (HEAD + GOOD + "a\0.avi,run,val,b,,\n", "it holds null characters; save it as CSV"),
    (HEAD + GOOD + "b.avi,walk,val,a,,\n", "1 groups lie on two sides of a split, first 'a'"),
    ("path,label,split\na.avi,x,train\na.avi,y,val\n", r"row 3: parts .* train \(row 2\) and val"),
    ("path,label,video_id\na.avi,x,1\nb.avi,x,1\n", "row 3 has the video_id '1' of row 2"),
    ("path,label,video_id\na.avi,x,1\nb.avi,x,\n", "row 3 has no video_id, and others have"),
    ("path,label\na.avi,x\n", "no video can be held out"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_mistakes_are_one_line_with_their_row(clips, text, message):
    with pytest.raises(CatalogError, match=message) as caught:
        Catalog.from_table(write(clips, text))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_table(clips):
    with pytest.raises(CatalogError, match=r"none.csv: no such file"):
        Catalog.from_table(clips / "none.csv")
    with pytest.raises(CatalogError, match="clips cannot be read: Is a directory"):
        Catalog.from_table(clips / "clips")
    latin = "path,label\nclips/daria_walk.avi,walk\na.avi,café\n"
    with pytest.raises(CatalogError, match=r"row 3: label 'caf\\udce9' .* no UTF-8; save the"):
        Catalog.from_table(write(clips, latin, encoding="latin-1"))
    with pytest.raises(CatalogError, match="null characters; save it as CSV"):
        Catalog.from_table(write(clips, latin, encoding="utf-16"))


def test_missing_files_stay_and_are_named(clips, tmp_path):
    absolute = tmp_path / "clips" / "daria_run.avi"
    text = f"path,label\n{absolute},run\ngone/eli_run.avi,run\n../x/denis_run.avi,run\n"
    catalog = Catalog.from_table(write(clips, text))
    files = catalog.frame.set_index("video_id")["path"]
    assert files.to_dict() == {"daria_run": str(absolute), "eli_run": "", "denis_run": ""}
    assert "Warning: 2 of 3 listed videos have no file, first" in said(catalog)


def test_members_of_shards(clips):
    touch(clips, "clips/all.tar")
    text = "path,label\nclips/all.tar!/walk/a.mp4,walk\nnone.tar!/b.mp4,walk\n"
    files = Catalog.from_table(write(clips, text)).frame.set_index("video_id")["path"]
    assert files.to_dict() == {"a": f"{clips}/clips/all.tar!/walk/a.mp4", "b": ""}


def test_parts_of_a_file_are_a_group_and_files_of_one_name_have_ids(clips):
    text = "path,label,start,end\n" + "".join(
        f"{day}/long.mp4,{label},{start},{start + 8}\n"
        for day in ("x", "y", "z")
        for label, start in [("walk", 12), ("run", 20), ("walk", 30)]
    )
    frame = Catalog.from_table(write(clips, text)).frame
    assert set(frame["group"]) == {"x", "y", "z"}  # the folders
    assert "x/long_000012_000020" in set(frame["video_id"]) and len(frame) == 9
    text = text.replace("x/long", "a1").replace("y/long", "b2").replace("z/long", "c3")
    frame = Catalog.from_table(write(clips, text)).frame
    assert set(frame["group"]) == {"a1", "b2", "c3"}
    assert frame.groupby("group")["split"].nunique().max() == 1
    assert unknown_groups(frame) == 0


def test_a_pattern_stands_above_the_column(clips):
    text = "path,label,group\n" + PATHS.replace("\n", ",g\n")
    catalog = Catalog.from_table(write(clips, text), group="^(...)")
    assert set(catalog.frame["group"]) == {"dar", "den", "eli"}
    empty = Catalog.from_table(write(clips, text.replace("walk,g", "walk,")))
    assert unknown_groups(empty.frame) == 3 and (empty.frame["group"] == "g").sum() == 3


def test_labels_that_look_alike_are_one_and_others_stay_as_they_are(clips):
    text = "path,label\n1.avi,Walk\n2.avi,walk \n3.avi,a|b\n4.avi,a|b\n"
    catalog = Catalog.from_table(write(clips, text))
    assert catalog.categories == ["Walk", "a|b"]
    assert "The labels 'Walk', 'walk' look alike and are one category, 'Walk'." in catalog.notes


def test_names_that_are_no_utf8(clips):
    (clips / "list.csv").write_bytes(b"path,label\na\xff.mp4,walk\nb.mp4,walk\n")
    catalog = Catalog.from_table(clips / "list.csv")
    assert set(catalog.frame["video_id"]) == {r"a\xff", "b"}


@pytest.mark.real
def test_the_table_of_weizmann(real_data):
    catalog = Catalog.from_table(real_data / "weizmann9" / "clips.csv", val=1 / 3)
    folder = Catalog.from_folder(real_data / "weizmann9" / "clips_80x64", val=1 / 3)
    pd.testing.assert_frame_equal(catalog.frame, folder.frame)
    assert "Not read: the columns frames." in catalog.notes


def test_spellings_of_a_group_and_parts_of_a_file_stay_together(tmp_path):
    both = ("walk", "run")
    names = [(c, g) for c in both for g in ("Anna", "anna", "ANNA", "ben", "cleo")]
    rows = [f"{n}.mp4,{c},{g}" for n, (c, g) in enumerate(names)]
    listed = Catalog.from_table(write(tmp_path, "\n".join(["path,label,group", *rows])))
    assert listed.frame["group"].nunique() == 3
    assert any("look alike and are one group" in note for note in listed.notes)

    parts = ["long.mp4,walk,anna,0,5", "long.mp4,walk,,5,10", "long.mp4,run,,10,15"]
    others = [(c, g) for c in both for g in ("ben", "cleo", "dan")]
    parts += [f"{n}.mp4,{c},{g},," for n, (c, g) in enumerate(others)]
    header = "path,label,group,start,end"
    frame = Catalog.from_table(write(tmp_path, "\n".join([header, *parts]))).frame
    own = frame[frame["start_s"].notna()]
    assert set(own["group"]) == {"anna"} and own["split"].nunique() == 1

    parts[1] = "long.mp4,walk,ben,5,10"
    with pytest.raises(CatalogError, match="row 3: long.mp4 is of group 'ben' here and of 'anna'"):
        Catalog.from_table(write(tmp_path, "\n".join([header, *parts])))
