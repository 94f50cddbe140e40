"""The notebooks: stripped, thin, and in step with the parameter models."""

import ast
import json
import re

import pytest

from harlib import shipped
from harlib.study.params import meanings
from harlib.study.params.notebooks import NOTEBOOKS
from harlib.study.runs import open_notebook, study_files

pytestmark = pytest.mark.quick
PATHS = sorted((shipped.FOLDER / "notebooks").glob("*.ipynb"))
STUDIES = sorted(path for path in (shipped.FOLDER / "params").iterdir() if path.is_dir())
WRITTEN_OUT = "08_from_scratch"  # the one that shows what the others call
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


@pytest.mark.parametrize(
    "path", [path for path in PATHS if path.stem != WRITTEN_OUT], ids=lambda path: path.stem
)
def test_a_notebook_holds_no_logic(path):
    for one in cells(path):
        found = [type(node).__name__ for node in ast.walk(ast.parse(source(one)))
                 if isinstance(node, LOGIC)]  # fmt: skip
        assert not found, f"{path.name}: {found} in\n{source(one)}"
        if "parameters" not in one["metadata"].get("tags", []):
            assert len(one["source"]) <= 5


def test_the_exception_is_short_and_says_that_it_is_one():
    assert [name for name, one in NOTEBOOKS.items() if one.written_out] == [WRITTEN_OUT]
    own = cells(study_files.notebook_path(WRITTEN_OUT))
    written = [source(c) for c in own if c["id"] in ("fs09", "fs11")]
    assert len(written) == 2
    lines = [line for code in written for line in code.splitlines() if line.strip()]
    assert 35 <= len(lines) <= 45


LESSONS = [path for path in PATHS if path.stem in NOTEBOOKS]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_says_its_cost_and_result_first_and_ends_with_three_exercises(path):
    texts = [source(one) for one in cells(path, "markdown")]
    for word in ("Cost", "Expected", "Read", "Next"):
        assert re.search(rf"\| \*\*{word}\*\* \| \S.+ \|", texts[0]), word
    assert "](http" in texts[0] and ".ipynb)" in texts[0].partition("**Next**")[2]
    last = texts[-1]
    assert last.startswith("## Exercises\n") and "AMD EPYC" in last
    # a blank line after the summary, or the answer's marks stay marks
    answers = re.findall(
        r"<details><summary>Answer (\d)</summary>\n\n(.+?)\n\n</details>", last, re.S
    )
    assert [number for number, _ in answers] == ["1", "2", "3"]
    assert all(re.search(r"\d", answer) for _, answer in answers)
    assert any("lesson.source(" in source(one) for one in cells(path))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_links_between_notebooks_lead_to_headings_that_are_there(path):
    for text in map(source, cells(path, "markdown")):
        for name, place in re.findall(r"\]\((\w+\.ipynb)(?:#([^)]+))?\)", text):
            other = shipped.FOLDER / "notebooks" / name
            assert other.is_file(), name
            titles = "\n".join(map(source, cells(other, "markdown")))
            headings = [found.replace(" ", "-") for found in re.findall(r"^#+ (.+)$", titles, re.M)]
            assert not place or place in headings, f"{name}#{place}"


def test_what_the_model_notebooks_share_is_said_once():
    """A sentence of twenty words that stands in two of them is one too many."""
    said = {}
    for name in ("02_frame_cnn", "03_c3d", "04_resnext101"):
        for text in map(source, cells(study_files.notebook_path(name), "markdown")):
            for sentence in re.split(r"(?<=[.?!])\s+|\n\n", text):
                if len(sentence.split()) >= 20:
                    said.setdefault(sentence, set()).add(name)
    assert len(said) > 20
    assert not [sentence for sentence, names in said.items() if len(names) > 1]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_its_title_and_has_a_text_before_each_figure_section(path):
    first = json.loads(path.read_text())["cells"][0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith("# ")
    assert len(cells(path, "markdown")) >= 5


def parameters_cell(notebook):
    (tagged,) = [
        c
        for c in cells(study_files.notebook_path(notebook))
        if "parameters" in c["metadata"].get("tags", [])
    ]
    return source(tagged)


def stated(notebook):
    """{name: value} of the parameters cell; None for what it leaves open."""
    nodes = ast.parse(parameters_cell(notebook)).body
    targets = [n.target if isinstance(n, ast.AnnAssign) else n.targets[0] for n in nodes]
    return {target.id: node.value for target, node in zip(targets, nodes, strict=True)}


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_parameter_has_a_meaning(notebook):
    assert set(meanings.of(notebook)) == set(NOTEBOOKS[notebook].params.model_fields)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_parameters_cell_says_the_meanings_under_their_headings(notebook):
    heading, known, lines = "", meanings.of(notebook), parameters_cell(notebook).splitlines()
    for line in filter(None, lines):
        if line.startswith("# "):
            heading = line.removeprefix("# ")
            continue
        name, _, comment = line.partition("  # ")
        name = name.partition(":")[0].partition(" ")[0]
        assert (heading, comment) == known[name], f"{notebook}: {line}"
        # papermill's reader of parameters gives up on a line with a second equals sign
        assert "=" not in comment
    assert len({line for line in lines if line.startswith("# ")}) <= 5
    assert list(stated(notebook)) == [name for name in known if name in stated(notebook)]
    # All others are left to the study's files, so that the two cannot differ.
    given = [key for key, value in stated(notebook).items() if value is not None]
    assert given == ["study", "run"]


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_parameters_cell_names_what_the_demo_sets(notebook):
    """Rarer ones are left out of it; a reader of the demo finds all that it decides."""
    set_there, _ = study_files.stated((shipped.FOLDER / "params" / "demo").glob(f"{notebook}.yaml"))
    assert set(set_there) <= set(stated(notebook))


@pytest.mark.parametrize("way", ["a line of the cell", "papermill", "a file of the study"])
def test_a_parameter_that_the_cell_does_not_name_can_be_set(way, tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = tmp_path / "params" / "demo"
    folder.mkdir(parents=True)
    (folder / "03_c3d.yaml").write_text("jitter: 0.25" if "file" in way else "")
    assert "jitter" not in stated("03_c3d")
    first = parameters_cell("03_c3d") + ("\njitter: float = 0.25" if "line" in way else "")
    every = ["", first] + ["jitter = 0.25"] * (way == "papermill")
    every.append('p, told = open_notebook.read("03_c3d", globals())')
    namespace = {"In": every}
    for one in every[:-1]:
        exec(one, namespace)
    p, told = open_notebook.read("03_c3d", namespace)
    assert p.jitter == 0.25
    assert meanings.of("03_c3d")["jitter"][1] in told._repr_html_()


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_kinds_in_the_parameters_cell_are_those_of_the_defaults(notebook):
    kinds = {}
    exec(parameters_cell(notebook), kinds)
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
        first = parameters_cell(run.notebook)
        namespace = {"In": [first]}
        exec(first, namespace)
        names = {"study": folder.name} | ({"run": run.name} if run.name != run.notebook else {})
        namespace |= names | own
        namespace["In"] += [f"{key} = {value!r}" for key, value in (names | own).items()]
        assert open_notebook.read(run.notebook, namespace)[0] == run.params


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_defaults_are_valid(notebook):
    NOTEBOOKS[notebook].params(**study_files.defaults(notebook))
