"""Run All in JupyterLab: a notebook does what its study says, and leaves a finished run alone."""

import hashlib
import json
import re
import shutil

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tiny_study import FILES, write_study

from harlib import shipped
from harlib.run_folder import RunFolder
from harlib.study.runs import fingerprint, study_files
from harlib.study.steps import model_run

RUNS = [name for name in FILES if name != "common"]


def opened(name, **values):
    """A notebook as a person has it after setting values in its parameters cell."""
    notebook = nbformat.read(shipped.FOLDER / "notebooks" / f"{name}.ipynb", as_version=4)
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    for key, value in values.items():
        cell.source, count = re.subn(
            rf"^({key}(: [^=#]*?)?)( = .*?)?(?=  #)", rf"\1 = {value!r}", cell.source, flags=re.M
        )
        assert count == 1, key
    return notebook


def run_all(root, notebook, times=1):
    """Executes every cell, so many times in one kernel; returns the notebook."""
    client = NotebookClient(notebook, kernel_name="python3", timeout=300)
    with client.setup_kernel(cwd=str(root)):
        for _ in range(times):
            for index, cell in enumerate(notebook.cells):
                client.execute_cell(cell, index)
    return notebook


def said(notebook):
    """All text that the cells show."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    return "\n".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


def left(root, below="."):
    """{file: (content's hash, time of its last change)} of what a study has made."""
    return {
        str(path.relative_to(root)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for folder in ("data", "runs", "reports")
        for path in sorted((root / below / folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def project(tiny_study, monkeypatch):
    root, done = tiny_study
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("HARLIB_ROOT", str(root))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    # The stills of a copied project are files of other times, which their store notes once.
    model_run.stills_store(study_files.load_folder(root / "runs" / "tiny" / "02_frame_cnn"))
    return root


@pytest.mark.parametrize("name", ["00_explore", *RUNS])
def test_run_all_on_a_finished_study_changes_nothing(project, name):
    before = left(project)
    told = said(run_all(project, opened(name, study="tiny"), times=2))
    assert left(project) == before
    if name in RUNS:
        assert f"It is complete: what follows shows the files in runs/tiny/{name}" in told
    if name == "03_c3d":
        assert "1 value from params/tiny/common.yaml; 10 values from params/tiny/03_c3d" in told


def test_a_changed_value_is_refused_and_runs_under_a_name_of_its_own(
    project, tmp_path, monkeypatch
):
    project = shutil.copytree(project, tmp_path / "project")  # it gets a run more
    monkeypatch.setenv("HARLIB_ROOT", str(project))
    before = left(project)
    with pytest.raises(CellExecutionError) as caught:
        run_all(project, opened("03_c3d", study="tiny", epochs=2))
    assert left(project) == before
    assert "epochs: 1 then, 2 now" in caught.value.evalue
    assert 'run = "03_c3d.mine"' in caught.value.evalue
    assert (
        "har study tiny makes the run that the files in params/tiny ask for" in caught.value.evalue
    )

    done = run_all(project, opened("03_c3d", study="tiny", epochs=2, run="03_c3d.mine"))
    after = left(project)
    assert {file: after[file] for file in before} == before
    mine = project / "runs" / "tiny" / "03_c3d.mine"
    assert set(after) - set(before) == {
        str(path.relative_to(project)) for path in mine.rglob("*") if path.is_file()
    }
    assert "epochs = 2 from this notebook" in said(done)
    assert len((mine / "history.csv").read_text().splitlines()) == 3
    (own,) = [
        run for run in study_files.load_study(project / "params" / "tiny") if run.name == "03_c3d"
    ]
    as_made = json.loads((mine / "run.json").read_text())
    assert as_made["status"] == "complete"
    assert fingerprint.is_complete(own.params)


def test_a_notebook_makes_what_the_study_makes(project, tmp_path, monkeypatch):
    """Notebook 01 of the same study elsewhere, in no study's run: the same videos, the same run."""
    write_study(tmp_path, "tiny", FILES)
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    run_all(tmp_path, opened("01_data_prep", study="tiny"))
    own, ours = (root / "runs" / "tiny" / "01_data_prep" for root in (tmp_path, project))
    for file in ("params.yaml", "data.json"):
        assert (own / file).read_bytes() == (ours / file).read_bytes()
    assert RunFolder(own).read_state()["fingerprint"] == RunFolder(ours).read_state()["fingerprint"]
