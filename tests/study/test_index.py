"""Which runs a study's index ranks."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from harlib.evaluation import Scores
from harlib.study.report import index

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
    assert "Folds: 03_c3d.fold1, 03_c3d.fold2." in page

    dataclasses.replace(Scores.load(folder), group=["fold1-g0"] * 60).save(folder)
    assert (
        "group &#39;fold1-g0&#39; is held out in two folds" in index.write_index(runs).read_text()
    )
