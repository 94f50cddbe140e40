"""The rules of the house (docs/architecture.md), read from the imports."""

import ast
import graphlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[1]
# From upstream to downstream: a stage imports itself and what stands before it.
STAGES = (
    "data",
    "pretrained",
    "models",
    "training",
    "evaluation",
    "figures",
    "inference",
    "serving",
    "labelling",
    "bench",
    "study",
    "cli",
)
# The same inside the study; what stands in none of them comes last.
STUDY = ("params", "wording", "runs", "widgets", "steps", "report")
FRAMEWORKS = ("tensorflow", "keras", "jax", "torch", "pandas", "h5py", "cv2", "grain")


def _name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted((ROOT / "harlib").rglob("*.py"))}


def _imports(path):
    """(module or package, name or None) of every import of harlib, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "harlib":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.name, None) for a in node.names if a.name.split(".")[0] == "harlib")


def _target(module, name):
    """The module that an import runs."""
    return f"{module}.{name}" if f"{module}.{name}" in MODULES else module


def _stage(module):
    return module.split(".")[1] if "." in module else ""


IMPORTS = {name: list(_imports(path)) for name, path in MODULES.items()}


def test_nothing_is_imported_from_downstream():
    wrong = [
        f"{name} imports {_target(*found)}"
        for name, every in IMPORTS.items()
        for found in every
        if (there := _stage(_target(*found))) in STAGES
        and (_stage(name) not in STAGES or STAGES.index(_stage(name)) < STAGES.index(there))
    ]
    assert not wrong


def test_inside_the_study_too():
    def floor(module):
        part = module.split(".")[2] if module.count(".") > 1 else ""
        return STUDY.index(part) if part in STUDY else len(STUDY)

    wrong = [
        f"{name} imports {_target(*found)}"
        for name, every in IMPORTS.items()
        for found in every
        if _stage(name) == _stage(_target(*found)) == "study"
        and floor(name) < floor(_target(*found))
    ]
    assert not wrong


def test_there_is_no_circle():
    graph = {name: {_target(*found) for found in every} - {name} for name, every in IMPORTS.items()}
    graph.pop("harlib")  # every module stands on it; it imports `machine`, which imports nothing
    graph = {name: found - {"harlib"} for name, found in graph.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names it


def _public():
    """{package: the names in its door}."""
    code = (
        "import importlib, json, sys\n"
        "names = sys.stdin.read().split()\n"
        "print(json.dumps({n: list(importlib.import_module(n).__all__) for n in names}))"
    )
    packages = [n for n, path in MODULES.items() if path.name == "__init__.py" and n != "harlib"]
    done = subprocess.run(
        [sys.executable, "-c", code], input="\n".join(packages), capture_output=True, text=True,
        check=True, cwd=ROOT,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_others_come_in_by_the_doors():
    """A stage shows names, modules and packages in its `__all__`; a package inside it does too."""
    public = _public()

    def shown(module):
        """Whether each package on the way down to the module shows the next one."""
        parts = module.split(".")
        return all(parts[i] in public[".".join(parts[:i])] for i in range(2, len(parts)))

    wrong = [
        f"{name}: from {module} import {imported}"
        for name, every in IMPORTS.items()
        for module, imported in every
        if _stage(module) in STAGES
        and _stage(module) != _stage(name)
        and not (shown(module) and imported in public.get(module, [imported]))
    ]
    assert not wrong


def test_what_doors_name_is_there():
    """Every name, imported at once: a door's list is read by no compiler."""
    code = "import importlib, sys\nfor n in sys.argv[1:]:\n  importlib.import_module(n)"
    packages = [n for n, path in MODULES.items() if path.name == "__init__.py"]
    subprocess.run([sys.executable, "-c", code, *packages], check=True, cwd=ROOT,
                   env=os.environ | {"EAGER_IMPORT": "1"})  # fmt: skip


def test_no_two_test_files_have_one_name():
    """pytest imports them by their name alone: the second one is an error of the whole run."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))


def test_the_page_names_files_that_are_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/.]+\.pyi?|\w+/[\w/]+\.csv|harlib/[\w/]+|(?:study|data)/\w+)`", text)
    files = [str(path.relative_to(ROOT)) for path in ROOT.glob("harlib/**/*")]
    files += [str(path.relative_to(ROOT)) for path in ROOT.glob("tests/**/*.py")]
    files += [str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.py")]
    assert len(named) > 30
    assert not [name for name in named if not any(f"/{f}".endswith(f"/{name}") for f in files)]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_about_one_noun(name):
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("module", ["harlib", "harlib.cli", "harlib.data", "harlib.study"])
def test_an_import_loads_no_framework(module):
    code = f"import sys, {module}; print([n for n in {FRAMEWORKS} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
