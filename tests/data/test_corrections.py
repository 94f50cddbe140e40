"""Labels that are wrong: marked in a table, undone, and read by whatever lists videos."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from harlib.cli import main
from harlib.data import label_sets
from harlib.data.catalog.catalog import COLUMNS, Catalog
from harlib.data.catalog.corrections import Corrections, categories, corrected, said_of_folds
from harlib.data.catalog.folder import CatalogError

pytestmark = pytest.mark.quick
HEADER = "video,label,correction,note\n"


def catalog(rows):
    """A catalog of (video_id, category, split) rows, each its own group."""
    rows = [(v, f"/{c}/{v}.mp4", c, s, f"{v} {s} {c}", np.nan, np.nan) for v, c, s in rows]
    return Catalog(pd.DataFrame(rows, columns=COLUMNS), "mine", ["before."])


@pytest.fixture
def videos():
    return catalog([("a1", "run", "train"), ("a2", "run", "val"), ("b1", "walk", "train"),
                    ("b2", "walk", "train"), ("b3", "walk", "test")])  # fmt: skip


@pytest.fixture
def table(tmp_path):
    return Corrections(tmp_path / "params" / "corrections.csv")


def labels(listed):
    return dict(zip(listed.frame["video_id"], listed.frame["category"], strict=True))


def test_a_mark_is_a_row_later_ones_replace_it_and_undo_goes_back(table):
    assert len(table) == 0 and not table.path.exists()
    table.mark("a1", "run", "walk", "he walks")
    table.mark("b1", "walk", "drop")
    table.mark("a1", "run", "jump")
    lines = table.path.read_text().splitlines()
    assert lines == [HEADER.strip(), "a1,run,jump,", "b1,walk,drop,"]
    assert table.undo() == "a1" and "a1,run,walk,he walks" in table.path.read_text()
    assert table.undo() == "b1" and table.undo() == "a1"
    assert table.path.read_text() == HEADER
    with pytest.raises(CatalogError, match="nothing to undo: only marks of this session"):
        table.undo()


def test_a_mark_that_leads_back_to_the_source_takes_the_row_out(table):
    table.mark("a1", "run", "walk")
    table.mark("a1", "run", "jump")
    table.mark("a1", "run", "run")
    assert len(table) == 0
    table.undo()
    assert [(one.label, one.correction) for one in table] == [("run", "jump")]


def test_a_mark_is_of_the_video_with_its_label_alone(table):
    """One id may be two videos, of two labels; each has a row of its own."""
    table.mark("a1", "run", "walk")
    table.mark("a1", "walk", "run")
    table.mark("a1", "walk", "jump")
    rows = [(one.label, one.correction) for one in table]
    assert rows == [("run", "walk"), ("walk", "jump")]
    assert table.of("a1", "run").correction == "walk" and table.of("a1", "jump") is None


def test_a_note_for_the_same_correction_keeps_that_it_is_new(videos, table):
    table.mark("a1", "run", "hop", new=True)
    table.mark("a1", "run", "hop", "on one leg")
    table.mark("a1", "run", "hop")
    assert table.path.read_text().splitlines()[1] == "a1,run,hop,on one leg,yes"
    assert labels(corrected(videos, table.path))["a1"] == "hop"


def test_what_one_row_says_is_new_others_may_name(videos, table):
    table.mark("a1", "run", "hop", new=True)
    table.mark("b1", "walk", "hop")
    done = labels(corrected(videos, table.path))
    assert done["a1"] == done["b1"] == "hop"
    table.mark("a1", "run", "walk")
    with pytest.raises(CatalogError, match="row 3: catalog mine has no category 'hop'"):
        corrected(videos, table.path)


def test_what_others_write_meanwhile_stays(table):
    table.mark("a1", "run", "walk")
    with table.path.open("a") as file:
        file.write("b1,walk,run,by hand\n")
    table.mark("a2", "run", "walk")
    assert [one.video for one in Corrections(table.path)] == ["a1", "b1", "a2"]
    table.path.write_text(table.path.read_text().replace("a2,run,walk", "a2,run,drop"))
    with pytest.raises(CatalogError, match=r"corrections.csv: the row of a2 was changed since"):
        table.undo()


def test_cells_that_a_spreadsheet_would_run_are_harmless_and_come_back(table):
    table.mark("-a", "=run()", "walk, fast", "@me")
    assert table.path.read_text().splitlines()[1] == "'-a,'=run(),\"walk, fast\",'@me"
    (one,) = Corrections(table.path)
    assert (one.video, one.label, one.correction, one.note) == ("-a", "=run()", "walk, fast", "@me")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a1", "run", "run"), "a1 is 'run' already: choose another category, or drop"),
        (("a1", "run", " "), "a1 has no correction: give a category, or drop"),
        (("a1", "run", "wa\nlk"), r"'wa\\nlk' holds a control character"),
    ],
)
def test_a_mark_that_says_nothing_is_refused(table, arguments, said):
    with pytest.raises(CatalogError, match=said):
        table.mark(*arguments)
    assert not table.path.exists()


def test_a_file_of_another_kind_is_never_overwritten(tmp_path):
    for name, text in (("list.csv", "path,label\nx.mp4,run\n"), ("notes.txt", "hello")):
        (tmp_path / name).write_text(text)
        with pytest.raises(CatalogError, match="is no table of corrections|is no CSV"):
            Corrections(tmp_path / name).mark("a", "run", "walk")
        assert (tmp_path / name).read_text() == text


def test_labels_change_videos_are_left_out_and_splits_stay(videos, table):
    table.mark("a1", "run", "walk")
    table.mark("b2", "walk", "drop")
    done = corrected(videos, table.path)
    assert labels(done) == {"a1": "walk", "a2": "run", "b1": "walk", "b3": "walk"}
    sides = dict(zip(videos.frame["video_id"], videos.frame["split"], strict=True))
    assert all(sides[row.video_id] == row.split for row in done.frame.itertuples())
    assert done.left_out == (
        "before.",
        "Corrected by corrections.csv: 1 label (1 train): a1 is walk, not run; 1 video left out "
        "(1 train): b2.",
    )
    assert labels(videos)["a1"] == "run" and done.hash != videos.hash


def test_corrected_test_videos_are_said_to_favour_the_network_that_found_them(videos, table):
    table.mark("b3", "walk", "run")
    table.mark("a2", "run", "walk")
    said = corrected(videos, table.path).left_out[-1]
    assert "2 labels (1 val, 1 test)" in said
    assert "Warning: 2 corrected videos of val or test. Results on them compare only with" in said


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a9,run,walk,", r"row 2: catalog mine has no video 'a9'; nearest: 'a[12]'"),
        ("a1,run,wlak,", r"row 2: catalog mine has no category 'wlak'; nearest: 'walk' \(a new"),
        ("a1,jump,walk,", r"row 2: 'a1' is 'run' now, and was 'jump' when it was marked: mark it"),
        ("a1,run,walk|run,", r"row 2: 'run\|walk' is several labels, and the videos of catalog"),
        ("a1,run,run|hop,,yes", r"row 2: 'hop\|run' is several labels, and the videos of catalog"),
        ("a1,run,,", r"row 2 has no correction; it needs the right category, or drop"),
        (",run,walk,", r"row 2 has no video; it needs the video's id"),
        ("a1,run,run,", r"row 2 corrects 'run' to itself: take the row out"),
        ("a1,run,walk,\na1,run,drop,", r"row 3 corrects 'a1' again, as row 2 does: take one out"),
    ],
)
def test_a_row_that_does_not_fit_is_one_line(videos, table, row, said):
    table.path.parent.mkdir()
    table.path.write_text(f"{HEADER.strip()},new\n{row}\n")
    with pytest.raises(CatalogError, match=said) as raised:
        corrected(videos, table.path)
    assert "\n" not in str(raised.value) and str(table.path) in str(raised.value)


def test_what_is_right_at_the_source_by_now_is_said(videos, table):
    table.mark("a1", "walk", "run")
    done = corrected(videos, table.path)
    assert labels(done) == labels(videos)
    assert done.left_out[-1] == (
        "Corrected by corrections.csv: 1 label the same at the source by now."
    )


def test_a_new_category_says_so(videos, table):
    table.path.parent.mkdir()
    table.path.write_text("video;label;correction;new\na1;run;hop;yes\n")  # as Excel may save it
    assert labels(corrected(videos, table.path))["a1"] == "hop"
    Corrections(table.path).mark("a2", "run", "walk")
    assert labels(corrected(videos, table.path))["a1"] == "hop"


def test_several_labels_are_corrected_as_sets(table):
    videos = catalog([("a1", "run|wave", "train"), ("a2", "run", "val"), ("a3", "walk", "train")])
    table.mark("a1", "wave | run", "walk|run")
    table.mark("a2", "run", "wave")
    assert labels(corrected(videos, table.path)) == {"a1": "run|walk", "a2": "wave", "a3": "walk"}


def test_a_label_of_several_is_spelled_as_the_catalog_does(table):
    composed, apart = "caf\u00e9", "cafe\u0301"
    videos = catalog([("a1", f"bar|{composed}", "train"), ("a2", "pub", "train")])
    table.mark("a2", "pub", f"pub|{apart}")
    right = corrected(videos, table.path)
    assert labels(right)["a2"] == f"{composed}|pub"
    assert label_sets.classes(right.categories) == ["bar", composed, "pub"]
    assert categories(table.path, videos.categories, "mine") == sorted(
        [f"bar|{composed}", f"{composed}|pub", "pub"]
    )


def test_a_mark_back_to_the_source_is_one_however_accents_are_made(table):
    table.mark("a1", "caf\u00e9", "bar")
    table.mark("a1", "caf\u00e9", "cafe\u0301")
    assert len(table) == 0
    with pytest.raises(CatalogError, match="already"):
        table.mark("a1", "cafe\u0301", "caf\u00e9")


def test_one_id_in_two_categories_is_two_videos(table):
    videos = catalog([("a", "run", "train"), ("a", "walk", "train"), ("b", "walk", "train")])
    table.mark("a", "run", "walk")
    with pytest.raises(CatalogError, match="'a' is listed as 'walk' too: correct one of the two"):
        corrected(videos, table.path)
    table.mark("a", "run", "drop")
    assert labels(corrected(videos, table.path)) == {"a": "walk", "b": "walk"}
    table.mark("a", "walk", "drop")
    table.mark("a", "run", "walk")
    assert labels(corrected(videos, table.path)) == {"a": "walk", "b": "walk"}


@pytest.mark.parametrize("turned", [False, True])
def test_two_videos_of_one_id_change_places_in_any_order(table, turned):
    rows = [("a", "run", "train"), ("a", "walk", "train"), ("b", "hop", "train")]
    marks = [("a", "run", "walk"), ("a", "walk", "run")]
    for one in reversed(marks) if turned else marks:
        table.mark(*one)
    frame = corrected(catalog(rows), table.path).frame
    where = {row.category: row.path for row in frame.itertuples() if row.video_id == "a"}
    assert where == {"walk": "/run/a.mp4", "run": "/walk/a.mp4"}
    table.mark("a", "walk", "hop")
    done = corrected(catalog(rows), table.path).frame
    assert done.loc[done["video_id"] == "a", "category"].tolist() == ["hop", "walk"]


def test_folds_score_what_is_corrected(videos, table):
    table.mark("a1", "run", "walk")
    table.mark("b2", "walk", "drop")
    table.mark("b3", "walk", "run")
    said = said_of_folds(corrected(videos, table.path).left_out[-1])
    assert said.startswith(
        "Corrected by corrections.csv: 2 labels: a1 is walk, not run, b3 is run, not walk; 1 video "
        "left out: b2. Warning: folds score every video, the corrected ones too. Results on them "
    )
    assert said.count("Warning") == 1
    unchanged = "Corrected by corrections.csv: 1 label the same at the source by now."
    assert said_of_folds(unchanged) == unchanged


def test_categories_are_known_before_videos_are(table):
    table.mark("a1", "run", "hop", new=True)
    table.mark("a2", "run", "drop")
    assert categories(table.path, ["run", "walk"], "demo") == ["hop", "run", "walk"]
    table.mark("a2", "run", "wlak")
    with pytest.raises(CatalogError, match="row 3: catalog demo has no category 'wlak'; nearest"):
        categories(table.path, ["run", "walk"], "demo")


def test_an_empty_table_is_named_as_one_of_corrections(table):
    table.path.parent.mkdir()
    table.path.write_text("\n  \n")
    with pytest.raises(CatalogError, match="is empty; a table of corrections has the columns vide"):
        Corrections(table.path)


def test_blanks_around_a_name_and_the_way_accents_are_made_do_not_matter(table):
    rows = [("cafe\u0301", " run", "train"), (" b", "walk", "train"), ("c", " run", "train")]
    table.mark("caf\u00e9", "run", "walk")
    table.mark(" b", "walk", " run")
    table.mark("c", " run", "drop")
    assert table.undo() == "c"
    done = corrected(catalog(rows), table.path)
    assert labels(done) == {"cafe\u0301": "walk", " b": " run", "c": " run"}
    table.mark("cafe\u0301", "run", "drop")
    assert len(table) == 2 and labels(corrected(catalog(rows), table.path)) == {
        " b": " run", "c": " run",
    }  # fmt: skip


def test_drop_as_a_category_is_refused(table):
    table.mark("a", "run", "drop")
    with pytest.raises(CatalogError, match="drop leaves a video out, and is a category of"):
        corrected(catalog([("a", "run", "train"), ("b", "drop", "train")]), table.path)


def test_what_they_say_is_the_same_in_any_order_and_with_any_note(table):
    table.mark("a1", "run", "walk")
    table.mark("b1", "walk", "run")
    before = table.content
    first, *rows = table.path.read_text().splitlines()
    table.path.write_text("\n".join([first, *(f"{row}why" for row in reversed(rows))]))
    again = Corrections(table.path)
    assert again.content == before
    again.mark("b1", "walk", "drop")
    assert again.content != before


def test_the_commands_read_them(tmp_path, tiny_catalog, table):
    """`har catalog` and `har prepare`: a store of other labels, and never over the old one."""
    run = CliRunner().invoke
    listed, store = tmp_path / "list.csv", tmp_path / "store"
    tiny_catalog.to_csv(listed)
    how = ["prepare", str(listed), str(store), "--size", "32", "--workers", "1"]
    assert run(main, how).exit_code == 0
    table.mark("run_00", "run", "sit down")
    refused = run(main, [*how, "--corrections", str(table.path)])
    assert refused.exit_code == 1 and "Error: " in refused.output
    how[2] = str(tmp_path / "corrected")
    done = run(main, [*how, "--corrections", str(table.path)])
    assert done.exit_code == 0, done.output
    assert "Corrected by corrections.csv: 1 label (1 train): run_00 is sit down, not run." in (
        done.output
    )
    audits = [pd.read_csv(folder / "audit.csv").set_index("video_id")["category"]
              for folder in (store, tmp_path / "corrected")]  # fmt: skip
    assert [one["run_00"] for one in audits] == ["run", "sit down"]
