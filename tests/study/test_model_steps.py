"""What scoring, training and scoring again leave, without a study around them."""

import json

import keras
import pytest
from click.testing import CliRunner
from tiny_study import FILES, write_study

from harlib import models
from harlib.cli import main
from harlib.data.prepare import prepare
from harlib.data.store import ClipStore
from harlib.study import files, identity, model_steps, report, results, session

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
    run = files.load_run([folder / "common.yaml", folder / "03_c3d.yaml"], {"store": "own"})
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
    scores = model_steps.score(p, guesser(), store)
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
    monkeypatch.setattr("harlib.training.fit.fit", lambda *_, **given: taken.append(given))
    plan = model_steps.recipe(p, store)
    model_steps.train(p, guesser(), plan, store)
    identity = taken[0]["identity"]
    assert (identity["clip store"], identity["precision"]) == (store.hash, "float32")
    assert identity["parameters"]["epochs"] == p.epochs
    assert "threads" not in identity["parameters"]


def test_a_run_is_scored_again_by_another_protocol_which_is_told(own_store, monkeypatch):
    p, store, _ = own_store
    identity.claim(p)
    guesser().save(p.run_dir / "model.keras")
    (p.run_dir / "checkpoints").mkdir()
    guesser().save(p.run_dir / "checkpoints" / "best.keras")
    (p.run_dir / "history.csv").write_text("epoch,seconds\n1,60.0\n2,60.0\n")
    identity.write_state(p.run_dir, begun=0.0, seconds_before=0.0)  # interrupted long ago
    measured = {}
    monkeypatch.setattr(models, "gmacs", lambda model: 1.0)
    for options in ([], ["--checkpoint", "best", "--clips", "windows", "--crops", "3"]):
        done = CliRunner().invoke(main, ["evaluate", str(p.run_dir), *options])
        assert done.exit_code == 0, done.output
        measured[len(options)] = json.loads((p.run_dir / "metrics.json").read_text())
    assert measured[0]["protocol"]["checkpoint"] == "last"
    assert measured[0]["minutes"] == 2.0
    how = measured[6]["protocol"]
    assert (how["checkpoint"], how["clips"], how["crops"]) == ("best", "windows", 3)
    assert report.protocol(measured[6]).endswith(", weights of the best epoch")
    assert "best" in repr(results.protocol_table({p.run: p.run_dir}))
    done = CliRunner().invoke(main, ["evaluate", str(p.run_dir), "--clips", "many"])
    assert done.exit_code == 1 and "--clips: key 'clips'" in done.output


def test_preflight_makes_the_devices_that_it_checks(own_store, monkeypatch):
    p, _, _ = own_store
    asked = []

    def prepare(count):
        asked.append(count)
        raise InterruptedError  # enough

    monkeypatch.setattr("harlib.training.devices.prepare", prepare)
    with pytest.raises(InterruptedError):
        model_steps.preflight_run(p.model_copy(update={"devices": 2}))
    assert asked == [2]
