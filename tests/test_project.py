"""The project's own files agree with each other."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

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
def test_importing_harlib_imports_no_framework():
    code = (
        "import sys, harlib, harlib.cli;"
        "print([m for m in ('tensorflow', 'jax', 'torch', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


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


@pytest.mark.quick
@pytest.mark.parametrize("path", sorted((ROOT / "harlib").rglob("*.py")), ids=lambda p: p.name)
def test_a_module_stays_short(path):
    assert len(path.read_text().splitlines()) <= 350
