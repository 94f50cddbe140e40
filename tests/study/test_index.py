"""Which runs a study's index ranks."""

import json
import sys
from pathlib import Path

import pytest

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
