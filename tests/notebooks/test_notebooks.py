"""The notebooks: stripped, thin, and in step with the parameter models."""

import ast
import json

import pytest

from harlib import shipped
from harlib.study.params.notebooks import NOTEBOOKS
from harlib.study.runs import open_notebook, study_files

pytestmark = pytest.mark.quick
PATHS = sorted((shipped.FOLDER / "notebooks").glob("*.ipynb"))
STUDIES = sorted(path for path in (shipped.FOLDER / "params").iterdir() if path.is_dir())
LOGIC = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While,
         ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.If, ast.Try)  # fmt: skip


def cells(path, kind="code"):
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_there_is_a_notebook_for_every_parameter_model():
    assert {path.stem for path in PATHS} >= set(NOTEBOOKS)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_stripped(path):
    for one in cells(path):
        assert one["outputs"] == []
        assert one["execution_count"] is None
    assert "widgets" not in json.loads(path.read_text())["metadata"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_logic(path):
    for one in cells(path):
        found = [type(node).__name__ for node in ast.walk(ast.parse(source(one)))
                 if isinstance(node, LOGIC)]  # fmt: skip
        assert not found, f"{path.name}: {found} in\n{source(one)}"
        if "parameters" not in one["metadata"].get("tags", []):
            assert len(one["source"]) <= 5


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_its_title_and_has_a_text_before_each_figure_section(path):
    first = json.loads(path.read_text())["cells"][0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith("# ")
    assert len(cells(path, "markdown")) >= 5


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_parameters_cell_states_every_parameter_with_a_comment(notebook):
    path = study_files.notebook_path(notebook)
    (tagged,) = [c for c in cells(path) if "parameters" in c["metadata"].get("tags", [])]
    stated = {}
    for node in ast.parse(source(tagged)).body:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        stated[target.id] = node.value
    assert set(stated) == set(NOTEBOOKS[notebook].params.model_fields)
    # All others are left to the study's files, so that the two cannot differ.
    assert [key for key, value in stated.items() if value is not None] == ["study", "run"]
    for line in source(tagged).splitlines():
        name, _, comment = line.partition("  # ")
        assert comment, f"{notebook}: {name} has no comment"
        # papermill's reader of parameters gives up on a line with a second equals sign
        assert "=" not in comment


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_kinds_in_the_parameters_cell_are_those_of_the_defaults(notebook):
    path, kinds = study_files.notebook_path(notebook), {}
    (tagged,) = [c for c in cells(path) if "parameters" in c["metadata"].get("tags", [])]
    exec(source(tagged), kinds)
    for key, kind in kinds["__annotations__"].items():
        assert isinstance(study_files.defaults(notebook)[key], kind), f"{notebook}: {key}: {kind}"


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_a_notebook_with_a_studys_name_has_the_studys_values(folder, tmp_path):
    """As JupyterLab runs it: the parameters cell as shipped, but for the names and the data."""
    for name in ("videos", "clips_80x64"):
        (tmp_path / name).mkdir()
    for name in ("train.csv", "val.csv", "validate.csv"):
        (tmp_path / name).touch()
    origin = study_files.stated(folder.glob("*.yaml"))[0].get("source", "demo")
    own = {} if origin == "demo" else {"data_root": str(tmp_path)}
    for run in study_files.load_study(folder, own):
        path = study_files.notebook_path(run.notebook)
        (tagged,) = [c for c in cells(path) if "parameters" in c["metadata"].get("tags", [])]
        namespace = {"In": [source(tagged)]}
        exec(source(tagged), namespace)
        names = {"study": folder.name} | ({"run": run.name} if run.name != run.notebook else {})
        namespace |= names | own
        namespace["In"] += [f"{key} = {value!r}" for key, value in (names | own).items()]
        assert open_notebook.read(run.notebook, namespace)[0] == run.params


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_defaults_are_valid(notebook):
    NOTEBOOKS[notebook].params(**study_files.defaults(notebook))
