"""What reading processes may leave behind: themselves, and memory that they share."""

import gc
import multiprocessing
from pathlib import Path

import pytest


def readers():
    """The loader's processes; joblib keeps idle ones of its own for the next preparation."""
    children = multiprocessing.active_children()
    return [child for child in children if not child.name.startswith("Loky")]


def shared_maps(pid="self"):
    return [line for line in Path(f"/proc/{pid}/maps").open() if "/memfd:har" in line]


@pytest.fixture(autouse=True)
def nothing_left():
    """At the end of a test no worker may run and no memory of one be mapped."""
    yield
    gc.collect()
    assert not readers() and not shared_maps()
