"""Which runs a study's index ranks."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from harlib import HarlibError
from harlib.evaluation import Scores
from harlib.study.report import index, run_page, video_copies

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import hand_made_study

pytestmark = pytest.mark.quick


def test_a_run_that_is_not_complete_is_not_ranked(tmp_path):
    runs = tmp_path / "runs" / "kinetics400-15"
    for number, name in enumerate(("03_c3d", "04_resnext101")):
        hand_made_study._model_run(runs / name, seed=number, skill=1.0 + number)
    state = json.loads((runs / "04_resnext101" / "run.json").read_text())
    (runs / "04_resnext101" / "run.json").write_text(json.dumps(state | {"status": "started"}))
    page = index.write_index(runs).read_text()
    table, rest = page.split('id="runs"')[1].split("</table>", 1)
    assert "03_c3d" in table and "04_resnext101" not in table
    assert '04_resnext101</a>: <span class="">not complete' in rest


def test_pages_do_not_go_among_runs_whose_files_they_would_replace(tmp_path):
    runs = tmp_path / "runs" / "mine"
    hand_made_study._model_run(runs / "03_c3d", seed=0, skill=1.0)
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    for write, of in (
        (index.write_study, runs),
        (index.write_index, runs),
        (run_page.write_report, runs / "03_c3d"),
        (video_copies.write, runs),
    ):
        with pytest.raises(HarlibError, match=r"holds runs \(03_c3d\).*another folder"):
            write(of, runs)
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before


def bars(page):
    """The names beside the bars on top."""
    figure = page.split('class="bars"')[1].split("</figure>")[0]
    return re.findall(r'class="who">(?:<a [^>]*>)?([^<]+)<', figure)


def test_the_answer_its_bars_and_the_page_that_compares_come_first(tmp_path):
    runs = tmp_path / "runs" / "kinetics400-15"
    for number, name in enumerate(("02_frame_cnn", "03_c3d")):
        hand_made_study._model_run(runs / name, seed=number, skill=1.0 + number)
    hand_made_study._data_run(runs / "01_data_prep")
    hand_made_study._data_run(runs / "05_evaluation")
    (runs / "05_evaluation" / "data.json").unlink()
    page = index.write_index(runs).read_text()
    assert bars(page) == ["03_c3d", "02_frame_cnn"]
    assert page.index('class="reading answer"') < page.index('class="bars"')
    order = ['class="bars"', 'href="05_evaluation.html"', 'href="videos.html"', 'id="runs"',
             'href="01_data_prep.html"']  # fmt: skip
    places = [page.index(one) for one in order]
    assert places == sorted(places) and page.count('href="05_evaluation.html"') == 1
    assert "the dashed line is always naming the most frequent category, 20.0" in page
    settings = page.split("What differs in their settings")[1].split("</details>")[0]
    assert "frame_cnn" in settings and "c3d_bn" in settings


def test_seeds_of_a_run_are_one_row_that_leads_to_each(tmp_path):
    runs = tmp_path / "runs" / "mine"
    for number, name in enumerate(("03_c3d.a", "03_c3d.b", "04_resnext101")):
        hand_made_study._model_run(runs / name, seed=number, skill=2.0)
        params = yaml.safe_load((runs / name / "params.yaml").read_text())
        (runs / name / "params.yaml").write_text(yaml.safe_dump(params | {"seed": number}))
    page = index.write_index(runs).read_text()
    assert sorted(bars(page)) == ["03_c3d, 2 seeds", "04_resnext101"]
    table = page.split('id="runs"')[1].split("</table>")[0]
    assert table.count("<tr") == 3 and "standard deviation" in table
    assert all(f'<a href="{name}.html">' in table for name in ("03_c3d.a", "03_c3d.b"))
    assert "Best of 2 scored runs, some with several seeds: " in page


def test_folds_are_pooled_and_head_the_page(tmp_path):
    runs = tmp_path / "runs" / "mine"
    for number in (1, 2):
        folder = runs / f"03_c3d.fold{number}"
        hand_made_study._model_run(folder, seed=number, skill=2.0)
        own = Scores.load(folder)
        groups = [f"fold{number}-{group}" for group in own.group]
        videos = [f"{number}{video}" for video in own.video_id]
        dataclasses.replace(own, group=groups, video_id=videos).save(folder)
    page = index.write_index(runs).read_text()
    answer = page.split('class="reading answer">')[1].split("</p>")[0]
    assert "03_c3d, 2 folds pooled: it names the action in" in answer
    assert "of 120 videos of 40 groups" in answer.replace("\u00a0", " ")
    text = re.sub("<[^>]*>", "", page)
    assert "Its network: 03_c3d.fold1, " in text and "Folds: 03_c3d.fold1, 03_c3d.fold2." in text
    assert page.count('<a href="03_c3d.fold1.html">03_c3d.fold1</a>') >= 2
    assert bars(page) == ["03_c3d"] and "2 folds pooled" in page

    dataclasses.replace(Scores.load(folder), group=["fold1-g0"] * 60).save(folder)
    assert (
        "group &#39;fold1-g0&#39; is held out in two folds" in index.write_index(runs).read_text()
    )
