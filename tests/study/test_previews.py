"""Which videos of a study are shown in its page, and how many of them."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harlib.study.report import videos_page
from harlib.study.runs import scored_videos
from harlib.study.widgets import previews

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import videos_study

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return videos_study.write(tmp_path_factory.mktemp("previews"))


@pytest.fixture(scope="module")
def scored(runs):
    return scored_videos.load(runs)


def told(scored, most):
    return [scored.videos.at[row, "id"] for row in previews.telling(scored, most, lambda _: True)]


def test_suspicions_come_first_then_the_mistakes_of_every_run_then_high_losses(scored):
    swapped = (scored.videos["id"] == videos_study.SWAPPED).astype(int)
    scored = replace(scored, videos=scored.videos.assign(suspicion=swapped))
    best, (other,) = scored.best, set(scored.calls) - {scored.best}
    table = scored.table().set_index("id").drop("v23")  # it could not be read
    mistakes = [
        table[table[f"{run} right"].eq(False)].sort_values(f"{run} probability", ascending=False)
        for run in (best, other)
    ]
    first = list(dict.fromkeys([videos_study.SWAPPED, *mistakes[0].index, *mistakes[1].index]))
    assert len(first) == 7  # three of each run, and the swapped one
    rest = table.drop(first).sort_values(f"{best} loss", ascending=False).index
    assert told(scored, 200) == [*first, *rest]


def test_where_they_are_too_many_each_kind_has_its_share(scored):
    videos = scored.videos.assign(suspicion=np.arange(len(scored.videos)) + 1)
    shown = told(replace(scored, videos=videos), 12)
    assert len(set(shown)) == 12
    for run in scored.calls:
        wrong = {"03_c3d": {"v02", "v09", "v16"}, "04_resnext101": {"v03", "v10", "v17"}}[run]
        assert len(wrong & set(shown)) >= 2


def test_those_that_are_not_there_take_no_place(scored):
    rows = previews.telling(scored, 5, lambda row: row >= 10)
    assert len(rows) == 5 and min(rows) >= 10


def test_the_page_holds_few_where_frames_are_large(scored, monkeypatch):
    monkeypatch.setattr(videos_page, "_SIXTY", 3)
    clips = previews.Clips(scored)
    shown = [row for row in range(20) if clips.there(row)]
    sizes = np.cumsum([clips.frames(row)[0].nbytes for row in shown])
    for most, kept in ((1, 3), (int(sizes[5]), 6), (int(sizes[-1]), len(shown))):
        monkeypatch.setattr(videos_page, "FRAMES", most)
        assert list(videos_page._embedded(clips, shown, 10**7)) == shown[:kept]
    monkeypatch.setattr(videos_page, "FRAMES", 1)
    first = len(videos_page._embedded(clips, shown[:1], 10**7)[shown[0]])
    assert list(videos_page._embedded(clips, shown, first)) == shown[:1]


def test_the_page_keeps_to_the_size_that_is_asked(runs, tmp_path):
    told = []
    for most in (None, 115_000, 0):
        page = videos_page.write(runs, tmp_path, most=most)
        assert not most or page.stat().st_size <= most
        told.append(re.search(r"(All|\d+ of|None of) \d+ videos can", page.read_text())[1])
    assert told[0] == "All" and told[1][0].isdigit() and told[2] == "None of"


def test_a_page_full_of_numbers_says_so_and_makes_no_copy(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(videos_page, "MOST", 0)
    monkeypatch.setattr(previews, "mp4", lambda *_: pytest.fail("a copy that has no room"))
    page = videos_page.write(runs, tmp_path).read_text()
    assert (
        "None of 23 videos can be played from this page: what the runs say of them leaves" in page
    )
    assert "can add all: <code>har report mine --videos</code>" in page
    (tmp_path / "videos").mkdir()
    name = previews.Clips(scored_videos.load(runs)).name(0)
    (tmp_path / "videos" / f"{name}.mp4").write_bytes(b"moving")
    page = videos_page.write(runs, tmp_path).read_text()
    assert "no room for a copy in 0 bytes; 1 can from the folder videos beside it." in page
