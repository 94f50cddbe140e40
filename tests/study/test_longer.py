"""More epochs for a finished run: it goes on where the recipe allows, and nothing is lost."""

import os
import shutil
from pathlib import Path

import pytest
from tiny_study import write_study

from harlib.run_folder import RunFolder
from harlib.study import forecast
from harlib.study.runs import carried, fingerprint, study_files

pytestmark = pytest.mark.quick
BASE = "frames: 8\nsize: 32\nrecipe: study-adam\nepochs: 4\n"


@pytest.fixture
def c3d(tmp_path, monkeypatch):
    """Parameters of one run, `changes` and all."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = write_study(tmp_path, "tiny", {"03_c3d": BASE, "02_frame_cnn": BASE.replace("8", "1")})

    def c3d(name="03_c3d", **changes):
        return study_files.load_run([folder / f"{name}.yaml"], changes).params

    return c3d


def finish(p, status="complete"):
    """Leaves what a training of 4 epochs does."""
    fingerprint.claim(p)
    p.folder.checkpoints.mkdir()
    for file in ("step-000000040-a.npz", "best.keras", ".part-3.npz"):
        (p.folder.checkpoints / file).write_text(file)
    p.folder.model.write_text("the network")
    p.folder.scores.write_text("its scores")
    p.folder.history.write_text("epoch,loss,seconds\n" + "".join(f"{n},1.0,2.0\n" for n in "1234"))
    p.folder.write_state(status=status, minutes=1.0, said=["a line"])


def test_it_goes_on_with_the_checkpoints_and_the_finished_run_stays_whole(c3d, tmp_path, capsys):
    finish(c3d())
    left = {path.name: path.read_text() for path in c3d().run_dir.rglob("*") if path.is_file()}
    longer = c3d(epochs=9)
    assert fingerprint.shorter(longer) == 4 and fingerprint.goes_on(longer)
    assert forecast._epochs_done(longer) == 4
    fingerprint.claim(longer)
    before = tmp_path / "runs" / "tiny" / "before"
    assert capsys.readouterr().out.splitlines()[-1] == (
        "03_c3d goes on after epoch 4 (epochs: 4 then, 9 now); the run as it was is now in "
        "runs/tiny/before/03_c3d"
    )
    assert [path.name for path in before.iterdir()] == ["03_c3d"]
    kept = before / "03_c3d"
    assert {p.name: p.read_text() for p in kept.rglob("*") if p.is_file()} == left
    assert RunFolder(kept).read_state()["status"] == "complete"
    # nothing there that could be taken for the longer run's result
    there = {str(p.relative_to(longer.run_dir)) for p in longer.run_dir.rglob("*") if p.is_file()}
    assert there == {
        "checkpoints/step-000000040-a.npz", "checkpoints/best.keras", "history.csv", "run.json",
        "params.yaml", "environment.json",
    }  # fmt: skip
    assert longer.folder.read_state()["status"] == "started"
    assert fingerprint.is_same(longer) and not fingerprint.is_complete(longer)
    assert carried.epochs(longer.run_dir) == 4
    assert os.path.samefile(kept / "history.csv", longer.folder.history), "copied, not linked"
    fingerprint.claim(longer)  # started again after a kill: it resumes
    assert [path.name for path in before.iterdir()] == ["03_c3d"]


@pytest.mark.parametrize("renames", [0, 1])
def test_killed_while_it_puts_the_shorter_run_aside_it_still_goes_on(
    c3d, tmp_path, capsys, monkeypatch, renames
):
    finish(c3d())
    done, real = [], Path.rename

    def killed(path, to):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(to)
        return real(path, to)

    with monkeypatch.context() as kill:
        kill.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            fingerprint.claim(c3d(epochs=9))
    longer = c3d(epochs=9)
    assert longer.run_dir.exists() == (renames == 0)
    fingerprint.claim(longer)
    assert "03_c3d goes on after epoch 4" in capsys.readouterr().out
    assert fingerprint.is_same(longer) and carried.epochs(longer.run_dir) == 4
    assert (longer.folder.checkpoints / "step-000000040-a.npz").is_file()
    before = tmp_path / "runs" / "tiny" / "before"
    assert [path.name for path in before.iterdir()] == ["03_c3d"], "something is left over"
    assert RunFolder(before / "03_c3d").read_state()["status"] == "complete"


def test_an_interrupted_run_goes_on_for_more_epochs_too(c3d):
    finish(c3d(), status="failed")
    assert fingerprint.goes_on(c3d(epochs=9))


@pytest.mark.parametrize(
    ("changes", "shorter"),
    [
        ({"epochs": 3}, 0),
        ({"epochs": 9, "dropout": 0.1}, 0),
        ({"epochs": 9, "threads": 7}, 4),
        ({"epochs": 9, "patience": 2}, 0),
        ({"epochs": 4}, 0),
    ],
    ids=str,
)
def test_only_more_epochs_alone_go_on(c3d, changes, shorter):
    finish(c3d())
    assert fingerprint.shorter(c3d(**changes)) == shorter


def test_a_recipe_of_a_given_length_starts_anew_and_says_how_to_keep_the_weights(c3d, capsys):
    finish(c3d(recipe="modern"))
    fingerprint.claim(c3d(recipe="modern", epochs=9))
    assert capsys.readouterr().out.splitlines()[-1] == (
        "03_c3d starts anew (epochs: 4 then, 9 now; recipe modern depends on their number, as its "
        "learning rate follows a cosine to the last epoch); what it had left is now in "
        "runs/tiny/before/03_c3d (weights: runs/tiny/before/03_c3d begins with its weights)"
    )
    assert not c3d().folder.checkpoints.exists()


def test_without_checkpoints_it_starts_anew_and_says_so(c3d, capsys):
    finish(c3d())
    shutil.rmtree(c3d().folder.checkpoints)  # as `har clean` may have done
    fingerprint.claim(c3d(epochs=9))
    assert "(epochs: 4 then, 9 now; its checkpoints are gone)" in capsys.readouterr().out


def test_the_stage_on_stills_is_taken_over(c3d):
    p = c3d("02_frame_cnn")
    finish(p)
    p.folder.stills.mkdir()
    (p.folder.stills / "model.keras").write_text("on stills")
    longer = c3d("02_frame_cnn", epochs=9)
    fingerprint.claim(longer)
    assert (longer.folder.stills / "model.keras").read_text() == "on stills"


def test_a_process_that_was_killed_while_it_took_over_is_no_hindrance_to_a_resume(c3d, tmp_path):
    finish(c3d())
    half = tmp_path / "runs" / "tiny" / "before" / ".03_c3d.part" / "checkpoints"
    half.mkdir(parents=True)
    (half / "step-000000040-a.npz").write_text("half")
    fingerprint.claim(c3d(epochs=9))
    taken = c3d().folder.checkpoints / "step-000000040-a.npz"
    assert taken.read_text() == "step-000000040-a.npz" and not half.parent.exists()


def test_without_hard_links_it_copies(c3d, monkeypatch):
    finish(c3d())

    def refuse(*paths):
        raise OSError("no links here")

    monkeypatch.setattr(carried.os, "link", refuse)
    fingerprint.claim(c3d(epochs=9))
    assert (c3d().folder.checkpoints / "best.keras").read_text() == "best.keras"
