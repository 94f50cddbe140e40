"""A study runs on the other backends as on TensorFlow: data, training, scores, figures, report."""

import importlib.util

import pytest
from tiny_study import FILES, har, write_study

RUNS = ("01_data_prep", "03_c3d", "05_evaluation")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_study_is_run_and_reported(backend, tmp_path, monkeypatch):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    write_study(tmp_path, "tiny", {name: FILES[name] for name in ("common", *RUNS)})
    done = har(tmp_path, "study", "tiny", "--no-forecast")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 runs complete" in done.stdout
    assert "Traceback" not in (tmp_path / "reports/tiny/05_evaluation.html").read_text()
    assert backend in (tmp_path / "reports/tiny/03_c3d.html").read_text()
    again = har(tmp_path, "export", str(tmp_path / "runs/tiny/03_c3d"))
    assert again.returncode == 1
    assert "KERAS_BACKEND=tensorflow" in again.stderr and "Traceback" not in again.stderr
