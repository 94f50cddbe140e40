"""`har study --dry-run`: what would happen to each run and why; nothing is made or moved."""

import json
import shutil

import pytest
from click.testing import CliRunner
from tiny_study import write_study

from harlib import cli
from harlib.run_folder import RunFolder
from harlib.study import disk, dry_run, forecast
from harlib.study.runs import fingerprint, results_version, study_files

pytestmark = pytest.mark.quick
FILES = {
    "01_data_prep": "fps: 6.0",
    "03_c3d": "recipe: study-adam\nepochs: 4",
    "03_c3d.cosine": "recipe: modern\nepochs: 4",
    "05_evaluation": "",
}
NAMES = list(FILES)
KEPT = "kept, complete with the same parameters"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Loads a study of four runs, with `changes` of one of its parameter files."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = write_study(tmp_path, "tiny", FILES)

    def study(**changes):
        for name, text in changes.items():
            (folder / f"{name.replace('__', '.')}.yaml").write_text(text)
        return study_files.load_study(folder)

    return study


def finish(runs, *, epochs=4):
    """Leaves of each run what a finished one does."""
    for run in runs:
        fingerprint.claim(run.params)
        if run.name.startswith("03"):
            trained(run, epochs)
        run.params.folder.write_state(status="complete", minutes=1.0)


def trained(run, epochs):
    run.params.folder.checkpoints.mkdir(exist_ok=True)
    (run.params.folder.checkpoints / f"step-00000000{epochs}-abc.npz").write_bytes(b"weights")
    rows = "".join(f"{epoch},1.0\n" for epoch in range(1, epochs + 1))
    run.params.folder.history.write_text(f"epoch,loss\n{rows}")


def planned(runs):
    return dict(zip(NAMES, dry_run.plan(runs), strict=True))


def test_runs_that_are_not_there_would_begin(study):
    assert set(planned(study()).values()) == {"would begin"}


def test_complete_runs_are_kept(study):
    finish(study())
    assert set(planned(study()).values()) == {KEPT}


def test_a_changed_setting_is_named_and_what_builds_on_it_follows(study):
    finish(study())
    said = planned(study(**{"03_c3d": "recipe: study-adam\nepochs: 4\ndropout: 0.25"}))
    assert said["01_data_prep"] == said["03_c3d.cosine"] == KEPT
    assert said["03_c3d"] == (
        "would start anew (dropout: 0.5 then, 0.25 now); what it left would go to runs/tiny/before"
    )
    assert said["05_evaluation"].startswith(
        "would start anew (03_c3d, which it builds on, would be made before it); what it left"
    )


def test_other_videos_restart_all_that_read_them(study):
    finish(study())
    said = planned(study(**{"01_data_prep": "fps: 5.0"}))
    assert "(fps: 6.0 then, 5.0 now)" in said["01_data_prep"]
    for name in NAMES[1:]:
        assert "01_data_prep" in said[name] and "which it builds on, would be made" in said[name]


def test_another_store_and_another_results_version_are_named(study, tmp_path, monkeypatch):
    finish(study())
    store = tmp_path / "data" / "tiny" / "store"
    store.mkdir(parents=True)
    (store / "store.json").write_text(json.dumps({"hash": "new"}))
    RunFolder(tmp_path / "runs" / "tiny" / "03_c3d").write_state(store_hash="old")
    assert "(clip store old then, new now)" in planned(study())["03_c3d"]
    shutil.rmtree(store)
    monkeypatch.setitem(results_version.RESULTS_VERSION, "training", 2)
    said = planned(study())
    assert "(results version of training: 1 then, 2 now)" in said["03_c3d"]
    assert said["01_data_prep"] == KEPT


def test_a_store_that_is_gone_is_made_again_and_may_be_what_it_was(study, tmp_path):
    store = tmp_path / "data" / "tiny" / "store"
    store.mkdir(parents=True)
    (store / "store.json").write_text(json.dumps({"hash": "abc"}))
    finish(study())
    RunFolder(tmp_path / "runs" / "tiny" / "01_data_prep").write_state(store_hash="abc")
    assert set(planned(study()).values()) == {KEPT}
    shutil.rmtree(store)
    said = planned(study())
    assert said["01_data_prep"] == "would make its clip store again, which is gone or another"
    assert said["03_c3d"] == "kept if its clip store is made again as it was, else started anew"
    changed = planned(study(**{"03_c3d": "recipe: study-adam\nepochs: 4\ndropout: 0.25"}))
    assert "would start anew (dropout: 0.5 then, 0.25 now" in changed["03_c3d"]


def test_an_interrupted_run_resumes_and_what_it_was_part_of_is_kept(study, tmp_path):
    runs = study()
    finish(runs)
    trained(runs[1], 3)
    runs[1].params.folder.write_state(status="failed", problem="disk gone")
    said = planned(study())
    assert said["03_c3d"] == "would resume after epoch 3 of 4 (it failed: disk gone)"
    # it would be the run that it was, so what compared it stays
    assert said["05_evaluation"] == KEPT
    shutil.rmtree(tmp_path / "runs" / "tiny" / "05_evaluation")
    assert planned(study())["05_evaluation"] == "would begin"


def test_more_epochs_go_on_or_say_why_not(study):
    finish(study())
    more = {"03_c3d": "recipe: study-adam\nepochs: 9", "03_c3d__cosine": "epochs: 9"}
    said = planned(study(**more))
    assert said["03_c3d"] == (
        "would go on after epoch 4 (epochs: 4 then, 9 now); the run as it is would go to "
        "runs/tiny/before"
    )
    assert (
        "would start anew (epochs: 4 then, 9 now; recipe modern depends on their number, as its "
        "learning rate follows a cosine to the last epoch)"
    ) in said["03_c3d.cosine"]


def test_a_run_that_another_process_works_on_is_said(study, tmp_path, monkeypatch):
    finish(study())
    monkeypatch.setattr(dry_run.locks, "holder", lambda path: "process 7 on host")
    assert "process 7 on host works on it now" in planned(study())["03_c3d"]


def test_the_command_leaves_every_file_as_it_is(study, tmp_path, monkeypatch):
    runs = study()
    finish(runs)
    monkeypatch.chdir(tmp_path)
    stale = tmp_path / "runs" / "tiny" / ".03_c3d.lock"
    stale.write_text('{"pid": 0, "host": "", "since": 0, "command": ""}')
    study(**{"03_c3d": "recipe: study-adam\nepochs: 9"})
    monkeypatch.setattr(dry_run.checks, "refuse", lambda todo, every: None)
    monkeypatch.setattr(forecast, "_measure", lambda todo: pytest.fail("measured"))

    def everything():
        return {path: (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes())
                for path in tmp_path.rglob("*")}  # fmt: skip

    before = everything()
    done = CliRunner().invoke(cli.main, ["study", "tiny", "--dry-run", "--no-forecast"])
    assert done.exit_code == 0, done.output
    assert everything() == before
    lines = done.output.splitlines()
    assert lines[0] == f"[1/4] 01_data_prep: {KEPT}"
    assert lines[-2].startswith("On disk now: runs/tiny ") and "data/tiny 0 bytes" in lines[-2]
    assert lines[-1] == "tiny: nothing was run, and no file made or moved (--dry-run)"
    part = CliRunner().invoke(
        cli.main, ["study", "tiny", "--dry-run", "--no-forecast", "--only", "03_c3d"]
    )
    assert part.output.splitlines()[0].startswith("[1/1] 03_c3d: would go on after epoch 4")


def test_what_runs_will_take_on_the_disk(study):
    runs = study()
    drawn = {"drawn_b": 30_000, "store_b": 20_000, "drawn_still_b": 1000}
    assert disk.needed(runs[0].params, 10, 4, drawn, []) == 504_000
    network = {"weights_b": 1_000_000, "optimizer_b": 2_000_000}
    kept = runs[1].params.checkpoints_kept
    whole = disk.needed(runs[1].params, 10, 0, {}, [network])
    assert whole == (kept + 1) * 3_000_000 + 3 * 1_000_000
    assert disk.needed(runs[3].params, 0, 0, {}, []) == 0
    own = runs[0].params.model_copy(update={"source": "folder"})
    assert disk.needed(own, 10, 4, {}, []) is None
    line = disk.told({"01": None, "03": whole, "05": 0.0}, runs[1].params.run_dir)
    assert line.startswith(
        "Disk: up to 12.0 MB more (03 12.0 MB), without 01, which is not known; "
    )
