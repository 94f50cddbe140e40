"""Which run ranks first, and that index, card, videos and bundle say the same."""

import dataclasses
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from harlib.evaluation import Scores
from harlib.study.report import bundle, index
from harlib.study.runs import best, scored_videos

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import hand_made_study
import videos_study

pytestmark = pytest.mark.quick


def run(folder, right, *, seed=0, group=""):
    """A run that is right about so many of 20 videos."""
    label = np.arange(20) % 2
    called = np.where(np.arange(20) < right, label, 1 - label)
    share = np.where(np.eye(2, dtype=bool)[called], 0.9, 0.1)
    own = Scores(
        video_id=[f"{group}v{number}" for number in range(20)], label=label,
        categories=["bowing", "clapping"], video_scores=share, view_scores=share[:, None],
        group=[f"{group}g{number // 2}" for number in range(20)],
    )  # fmt: skip
    videos_study.write_run(folder, own, "0" * 12)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params = params | {"seed": seed, "model": folder.name.partition(".")[0]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def told(runs):
    """The best run by (the index's sentence, its table, the card, the videos, the bundle)."""
    page = index.write_index(runs).read_text()
    answer = page.split('class="reading answer">')[1].split("</p>")[0].replace("\u00a0", " ")
    row = page.split('<tr class="best">')
    row = row[1].split("</td>")[0] if len(row) > 1 else ""
    card = (runs.parents[1] / "reports" / "mine" / "MODEL_CARD.md").read_text()
    return answer, row, card, scored_videos.load(runs).best, bundle._best(runs).name


def test_a_lucky_seed_does_not_lead(tmp_path):
    runs = tmp_path / "runs" / "mine"
    run(runs / "03_c3d.a", 12, seed=1)
    run(runs / "03_c3d.b", 18, seed=2)
    run(runs / "04_resnext101", 16)
    answer, row, card, videos, packed = told(runs)
    assert answer.startswith("Best of 2 scored runs, some with several seeds: 04_resnext101")
    assert "04_resnext101" in row and card.startswith("# resnext101")
    assert videos == packed == "04_resnext101"
    (runs / "04_resnext101" / "run.json").unlink()
    assert told(runs)[3:] == ("03_c3d.b", "03_c3d.b")  # of two the better one
    run(runs / "03_c3d.c", 16, seed=3)
    assert told(runs)[3:] == ("03_c3d.c", "03_c3d.c")


def test_folds_rank_by_what_they_reach_together(tmp_path):
    runs = tmp_path / "runs" / "mine"
    run(runs / "03_c3d.fold1", 20, group="a")
    run(runs / "03_c3d.fold2", 0, group="b")
    run(runs / "04_resnext101", 15)
    answer, row, card, videos, packed = told(runs)
    assert answer.startswith("Best of 2 scored runs, some with several folds: 04_resnext101")
    assert "04_resnext101" in row and card.startswith("# resnext101")
    assert videos == packed == "04_resnext101"
    run(runs / "03_c3d.fold2", 16, group="b")
    answer, row, card, videos, packed = told(runs)
    assert answer.startswith("03_c3d, 2 folds pooled: it names the action in 90.0 %")
    assert row == "" and card.startswith("# c3d.fold1")
    assert (videos, packed) == ("03_c3d", "03_c3d.fold1")
    table = best.ranked(best.measured(runs))
    assert table["run"].tolist() == ["03_c3d", "04_resnext101"]
    assert table["video_top1"].tolist() == pytest.approx([0.9, 0.75])

    run(runs / "03_c3d", 5)  # beside its folds, a run of all videos
    assert told(runs)[1] == ""
    shutil.rmtree(runs / "03_c3d")

    run(runs / "03_c3d.fold2", 0, group="a")  # the same videos: two runs like others
    assert best.run(best.measured(runs)) == "03_c3d.fold1"
    (runs / "03_c3d.fold2" / "scores.npz").unlink()
    page = index.write_index(runs).read_text().replace("\u00a0", " ")
    assert "03_c3d: 2 folds are not pooled, since" in page and "holds no scores" in page


def test_folds_of_several_labels_rank_by_their_mean_average_precision(tmp_path):
    runs = tmp_path / "runs" / "mine"
    own = Scores(
        video_id=["a", "b", "c"], label=[0, 1, 2], categories=["bowing", "clapping"],
        video_scores=[[0.9, 0.2], [0.8, 0.7], [0.6, 0.9]], view_scores=np.empty((3, 0, 2)),
        label_sets=["bowing", "bowing|clapping", "clapping"],
    )  # fmt: skip
    videos_study.write_run(runs / "03_c3d.fold1", own, "0" * 12)
    other = dataclasses.replace(
        own, video_id=["d", "e", "f"], group=["d", "e", "f"], video_scores=own.video_scores[::-1]
    )
    videos_study.write_run(runs / "03_c3d.fold2", other, "0" * 12)
    table = best.ranked(best.measured(runs))
    assert table["run"].tolist() == ["03_c3d"] and 0 < table["mean_ap"][0] < 1


def test_a_network_that_cannot_be_exported_does_not_end_the_bundle(tmp_path):
    reports = hand_made_study.write(tmp_path)
    runs = tmp_path / "runs" / reports.name
    first = runs / best.run(best.measured(runs))
    (first / "model.keras").write_bytes(b"no network")
    said = []
    bundle.write(runs, reports, tmp_path / "s.zip", say=said.append)
    assert f"the network of {first.name} cannot be exported" in said[0]
    assert str(tmp_path) not in said[0].replace(str(tmp_path / "s.zip"), "")
