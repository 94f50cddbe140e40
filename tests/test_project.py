"""The project's own files agree with each other."""

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import harlib

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.quick
def test_environment_yml_lists_what_pyproject_lists_each_with_a_reason():
    text = (ROOT / "environment.yml").read_text()
    (pip,) = [d["pip"] for d in yaml.safe_load(text)["dependencies"] if isinstance(d, dict)]
    assert [d for d in pip if d != "-e ."] == PYPROJECT["dependencies"]
    lines = [
        line for line in text.splitlines() if line.startswith("      - ") and "-e ." not in line
    ]
    assert len(lines) == len(PYPROJECT["dependencies"])
    for line in lines:
        assert re.search(r"  # \S", line), f"no reason beside {line.strip()}"


@pytest.mark.quick
def test_constraints_pin_every_dependency_and_hold_no_address():
    pins = (ROOT / "constraints.txt").read_text()
    assert "://" not in pins and " @ " not in pins
    pinned = {line.split("==")[0].lower() for line in pins.splitlines() if "==" in line}
    for dependency in PYPROJECT["dependencies"]:
        assert re.split(r"[><=\[]", dependency)[0] in pinned


@pytest.mark.quick
def test_a_too_old_python_is_told_in_one_line(tmp_path):
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" || exit 1\n')
    old.chmod(0o755)
    done = subprocess.run(
        ["sh", str(ROOT / "setup.sh"), str(old), "base"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "Python 3.9.2 is too old" in line and "3.11" in line


@pytest.fixture
def make(tmp_path):
    """Runs the project's `make` in a folder with an environment, caches, data, runs and reports."""
    files = ("harlib/__pycache__/a.pyc", "tests/a/__pycache__/a.pyc", ".venv/a", "data/demo/a.mp4",
             "runs/demo/03_c3d/model.keras", "reports/demo/index.html", "reports/my page.html",
             "reports/template/style.css", "page.html/kept")  # fmt: skip
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("benchmarks", "docs", "notebooks"):
        (tmp_path / name).mkdir()

    def run(target, answer=""):
        command = ["make", "-f", str(ROOT / "Makefile"), target]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, input=answer)
        assert done.returncode == 0, done.stderr
        return done.stdout, {name for name in files if (tmp_path / name).exists()}

    return run, set(files)


@pytest.mark.quick
def test_make_clean_leaves_what_cost_hours_and_says_so(make):
    run, files = make
    said, left = run("clean")
    assert files - left == {
        *("harlib/__pycache__/a.pyc", "tests/a/__pycache__/a.pyc", ".venv/a"),
    }
    assert "left as they are: data/, runs/ and reports/ (make clean-results)" in said
    said, _ = run("help")
    assert "make clean " in said and "make clean-results " in said


@pytest.mark.quick
@pytest.mark.parametrize(("answer", "deleted"), [("", 0), ("y\n", 0), ("delete\n", 4)])
def test_make_clean_results_lists_and_asks(make, answer, deleted):
    run, files = make
    said, left = run("clean-results", answer)
    assert all(f"\t{name}\n" in said for name in ("data", "runs", "reports"))
    assert len(files - left) == deleted and "reports/template/style.css" in left
    assert ("nothing was deleted" in said) == (not deleted)


@pytest.mark.quick
def test_the_version_is_one():
    assert importlib.metadata.version("harlib") == harlib.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == harlib.__version__
