"""What is told of the machine that computed a run."""

import importlib.metadata

import pytest

from harlib import __version__
from harlib.study.runs import environment

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_versions_are_of_the_backend_and_of_what_is_installed(backend, monkeypatch):
    installed = {"keras": "3.15.1", "numpy": "2.4", backend: "1.2.3"}

    def version(name):
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr(importlib.metadata, "version", version)
    versions = environment.describe()["versions"]
    assert versions.pop("python")
    assert versions == installed | {"harlib": __version__}
