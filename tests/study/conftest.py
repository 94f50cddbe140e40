"""Whole studies at tiny size, run once for all tests that look at what they leave."""

import pytest
from bench_rows import write_rows
from tiny_study import FILES, har, write_study


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory):
    """(root, finished `har study tiny`) of all five notebooks on 18 drawn videos."""
    root = tmp_path_factory.mktemp("project")
    write_study(root, "tiny", FILES)
    return root, har(root, "study", "tiny")


@pytest.fixture(scope="session")
def machine_study(tmp_path_factory):
    """(root, finished `har study machine`) of notebook 06 on rows made by hand."""
    root = tmp_path_factory.mktemp("machine")
    write_study(root, "machine", {"06_performance": "results: [data.json, models.json]"})
    write_rows(root)
    return root, har(root, "study", "machine")
