"""Which runs a study makes, keeps or leaves out; no notebook is run here."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from harlib.files import write_json
from harlib.locks import Locked
from harlib.progress import Stage
from harlib.run_folder import RunFolder
from harlib.study import run_study
from harlib.study.runs import fingerprint, results_version, study_files

pytestmark = pytest.mark.quick
HOLD = """
import sys, time
from harlib.locks import Lock
lock = Lock(sys.argv[1], "x")
print(flush=True)
time.sleep(60)
"""
NAMES = ["01_data_prep", "03_c3d", "03_c3d.long", "05_evaluation"]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Runs a study of four runs whose notebooks are replaced by `broken`: name -> problem."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = tmp_path / "params" / "tiny"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / f"{name}.yaml").write_text("")
    executed = []

    def study(broken=None, refuse=lambda todo, every: None, **options):
        def execute(one, label, say):
            executed.append(one.name)
            fingerprint.claim(one.params)
            problem = (broken or {}).get(one.name, "")
            one.params.folder.write_state(
                status="failed" if problem else "complete", problem=problem
            )
            return problem

        executed.clear()
        study.pages = []
        monkeypatch.setattr(run_study, "_execute", execute)
        monkeypatch.setattr(run_study.checks, "refuse", refuse)
        monkeypatch.setattr(run_study.forecast, "tell", lambda runs, say: True)
        monkeypatch.setattr(
            run_study.run_page, "write_report", lambda run_dir: study.pages.append(run_dir.name)
        )
        study.indexes = 0

        def write_index(runs_dir):
            study.indexes += 1
            return runs_dir

        monkeypatch.setattr(run_study.index, "write_index", write_index)
        lines = []
        _, failed = run_study.run_study(str(folder), say=lines.append, **options)
        return list(executed), failed, "\n".join(lines)

    return study


def test_pages_link_to_later_runs_too_so_they_are_written_once_more(study):
    study()
    assert study.pages == [*NAMES, *NAMES[:-1]]
    study()  # all are there already
    assert study.pages == list(NAMES)


def test_the_index_is_written_after_what_ran_and_at_the_end_of_what_was_kept(study):
    study()
    assert study.indexes == len(NAMES)
    study()
    assert study.indexes == 1
    assert study(overrides={"epochs": 3})[0] == NAMES[1:]
    assert study.indexes == 3


def watched(run_dir, states, say):
    """`_watch` while `states` are written, one after the other."""
    done = threading.Event()
    watcher = threading.Thread(target=run_study._watch, args=(run_dir, "[1/1] 03_c3d", done, say))
    watcher.start()
    time.sleep(0.6)  # an older file is not shown
    for name, done_, left, more in states:
        Stage(run_dir, name).write(done_, 40, left, **more)
        time.sleep(0.7)
    done.set()
    watcher.join()


EPOCHS = [{"epoch": epoch, "epochs": 2, "loss": 2.0 / epoch} for epoch in (1, 1, 2)]
STATES = [
    ("checks before training", 5, None, {}),
    ("checks before training", 15, None, {}),
    ("training", 1, None, EPOCHS[0]),
    ("training", 19, 21.0, EPOCHS[1]),
    ("training", 21, 19.0, EPOCHS[2]),
    ("scoring val", 3, 70.0, {}),
]


def test_a_log_gets_a_line_a_stage_and_epoch(tmp_path):
    Stage(tmp_path, "of yesterday").write(1, 2)
    os.utime(tmp_path / "progress.json", (1, 1))
    lines = []
    watched(tmp_path, STATES, lines.append)
    assert lines == [
        "[1/1] 03_c3d: checks before training 5/40",
        "[1/1] 03_c3d: epoch 1/2, loss 2.000",
        "[1/1] 03_c3d: epoch 2/2, loss 1.000, 0:19 min left",
        "[1/1] 03_c3d: scoring val 3/40, 1:10 min left",
    ]


def test_a_terminal_gets_one_changing_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_study.sys.stdout, "isatty", lambda: True, raising=False)
    watched(tmp_path, STATES[3:5], print)
    said = capsys.readouterr().out
    assert "\n" not in said
    assert "epoch 1/2, loss 2.000, 0:21 min left" in said and "0:19 min left" in said
    assert said.endswith(" \r")  # nothing of it stays


def test_complete_runs_are_kept(study):
    assert study()[0] == NAMES
    executed, failed, said = study()
    assert (executed, failed) == ([], [])
    assert said.count("kept, complete with the same parameters") == 4


def test_the_lock_that_a_killed_study_left_of_a_kept_run_is_removed(study, tmp_path):
    assert study()[0] == NAMES
    left = tmp_path / "runs" / "tiny" / f".{NAMES[0]}.lock"
    left.write_text('{"pid": 0, "host": "", "since": 0, "command": ""}')
    assert study()[0] == [] and not left.exists()


def test_a_changed_parameter_runs_what_depends_on_it(study):
    study()
    assert study(overrides={"epochs": 3})[0] == ["03_c3d", "03_c3d.long", "05_evaluation"]
    assert study(overrides={"epochs": 3, "fps": 5.0})[0] == NAMES


def test_threads_do_not_count(study):
    study()
    assert study(overrides={"threads": 7})[0] == []


def test_without_data_no_model_is_started(study):
    executed, failed, said = study({"01_data_prep": "no videos"})
    assert "03_c3d" not in executed
    assert failed[:3] == ["01_data_prep", "03_c3d", "03_c3d.long"]
    assert "03_c3d: not started, 01_data_prep failed" in said


def test_the_others_go_on_when_a_model_fails(study):
    executed, failed, _ = study({"03_c3d": "loss is nan"})
    assert executed == NAMES
    assert failed == ["03_c3d"]
    assert study()[0] == ["03_c3d", "05_evaluation"]


def test_only_runs_what_is_asked_for(study):
    study()
    assert study(overrides={"epochs": 3}, only=("03_c3d.long",))[0] == ["03_c3d.long"]
    with pytest.raises(
        study_files.ParamsError, match="no run 04_x in tiny; there are 01_data_prep"
    ):
        study(only=("04_x",))


def test_results_of_other_parameters_are_moved_aside(study, tmp_path):
    study()
    runs = tmp_path / "runs" / "tiny"
    (runs / "03_c3d" / "model.keras").write_text("weeks of training")
    study(overrides={"epochs": 3})
    assert not (runs / "03_c3d" / "model.keras").exists()
    assert (runs / "before" / "03_c3d" / "model.keras").read_text() == "weeks of training"


def test_each_of_several_unfinished_runs_is_kept_and_the_difference_told(study, tmp_path, capsys):
    study()
    runs = tmp_path / "runs" / "tiny"
    for epochs in (4, 3):
        (runs / "03_c3d" / "left").write_text(f"before {epochs}")
        RunFolder(runs / "03_c3d").write_state(status="started")
        study(overrides={"epochs": epochs}, only=("03_c3d",))
    said = capsys.readouterr().out
    assert "03_c3d starts anew (epochs: 4 then, 3 now); what it had left is now in runs/" in said
    assert (runs / "before" / "03_c3d" / "left").read_text() == "before 4"
    assert (runs / "before" / "03_c3d-2" / "left").read_text() == "before 3"


def test_what_was_put_aside_is_told_with_its_size(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "earlier run" not in study()[2]
    (tmp_path / "runs" / "tiny" / "03_c3d" / "model.keras").write_bytes(bytes(3_000_000))
    said = study(overrides={"epochs": 3})[2]
    assert (
        "runs/tiny/before keeps 3 earlier runs, 3.0 MB on disk: 03_c3d, 03_c3d.long, 05_evaluation"
    ) in said
    assert said.splitlines()[-2].startswith("tiny: 4 of 4 runs complete")


def test_a_second_study_is_refused_while_the_first_runs(study, tmp_path):
    study()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    lock = tmp_path / "runs" / "tiny" / ".03_c3d.long.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE)
    holder.stdout.readline()
    try:
        with pytest.raises(Locked, match=f"03_c3d.long is being written by process {holder.pid} "):
            study(overrides={"epochs": 3})
        assert study(only=("01_data_prep",))[1] == []  # not that run
    finally:
        holder.kill()
        holder.wait()
    now = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: now[path] for path in before} == before
    assert study(overrides={"epochs": 3})[1] == []  # what a killed one left is no hindrance
    assert not list(tmp_path.rglob("*.lock"))


def test_a_wrong_value_moves_nothing(study, tmp_path, monkeypatch):
    study()
    before = sorted(tmp_path.rglob("*"))

    def refuse(todo, every):
        assert list(todo) == ["params/tiny/03_c3d.yaml", "params/tiny/03_c3d.long.yaml",
                              "params/tiny/05_evaluation.yaml"]  # fmt: skip
        assert len(every) == 4
        raise study_files.ParamsError("no")

    with pytest.raises(study_files.ParamsError, match="no"):
        study(overrides={"epochs": 3}, refuse=refuse)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_replaced_store_makes_another_run(study, tmp_path):
    study()
    store = tmp_path / "data" / "tiny" / "store"
    store.mkdir(parents=True)
    for content in ("a", "b"):
        (store / "store.json").write_text(json.dumps({"hash": content}))
        assert study()[0] == NAMES[1:]


def test_what_a_person_notes_in_a_notebook_costs_no_training(study, tmp_path):
    """JupyterLab saves a notebook as it is left: values tried, scratch cells, outputs."""
    params = study_files.load_run([tmp_path / "params" / "tiny" / "03_c3d.yaml"]).params
    before = fingerprint.fingerprint(params)
    notebook = nbformat.read(study_files.notebook_path("03_c3d"), as_version=4)
    own = tmp_path / "notebooks" / "03_c3d.ipynb"
    own.parent.mkdir()
    for cell in notebook.cells:
        cell.source = cell.source.replace('study = "demo"', 'study = "mine"') + " "
    notebook.cells += [
        new_code_cell("%timeit store.read(0)"),
        new_code_cell("x = 1\nmodel.summary()"),
    ]
    nbformat.write(notebook, own)
    assert study_files.notebook_path("03_c3d") == own
    assert fingerprint.fingerprint(params) == before


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of harlib's sources, which `fingerprint.code` reads instead."""
    copy = tmp_path / "copy" / "harlib"
    shutil.copytree(Path(fingerprint.__file__).parents[2], copy)
    monkeypatch.setattr(fingerprint, "__file__", str(copy / "study/runs/fingerprint.py"))
    fingerprint.code.cache_clear()
    yield copy
    fingerprint.code.cache_clear()


def test_comments_docstrings_and_names_of_modules_are_no_other_code(package):
    def code():
        fingerprint.code.cache_clear()
        return fingerprint.code("03_c3d")

    module, before = package / "training" / "recipe.py", code()
    text = module.read_text()
    docstring = text.split('"""')[1]
    module.write_text("# a comment\n\n" + text.replace(docstring, "Another sentence."))
    assert code() == before
    module.rename(module.with_name("renamed.py"))
    assert code() == before
    figure = package / "figures" / "bars.py"
    figure.write_text(figure.read_text() + "\nBARS = 1\n")
    assert code() == before  # a better figure
    renamed = module.with_name("renamed.py")
    renamed.write_text(renamed.read_text() + "\nSTEPS = 1\n")
    assert code() != before


def test_other_code_is_said_and_costs_no_training(study, package, tmp_path):
    assert study()[0] == NAMES
    module = package / "training" / "recipe.py"
    module.write_text(module.read_text() + "\nSTEPS = 1\n")
    fingerprint.code.cache_clear()
    executed, _, said = study()
    assert executed == []
    kept = [line for line in said.splitlines() if ": kept, " in line]
    assert [line.endswith("(made by other code than the installed one)") for line in kept] == [
        False, True, True, False  # neither the videos nor the evaluation came by it
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "again"),
    [
        ("store", NAMES),
        ("training", NAMES[1:]),
        ("scoring", NAMES[1:]),
        ("evaluation", NAMES[3:]),
        ("bench", []),
    ],
)
def test_a_new_results_version_restarts_what_depends_on_it(study, monkeypatch, stage, again):
    assert study()[0] == NAMES
    monkeypatch.setitem(results_version.RESULTS_VERSION, stage, 2)
    executed, _, said = study()
    assert executed == again
    if again:
        assert study()[0] == []


def test_a_restart_says_whose_version_changed(study, monkeypatch, capsys):
    study()
    monkeypatch.setitem(results_version.RESULTS_VERSION, "training", 2)
    study()
    said = capsys.readouterr().out
    assert "03_c3d starts anew (results version of training: 1 then, 2 now)" in said


def old(run_dir):
    """Leaves run.json as a harlib did whose fingerprint held the bytes of its code."""
    state = RunFolder(run_dir).read_state()
    new = {key: value for key, value in state.items() if key not in ("results_version", "code")}
    write_json(run_dir / "run.json", new | {"fingerprint": "0123456789abcdef"})


def test_runs_of_an_earlier_harlib_are_kept_and_a_line_says_so(study, tmp_path):
    study()
    runs = tmp_path / "runs" / "tiny"
    for name in NAMES:
        old(runs / name)
    executed, _, said = study()
    assert executed == [] and not (runs / "before").exists()
    assert (
        said.count("(made by an earlier harlib, whose code is not compared with the installed one)")
        == 4
    )
    # a parameter that it did not know has its default; another value is another run
    file = runs / "03_c3d" / "params.yaml"
    file.write_text(file.read_text().replace("jitter: ", "was_jitter: "))
    assert study()[0] == []
    assert study(overrides={"jitter": 0.4}, only=("03_c3d",))[0] == ["03_c3d"]
    assert study()[0] == ["03_c3d", "05_evaluation"]  # by the file's value again


def test_a_run_that_resumes_by_other_code_says_so(study, package, tmp_path):
    study(broken={"03_c3d": "out of memory"})
    run_dir = tmp_path / "runs" / "tiny" / "03_c3d"
    (run_dir / "checkpoints").mkdir()
    module = package / "models" / "c3d.py"
    module.write_text(module.read_text() + "\nWIDER = 1\n")
    fingerprint.code.cache_clear()
    study()
    assert RunFolder(run_dir).read_state()["said"] == [
        "it resumes from checkpoints made by other code than the installed one"
    ]
    assert fingerprint.remark(run_dir) and not fingerprint.remark(run_dir.with_name("01_data_prep"))
