"""Notebook 09: what a network that knows something already is given, and what is kept of it."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from tiny_study import FILES, write_study

from harlib import HarlibError, evaluation, models
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import prepare
from harlib.models import keras_file
from harlib.study.params.notebooks import ParamsError, validate
from harlib.study.runs import fingerprint, study_files
from harlib.study.steps import checks, model_run, transfer, video_features
from harlib.training import probe

CATEGORIES = ["a", "b"]
BASE = """
model: r3d_18
width: 0.125
frames: 4
size: 32
batch: 4
epochs: 2
precision: float32
clips: 2
score_batch: 4
preflight: "off"
crop: center
flip: false
"""


@pytest.fixture
def begin(write_videos, tmp_path, monkeypatch):
    """Makes a run of notebook 09 on a tiny store: begin(recipe=..., weights=...) -> parameters."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    prepare(write_videos(4, CATEGORIES), tmp_path / "own", size=40, workers=1, progress=False)
    folder = write_study(tmp_path, "tiny", FILES | {"09_pretrained": BASE})
    keras.utils.set_random_seed(3)
    known = models.build("r3d_18", 2, frames=4, size=32, width=0.125)
    for layer in known.layers:
        if layer.name.endswith("_bn"):  # statistics unlike those of a new network
            values = [w + 0.1 * np.abs(np.random.default_rng(0).normal(size=w.shape))
                      for w in layer.get_weights()]  # fmt: skip
            layer.set_weights(values)
    known.save(tmp_path / "known.keras")

    def make(**changes):
        changes = {"store": "own", "weights": "known.keras"} | changes
        files = [folder / "common.yaml", folder / "09_pretrained.yaml"]
        return study_files.load_run(files, changes).params

    return make


def weights(model):
    return {v.path: np.asarray(v) for v in model.variables if "seed" not in v.path}


def kept_as_they_were(p, known):
    """The variables of the trained network that are the known one's, and those that are not."""
    old, new = weights(keras_file.load(known)), weights(model_run.load_model(p))
    same = {path for path in old if np.array_equal(old[path], new[path])}
    return same, set(old) - same


def test_a_probe_fits_the_classifier_and_leaves_all_else(begin, tmp_path):
    p = begin(recipe="probe")
    model_run.run(p)
    same, other = kept_as_they_were(p, tmp_path / "known.keras")
    assert other == {"classifier/kernel", "classifier/bias"} and len(same) > 50
    tried = pd.read_csv(p.folder.probe)
    assert tried["chosen"].sum() == 1 and not p.folder.history.exists()
    metrics = json.loads(p.folder.metrics.read_text())
    assert metrics["model"]["trainable"] == 2 * 64 + 2 < metrics["model"]["parameters"]
    state = p.folder.read_state()
    assert state["status"] == "complete" and state["weights"]["name"].endswith("known.keras")
    assert len(state["weights"]["digest"]) == 64
    assert not p.folder.describing.exists()
    # what it was fitted on are the views of the training videos alone
    with np.load(p.folder.features) as found:
        store = ClipStore(p.store_dir)
        assert set(found["video"]) == set(store.rows("train"))
        assert found["vectors"].shape == (2 * len(store.rows("train")), 64)
        videos = store.videos.iloc[found["video"]]
        wanted = probe.fit(
            found["vectors"], videos["label"].to_numpy(), videos["group"].to_numpy(), 2, seed=p.seed
        )
        # `har features` of the run says the same
        video_features.write(str(p.run_dir), p.store_dir, tmp_path / "f.npz", clips=2, batch=4)
        with np.load(tmp_path / "f.npz") as file:
            train = file["split"] == "train"
            np.testing.assert_allclose(file["features"][train], found["vectors"], rtol=1e-5)
            assert file["video_id"][train].tolist() == videos["video_id"].tolist()
    kernel, bias = model_run.load_model(p).get_layer("classifier").get_weights()
    np.testing.assert_array_equal(kernel, wanted.kernel)
    np.testing.assert_array_equal(bias, wanted.bias)


def test_a_complete_probe_is_shown_and_not_fitted_again(begin, monkeypatch):
    p = begin(recipe="probe")
    model_run.run(p)
    before = p.folder.model.read_bytes()
    monkeypatch.setattr(transfer, "_probe", None)  # it would fail
    store = ClipStore(p.store_dir)
    model = model_run.build(p, store)
    tried = model_run.train_or_probe(p, model, model_run.plan(p, store), store)
    assert len(tried) and p.folder.model.read_bytes() == before
    fitted = model_run.load_model(p).get_layer("classifier").get_weights()
    for one, other in zip(model.get_layer("classifier").get_weights(), fitted, strict=True):
        np.testing.assert_array_equal(one, other)
    shown = transfer.show_training(tried)
    assert repr(shown).count("yes") == 1 and "chosen" in repr(shown)


@pytest.mark.parametrize("recipe", ["finetune-head", "finetune-gradual"])
def test_fine_tuning_keeps_what_it_says(recipe, begin, tmp_path):
    p = begin(recipe=recipe)
    model_run.run(p)
    same, other = kept_as_they_were(p, tmp_path / "known.keras")
    norms = {path for path in same | other if "_bn/" in path}
    assert norms and norms <= same  # scales and statistics
    if recipe == "finetune-head":
        assert other == {"classifier/kernel", "classifier/bias"}
    else:
        assert {models.stage(path.split("/")[0]) for path in other} >= {"stem", "stage4", "head"}
    assert len(pd.read_csv(p.folder.history)) == 2


def test_without_epochs_the_network_is_scored_as_it_is(begin, tmp_path):
    taught = begin(recipe="finetune-gradual")
    model_run.run(taught)
    p = begin(run="09_pretrained.as_it_is", epochs=0, weights="runs/tiny/09_pretrained")
    model_run.run(p)
    for one in ("video_scores", "view_scores"):
        np.testing.assert_array_equal(
            *(getattr(evaluation.Scores.load(q.run_dir), one) for q in (taught, p))
        )
    assert "as its weights have made it" in transfer.show_plan(p, model_run.plan(p, None))
    table = repr(transfer.cost(p))
    assert "09_pretrained.as_it_is" in table and "finetune-gradual" in table


def test_without_epochs_a_new_classifier_is_refused(begin):
    with pytest.raises(HarlibError, match="weights have no classifier for these categories"):
        model_run.run(begin(epochs=0))
    p = begin(epochs=0)  # and before any work
    (line,) = checks.mistakes({"params/tiny/09_pretrained.yaml": p})
    assert "weights have no classifier" in line


def test_wrong_parameters_are_said(begin):
    with pytest.raises(ParamsError, match="key 'recipe'"):
        validate("03_c3d", {"study": "s", "run": "r", "recipe": "probe"})
    with pytest.raises(ParamsError, match="both set rates by stage"):
        begin(recipe="finetune-gradual", lr_multipliers={"stem": 0.1})
    with pytest.raises(ParamsError, match="weights of efficientnet_lite0"):
        begin(weights="efficientnet_lite0/imagenet")
    with pytest.raises(ParamsError, match="knows nothing without weights"):
        begin(weights="", epochs=0)
    (line,) = checks.mistakes({"a file": begin(model="r3d_19", weights="")})
    assert "r3d_19" in line and "r3d_18" in line


def test_published_weights_bring_their_clip_and_another_network_begins_without():
    own = study_files.defaults("09_pretrained", {})
    assert (own["frames"], own["size"], own["crop_scale"]) == (1, 224, 0.875)
    assert own["clip_fps"] is None
    x3d = study_files.defaults("09_pretrained", {"model": "x3d_s", "weights": "kinetics400"})
    assert (x3d["frames"], x3d["clip_fps"], x3d["size"]) == (13, 5.0, 160)
    assert study_files.defaults("09_pretrained", {"model": "c3d_bn"})["weights"] == ""


def test_the_comparison_comes_after_what_it_compares(begin, tmp_path):
    runs = study_files.load_study(tmp_path / "params" / "tiny")
    names = [run.name for run in runs]
    assert names.index("05_evaluation") == names.index("09_pretrained") + 1 == len(names) - 1
    assert names[:4] == ["01_data_prep", "02_frame_cnn", "03_c3d", "04_resnext101"]
    assert "09" in fingerprint.NOTEBOOKS["05_evaluation"].needs
