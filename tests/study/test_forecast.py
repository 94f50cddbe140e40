"""How long a study will take: which runs count, the sum over measured seconds, and its words."""

import dataclasses
import json
import subprocess
import sys

import pytest
from tiny_study import FILES, write_study

from harlib.data.demo import dataset
from harlib.study import forecast
from harlib.study.forecast import Videos
from harlib.study.runs import fingerprint, study_files

pytestmark = pytest.mark.quick
NETWORK = {"graph_s": 0.5, "step_s": 0.02, "score_s": 0.005, "read_s": 0.002,
           "weights_b": 1000, "optimizer_b": 2000}  # fmt: skip
MEASURED = {
    "start_s": 5.0,
    "videos": {
        "01_data_prep": {
            "draw_s": 0.1,
            "pack_s": 0.05,
            "still_s": 0.02,
            "drawn_b": 3000,
            "store_b": 2000,
            "drawn_still_b": 500,
        }
    },
    "networks": {name: [NETWORK] for name in ("02_frame_cnn", "03_c3d", "04_resnext101")},
}
MACHINE = {"cpu": "AMD EPYC", "cores": 2, "accelerators": []}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Loads a study of the given files below a project of its own."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))

    def study(contents=FILES, name="tiny", **overrides):
        folder = tmp_path / "params" / name
        return study_files.load_study(
            folder if folder.exists() else write_study(tmp_path, name, contents), overrides
        )

    return study


def finish(run):
    fingerprint.claim(run.params)
    run.params.folder.write_state(status="complete", minutes=1.0)


def told(runs, measured=None):
    """What is said, and whether it was known; the measurement is replaced."""
    lines, asked = [], []

    def measure(todo):
        asked.extend(run.name for run in todo)
        return MEASURED | (measured or {})

    known = forecast.tell(runs, lines.append, measure=measure)
    return lines, known, asked


def test_complete_runs_cost_nothing_and_what_builds_on_the_others_does(study):
    runs = study()
    names = [run.name for run in runs]
    assert [run.name for run in forecast.pending(runs)] == names
    for run in runs:
        finish(run)
    assert forecast.pending(runs) == []
    changed = study(dropout=0.25)  # a parameter of the models alone
    assert [run.name for run in forecast.pending(changed)] == names[1:]
    changed = study(fps=5.0)  # of the data, so all that reads them
    assert [run.name for run in forecast.pending(changed)] == names


def test_with_nothing_to_run_nothing_is_measured_or_said(study):
    runs = study()
    for run in runs:
        finish(run)
    assert told(runs) == ([], True, [])


def test_a_training_is_the_sum_of_its_parts(study, monkeypatch):
    monkeypatch.setattr(forecast, "_GRAPHS", 10.0)
    p = study(preflight="off", epochs=7, batch=16, clips=4, crops=3)[2].params
    reads = Videos({"train": 100, "val": 30})
    step, score = 0.02 + 0.001, 0.005 + 0.001  # two cores share the reading
    epochs = 7 * (112 * step + 30 * score)  # 7 batches of 16 for 100 videos
    whole = 10 * 0.5 + epochs + 30 * 12 * score
    assert forecast.training(p, reads, NETWORK, 2) == pytest.approx(whole)
    resumed = whole - epochs * 5 / 7
    assert forecast.training(p, reads, NETWORK, 2, done=5) == pytest.approx(resumed)
    checked = p.model_copy(update={"preflight": "stop"})
    checks = 30 * 16 * step + 3.0
    assert forecast.training(checked, reads, NETWORK, 2) == pytest.approx(whole + checks)
    slow = NETWORK | {"step_s": 10.0}  # the checks end after 20 s
    more = forecast.training(checked, reads, slow, 2) - forecast.training(p, reads, slow, 2)
    assert more == pytest.approx(20.0 + 3.0)


def test_stills_are_frames(study):
    p = study(preflight="off", stills_epochs=3)[1].params
    plain = forecast.training(p, Videos({"train": 8, "val": 4}), NETWORK, 2)
    more = forecast.training(p, Videos({"train": 8, "val": 4}, {"train": 24}), NETWORK, 2)
    assert more - plain == pytest.approx(3 * 24 * 0.021 / p.frames)


def test_drawn_videos_are_counted_from_the_parameters(study):
    todo = forecast.pending(study())
    reads = forecast._videos(todo[1].params, todo)
    assert reads.videos == {"train": 3 * 4, "val": 3 * 2}
    assert reads.stills == {"train": len(dataset.STILLS) * 3, "test": len(dataset.STILLS) * 1}
    lines, known, asked = told(study())
    assert known and asked == [run.name for run in todo]
    assert len(lines) == 1 and lines[0].startswith("About ") and "01_data_prep " in lines[0]


def test_untrimmed_videos_are_counted_by_their_segments(study):
    todo = forecast.pending(study())
    long = {"untrimmed": True, "background": 4.0, "categories": [], "train_videos": 3}
    maker = todo[0].params.model_copy(update=long | {"val_videos": 1})
    runs = [dataclasses.replace(todo[0], params=maker), *todo[1:]]
    reads = forecast._videos(todo[1].params, runs)
    assert reads.videos == {"train": 3 * (12 + 4), "val": 12 + 4, "test": 12 + 4}


def test_a_complete_store_is_counted(study, tiny_store):
    runs = study({"03_c3d": f"store: {tiny_store.root}\nframes: 8\nsize: 32"}, name="given")
    reads = forecast._videos(runs[0].params, runs)
    counts = tiny_store.videos["split"].value_counts()
    assert reads.videos == {"train": counts["train"], "val": counts["val"]}


def test_own_videos_are_unknown_until_they_are_counted(study, tmp_path, tiny_store):
    (tmp_path / "mine" / "videos").mkdir(parents=True)
    contents = {
        "common": f"data_root: mine\nstore: {tmp_path / 'store'}",
        "01_data_prep": "source: folder",
        "03_c3d": "frames: 8",
    }
    runs = study(contents, name="own")
    lines, known, asked = told(runs)
    assert not known and not asked
    assert lines == ["How long this will take is said once 01_data_prep has counted the videos"]
    (tmp_path / "store").symlink_to(tiny_store.root)
    lines, known, asked = told(runs[1:])
    assert known and asked == ["03_c3d"] and lines[0].startswith("About ")


def test_the_words():
    parts = {"01_data_prep": 70.0, "03_c3d": 300.0, "04_resnext101": 20.0, "06_performance": None}
    assert forecast.text(parts, MACHINE, 9.4) == (
        "About 6 minutes on this machine (AMD EPYC, 2 cores, measured for 9 s): 01_data_prep 1, "
        "03_c3d 5, 04_resnext101 under 1; not counted: 06_performance"
    )
    gpu = MACHINE | {"accelerators": ["NVIDIA H100"]}
    hours = forecast.text({"01_data_prep": 90.0, "03_c3d": 7.4 * 3600}, gpu, 20.0)
    assert hours == (
        "About 7 hours on this machine (NVIDIA H100, measured for 20 s): "
        "01_data_prep under 0.1, 03_c3d 7.4"
    )
    assert forecast.text({"03_c3d": 30.0}, MACHINE, 9.0).startswith("About 1 minute on")
    assert forecast.text({"03_c3d": 14.2 * 86400}, MACHINE, 9.0).startswith("About 14 days on")


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        (subprocess.CompletedProcess([], 1, "", "a log\nOSError: no room\n"),
         "measuring failed: OSError: no room"),
        (subprocess.CompletedProcess([], -9, "", ""), "measuring failed: exit -9"),
        (subprocess.CompletedProcess([], 0, "no JSON", ""), "JSONDecodeError"),
        (subprocess.TimeoutExpired("trial", 540.0), "measuring took more than 540 s"),
    ],
)  # fmt: skip
def test_a_failing_measurement_is_one_line(study, monkeypatch, ends, why):
    def child(*command, **options):
        if isinstance(ends, Exception):
            raise ends
        return ends

    runs, lines = study(), []
    monkeypatch.setattr(forecast.environment, "describe", lambda: MACHINE)
    monkeypatch.setattr(forecast.subprocess, "run", child)
    assert forecast.tell(runs, lines.append)
    assert len(lines) == 1 and lines[0].startswith("How long this will take is unknown: ")
    assert why in lines[0]


def test_an_interrupted_run_has_less_before_it(study):
    run = study()[2]
    fingerprint.claim(run.params)
    (run.params.run_dir / "history.csv").write_text("epoch,loss\n1,2.0\n2,1.0\n")
    own = run.params.model_copy(update={"epochs": 9})
    assert forecast._epochs_done(run.params) == 1  # of one
    assert forecast._epochs_done(own) == 0  # another run: it starts anew


def test_the_study_imports_no_tensorflow_for_it():
    code = "import sys, harlib.study.forecast; print({'keras', 'tensorflow'} & {*sys.modules})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_the_child_measures_every_network_of_a_study(study):
    """The real child, on the tiny study: positive seconds for all that the sum takes."""
    measured = forecast._measure(forecast.pending(study()))
    assert measured["start_s"] > 0
    assert all(value > 0 for value in measured["videos"]["01_data_prep"].values())
    assert set(measured["networks"]) >= {"02_frame_cnn", "03_c3d", "04_resnext101"}
    for name in ("02_frame_cnn", "03_c3d", "04_resnext101"):
        (network,) = measured["networks"][name]
        assert network.keys() == NETWORK.keys() and min(network.values()) > 0
    assert json.dumps(measured)
