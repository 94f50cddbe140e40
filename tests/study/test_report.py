"""What a page says and how: its head, its tables, what could not be read."""

from urllib.parse import unquote

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from harlib.evaluation import segments
from harlib.inference import segment_pages
from harlib.study.report import run_page
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
