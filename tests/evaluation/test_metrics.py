import dataclasses
import json

import numpy as np
import pytest
from hand_made import CATEGORIES, LABELS, many, six
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, top_k_accuracy_score

from harlib.evaluation import metrics

pytestmark = pytest.mark.quick

PROTOCOL = {"split": "val", "clips": 2, "crops": 1, "frames": 16, "stride": 1, "size": 112}
MODEL = {"name": "c3d", "parameters": 78_409_573, "gmacs": 38.5}


def test_accuracies_by_hand():
    scores = six()
    assert metrics.top_k(scores) == 3 / 6
    assert metrics.top_k(scores, 2) == 5 / 6
    assert metrics.top_k(scores, 5) == 1.0
    assert metrics.top_k(scores, level="clip") == pytest.approx(6 / 12)
    assert metrics.mean_class(scores) == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert metrics.mean_class(scores, level="clip") == pytest.approx((3 / 4 + 3 / 6 + 0) / 3)
    assert metrics.majority(scores) == 3 / 6


@pytest.mark.parametrize("seed", [0, 1])
def test_accuracies_equal_scikit_learn(seed):
    scores = many(videos=200, classes=7, seed=seed, skill=1.0)
    predicted = scores.video_scores.argmax(axis=1)
    for k in (1, 3, 5):
        expected = top_k_accuracy_score(scores.label, scores.video_scores, k=k)
        assert metrics.top_k(scores, k) == pytest.approx(expected)
    expected = balanced_accuracy_score(scores.label, predicted)
    assert metrics.mean_class(scores) == pytest.approx(expected)
    np.testing.assert_array_equal(
        metrics.confusion(scores), confusion_matrix(scores.label, predicted)
    )


def test_constant_outputs_are_not_right_everywhere():
    flat = np.full((6, 3), 1 / 3)
    scores = six(video_scores=flat, view_scores=flat[:, None])
    assert metrics.top_k(scores) == 2 / 6  # the first category only, as argmax says
    assert metrics.top_k(scores, level="clip") == 2 / 6


def test_missing_videos_count_as_wrong():
    scores = six(missing_id=["lost", "gone"], missing_label=[2, 0])
    assert metrics.top_k(scores) == 3 / 8
    assert metrics.top_k(scores, 5) == 6 / 8
    assert metrics.top_k(scores, level="clip") == pytest.approx(3 / 8)
    assert metrics.mean_class(scores) == pytest.approx((1 / 3 + 2 / 3 + 0) / 3)
    table = metrics.per_category(scores).set_index("category")
    assert table["support"].to_dict() == {"bow": 3, "clap": 3, "wave": 2}
    assert table["missing"].to_dict() == {"bow": 1, "clap": 0, "wave": 1}
    assert metrics.confusion(scores).sum() == 6
    found = metrics.summary(scores)
    assert found["missing"] == 2 and found["video"]["n"] == 8 and found["clip"]["n"] == 12


def test_views_that_a_video_lacks_do_not_count():
    views = six().view_scores.copy()
    views[0, 1] = np.nan  # video a keeps one right view; 5 of 11 views are right elsewhere
    scores = six(view_scores=views)
    assert metrics.summary(scores)["clip"]["n"] == 11
    # the clip level is the share of single views: each counts the same, whatever its video
    assert metrics.top_k(scores, level="clip") == pytest.approx(5 / 11)
    assert metrics.summary(scores)["clip"]["top1"] == pytest.approx(5 / 11)
    assert metrics.mean_class(scores, level="clip") == pytest.approx((2 / 3 + 3 / 6 + 0) / 3)
    # a missing video has as many wrong views as the others on average, 11 / 6
    lost = dataclasses.replace(scores, missing_id=["lost"], missing_label=[2])
    assert metrics.top_k(lost, level="clip") == pytest.approx(5 / (11 + 11 / 6))
    right = (scores.view_scores.argmax(2) == scores.label[:, None])[~np.isnan(views[..., 0])]
    assert metrics.top_k(scores, level="clip") == pytest.approx(right.mean())


def test_per_category_by_hand():
    table = metrics.per_category(six()).set_index("category")
    assert table["accuracy"].tolist() == pytest.approx([1 / 2, 2 / 3, 0])
    assert table["support"].tolist() == [2, 3, 1]
    assert (table["low"] <= table["accuracy"]).all() and (table["accuracy"] <= table["high"]).all()


def test_a_category_without_videos_has_no_accuracy_and_no_weight():
    scores = six(label=[0, 0, 1, 1, 1, 1])
    row = metrics.per_category(scores).set_index("category").loc["wave"]
    assert row["support"] == 0 and np.isnan(row["accuracy"]) and np.isnan(row["low"])
    assert metrics.mean_class(scores) == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_confusion_and_its_largest_entries_by_hand():
    assert metrics.confusion(six()).tolist() == [[1, 1, 0], [1, 2, 0], [1, 0, 0]]
    table = metrics.most_confused(six(), n=2)
    assert table["true"].tolist() == ["bow", "clap"]
    assert table["predicted"].tolist() == ["clap", "bow"]
    assert table["videos"].tolist() == [1, 1]
    assert table["share"].tolist() == pytest.approx([1 / 2, 1 / 3])
    right = np.eye(3)[LABELS]
    assert len(metrics.most_confused(six(video_scores=right))) == 0


def test_pair_accuracy_by_hand():
    # bow against clap: a and c and e win, b and d lose; wave against clap: c, d, e win, f loses
    table = metrics.pair_accuracy(six(), [("bow", "clap")])
    assert table["pair"].tolist() == ["bow / clap", "all pairs"]
    assert table["videos"].tolist() == [5, 5] and table["right"].tolist() == [3, 3]
    assert table["accuracy"].tolist() == pytest.approx([0.6, 0.6])
    assert metrics.pair_accuracy(six(), [("clap", "wave")])["right"].iloc[0] == 3
    lost = six(missing_id=["lost"], missing_label=[0])
    assert metrics.pair_accuracy(lost, [("bow", "clap")])["videos"].iloc[0] == 6
    assert metrics.pair_accuracy(lost, [("bow", "clap")])["right"].iloc[0] == 3
    flat = six(video_scores=np.full((6, 3), 1 / 3))
    assert metrics.pair_accuracy(flat, [("bow", "clap")])["right"].iloc[0] == 0


def test_pairs_that_are_not_there():
    assert len(metrics.pair_accuracy(six(), ())) == 0
    with pytest.raises(ValueError, match=r"pairs name \['swim'\], the categories are \['bow'"):
        metrics.pair_accuracy(six(), [("bow", "swim")])


def test_several_models_make_one_long_table():
    runs = {"one": six(), "two": six()}
    assert metrics.per_category(runs)["model"].tolist() == ["one"] * 3 + ["two"] * 3
    table = metrics.pair_accuracy(runs, [("bow", "clap")])
    assert table.columns[0] == "model" and len(table) == 4


def test_metrics_file_is_as_promised(tmp_path):
    written = metrics.write(tmp_path / "run", six(), PROTOCOL, MODEL, 1.5)
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert found == written
    assert {"clip", "video", "protocol", "model", "minutes"} <= set(found)
    assert set(found["clip"]) == {"top1", "top5", "mean_class", "n"}
    assert found["clip"]["top5"] is None is found["video"]["top5"]  # three categories
    assert set(found["video"]) == {"top1", "top5", "mean_class", "n", "top1_interval"}
    assert found["protocol"] == PROTOCOL and found["model"] == MODEL and found["minutes"] == 1.5
    assert found["video"]["top1"] == 0.5 and found["clip"]["n"] == 12
    low, high = found["video"]["top1_interval"]
    assert 0 <= low < 0.5 < high <= 1
    before = (tmp_path / "run" / "metrics.json").read_bytes()
    metrics.write(tmp_path / "run", six(), PROTOCOL, MODEL, 1.5)
    assert (tmp_path / "run" / "metrics.json").read_bytes() == before
    assert len(list((tmp_path / "run").iterdir())) == 1


def test_scores_without_views_write_null(tmp_path):
    metrics.write(tmp_path, six(view_scores=np.empty((6, 0, 3))), PROTOCOL, MODEL, 1)
    clip = json.loads((tmp_path / "metrics.json").read_text())["clip"]
    assert clip == {"top1": None, "top5": None, "mean_class": None, "n": 0}


def test_an_incomplete_protocol_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"protocol has the keys .* \['size'\] are missing"):
        partial = {key: value for key, value in PROTOCOL.items() if key != "size"}
        metrics.write(tmp_path, six(), partial, MODEL, 1)


def test_table_of_runs(tmp_path):
    for name in ("02_frame_cnn", "03_c3d"):
        metrics.write(tmp_path / name, six(), PROTOCOL, MODEL | {"name": name[3:]}, 2)
    table = metrics.table([tmp_path / "02_frame_cnn", tmp_path / "03_c3d"])
    assert table["run"].tolist() == ["02_frame_cnn", "03_c3d"]
    assert table["video_top1"].tolist() == [0.5, 0.5] and table["views"].tolist() == [2, 2]
    assert metrics.table({"C3D": tmp_path / "03_c3d"})["run"].tolist() == ["C3D"]


def test_category_names_are_only_text(tmp_path):
    names = ["<script>alert(1)</script>", '"quoted" & $dollars$', "歩く " * 60]
    scores = six(categories=names)
    scores.save(tmp_path)
    table = metrics.per_category(type(scores).load(tmp_path))
    assert table["category"].tolist() == names
    assert metrics.pair_accuracy(scores, [(names[0], names[1])])["videos"].iloc[0] == 5
    assert CATEGORIES == ("bow", "clap", "wave")


def test_top_k_knows_two_levels():
    with pytest.raises(ValueError, match="level='frame', expected one of"):
        metrics.top_k(six(), level="frame")


@pytest.mark.parametrize(("classes", "there"), [(2, False), (5, False), (6, True)])
def test_top_5_of_up_to_five_categories_is_left_out(classes, there, tmp_path):
    scores = many(videos=60, classes=classes)
    found = metrics.write(tmp_path / "run", scores, PROTOCOL, MODEL, 1)
    for level in ("clip", "video"):
        assert (found[level]["top5"] is not None) == there
    assert metrics.per_category(scores)["top5"].notna().any() == there
    assert metrics.table([tmp_path / "run"])["video_top5"].notna().any() == there
    # so is the 1 that an older metrics.json holds
    file = tmp_path / "run" / "metrics.json"
    old = json.loads(file.read_text())
    for level in ("clip", "video"):
        old[level]["top5"] = old[level]["top5"] or 1.0
    file.write_text(json.dumps(old))
    table = metrics.table([tmp_path / "run"])
    assert table[["clip_top5", "video_top5"]].notna().all(axis=None) == there
