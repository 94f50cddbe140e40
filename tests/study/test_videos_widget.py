"""The browser of videos in JupyterLab, asked as its page asks: previews, marks, undo."""

import gzip
import json
import sys
from pathlib import Path

import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook, new_output

from harlib import HarlibError
from harlib.data.catalog.corrections import Corrections
from harlib.study.report import run_page
from harlib.study.widgets import videos

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import videos_study

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    videos_study.write(root)
    return root


@pytest.fixture
def browser(made, monkeypatch):
    """The widget; ``ask(kind, …)`` returns its answer and the bytes that came with it."""
    monkeypatch.setenv("HARLIB_ROOT", str(made))
    (made / "params" / "mine" / "corrections.csv").unlink(missing_ok=True)
    widget = videos.browser("mine")
    sent = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=(): sent.append((content, buffers)))

    def ask(kind, **what):
        widget._handle_custom_msg({"kind": kind, "asked": "7", **what}, [])
        content, buffers = sent.pop()
        assert not sent and content.pop("asked") == "7"
        return content, list(buffers)

    widget.ask = ask
    return widget


def place(browser, video):
    return int(browser._scored.videos.index[browser._scored.videos["id"] == video][0])


def test_previews_are_made_when_they_are_asked_for(browser):
    content, (clip,) = browser.ask("preview", video=place(browser, "v04"))
    assert content == {} and clip[4:8] == b"ftyp"
    assert browser.ask("preview", video=place(browser, "v23")) == ({}, [])  # it cannot be read


def test_a_preview_that_cannot_be_made_is_answered(browser, monkeypatch):
    def refuse(row):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(browser._clips, "copy", refuse)
    content, clips = browser.ask("preview", video=place(browser, "v04"))
    assert "Input/output error" in content["said"] and clips == []


def test_a_mark_is_in_the_table_at_once_and_undo_takes_it_back(browser, made):
    table = made / "params" / "mine" / "corrections.csv"
    assert browser.marks == {"marked": {}, "drop": "drop",
                             "said": "0 marks in params/mine/corrections.csv."}  # fmt: skip
    assert not table.exists()
    row = place(browser, "v04")
    content, _ = browser.ask("mark", video=row, category="waving <b>")
    assert content == {
        "said": "v04: waving <b>, not clapping. 1 mark in params/mine/corrections.csv.",
        "marked": {str(row): "waving <b>"},
    }
    assert table.read_text().splitlines()[1] == "v04,clapping,waving <b>,"
    content, _ = browser.ask("mark", video=row, category="drop")
    assert content["marked"] == {str(row): "drop"} and content["said"].startswith("v04: left out")
    assert browser.ask("undo")[0]["marked"] == {str(row): "waving <b>"}
    assert browser.ask("undo")[0]["marked"] == {}
    assert browser.ask("undo")[0]["said"].startswith("Not written: nothing to undo")


def test_what_cannot_be_written_is_said(browser, made):
    for category, said in (("dancing", "Not written: 'dancing' is no category of study mine"),
                           ("clapping", "Not written: v04 is 'clapping' already")):  # fmt: skip
        answer = browser.ask("mark", video=place(browser, "v04"), category=category)[0]
        assert answer["said"].startswith(said) and answer["marked"] == {}
    (made / "params" / "mine" / "corrections.csv").write_text("path,label\n")
    said = browser.ask("mark", video=0, category="drop")[0]["said"]
    assert said.startswith("Not written: ") and "is no table of corrections" in said


def test_the_page_has_all_it_needs(browser):
    """Its module and its data; and no address from which something would be fetched."""
    assert "export default" in browser._esm and browser._esm.count("export default") == 1
    assert "import " not in browser._esm.replace("// ", "").split("export async")[0]
    assert "http" not in browser._css + browser._esm
    content = gzip.decompress(browser.data)
    about = json.loads(content[4 : 4 + int.from_bytes(content[:4], "little")])
    assert about["study"] == "mine" and len(about["id"]) == 24


def test_a_page_keeps_nothing_of_it_but_a_link(browser):
    data, _ = browser._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    cell = new_code_cell("", outputs=[new_output("execute_result", data=data)])
    run_page._drop_widgets(notebook := new_notebook(cells=[cell]))
    (shown,) = notebook.cells[0].outputs
    assert list(shown.data) == ["text/html"] and '<a href="videos.html">' in shown.data["text/html"]


def test_marks_go_to_the_table_that_the_study_was_made_with(browser, made):
    run = made / "runs" / "mine" / "01_data_prep"
    run.mkdir()
    (run / "params.yaml").write_text(yaml.safe_dump({"corrections": "earlier.csv"}))
    for file in (made / "earlier.csv", run / "corrections.csv"):  # the run keeps what it has read
        Corrections(file).mark("v04", "bowing", "clapping")
        Corrections(file).mark("v00", "waving <b>", "bowing", new=True)
    again = videos.browser("mine")
    assert again.marks["marked"] == {} and again.marks["said"] == (
        "2 marks in earlier.csv. Study mine is made with this table: after a mark, har study mine "
        "makes all its runs anew and moves the present ones to runs/mine/before."
    )

    def mark(video, category):
        again._answer(None, {"kind": "mark", "asked": "", "video": place(again, video),
                             "category": category}, [])  # fmt: skip
        return {one.video: one for one in Corrections(made / "earlier.csv")}

    one = mark("v04", "waving <b>")["v04"]
    assert (one.label, one.correction) == ("bowing", "waving <b>")
    assert again._marks("")["marked"] == {str(place(again, "v04")): "waving <b>"}
    one = mark("v04", "bowing")
    assert "v04" not in one  # as at the source
    one = mark("v01", "bowing")["v01"]  # a category that is there by a correction alone
    assert (one.label, one.correction, one.new) == ("clapping", "bowing", True)
    assert videos.browser("mine", "second.csv").marks["said"] == "0 marks in second.csv."
    (run / "params.yaml").unlink()


def test_a_mark_changes_the_row_of_the_video_that_is_shown(browser, made):
    """Another video of the same id, whose correction is this one's label, stays as it is."""
    table = made / "params" / "mine" / "corrections.csv"
    Corrections(table).mark("v04", "bowing", "clapping")  # since the study was made
    browser.ask("mark", video=place(browser, "v04"), category="waving <b>")
    rows = [(one.label, one.correction) for one in Corrections(table)]
    assert rows == [("bowing", "clapping"), ("clapping", "waving <b>")]


def test_a_study_without_scores_says_so(made, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(made))
    with pytest.raises(HarlibError, match="holds no complete run with scores"):
        videos.browser("other")
