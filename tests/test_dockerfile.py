"""The Dockerfile, as far as it can be read without Docker: its files, commands and arguments."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from harlib.cli import main
from harlib.study.runs.study_files import chosen

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TEXT = (ROOT / "Dockerfile").read_text()
STEPS = [
    line.split(maxsplit=1)
    for line in TEXT.replace("\\\n", "").splitlines()
    if re.match("[A-Z]+ ", line)
]
DOCS = (ROOT / "docs" / "container.md").read_text()


def said(instruction):
    """The arguments of every such line of the Dockerfile."""
    return [rest for name, rest in STEPS if name == instruction]


def wheel(source, out):
    """The names in the wheel that is built in a folder."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return set(zipfile.ZipFile(built).namelist())


def test_what_comes_into_the_image_makes_the_same_wheel(tmp_path):
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    assert rules[0] == "*" and said("COPY") == [". ."]
    context = tmp_path / "context"
    for name in (line[1:] for line in rules if line.startswith("!")):
        source, target = ROOT / name, context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    assert (context / "constraints.txt").is_file()
    assert wheel(context, tmp_path / "a") == wheel(ROOT, tmp_path / "b")


def test_its_command_is_the_demo_study_and_is_not_run_by_root():
    (command,) = said("CMD")
    program, step, study = json.loads(command)
    assert program in PROJECT["scripts"] and step in main.commands
    _, runs = chosen(study)
    assert len(runs) > 3
    assert int(said("USER")[-1]) > 0
    names = [name for name, _ in STEPS]
    assert names.index("USER") > names.index("RUN") and names[-1] == "CMD"


def test_its_arguments_are_those_of_the_page_and_of_the_project():
    arguments = {line.partition("=")[0] for line in said("ARG")}
    assert set(re.findall(r"--build-arg (\w+)=", DOCS)) == arguments == {"BASE", "EXTRAS"}
    (listed,) = re.findall(r"# Extras of pyproject.toml.*: (.+)\.", TEXT)
    extras = set(listed.split(", ")) | set(re.findall(r"EXTRAS=(\w+)", DOCS))
    assert extras <= set(PROJECT["optional-dependencies"])


def test_its_python_and_its_libraries_are_those_of_the_set_up():
    (base,) = [line for line in said("ARG") if line.startswith("BASE=")]
    (python,) = re.findall(r"python:(\d+\.\d+)-slim", base)
    assert f"(Python {python}, Linux)" in (ROOT / "constraints.txt").read_text()
    (libraries,) = re.findall(r"apt install (libgl1[\w. -]+)\)", (ROOT / "setup.sh").read_text())
    assert any(f"apt-get install -y --no-install-recommends {libraries}" in r for r in said("RUN"))
