"""The examples in docstrings: what they show is what comes."""

import doctest
import importlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick
ROOT = Path(__file__).resolve().parents[1]
# Whose examples a reader relies on: they may not be lost.
TAUGHT = {"harlib.text", "harlib.files", "harlib.data.loading.sampling",
          "harlib.evaluation.metrics", "harlib.training.recipes"}  # fmt: skip


def _name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SHOWN = sorted(
    _name(path)
    for path in (ROOT / "harlib").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def test_what_is_taught_has_examples():
    assert set(SHOWN) >= TAUGHT


@pytest.mark.parametrize("name", SHOWN)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed
