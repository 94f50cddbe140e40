"""The notebooks: stripped, thin, and in step with the parameter models."""

import ast
import json

import pytest

from harlib.study import files
from harlib.study.params import NOTEBOOKS

pytestmark = pytest.mark.quick
PATHS = sorted((files.CHECKOUT / "notebooks").glob("*.ipynb"))
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
    for cell in cells(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    assert "widgets" not in json.loads(path.read_text())["metadata"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_logic(path):
    for cell in cells(path):
        found = [type(node).__name__ for node in ast.walk(ast.parse(source(cell)))
                 if isinstance(node, LOGIC)]  # fmt: skip
        assert not found, f"{path.name}: {found} in\n{source(cell)}"
        if "parameters" not in cell["metadata"].get("tags", []):
            assert len(cell["source"]) <= 5


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_its_title_and_has_a_text_before_each_figure_section(path):
    first = json.loads(path.read_text())["cells"][0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith("# ")
    assert len(cells(path, "markdown")) >= 5


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_parameters_cell_states_every_parameter_with_a_comment(notebook):
    path = files.notebook_path(notebook)
    tagged = [c for c in cells(path) if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1
    assert set(files.defaults(notebook)) == set(NOTEBOOKS[notebook].model_fields)
    for line in source(tagged[0]).splitlines():
        name, _, comment = line.partition("  # ")
        assert comment, f"{notebook}: {name} has no comment"
        # papermill's reader of parameters gives up on a line with a second equals sign
        assert "=" not in comment


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_defaults_are_valid(notebook):
    NOTEBOOKS[notebook](**files.defaults(notebook))
