"""Rows of `har bench`: from files, or measured here at a small size."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from harlib.files import read_json, write_json
from harlib.study.params.notebooks import Performance
from harlib.study.runs import session

Rows = dict[str, list[dict]]  # by the command that measured them

KINDS = ("data", "train", "batch")  # the commands of `har bench`
_LIMIT_S = 3600


def measured(p: Performance) -> Rows:
    """Rows of `har bench data`, `train` and `batch`: from ``results``, else measured here, small.

    All of them go to ``measured.json`` in the run's folder; ``small`` tells those measured here.

    Raises:
        ValueError: a file that holds no rows of `har bench`.
        RuntimeError: a measurement failed; the message has its last words.
    """
    if session.kept(p):
        return read_json(p.folder.measured)
    rows: Rows = {kind: [] for kind in KINDS}
    for path, name in zip(p.reads, p.results, strict=True):
        for row in _rows(path, name):
            rows[row["bench"]].append(row | {"small": False})
    for kind in KINDS:
        if not rows[kind]:
            rows[kind] = [row | {"small": True} for row in _measure(p, kind)]
    write_json(p.folder.measured, rows)
    return rows


def _rows(path: Path, name: str) -> list[dict]:
    try:
        rows = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"results: {name} is no JSON: {error}") from None
    kinds = [row.get("bench") if isinstance(row, dict) else None for row in rows] or [None]
    if unknown := set(kinds) - set(KINDS):
        raise ValueError(
            f"results: {name} holds rows of {unknown.pop()!r}; har bench writes rows of "
            f"{', '.join(KINDS)}"
        )
    return rows


def names(p: Performance, kind: str) -> str:
    """The files of ``results`` that hold rows of this kind, by commas."""
    return ", ".join(
        name
        for path, name in zip(p.reads, p.results, strict=True)
        if any(row["bench"] == kind for row in _rows(path, name))
    )


def _measure(p: Performance, kind: str) -> list[dict]:
    """The rows of one `har bench` command, run in a process of its own."""
    clip = ["--models", ",".join(p.models), "--frames", p.frames, "--size", p.size, "--steps", 2]
    with tempfile.TemporaryDirectory(prefix="har-performance-") as folder:
        videos, file = Path(folder) / "videos", Path(folder) / "rows.json"
        options = {
            "data": ["--videos", videos, "--seconds", p.seconds],
            "train": [*clip, "--batch", p.batch, "--engines", "harlib"],
            "batch": [*clip, "--most", p.most],
        }
        if kind == "data":
            _har("demo-data", videos, "--train", 1, "--val", 1, "--stills", 0)
        _har("bench", kind, "--json", file, *options[kind])
        return _rows(file, file.name)


def _har(*arguments: object) -> None:
    command = [sys.executable, "-m", "harlib.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["without a word"]
        raise RuntimeError(f"har {arguments[0]} {arguments[1]} failed: {words[-1]}")
