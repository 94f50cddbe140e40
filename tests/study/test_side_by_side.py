"""What notebook 05 shows of runs side by side, from runs made by hand."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from harlib import figures
from harlib.evaluation import Scores, comparison, metrics
from harlib.study.steps import results, side_by_side
from harlib.study.wording import apart, sentences

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))
import hand_made_study
from hand_made import HISTORY
from test_multi_label import hand_made as multi_label_scores
from test_multi_label_pages import MODEL, PROTOCOL

pytestmark = pytest.mark.quick
NAMES = ("02_frame_cnn", "03_c3d", "03_c3d.seed1", "03_c3d.seed2")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The runs and their scores."""
    root, runs = tmp_path_factory.mktemp("mine"), {}
    for number, name in enumerate(NAMES):
        runs[name] = folder = root / name
        hand_made_study._model_run(folder, seed=number, skill=0.5 if not number else 2.0)
        params = yaml.safe_load((folder / "params.yaml").read_text())
        (folder / "params.yaml").write_text(yaml.safe_dump(params | {"seed": number}))
        HISTORY.assign(seconds=30.0).to_csv(folder / "history.csv")
    (runs["02_frame_cnn"] / "history.csv").unlink()
    return runs, {name: Scores.load(folder) for name, folder in runs.items()}


@pytest.fixture
def study(written, monkeypatch):
    """The same, and the alt texts of what was shown."""
    shown = []
    monkeypatch.setattr(figures, "show", lambda drawn: shown.append(figures.alt(drawn)))
    return *written, shown


def test_three_seeds_are_one_line_everywhere(study):
    runs, scores, shown = study
    table = metrics.table(runs)
    lines = side_by_side.lines(table, runs)
    assert lines["run"].tolist() == ["02_frame_cnn", "03_c3d, 3 seeds"]
    own = side_by_side.scores_of_lines(scores, runs)
    assert [len(seeds) for seeds in own.values()] == [1, 3]
    compared = comparison.compare_all(own)
    said = sentences.comparison(lines, compared)
    assert said.startswith("03_c3d, 3 seeds is best with")
    assert "Its accuracy is the mean of seeds from " in said and "standard deviation" in said
    assert "seeds from " in repr(results.accuracy_table(lines))
    assert "seeds" not in results.accuracy_table(table).frame
    assert results.comparison_table(compared).frame["p (McNemar)"].tolist() == ["–"]
    pairs = repr(side_by_side.pairs(lines, own, compared, "val"))
    assert "means over the pairs of their seeds" in pairs and ", the seeds in the middle)" in pairs
    single = side_by_side.single_seeds(table, runs)
    assert all(name in repr(single) for name in NAMES[1:])
    assert side_by_side.single_seeds(table[:1], {"02_frame_cnn": runs["02_frame_cnn"]}) is None
    assert list(side_by_side.one_of_each(scores, runs, table))[0] == "02_frame_cnn"
    assert len(side_by_side.one_of_each(scores, runs, table)) == 2
    assert "no epochs of training: 02_frame_cnn" in str(side_by_side.show_learning(runs)).lower()
    assert "03_c3d, 3 seeds: 4 epochs in 2.0 minutes" in shown[0]


def test_settings_stand_by_line(study):
    runs, _, _ = study
    table = side_by_side.settings(runs).frame.set_index("setting")
    assert table.loc["model"].tolist() == ["frame_cnn", "c3d_bn"]
    assert table.loc["seed of 03_c3d, 3 seeds"].tolist() == ["–", "1, 2, 3"]
    assert "03_c3d, 3 seeds" in side_by_side.settings(runs)._repr_html_()
    one = {"03_c3d": runs["03_c3d"]}
    assert side_by_side.settings(one) == "No setting differs between these runs."


def test_the_settings_of_a_run_without_a_file_are_unknown(study, tmp_path):
    runs, _, _ = study
    one = {"03_c3d": runs["03_c3d"], "09_pretrained": tmp_path}
    said = side_by_side.settings(one)
    assert said == "No setting is known to differ; without params.yaml: 09_pretrained."
    table = side_by_side.settings(one | {"02_frame_cnn": runs["02_frame_cnn"]}).frame
    assert table.loc[table["setting"] == "model"].iloc[0].tolist() == [
        "model", "c3d_bn", "frame_cnn", "unknown",
    ]  # fmt: skip


def test_a_pair_says_which_categories_and_videos_and_whether_that_is_chance(study):
    runs, scores, shown = study
    runs = {name: runs[name] for name in NAMES[:2]}
    lines = side_by_side.lines(metrics.table(runs), runs)
    own = side_by_side.scores_of_lines(scores, runs)
    compared = comparison.compare_all(own)
    pairs = side_by_side.pairs(lines, own, compared, "val")
    page, row = pairs._repr_html_(), comparison.of_pair(compared, "03_c3d", "02_frame_cnn")
    assert page.startswith("<details open><summary>03_c3d and 02_frame_cnn: +")
    assert f"03_c3d alone {row['only_a']}, 02_frame_cnn alone {row['only_b']}" in page
    assert "McNemar" in page and "with 5 categories looked at (Bonferroni)" in page
    assert hand_made_study.HOSTILE[0] not in page  # it is text
    flipped = comparison.flipped(scores["03_c3d"], scores["02_frame_cnn"])
    assert f"{len(flipped)} videos are right for one and wrong for the other" in repr(pairs)
    video = flipped.iloc[0]
    assert f'<td class="text">{video["video_id"]}</td>' in page
    said = side_by_side.show_categories(lines, own)
    assert said.startswith("03_c3d is better in") and "Accuracy of 03_c3d minus" in shown[0]


def test_that_several_pairs_are_tested_is_said_above_them(study):
    runs, scores, _ = study
    table, each = metrics.table(runs), {name: {name: own} for name, own in scores.items()}
    compared = comparison.compare_all(each)
    pairs = side_by_side.pairs(table, each, compared, "val")
    said = "6 tests: each interval and each p is as if it were the only one."
    assert pairs._repr_html_().startswith(f'<p class="reading">{said}</p>\n<details open>')
    assert repr(pairs).startswith(f"{said}\n\n0")
    two = {name: each[name] for name in NAMES[:2]}
    compared = comparison.compare_all(two)
    assert "only one." not in repr(side_by_side.pairs(table[:2], two, compared, "val"))


def test_of_many_categories_the_largest_differences_are_listed():
    values = [*np.linspace(0.9, 0.1, 50), 0.0, *np.linspace(-0.1, -0.5, 5)]
    names = [f"c{number}" for number in range(56)]
    table = pd.DataFrame({"category": names, "support": 9, "clear": False, "a": 0.5, "b": 0.5})
    table = table.assign(difference=values, low=-1.0, high=1.0)
    shown = apart.category_table(table, "x", "y")["category"].tolist()
    assert shown == [f"c{n}" for n in (*range(20), *range(51, 56))]
    said = "55 categories differ; the 20 largest differences each way are listed."
    assert apart.not_listed(table) == said and apart.not_listed(table[30:]) == ""


def test_one_run_is_compared_with_nothing(study):
    runs, scores, shown = study
    runs = {"03_c3d": runs["03_c3d"]}
    own, lines = (
        {"03_c3d": {"03_c3d": scores["03_c3d"]}},
        side_by_side.lines(metrics.table(runs), runs),
    )
    assert "one run" in side_by_side.pairs(lines, own, pd.DataFrame())
    assert "one run" in side_by_side.show_categories(lines, own) and not shown


def test_of_several_labels_a_pair_has_no_cells_and_no_intervals_by_label(tmp_path, monkeypatch):
    runs, scores = {}, {}
    for name, sure in (("03_c3d", 1.0), ("04_resnext101", 0.2)):
        runs[name] = tmp_path / name
        scores[name] = multi_label_scores(sure=sure)
        scores[name].save(runs[name])
        metrics.write(runs[name], scores[name], PROTOCOL, MODEL, 1.0)
        (runs[name] / "params.yaml").write_text(f"run: {name}\nseed: 0\n")
    shown = []
    monkeypatch.setattr(figures, "show", lambda drawn: shown.append(figures.alt(drawn)))
    lines = side_by_side.lines(metrics.table(runs), runs)
    own = side_by_side.scores_of_lines(scores, runs)
    pairs = side_by_side.pairs(lines, own, comparison.compare_all(own), "val")
    said = repr(pairs)
    assert "There are no intervals for a label's average precision." in said
    assert "McNemar" not in said and "more than chance" not in said.split("\n", 1)[1]
    assert "03_c3d and 04_resnext101: +" in said
    assert "videos are right for one and wrong for the other; the first 20 are listed.\n" in said
    assert "how sure" not in said and "surest" not in said
    assert "03_c3d is better in" in side_by_side.show_categories(lines, own)
    assert shown[0].startswith("Average precision of 03_c3d minus")
    assert side_by_side.settings(runs).frame["setting"].tolist()[0] == "model"
