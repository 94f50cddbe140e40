"""A whole study at tiny size, run once for all tests that look at what it leaves."""

import pytest
from tiny_study import FILES, har, write_study


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory):
    """(root, finished `har study tiny`) of all five notebooks on 18 drawn videos."""
    root = tmp_path_factory.mktemp("project")
    write_study(root, "tiny", FILES)
    return root, har(root, "study", "tiny")
