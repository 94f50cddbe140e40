"""What a page says and how: its head, its tables, what could not be read."""

import base64
import re
from urllib.parse import unquote

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from harlib import figures
from harlib.evaluation import segments
from harlib.inference import segment_pages
from harlib.study.report import contents, run_page
from harlib.study.report.links import StudyLinks
from harlib.study.wording import sentences, tables

pytestmark = pytest.mark.quick
METRICS = {
    "clip": {"top1": 0.5, "n": 12},
    "video": {"top1": 0.5, "n": 8, "top1_interval": [0.2, 0.8]},
    "protocol": {"split": "val", "frames": 16, "stride": 1},
    "model": {"name": "c3d"},
}


def test_what_could_not_be_read_is_said_with_the_result():
    assert "could not be read" not in sentences.answer(METRICS)
    said = sentences.answer(METRICS | {"missing": 2})
    assert "2 listed videos could not be read and counted as wrong." in said
    assert "from 2 views per video" in said  # of the six that were read


def test_a_table_is_escaped_and_its_numbers_stand_at_the_right():
    table = tables.Table(pd.DataFrame({
        "category": ["<script>", "a & b"], "accuracy": [0.5, None], "minutes": [3.9, 12.0],
        "interval": ["-1.5 to +2.0 %", "1e-24"], "mixed": ["1", "one"],
    }))  # fmt: skip
    html = table._repr_html_()
    assert '<td class="text">&lt;script&gt;</td><td class="number">50.0 %</td>' in html
    assert '<td class="number">3.9</td><td class="number">-1.5 to +2.0 %</td>' in html
    assert '<td class="number">–</td><td class="number">12.0</td>' in html
    assert '<th scope="col" class="text">mixed</th>' in html
    assert tables.Table(pd.DataFrame())._repr_html_() == ""


def test_a_percent_sign_stays_with_its_number():
    assert "95\u00a0% of 3 videos" in tables.Sentence("95 % of 3 videos")._repr_html_()


def test_the_cell_with_the_tag_answer_heads_the_page():
    def cell(text, tags):
        shown = new_output("execute_result", data={"text/plain": text, "text/html": f"<p>{text}"})
        return new_code_cell("x", outputs=[shown], metadata={"tags": tags})

    notebook = new_notebook(cells=[cell("no", []), cell("C3D leads", ["answer"])])
    assert run_page._answer(notebook) == "C3D leads"
    assert run_page._answer(new_notebook(cells=notebook.cells[:1])) == ""
    nbformat.validate(notebook)


def test_a_page_of_segments_in_the_runs_folder_is_linked(tmp_path):
    run, reports = tmp_path / "runs" / "a b" / "03_c3d", tmp_path / "reports" / "a b"
    assert run_page._segments(run, reports) == []
    there = pd.DataFrame([("v", "run", 1.0, 5.0)], columns=["video", "label", "start_s", "end_s"])
    found = there.assign(score=0.9)
    result = segments.measure(there, found)
    page = segment_pages.write(
        run / "segments" / "test", "c3d", there, found, result, {"v": 9.0}, []
    )
    segment_pages.write(run / "segments" / "val", "c3d", there, found, result, {"v": 9.0}, [])
    link, other = run_page._segments(run, reports)
    assert link["text"] == "Segments found in 1 untrimmed video (test): F1 100.0 % at overlap 0.5"
    assert other["link"].endswith("segments/val/index.html")
    assert (reports / unquote(link["link"])).resolve() == page


RUNS = ("02_frame_cnn", "03_c3d", "03_c3d.fold-0", "05_evaluation")


@pytest.mark.parametrize(("html", "linked"), [
    ("<p>03_c3d (c3d, 16) wins.</p>", "<p><a>03_c3d</a> (c3d, 16) wins.</p>"),
    ("<td>03_c3d.fold-0</td>", "<td><a>03_c3d.fold-0</a></td>"),
    ("03_c3d, 02_frame_cnn.", "<a>03_c3d</a>, <a>02_frame_cnn</a>."),
    ("03_c3d.fold-1, my03_c3d, 03_c3d_bn, runs/demo/03_c3d, 03_c3d/x", None),
    ('<a href="x">03_c3d</a> <code>03_c3d</code> <pre>a <b>03_c3d</b></pre>', None),
    ('<img alt="03_c3d > 02_frame_cnn" src="x">', None),
    ("05_evaluation", None),  # the page's own
])  # fmt: skip
def test_a_run_is_linked_where_its_whole_name_stands_in_text(html, linked):
    found = StudyLinks("05_evaluation", RUNS).text(html)
    assert re.sub(r'<a href="([^"]+)\.html">(?=\1)', "<a>", found) == (linked or html)


def test_the_first_and_the_last_page_have_one_neighbour():
    first, last = StudyLinks(RUNS[0], RUNS), StudyLinks(RUNS[-1], RUNS)
    assert (first.previous, first.next) == ("", "03_c3d")
    assert (last.previous, last.next) == ("03_c3d.fold-0", "")
    nowhere = StudyLinks()
    assert (nowhere.previous, nowhere.next, nowhere.videos) == ("", "", "")
    assert nowhere.output("<p>03_c3d</p>") == "<p>03_c3d</p>"


def test_categories_of_a_table_lead_to_the_videos_of_its_rows_run():
    frame = pd.DataFrame([["03_c3d (c3d)", "a & b", "c"], ["x", "a & b", "other"]])
    frame.columns = ["run", "true", "predicted"]
    links = StudyLinks("05_evaluation", RUNS, ("03_c3d",), frozenset({"a & b", "c"}))
    html = links.output(tables.Table(frame)._repr_html_())
    assert re.findall(r'<a href="([^"]+)">([^<]+)</a>', html) == [
        ("03_c3d.html", "03_c3d"),
        ("videos.html#run=03_c3d&amp;true=a%20%26%20b", "a &amp; b"),
        ("videos.html#run=03_c3d&amp;true=a%20%26%20b&amp;called=c", "c"),
        ("videos.html#true=a%20%26%20b", "a &amp; b"),
    ]
    without = StudyLinks("05_evaluation", RUNS).output(tables.Table(frame)._repr_html_())
    assert re.findall(r'<a href="([^"]+)"', without) == ["03_c3d.html"]


def test_a_network_stands_below_its_runs_name_in_a_table_of_runs():
    frame = pd.DataFrame(
        [["03_c3d (c3d, 16 × 48)", 0.5], ["04_x", 0.4]], columns=["run", "accuracy"]
    )
    links = StudyLinks("05_evaluation", RUNS)
    html = run_page._parted(links.output(tables.Table(frame)._repr_html_()))
    assert (
        '<tr><td class="text run"><a href="03_c3d.html">03_c3d</a> '
        '<span class="network">(c3d, 16 × 48)</span></td><td class="number">50.0 %</td></tr>'
    ) in html
    assert '<td class="text">04_x</td>' in html
    other = tables.Table(frame.rename(columns={"run": "what"}))._repr_html_()
    assert run_page._parted(other) == other


@pytest.mark.parametrize(("code", "said"), [
    ("\n  results.accuracy_table(table)\nmore", "results.accuracy_table(table)"),
    ("# The run\nstudy = 1", "The run"),
    ("f(" + 80 * "a", "f(" + 57 * "a" + "…"),
    ("", ""),
])  # fmt: skip
def test_the_first_line_of_a_cell_names_its_fold(code, said):
    assert run_page._first_line(code) == said


def test_a_video_of_a_pair_leads_to_what_the_wrong_run_called_it():
    frame = pd.DataFrame({"video": ["v 1"], "true": ["a|b"], "right": ["x"], "wrong": ["03_c3d"],
                          "called": ["b"]})  # fmt: skip
    links = StudyLinks("05_evaluation", RUNS, ("03_c3d",), frozenset({"a", "b"}))
    html = links.output(tables.Table(frame)._repr_html_())
    assert re.findall(r'<a href="(videos[^"]+)">([^<]+)</a>', html) == [
        ("videos.html#run=03_c3d&amp;true=a%7Cb&amp;video=v%201", "v 1")]  # fmt: skip


def test_a_figure_leads_to_what_the_page_of_videos_knows():
    areas = [
        {"words": "a", "box": [0, 0, 9, 9], "filters": {"true": "a"}},
        {"words": "gone", "box": [0, 9, 9, 9], "filters": {"true": "gone"}},
        {"words": "of a run without scores", "box": None, "filters": {"run": "01_data_prep"}},
        {"words": "one", "box": None, "filters": {"run": "03_c3d", "true": "a|b", "video": "v"}},
    ]
    png = base64.b64encode(figures.png(figures.new_axes(2, 1))).decode()
    output = new_output(
        "display_data",
        data={"image/png": png},
        metadata={"image/png": {"areas": areas, "more": 3}},
    )
    links = StudyLinks("03_c3d", RUNS, ("03_c3d",), frozenset({"a"}))
    drawn = links.figure(output)
    assert drawn["width"] > drawn["height"] > 50
    assert [link["link"] for link in drawn["links"]] == [
        "videos.html#run=03_c3d&true=a", "videos.html#run=03_c3d&true=a%7Cb&video=v"]  # fmt: skip
    assert drawn["more"] == 3
    assert StudyLinks("03_c3d", RUNS).figure(output)["links"] == []


def test_headings_of_one_text_have_two_addresses_and_all_are_listed():
    def heading(level, text, name):
        anchor = f'<a class="anchor-link" href="#{name}">¶</a>'
        return f'<h{level} id="{name}">{text}{anchor}</h{level}>'

    head = "<!-- contents --><h1>Of the page</h1>"
    page = head + heading(2, "50&nbsp;% <em>more</em>", "50%-more") + heading(3, "a", "a")
    page = contents.added(page + heading(3, "a", "a") + heading(4, "deep", "deep"))
    ids = re.findall(r'<h[2-6] id="([^"]+)"', page)
    assert ids == ["50%-more", "a", "a-2", "deep"]
    listed = re.findall(r'<li class="level(.)"><a href="#([^"]+)">([^<]+)', page)
    assert listed == 2 * [("2", "50%25-more", "50 % more"), ("3", "a", "a"), ("3", "a-2", "a")]
    assert page.count('class="anchor"') == 4 and "anchor-link" not in page
    assert "contents" not in contents.added(head + heading(2, "only", "only"))


def test_no_two_headings_have_one_address_and_blanks_are_written_out():
    def heading(text, name):
        return f'<h2 id="{name}">{text}<a class="anchor-link" href="#x">¶</a></h2>'

    names = ("A", "A", "A-2", "A", "B\u00a0C\u2009D")
    page = contents.added("<!-- contents -->" + "".join(heading(name, name) for name in names))
    ids = re.findall(r'<h2 id="([^"]+)"', page)
    assert len(set(ids)) == len(names) and ids[:2] == ["A", "A-2"]
    assert 'href="#B%C2%A0C%E2%80%89D"' in page
