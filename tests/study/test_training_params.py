"""What parameters add to a training: checks before it, weights to start from, frozen stages."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from tiny_study import FILES, har, write_study

from harlib import models
from harlib.data import ClipSpec
from harlib.data.store.clip_store import ClipStore
from harlib.models.layers import ResidualFrames, preprocess
from harlib.models.weights import checkpoints
from harlib.models.weights.load import Loaded
from harlib.study.params.notebooks import ParamsError
from harlib.study.params.trained import C3D
from harlib.study.runs import study_files
from harlib.study.steps import inputs, model_run


def arrays(model):
    """The model's weights by PyTorch's names and in its layout, for a file of published weights."""
    rng = np.random.default_rng(0)
    return {
        one.name: rng.normal(0, 0.05, one.shape).astype(np.float32)
        for one in checkpoints.parameters(model)
    }


def weights(model, layer):
    return keras.ops.convert_to_numpy(model.get_layer(layer).kernel)


def test_har_train_starts_from_published_weights_and_keeps_the_frozen_stages(tiny_study, tmp_path):
    torch = pytest.importorskip("torch")
    store = tiny_study[0] / "data" / "tiny" / "store"
    folder = write_study(tmp_path, "tiny", FILES)
    model = models.build("c3d", 3, frames=8, size=32, width=0.125, dense=8)
    published = arrays(model)
    torch.save({k: torch.tensor(v) for k, v in published.items()}, tmp_path / "published.pth")
    options = {"store": store, "weights": "published.pth", "freeze_below": "stage3",
               "lr_multipliers": "{stage3: 0.01, head: 2.0}", "checkpoint_steps": 1,
               "checkpoints_kept": 3}  # fmt: skip
    chosen = [part for key, value in options.items() for part in ("--set", f"{key}={value}")]
    done = har(tmp_path, "train", str(folder / "common.yaml"), str(folder / "03_c3d.yaml"), *chosen)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "stages stage3,head, factors (0.01, 2.0)" in done.stdout
    kept = (tmp_path / "runs" / "tiny" / "03_c3d" / "checkpoints").glob("step-*")
    assert sorted(int(path.name.split("-")[1]) for path in kept) == [0, 1, 2]
    checkpoints.load_arrays(model, published)
    trained = keras.saving.load_model(tmp_path / "runs" / "tiny" / "03_c3d" / "model.keras")
    moved = {
        layer: np.abs(weights(trained, layer) - weights(model, layer)).max()
        for layer in ("stage1_conv1", "stage2_conv1", "stage3_conv1", "stage4_conv1")
    }
    assert moved["stage1_conv1"] == moved["stage2_conv1"] == 0
    assert 0 < moved["stage3_conv1"] < 0.1 * moved["stage4_conv1"]


def test_har_train_in_two_processes_ends_as_in_one(tiny_study, tmp_path, monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    folder = write_study(tmp_path, "tiny", FILES)
    # Blended clips, whose partners another process reads; sgd, since Adam magnifies rounding.
    options = {"store": tiny_study[0] / "data" / "tiny" / "store", "dropout": 0.0, "mix": "cutmix",
               "recipe": "tran-sgd", "recipe_options": "{lr: 0.1}"}  # fmt: skip
    chosen = [part for key, value in options.items() for part in ("--set", f"{key}={value}")]
    given = [str(folder / "common.yaml"), str(folder / "03_c3d.yaml"), *chosen]
    ends = []
    for run, processes in (("one", "1"), ("two", "2")):
        done = har(tmp_path, "train", *given, "--set", f"run={run}", "--processes", processes)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
        assert ("global batch 8 = 2 processes" in done.stdout) == (run == "two")
        paths = sorted((tmp_path / "runs" / "tiny" / run / "checkpoints").glob("step-*.npz"))
        for path in paths if run == "one" else paths[-1:]:
            with np.load(path) as file:
                ends.append({n: file[n] for n in file.files if n.startswith("model.")})
        assert (tmp_path / "runs" / "tiny" / run / "metrics.json").is_file()
    moved, between = (
        max(np.abs(a.astype(float) - other[name]).max() for name, a in ends[1].items())
        for other in (ends[0], ends[2])
    )
    assert moved > 1e-3 and between < 1e-5


@pytest.mark.quick
def test_published_c3d_gets_pixels_as_its_weights_know_them(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    values = {"model": "c3d", "frames": 4, "size": 16, "width": 0.125, "dense": 8, "devices": 1,
              "pixels": "rgb", "dropout": 0.0, "freeze_below": "", "freeze_bn": False}  # fmt: skip
    store = SimpleNamespace(categories=["a", "b"])
    set_from = []

    def load(model, source, *, categories):
        set_from.append((source.name, categories))
        return Loaded("c3d.pth", digest="", licence="", new=())

    monkeypatch.setattr(models, "load_weights", load)
    scratch, tuned = (
        model_run.build(C3D.model_construct(**values, weights=name), store)
        for name in ("", "c3d.pth")
    )
    for model, name in ((scratch, "scaled"), (tuned, "c3d_port")):
        assert model.get_layer("preprocess").get_config() == preprocess(name).get_config()
    moving = model_run.build(
        C3D.model_construct(**values | {"pixels": "residual"}, weights=""), store
    )
    assert isinstance(moving.get_layer("preprocess"), ResidualFrames)
    assert set_from == [("c3d.pth", ["a", "b"])]
    assert capsys.readouterr().out == "weights of c3d.pth: every layer is set\n"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": "gone.pth"}, "key 'weights': is 'gone.pth': no published weights"),
        ({"lr_multipliers": {"stage1": 0}}, "key 'lr_multipliers': .*greater than 0"),
        ({"preflight": "maybe"}, "key 'preflight'"),
        ({"recipe_options": {"mix": "mixup"}}, "key 'recipe_options': holds 'mix', a parameter of"),
        ({"pixels": "residual", "weights": "x.pth"}, "key 'pixels': is 'residual', but the publ"),
        ({"checkpoint_minutes": 0}, "key 'checkpoint_minutes': .*greater than 0"),
    ],
)
def test_wrong_values_are_named(tmp_path, monkeypatch, changes, words):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    (tmp_path / "x.pth").touch()
    folder = write_study(tmp_path, "tiny", FILES)
    with pytest.raises(ParamsError, match=words):
        study_files.load_run([folder / "03_c3d.yaml"], changes)


@pytest.mark.parametrize(
    ("recipe", "mix", "found"),
    [("modern", "", "mixup"), ("modern", "none", ""), ("modern", "cutmix", "cutmix"),
     ("study-adam", "", ""), ("study-adam", "mixup", "mixup")],
)  # fmt: skip
def test_clips_are_blended_as_the_recipe_says_unless_told_otherwise(
    tiny_study, tmp_path, monkeypatch, recipe, mix, found
):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = write_study(tmp_path, "tiny", FILES)
    store = ClipStore(tiny_study[0] / "data" / "tiny" / "store")
    p = study_files.load_run([folder / "03_c3d.yaml"], {"recipe": recipe, "mix": mix}).params
    plan = model_run.recipe(p, store)
    assert plan.mix == found
    assert inputs.batches(p, plan, store, p.frames)[0][1].ndim == (2 if found else 1)


@pytest.mark.parametrize(
    "changes",
    [{"jitter": 0.9}, {"color": 0.5}, {"grey": 0.9}, {"reverse": 0.9}, {"stride": 2}],
    ids=str,
)
def test_what_changes_the_clips_reaches_the_loader(tiny_study, tmp_path, monkeypatch, changes):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = write_study(tmp_path, "tiny", FILES)
    store = ClipStore(tiny_study[0] / "data" / "tiny" / "store")

    def clips(changes):
        p = study_files.load_run([folder / "03_c3d.yaml"], {"mix": "none", **changes}).params
        return inputs.batches(p, model_run.recipe(p, store), store, p.frames)[0][0]

    assert np.array_equal(clips({}), clips({}))
    assert not np.array_equal(clips({}), clips(changes))


@pytest.mark.quick
def test_preflight_off_is_off_though_yaml_reads_it_as_false(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = write_study(tmp_path, "tiny", FILES)
    changed = folder / "02_frame_cnn.unchecked.yaml"
    changed.write_text("preflight: off\n")
    assert study_files.load_run([folder / "02_frame_cnn.yaml", changed]).params.preflight == "off"


def test_a_share_of_the_batches_is_blended(tiny_study, tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = write_study(tmp_path, "tiny", FILES)
    store = ClipStore(tiny_study[0] / "data" / "tiny" / "store")
    for share, blended in ((1.0, True), (1e-9, False)):
        p = study_files.load_run(
            [folder / "03_c3d.yaml"], {"mix": "cutmix", "mix_share": share}
        ).params
        labels = inputs.batches(p, model_run.recipe(p, store), store, p.frames)[0][1]
        assert (labels.max(axis=1) < 1).any() == blended


def test_the_checks_leave_the_network_that_comes_after_them_as_it_would_be(
    tiny_study, tmp_path, monkeypatch
):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = write_study(tmp_path, "tiny", FILES)
    root = tiny_study[0] / "data" / "tiny" / "store"
    store, built = ClipStore(root), []
    for preflight in ("off", "show"):
        run = study_files.load_run([folder / "02_frame_cnn.yaml"], {"preflight": preflight})
        keras.utils.set_random_seed(1)
        table = model_run.preflight(
            run.params, None, model_run.recipe(run.params, store), store, begun=False
        )
        built.append(model_run.build(run.params, store))
    assert "estimated end" in repr(table) and "majority class" in repr(table)
    for a, b in zip(*(model.get_weights() for model in built), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not (tmp_path / "runs").exists()


def test_a_failed_check_stops_the_run_unless_it_is_only_shown(tiny_study, tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = write_study(tmp_path, "tiny", FILES)
    store = ClipStore(tiny_study[0] / "data" / "tiny" / "store")
    store.videos["group"] = "everybody"
    for preflight in ("show", "stop"):
        p = study_files.load_run([folder / "02_frame_cnn.yaml"], {"preflight": preflight}).params
        if preflight == "show":
            assert "1 in train and val" in repr(checked(p, store))
        else:
            with pytest.raises(ValueError, match=r"shared groups: 1 in train and val.*show"):
                checked(p, store)


def checked(p, store):
    return model_run.preflight(p, None, model_run.recipe(p, store), store)


def test_published_weights_set_what_is_not_stated(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    (tmp_path / "params").mkdir()
    folder = write_study(
        tmp_path, "mine",
        {"04_resnext101": "model: resnext3d_101\nweights: kinetics400\nsize: 96"},
    )  # fmt: skip
    p = study_files.load_study(folder)[0].params
    assert (p.frames, p.clip_fps, p.crop_scale) == (16, 30.0, 1.0)  # as Hara et al. trained it
    assert p.size == 96  # as stated
    assert inputs.clip_spec(p) == ClipSpec(16, size=96, fps=30.0)
    assert (p.width, p.cardinality) == (1.0, 32) and p.published.commercial == "yes"
    (folder / "04_resnext101.yaml").write_text("model: resnext3d_26\nweights: kinetics400")
    with pytest.raises(ParamsError, match="weights.*no published weights 'resnext3d_26/kinetics4"):
        study_files.load_study(folder)


@pytest.mark.parametrize("weights", ["runs/own/03_c3d", "runs/own/03_c3d/model.keras"])
def test_a_run_to_start_from_keeps_its_own_pixels(tmp_path, monkeypatch, weights):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    (tmp_path / "params").mkdir()
    file = tmp_path / "runs" / "own" / "03_c3d" / "model.keras"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a network")
    folder = write_study(tmp_path, "mine", {"03_c3d": f"weights: {weights}\npixels: residual"})
    p = study_files.load_study(folder)[0].params
    assert p.network_options()["preprocessing"] == "residual" and p.reads == (file,)
    (folder / "03_c3d.yaml").write_text(f"weights: {weights}")
    assert "preprocessing" not in study_files.load_study(folder)[0].params.network_options()
