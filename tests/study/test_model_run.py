"""What scoring, training and scoring again leave, without a study around them."""

import json
import shutil

import keras
import pytest
from click.testing import CliRunner
from tiny_study import FILES, write_study

from harlib import models
from harlib.cli import main
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import prepare
from harlib.run_folder import RunFolder
from harlib.study.report import run_page
from harlib.study.runs import fingerprint, session, study_files
from harlib.study.steps import model_run, results

CATEGORIES = ["a", "b"]


@pytest.fixture
def own_store(write_videos, tmp_path, monkeypatch):
    """(parameters of a C3D, its store): a store of `har prepare` one of whose videos is broken."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    listed = write_videos(4, CATEGORIES)
    broken = listed.frame[listed.frame["split"] == "val"].iloc[0]
    listed.frame.loc[broken.name, "path"] = str(tmp_path / "broken.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    prepare(listed, tmp_path / "own", size=32, workers=1, progress=False)
    folder = write_study(tmp_path, "tiny", FILES)
    run = study_files.load_run([folder / "common.yaml", folder / "03_c3d.yaml"], {"store": "own"})
    run.params.run_dir.mkdir(parents=True)
    return run.params, ClipStore(tmp_path / "own"), broken["video_id"]


def guesser():
    """A network that knows nothing."""
    return keras.Sequential(
        [
            keras.Input((8, 32, 32, 3), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling3D(),
            keras.layers.Dense(len(CATEGORIES), "softmax"),
        ]
    )


def test_unreadable_videos_of_a_store_without_catalog_count_as_wrong(own_store):
    p, store, broken = own_store
    scores = model_run.score(p, guesser(), store)
    assert scores.missing_id.tolist() == [broken]
    assert scores.missing_group.tolist() == [broken]


def test_without_catalog_and_audit_nothing_is_scored(own_store):
    p, store, _ = own_store
    (p.store_dir / "audit.csv").unlink()
    with pytest.raises(FileNotFoundError, match="neither own-catalog.csv nor own/audit.csv"):
        session.listed(p)


def test_a_checkpoint_of_another_store_or_precision_is_refused(own_store, monkeypatch):
    p, store, _ = own_store
    taken = []
    monkeypatch.setattr("harlib.training.fit", lambda *_, **given: taken.append(given))
    plan = model_run.recipe(p, store)
    model_run.train(p, guesser(), plan, store)
    identity = taken[0]["identity"]
    assert (identity["clip store"], identity["precision"]) == (store.hash, "float32")
    assert identity["parameters"]["epochs"] == p.epochs
    assert "threads" not in identity["parameters"]


@pytest.fixture
def trained(own_store, monkeypatch):
    """(parameters, folder) of a trained run of a guesser."""
    p, store, _ = own_store
    fingerprint.claim(p)
    guesser().save(p.run_dir / "model.keras")
    (p.run_dir / "checkpoints").mkdir()
    guesser().save(p.run_dir / "checkpoints" / "best.keras")
    (p.run_dir / "history.csv").write_text("epoch,seconds\n1,60.0\n2,60.0\n")
    # interrupted long ago
    p.folder.write_state(begun=0.0, seconds_before=0.0, store_hash=store.hash)
    monkeypatch.setattr(models, "gmacs", lambda model: 1.0)
    return p, p.run_dir


def har(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_scores_of_another_protocol_lie_beside_the_runs_own(trained):
    p, folder = trained
    assert har("evaluate", folder).exit_code == 0
    before = contents(folder)
    own = json.loads((folder / "metrics.json").read_text())
    assert (own["protocol"]["checkpoint"], own["minutes"]) == ("last", 2.0)
    done = har("evaluate", folder, "--checkpoint", "best", "--clips", "windows", "--crops", "3")
    assert done.exit_code == 0, done.output
    name = "scores-checkpoint_best-clips_windows-crops_3"
    assert f"These scores lie in runs/tiny/03_c3d/{name}; the run's own are as they" in done.output
    measured = json.loads((folder / name / "metrics.json").read_text())
    how = measured["protocol"]
    assert (how["checkpoint"], how["clips"], how["crops"]) == ("best", "windows", 3)
    assert run_page.protocol(measured).endswith(", weights of the best epoch")
    assert "best" in repr(results.protocol_table({p.run: folder / name}))
    assert {key: contents(folder)[key] for key in before} == before
    done = har("evaluate", folder, "--clips", "many")
    assert done.exit_code == 2 and "'many' is neither a number above 0 nor" in done.output


def test_a_run_notes_for_its_page_which_of_its_videos_look_alike(trained, monkeypatch):
    p, folder = trained
    asked = []

    def warning(params, store, *splits):
        asked.append((store.root, splits))
        return "Warning: 2 videos look like others."

    monkeypatch.setattr(session, "look_alikes", warning)
    model, store = model_run.load_model(p), ClipStore(p.store_dir)
    scores = model_run.score(p, model, store, checkpoint="last")
    model_run.measure(p, model, scores, minutes=1.0)  # scored again
    assert not asked
    model_run.measure(p, model, scores)
    assert asked == [(p.store_dir, ("train", "val"))]
    assert RunFolder(folder).read_state()["look_alikes"] == "Warning: 2 videos look like others."


def test_options_that_are_the_runs_own_are_no_other_protocol(trained):
    p, folder = trained
    done = har("evaluate", folder, "--checkpoint", "last", "--clips", p.clips)
    assert done.exit_code == 0 and "These scores lie" not in done.output
    assert (folder / "metrics.json").is_file() and not list(folder.glob("scores-*"))


@pytest.mark.parametrize("place", ["before/03_c3d-2", "03_c3d.renamed", "../../elsewhere/copied"])
def test_a_run_is_scored_in_the_folder_that_is_given(trained, tmp_path, place):
    p, folder = trained
    moved = (folder.parent / place).resolve()
    moved.parent.mkdir(exist_ok=True, parents=True)
    shutil.copytree(folder, moved)
    before = contents(folder)
    (tmp_path / "data" / "tiny").mkdir(parents=True)
    (tmp_path / "own").rename(tmp_path / "data" / "tiny" / "other name")
    done = har("evaluate", moved)
    assert done.exit_code == 0, done.output
    assert (moved / "metrics.json").is_file() and (moved / "scores.npz").is_file()
    assert contents(folder) == before
    assert not list(tmp_path.rglob("*.lock"))


def test_a_store_of_other_videos_is_not_scored(trained):
    p, folder = trained
    RunFolder(folder).write_state(store_hash="0123456789ab")
    done = har("evaluate", folder)
    assert done.exit_code == 1 and not (folder / "scores.npz").exists()
    assert "clip store 0123456789ab that runs/tiny/03_c3d was trained on is not at" in done.output


def test_parameters_that_an_older_run_lacks_have_their_defaults(trained):
    p, folder = trained
    kept = study_files._mapping(folder / "params.yaml")
    del kept["freeze_bn"], kept["crop_scale"]
    kept |= {"weights": "gone.pth", "data_root": "gone"}  # to train with, not to score
    (folder / "params.yaml").write_text(json.dumps(kept))
    done = har("evaluate", folder)
    assert done.exit_code == 0, done.output


def test_scores_of_another_protocol_make_a_run_incomplete(trained):
    p, folder = trained
    assert har("evaluate", folder).exit_code == 0
    RunFolder(folder).write_state(status="complete")
    assert fingerprint.is_complete(p)
    measured = json.loads((folder / "metrics.json").read_text())
    del measured["protocol"]["crop_scale"]  # as an older run says nothing of it
    (folder / "metrics.json").write_text(json.dumps(measured))
    assert fingerprint.is_complete(p)
    measured["protocol"]["clips"] = "windows"
    (folder / "metrics.json").write_text(json.dumps(measured))
    assert not fingerprint.is_complete(p)
    compared = study_files.load_run(
        [folder.parents[2] / "params" / "tiny" / "05_evaluation.yaml"]
    ).params
    with pytest.raises(FileNotFoundError, match="no scored run"):
        results.scored_runs(compared)


def test_a_run_that_trains_nothing_is_not_scored(own_store, tmp_path):
    data = study_files.load_run([tmp_path / "params" / "tiny" / "01_data_prep.yaml"]).params
    fingerprint.claim(data)
    done = har("evaluate", "tiny/01_data_prep")
    assert done.exit_code == 1 and len(done.output.splitlines()) == 1
    assert (
        "runs/tiny/01_data_prep is a run of notebook 01_data_prep, which trains no" in done.output
    )


def test_preflight_makes_the_devices_that_it_checks(own_store, monkeypatch):
    p, _, _ = own_store
    asked = []

    def prepare(count):
        asked.append(count)
        raise InterruptedError  # enough

    monkeypatch.setattr("harlib.training.distributed.devices.prepare", prepare)
    with pytest.raises(InterruptedError):
        model_run.preflight_run(p.model_copy(update={"devices": 2}))
    assert asked == [2]
