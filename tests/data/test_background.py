"""The unlabelled time of untrimmed videos as a category of its own."""

import numpy as np
import pandas as pd
import pytest

from harlib.data import Catalog, CatalogError, encode
from harlib.data.catalog import background

pytestmark = pytest.mark.quick
COLUMNS = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]


def table(segments, split="train"):
    """Rows of a catalog: (file, category, start, end), where each file is a group."""
    return pd.DataFrame(
        [(f"{f}_{a}_{b}", f"/videos/{f}.mp4", c, split, f, a, b) for f, c, a, b in segments],
        columns=COLUMNS,
    )


THREE = table(
    [
        (f"v{k}", c, a, a + 3.0)
        for k in range(3)
        for c, a in (("run", 4.0), ("jump", 12.0), ("sit", 30.0))
    ]
)


def add(rows, most=1.0, seed=0, length=60.0):
    found, said = background.add(rows, most, seed, lambda file: length)
    return found[~found["video_id"].isin(rows["video_id"])], said


def test_pieces_lie_outside_the_segments_with_a_margin_and_a_clip_long():
    found, said = add(THREE, most=9)
    assert set(found["category"]) == {"background"}
    for row in found.itertuples():
        own = THREE[THREE["path"] == row.path]
        apart = (own["start_s"] - row.end_s).combine(row.start_s - own["end_s"], max)
        assert (apart >= background.MARGIN_S).all()
        assert row.start_s >= 0 and row.end_s <= 60
        assert row.end_s - row.start_s >= background.SHORTEST_S - 1e-9
    pairs = found.sort_values(["path", "start_s"])
    same = pairs["path"] == pairs["path"].shift()
    assert (pairs["start_s"] >= pairs["end_s"].shift())[same].all()
    (line,) = said
    assert line.startswith(f"Background: {len(found)} pieces (train {len(found)}) of 2.")


def test_there_are_at_most_as_many_as_the_largest_category_has():
    assert len(add(THREE)[0]) == 3
    assert len(add(THREE, most=2)[0]) == 6
    assert len(add(pd.concat([THREE, table([("v9", "run", 0.0, 2.0)])]))[0]) == 4


def test_they_are_spread_over_the_files_and_over_their_time():
    found, _ = add(THREE, most=4)
    assert found["path"].value_counts().tolist() == [4, 4, 4]
    assert (found.groupby("path")["start_s"].agg(np.ptp) > 15).all()


def test_they_are_in_the_split_and_group_of_their_file():
    rows = pd.concat([THREE, table([("w", "run", 5.0, 9.0), ("w", "jump", 20.0, 22.0)], "val")])
    found, _ = add(rows)
    assert found["split"].value_counts().to_dict() == {"train": 3, "val": 1}
    by_file = pd.concat([rows, found]).groupby("path")
    assert (by_file["split"].nunique() == 1).all() and (by_file["group"].nunique() == 1).all()


def test_the_seed_alone_decides_whatever_other_files_there_are():
    first, again, other = (add(THREE, most=9, seed=seed)[0] for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert (
        not first["start_s"].reset_index(drop=True).equals(other["start_s"].reset_index(drop=True))
    )
    alone, _ = add(THREE[THREE["group"] == "v1"], most=99)
    among, _ = add(THREE, most=99)
    times = ["start_s", "end_s"]
    assert set(map(tuple, alone[times].to_numpy())) == set(
        map(tuple, among.loc[among["group"] == "v1", times].to_numpy())
    )


def test_a_file_on_two_sides_of_a_split_is_refused():
    both = table([("v", "run", 0.0, 3.0)]), table([("v", "run", 9.0, 12.0)], "val")
    with pytest.raises(CatalogError, match=r"^v\.mp4 has segments in several splits"):
        add(pd.concat(both))


def test_a_category_of_that_name_in_the_table_counts_and_is_kept():
    own = table([("v0", "Background", 20.0, 22.0), ("v0", "Background", 40.0, 42.0)])
    found, _ = add(pd.concat([THREE, own]))
    assert set(found["category"]) == {"Background"} and len(found) == 1
    assert not background.offered(pd.concat([THREE, own]))


def test_a_split_of_background_alone_gets_no_more():
    own = table([("w", "background", 1.0, 9.0)], "test")
    found, _ = add(pd.concat([THREE, own], ignore_index=True))
    assert set(found["split"]) == {"train"}


def test_a_wholly_labelled_file_has_no_background():
    whole = table([("v", "run", np.nan, 30.0), ("v", "jump", 30.0, np.nan)])
    found, (line,) = add(whole)
    assert found.empty and line.startswith("Background: none; no row leaves 1.5 s")


def test_segments_behind_the_end_of_the_file_are_a_line():
    _, said = add(table([("v", "run", 4.0, 7.0), ("v", "run", 58.0, 63.5)]))
    assert "Warning: 1 segment ends after its file, first v at 63.5 s of 60 s." in said
    _, said = add(table([("v", "run", 70.0, np.nan), ("v", "run", 58.0, 63.5)]))
    assert "Warning: 2 segments end after their file, first v at 70 s of 60 s." in said


def test_overlaps_are_a_line_and_touching_segments_are_none():
    touching = table([("v", "run", 0.0, 3.0), ("v", "jump", 3.0, 6.0)])
    assert background.overlapping(touching) == [] == background.offered(touching)
    (line,) = background.overlapping(table([("v", "run", 0.0, 3.0), ("v", "jump", 2.5, 6.0)]))
    assert line.startswith("Warning: 1 segment of a file begin before the one ahead ends, first v")


def test_a_table_is_offered_its_background_and_gets_it_when_asked(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abc":
        frames = rng.integers(0, 255, (120, 32, 32, 3), np.uint8)
        encode(tmp_path / f"{name}.mp4", frames, fps=10)  # 12 s
    lines = [f"{n}.mp4,{c},{a},{a + 2},p{n}" for n in "abc" for c, a in (("run", 1), ("sit", 6))]
    listed = tmp_path / "list.csv"
    listed.write_text("path,label,start,end,group\n" + "\n".join(lines) + "\n")
    plain = Catalog.from_table(listed)
    assert plain.categories == ["run", "sit"]
    assert any(
        note.startswith("Untrimmed: 9 s between the segments of 3 files") for note in plain.notes
    )
    asked = Catalog.from_table(listed, background=1)
    assert asked.categories == ["background", "run", "sit"]
    assert (asked.frame.groupby("path")["split"].nunique() == 1).all()
    assert (asked.frame.groupby("path")["group"].nunique() == 1).all()
    assert not any(note.startswith("Untrimmed") for note in asked.notes)
