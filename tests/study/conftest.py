"""Whole studies at tiny size, run once for all tests that look at what they leave."""

import fcntl
import pickle
import shutil

import pytest
from bench_rows import write_rows
from tiny_study import FILES, har, write_study


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory, worker_id):
    """(root, finished `har study tiny`) of all five notebooks on 18 drawn videos.

    Made once for all processes of the tests; each has a copy of its own.
    """
    base = tmp_path_factory.getbasetemp()
    made = (base if worker_id == "master" else base.parent) / "tiny_study"
    made.mkdir(exist_ok=True)
    kept = made / "done.pickle"
    with (made / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            write_study(made / "project", "tiny", FILES)
            kept.write_bytes(pickle.dumps(har(made / "project", "study", "tiny")))
    root = tmp_path_factory.mktemp("tiny") / "project"
    return shutil.copytree(made / "project", root), pickle.loads(kept.read_bytes())


@pytest.fixture(scope="session")
def machine_study(tmp_path_factory):
    """(root, finished `har study machine`) of notebook 06 on rows made by hand."""
    root = tmp_path_factory.mktemp("machine")
    write_study(root, "machine", {"06_performance": "results: [data.json, models.json]"})
    write_rows(root)
    return root, har(root, "study", "machine")
