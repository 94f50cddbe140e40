"""Runs that differ in their seed alone are one line."""

import numpy as np
import pandas as pd
import pytest
from test_settings_apart import run

from harlib.study.runs import seeds

pytestmark = pytest.mark.quick


def test_seeds_of_one_run_are_found_by_their_settings(tmp_path):
    names = ["03_c3d", "03_c3d.seed1", "03_c3d.seed2", "03_c3d.wide"]
    runs = {name: run(tmp_path, name, seed=number, width=1.0 if "wide" in name else 0.25)
            for number, name in enumerate(names)}  # fmt: skip
    found = seeds.groups(runs)
    assert found == {"03_c3d, 3 seeds": names[:3], "03_c3d.wide": ["03_c3d.wide"]}
    named = {f"{name} (c3d_bn, width 0.25)": folder for name, folder in runs.items()}
    assert list(seeds.groups(named))[0] == "03_c3d, 3 seeds (c3d_bn, width 0.25)"


def test_another_store_the_same_seed_and_a_fold_are_no_seeds(tmp_path):
    runs = {
        "03_c3d.a": run(tmp_path, "03_c3d.a", seed=0, store="1"),
        "03_c3d.b": run(tmp_path, "03_c3d.b", seed=1, store="2"),
        "03_c3d.c": run(tmp_path, "03_c3d.c", seed=0, store="1"),
        "04_x.fold1": run(tmp_path, "04_x.fold1", seed=0),
        "04_x.fold2": run(tmp_path, "04_x.fold2", seed=1),
        "09_pretrained": tmp_path / "09_pretrained",  # its parameters are gone
    }
    assert seeds.groups(runs) == {name: [name] for name in runs}


def test_two_lines_of_one_name_are_told_apart(tmp_path):
    runs = {f"03_c3d.{number}": run(tmp_path, f"03_c3d.{number}", seed=number % 2, epochs=epochs)
            for number, epochs in enumerate((1, 1, 2, 2))}  # fmt: skip
    assert list(seeds.groups(runs)) == ["03_c3d, 2 seeds", "03_c3d.*, 2 seeds"]


def test_a_line_has_the_mean_and_the_spread():
    table = pd.DataFrame(
        {"run": ["a", "b", "c", "d"], "network": "n", "video_top1": [0.7, 0.8, 0.9, 0.95],
         "low": [0.6, 0.7, 0.8, 0.9], "high": [0.8, 0.9, 1.0, 1.0], "videos": 60,
         "parameters": 7, "minutes": [1.0, 2.0, 3.0, 4.0]}
    )  # fmt: skip
    lines = seeds.lines(table, {"abc": ["a", "b", "c"], "d": ["d"]})
    first, second = lines.to_dict("records")
    assert (
        first["run"] == "abc" and first["seeds"] == 3 and first["video_top1"] == pytest.approx(0.8)
    )
    assert (first["lowest"], first["highest"]) == (0.7, 0.9) and first["videos"] == 60
    assert first["spread"] == pytest.approx(0.1) and first["minutes"] == pytest.approx(2.0)
    assert second["seeds"] == 1 and np.isnan(second["spread"]) and second["video_top1"] == 0.95
    assert seeds.middle(table, ["a", "b", "c"]) == "b" and seeds.middle(table, ["a", "b"]) == "b"
