"""On each backend a run trains, is killed, resumes, and ends as the one that was not."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_resume import assert_same_end

SCRIPT = Path(__file__).with_name("tiny_training.py")
STRAIGHT = """
import sys
from tiny_training import run, tiny_model, tiny_recipe
run(sys.argv[1], recipe=tiny_recipe(epochs=5), model=tiny_model(0))
"""


def python(backend, *arguments):
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        cwd=SCRIPT.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_killed_run_resumes_to_equal_bits(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    python(backend, SCRIPT, tmp_path / "killed", "float32", 1, 3)
    python(backend, "-c", STRAIGHT, tmp_path / "straight")
    assert_same_end(tmp_path / "killed", tmp_path / "straight")
