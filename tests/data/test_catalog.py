import numpy as np
import pandas as pd
import pytest

from harlib.data.catalog.catalog import COLUMNS, Catalog
from harlib.data.catalog.published_lists import CatalogError
from harlib.data.store.prepare import PrepareError, prepare

pytestmark = pytest.mark.quick


def table(*rows):
    """Rows of (video_id, category, split, group)."""
    return pd.DataFrame(
        [(v, f"/videos/{v}.mp4", c, s, g, np.nan, np.nan) for v, c, s, g in rows], columns=COLUMNS
    )


def test_rows_are_sorted_and_named_by_content(tmp_path):
    rows = [("b", "run", "train", "1"), ("a", "sit", "val", "2"), ("c", "run", "val", "3")]
    catalog = Catalog(table(*rows), "made")
    assert catalog.frame["video_id"].tolist() == ["b", "c", "a"]
    assert catalog.categories == ["run", "sit"]
    assert Catalog(table(*rows[::-1]), "made").hash == catalog.hash
    moved = table(*rows).assign(path=[f"/elsewhere/{row[0]}.mp4" for row in rows])
    assert Catalog(moved, "made").hash == catalog.hash
    other = table(*rows[:2], ("c", "sit", "val", "3"))
    assert Catalog(other, "made").hash != catalog.hash
    assert "2 categories, train 1, val 2" in repr(catalog)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table(("a", "run", "train", "1")).drop(columns="group"), r"columns \['group'\]"),
        (table(), "lists no videos"),
        (table(("a", "run", "holdout", "1")), r"unknown splits \['holdout'\]"),
        (table(("a", " ", "train", "1")), "row 0 has an empty category"),
        (table(("a\n", "run", "train", "1")), "control character"),
        (
            table(("a", "run", "train", "1"), ("a", "run", "train", "1")),
            "1 videos are listed twice",
        ),
        (
            table(("a", "run", "train", "g1"), ("b", "run", "val", "g1")),
            "1 groups lie on two sides of a split, first 'g1' in train and val",
        ),
    ],
)
def test_wrong_tables_are_refused_in_one_line(frame, message):
    with pytest.raises(CatalogError, match=message) as caught:
        Catalog(frame, "made")
    assert "\n" not in str(caught.value)


def test_select(tmp_path):
    catalog = Catalog(
        table(("a", "run", "train", "1"), ("b", "sit", "train", "2"), ("c", "run", "val", "3")), "m"
    )
    assert catalog.select(["run"]).frame["video_id"].tolist() == ["a", "c"]
    assert catalog.select(splits="train").frame["video_id"].tolist() == ["a", "b"]
    (tmp_path / "some.txt").write_text("sit\n\n")
    assert catalog.select(tmp_path / "some.txt").categories == ["sit"]
    with pytest.raises(CatalogError, match="no category 'runn'; nearest: 'run'"):
        catalog.select(["runn"])
    with pytest.raises(CatalogError, match="no videos in split 'test'"):
        catalog.select(splits=["test"])


def test_csv_round_trip_moves_with_its_folder(tmp_path):
    (tmp_path / "a/videos").mkdir(parents=True)
    (tmp_path / "a/videos/x.mp4").touch()
    frame = table(("x", "run, fast", "train", "NA"), ("-NaN", "run, fast", "val", "null"))
    frame["path"] = [str(tmp_path / "a/videos/x.mp4"), ""]
    frame["start_s"] = [1.5, np.nan]
    frame["end_s"] = [2.5, np.nan]
    catalog = Catalog(frame, "list")
    catalog.to_csv(tmp_path / "a" / "list.csv")
    (tmp_path / "a").rename(tmp_path / "b")
    back = Catalog.from_csv(tmp_path / "b" / "list.csv")
    assert back.hash == catalog.hash and back.name == "list"
    assert back.frame["path"].tolist() == [str(tmp_path / "b/videos/x.mp4"), ""]
    with pytest.raises(CatalogError, match="no such file"):
        Catalog.from_csv(tmp_path / "none.csv")


CELLS = ["", "\n", "a\rb", "\0", "=cmd()", "../../x", "/etc/passwd", "x" * 70_000, "é\u202e", "nan",
         "-1", "1e999", "inf", '"', "train;drop", "a.tar!/../x.mp4", "\ud800"]  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_hostile_cells_end_in_a_catalog_or_one_line(tmp_path, column):
    """119 cells: what is accepted can be written and read again, and names no file."""
    refused = 0
    for cell in CELLS:
        frame = table(("a", "run", "train", "1"), ("b", "run", "train", "2")).astype(object)
        frame.loc[1, column] = cell
        data = frame.to_csv(index=False).encode("utf-8", "surrogatepass")
        (tmp_path / "list.csv").write_bytes(data)
        try:
            catalog = Catalog.from_csv(tmp_path / "list.csv")
            catalog.to_csv(tmp_path / "again.csv")
        except CatalogError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        assert Catalog.from_csv(tmp_path / "again.csv").hash == catalog.hash
        if column != "path":
            continue
        try:
            prepare(catalog, tmp_path / "store", workers=1, progress=False)
        except PrepareError as error:
            assert "none of 2 videos could be decoded; most often: no such file" in str(error)
        else:
            raise AssertionError("a file was found")
    assert column in ("path", "group") or refused > 2
