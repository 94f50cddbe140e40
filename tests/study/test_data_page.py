"""What notebook 01 shows of the videos: losses, groups, look-alikes, and how categories differ."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recordings import ALIKE, OTHERS, pan
from tiny_study import write_study

from harlib import figures
from harlib.data import Audit, Catalog, ClipStore, encode
from harlib.figures.beside import Beside
from harlib.study.runs import fingerprint, session, study_files
from harlib.study.steps import data_page, data_prep
from harlib.study.wording import properties as wording

pytestmark = pytest.mark.quick
HOSTILE = "<img src=x onerror=alert(1)>"
ODD = HOSTILE if sys.platform != "win32" else "img src"


@pytest.fixture
def shown(monkeypatch):
    """What the steps put into the notebook."""
    kept = []
    monkeypatch.setattr(data_page, "display", kept.append)
    monkeypatch.setattr(figures, "show", kept.append)
    return kept


@pytest.fixture
def own(tmp_path, monkeypatch):
    """(parameters, catalog, audit, store) of look-alikes, an odd name, a copy and broken files."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    odd = {("train", "a", ODD): (pan(11), 20), ("train", "b", "two\nlines"): (pan(11), 20)}
    for (split, category, name), (clip, crf) in (ALIKE | OTHERS | odd).items():
        file = tmp_path / "my" / split / category / f"{name}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        encode(file, clip, fps=25, crf=crf)
    (tmp_path / "my" / "train" / "a" / "empty.mp4").touch()
    (tmp_path / "my" / "val" / "b" / "text.mp4").write_text("no video")
    folder = write_study(tmp_path, "own", {"01_data_prep": "source: folder\ndata_root: my"})
    values = {"store_size": 32, "workers": 1, "fps": None, "videos": "."}
    p = study_files.load_run([folder / "01_data_prep.yaml"], values).params
    fingerprint.claim(p)
    listed = data_prep.catalog(p)
    audit = data_prep.prepare(p, listed)
    return p, listed, audit, session.open_store(p)


def test_the_page_of_own_videos(own, shown):
    p, listed, audit, store = own
    said = data_page.show_samples(p, store)
    assert said == f"A training video each of the {len(store.categories)} categories."
    few = data_page.show_samples(p.model_copy(update={"samples": 1}), store)
    assert few == f"A training video each of 1 of the {len(store.categories)} categories."
    shown.clear()
    assert data_page.audit(audit).frame["unreadable"].tolist() == [1, 1]
    lost = data_page.losses(p)
    rows = lost.frame.set_index("video")
    assert rows["status"].tolist() == ["unreadable", "unreadable", "duplicate"]
    assert rows.loc["empty.mp4", "why"] == "the file is empty (0 bytes)"
    copy = rows[rows["status"] == "duplicate"]
    assert copy.index.tolist() == [r"two\x0alines.mp4"]
    assert copy["why"].item() == f"the same frames as train/a/{ODD}"
    assert "<img" not in lost._repr_html_()

    assert data_page.groups(listed).startswith("Every video is a group of its own")
    assert data_page.group_sizes(listed)._repr_html_().strip() == ""

    rest = data_page.show_look_alikes(store)
    (beside,) = shown
    assert (
        isinstance(beside, Beside) and len(beside.pairs) == 4 and rest._repr_html_().strip() == ""
    )
    said = [said for _, _, said in beside.pairs]
    assert [line.endswith("on two sides of the split") for line in said] == [
        True,
        True,
        False,
        False,
    ]
    one, other, copied = beside.pairs[2]
    assert copied == "0 bits of 64 apart, on one side of the split"
    assert {one.name, other.name} == {ODD, r"two\x0alines"} and "<img src=x" not in (
        page := beside._repr_html_()
    )
    assert page.count("alike at") == 2 * 8  # in the picture's words and below it


def test_what_differs_is_drawn_and_said(own, shown):
    p, listed, _, store = own
    said = data_page.show_recorded(listed)
    assert said.startswith("The 12 of 14 files that were looked at are of 2 sizes and rates")
    assert len(shown) == 1  # they have one rate, and two sizes
    table = data_page.measured(p, store)
    for column in ("seconds", "brightness", "motion"):
        assert data_page.show_quantiles(table, column).startswith("Typically ")
    assert len(shown) == 4 and all(figures.alt(ax) for ax in shown)
    for path in listed.frame["path"]:
        Path(path).unlink()
    assert "is unknown" in data_page.show_recorded(listed)


def test_nothing_to_say_is_said(tmp_path, write_videos, monkeypatch, shown):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    listed = write_videos(5, ["a", "b"])
    folder = write_study(tmp_path, "own", {"01_data_prep": ""})
    p = study_files.load_run(
        [folder / "01_data_prep.yaml"], {"store_size": 32, "workers": 1}
    ).params
    fingerprint.claim(p)
    data_prep.prepare(p, listed)
    assert data_page.losses(p) == "None was lost, cut short, or there twice."
    monkeypatch.setattr(data_page.alike, "load", lambda store: None)
    assert data_page.show_look_alikes(ClipStore(p.store_dir)) == "There are no pairs to show."
    assert not shown


def test_known_groups_are_listed_by_size():
    rows = [(f"v{n}", "", "ab"[n % 2], "train" if n < 9 else "val", g, np.nan, np.nan)
            for n, g in enumerate(["anna"] * 6 + ["bert"] * 2 + ["v8"] + ["c\nd"] * 3)]  # fmt: skip
    columns = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]
    listed = Catalog(pd.DataFrame(rows, columns=columns), "my")
    assert data_page.groups(listed) == (
        "4 groups of 1 to 6 videos; 1 of them is a video of which no group is known. None lies on "
        "two sides of the split."
    )
    table = data_page.group_sizes(listed).frame
    assert table.to_numpy().tolist() == [
        ["anna", 6, 2, 6, 0], [r"c\x0ad", 3, 2, 0, 3], ["bert", 2, 2, 2, 0],
    ]  # fmt: skip
    assert table.columns.tolist() == ["group", "videos", "categories", "train", "val"]


def test_many_losses_are_counted(tmp_path, monkeypatch):
    rows = [(f"v{n}", "a", "train", "", "missing", "no such file", "") for n in range(1000)]
    columns = ["video_id", "category", "split", "file", "status", "reason", "same_as"]
    table = Audit(pd.DataFrame(rows, columns=columns))
    monkeypatch.setattr(Audit, "load", lambda root: table)
    p = study_files.load_run(
        [write_study(tmp_path, "o", {"01_data_prep": ""}) / "01_data_prep.yaml"]
    )
    page = data_page.losses(p.params)._repr_html_()
    assert "190 more videos" in page and "800 more videos not listed here." in page
    assert '<td class="text">v9</td>' in page and "v200<" not in page


def measured(**values):
    rows = [(c, v) for c, numbers in values.items() for v in numbers]
    table = pd.DataFrame(rows, columns=["category", "seconds"])
    return table.assign(split=np.where(np.arange(len(table)) % 2, "train", "val"))


def test_a_category_that_stands_apart_is_said_with_what_it_means():
    same = np.linspace(2, 4, 20)
    said = wording.standing_apart(measured(a=same, b=same, c=same * 3), "seconds")
    assert said == (
        "Typically 3.5 s, nine of ten videos from 2.1 s to 11 s. Videos of c are longer than the "
        "others in 100 % of the comparisons (median 9 s against 3 s). A network may learn that in "
        "place of the action."
    )
    table = measured(a=same)
    table.loc[table["split"] == "val", "seconds"] += 5
    said = wording.standing_apart(table, "seconds")
    assert "Those in val are longer than the others in 100 % of the comparisons" in said
    assert said.endswith("What is learned on one side of the split may not hold on the other.")
    several = measured(**{"a": same, "a|b": same * 3})
    assert "Videos of b are longer than videos without it" in wording.standing_apart(
        several, "seconds"
    )
    some = measured(a=same, b=same)
    some.loc[::2, "seconds"] = np.nan
    assert (
        "(20 of 40 videos looked at). No category differs from the others by more than chance "
        in (wording.standing_apart(some, "seconds"))
    )
    assert wording.standing_apart(some.assign(seconds=np.nan), "seconds").startswith("No video has")
