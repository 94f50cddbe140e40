"""A project's studies as a table: the runs, how each stands, what it takes on disk: `har list`."""

import json
import math
import os
import socket
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from harlib import HarlibError, progress, system_errors
from harlib.evaluation import naming, ranking
from harlib.files import read_json
from harlib.locks import sweep
from harlib.run_folder import RunFolder
from harlib.study.params.base import Common, ParamsError, project_root
from harlib.study.params.errors import nearest
from harlib.study.runs import fingerprint, study_files
from harlib.text import count, size

COLUMNS = ["kind", "study", "run", "network", "status", "videos", "top1", "low", "high", "measure",
           "trained", "bytes", "note"]  # fmt: skip
BEFORE = "before"  # where `fingerprint.claim` puts earlier runs
_WIDTH = 100
_NAME = 26  # the longest name that stands in its column
_NOTE = 280  # characters of a note that are printed
_WRITING_S = 60  # a lock's file says by then who holds it


def listing(study: str | None = None) -> pd.DataFrame:
    """Every run, clip store and set of drawn videos of the project, or of one study.

    What cannot be read is a row that says so.

    Returns:
        DataFrame `kind` (run, before, store, study), `study, run, network, status, videos, top1,
        low, high` (fractions, of the 95 % interval), `measure` (top-1, or mAP of several labels),
        `trained` (when it began), `bytes` on disk and `note`; None or NaN where there is nothing to
        say. A study that has parameter files alone is one row, not run.
    Raises:
        ParamsError: there is no such study.
    """
    rows = [row for name in studies(study) for row in _rows(name)]
    return pd.DataFrame(rows, columns=COLUMNS)


def studies(study: str | None = None) -> list[str]:
    """The names of all studies that the project has runs, data or parameter files of, or the one.

    Raises:
        ParamsError: there is no such study.
    """
    root = project_root()
    found = {folder.name for shelf in ("runs", "data") for folder in folders(root / shelf)}
    found |= {file.parent.name for file in root.glob("params/*/[0-9][0-9]_*.yaml")}
    if study is None:
        return sorted(found)
    if (name := Path(study).name) in found:
        return [name]
    there = ", ".join(sorted(found)) or "none yet"
    raise ParamsError(f"no study {study!r}{nearest(study, found)}; there are {there}")


def folders(place: Path) -> list[Path]:
    """The folders in a folder, hidden ones left out; none where it is not there."""
    try:
        found = sorted(place.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [item for item in found if item.is_dir() and not item.name.startswith(".")]


def is_held(lock: Path) -> bool:
    """Whether a process holds the lock of this file.

    Nobody who begins at this moment is disturbed: the kernel is asked only where the file names a
    process that is gone, whose children may hold it still.
    """
    try:
        written = lock.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        holder = json.loads(lock.read_text())
        here, pid = holder["host"] == socket.gethostname(), int(holder["pid"])
        gone = here and not psutil.pid_exists(pid)
    except (OSError, ValueError, KeyError, TypeError):  # cut, or just being written
        gone = time.time() - written > _WRITING_S
    if gone:
        sweep(lock)
    return lock.exists()


def run_lock(run_dir: Path) -> Path:
    """The file of the lock of a run's folder, as `session.lock` takes it."""
    return run_dir.with_name(f".{run_dir.name}.lock")


def disk_bytes(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; what links point to does not count."""
    if not path.is_dir():
        return path.lstat().st_size if os.path.lexists(path) else 0
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:  # a file of a run that is at work
                continue
    return total


def data_kind(folder: Path) -> str:
    """What a folder of `data/<study>` is; empty where harlib did not make it."""
    if (folder / "store.json").is_file():
        return "clip store"
    if (folder / ".sources.json").is_file() or (folder / ".parts").is_dir():
        return "unfinished clip store"
    if not (folder / "dataset.json").is_file():
        return ""
    return "drawn videos" if (folder / "videos.csv").is_file() else "half-drawn videos"


def _rows(study: str) -> Iterator[dict[str, Any]]:
    root, common = project_root(), {"study": study}
    asked, there = _asked(study), folders(root / "runs" / study)
    runs = [folder for folder in there if folder.name != BEFORE]
    if not runs and any((root / "params" / study).glob("[0-9][0-9]_*.yaml")):
        yield common | {"kind": "study", "status": "not run"}
    for folder in runs:
        yield common | {"kind": "run", "run": folder.name} | _run(folder, asked.get(folder.name))
    before = root / "runs" / study / BEFORE
    if earlier := folders(before):
        yield common | {"kind": BEFORE, "run": BEFORE, "bytes": disk_bytes(before),
                        "status": count(len(earlier), "earlier run")}  # fmt: skip
    for folder in folders(root / "data" / study):
        yield common | {"kind": "store", "run": folder.name} | _data(folder)


def _asked(study: str) -> dict[str, Common]:
    """The parameters that the study's files ask for by run; none where these are not in order."""
    try:
        runs = study_files.load_study(study_files.study_folder(study))
    except (HarlibError, OSError):
        return {}
    return {run.name: run.params for run in runs if run.params.study == study}


def _run(folder: Path, asked: Common | None) -> dict[str, Any]:
    parts = [_tried(_state, folder), _tried(_scores, folder)]
    if parts[0].get("status") == "complete" and asked is not None:
        parts.append(_tried(_difference, folder, asked))
    row: dict[str, Any] = {"status": "unreadable", "bytes": disk_bytes(folder)}
    for part in parts:
        row |= part
    notes = [str(part["note"]) for part in parts if part.get("note")]
    return row | {"note": "; ".join(notes).replace(f"{project_root()}{os.sep}", "")}


def _tried(read: Callable[..., dict[str, Any]], *of: Any) -> dict[str, Any]:
    """What `read` finds, or a note why it cannot: people copy, cut and edit files."""
    try:
        return read(*of)
    except HarlibError as error:
        why = str(error)
    except OSError as error:
        why = system_errors.line(error)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        why = f"a file is not as harlib writes it ({type(error).__name__}: {error})"
    return {"note": " ".join(why.split())}


def _state(folder: Path) -> dict[str, Any]:
    """How a run stands, by its run.json and its lock."""
    if not RunFolder(folder).state.is_file():
        return {"status": "not a run", "note": "holds no run.json, which every run leaves"}
    state = read_json(RunFolder(folder).state, "status")
    begun = state.get("begun", state.get("started"))
    found = {"status": str(state["status"]), "note": state.get("problem", ""),
             "trained": None if begun is None else datetime.fromtimestamp(begun)}  # fmt: skip
    if is_held(run_lock(folder)):
        far = progress.read(folder, begun or 0)
        return found | {"status": "running", "note": progress.told(far) if far else ""}
    if found["status"] == "complete" and fingerprint.is_old(state):
        found["note"] = fingerprint.remark(folder)
    return found


def _scores(folder: Path) -> dict[str, Any]:
    """The network of a scored run and what it reached."""
    if not RunFolder(folder).metrics.is_file():
        return {}
    measured = naming.read(folder)
    video, model = measured["video"], dict(measured["model"])
    usual = {"width": 1, "pixels": "rgb"}
    shown = {key: value for key, value in model.items() if usual.get(key, ...) != value}
    several = ranking.is_of_several(measured)
    low, high = video["interval" if several else "top1_interval"]
    return {
        "network": naming.network({"model": shown, "protocol": {}}),
        "videos": int(video["n"]),
        "top1": float(video["mean_average_precision" if several else "top1"]),
        "measure": "mAP" if several else "top-1",
        "low": float(low),
        "high": float(high),
    }


def _difference(folder: Path, asked: Common) -> dict[str, Any]:
    """What makes a complete run another than the one that the study's files ask for.

    By settings, store, earlier runs and `results_version`: comparing the code itself, as
    `fingerprint.remark` does, takes seconds a notebook.
    """
    if asked.run_dir != folder or fingerprint.is_same(asked):
        return {}
    then = RunFolder(folder).read_params()
    changed = any(then.get(key) != now for key, now in fingerprint.settings(asked).items())
    what = "settings" if changed else "store, runs or code"
    return {"status": f"complete, other {what}", "note": fingerprint.difference(asked)}


def _data(folder: Path) -> dict[str, Any]:
    """What a folder of `data/<study>` is; other people's are not measured, nor are links."""
    if folder.is_symlink():
        return {"status": "a link", "note": f"to {os.readlink(folder)}"}
    if kind := data_kind(folder):
        return {"status": kind, "bytes": disk_bytes(folder)}
    return {"status": "another folder", "note": "neither a clip store nor drawn videos"}


def text(table: pd.DataFrame) -> str:
    """The table of `listing` for a terminal of 100 columns, a paragraph per study."""
    unrun = table[table["kind"] == "study"]["study"]
    rest = table[table["kind"] != "study"]
    parts = [_paragraph(str(study), rows) for study, rows in rest.groupby("study", sort=False)]
    if len(unrun):
        named = ", ".join(map(printable, unrun))
        parts.append("\n".join(textwrap.wrap(f"Not run yet: {named}", _WIDTH)))
    return "\n\n".join(parts) or "No study yet: har study demo makes one."


def _paragraph(study: str, rows: pd.DataFrame) -> str:
    runs, data = rows[rows["kind"] != "store"], rows[rows["kind"] == "store"]
    told = [f"{what} {size(part['bytes'].sum())}"
            for what, part in (("runs", runs), ("data", data)) if len(part)]  # fmt: skip
    names = [printable(name) for name in rows["run"]]
    width = min(_NAME, max(map(len, names)))
    lines = [f"{printable(study)}: {', '.join(told)}"]
    if len(runs):
        lines.append(_line(width, "run", "status", "videos", "top-1 (95 %)", "begun", "size"))
    for name, row in zip(names, rows.to_dict("records"), strict=True):
        lines += _entry(width, name, row)
    return "\n".join(lines)


def _entry(width: int, name: str, row: dict[str, Any]) -> Iterator[str]:
    """The lines of a row: what it is in columns, below that its network and the note."""
    status, _, other = row["status"].partition(", ")
    on_disk = "" if pd.isna(row["bytes"]) else size(row["bytes"])
    if len(name) > width:
        yield f"  {name}"
        name = ""
    if row["kind"] == "run":
        yield _line(width, name, printable(status), _videos(row), _top1(row), _time(row), on_disk)
    else:
        yield f"  {name:<{width}}  {status:<59}  {on_disk:>9}".rstrip()
    note = ": ".join(part for part in (other, _said(row["note"])) if part)
    for line in (_said(row["network"]), textwrap.shorten(note, _NOTE, placeholder=" …")):
        yield from textwrap.wrap(line, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _line(width: int, *cells: str) -> str:
    name, status, videos, top1, begun, on_disk = cells
    return (f"  {name:<{width}}  {status:<10}  {videos:>7}  {top1:<20}  {begun:<16}  "
            f"{on_disk:>9}").rstrip()  # fmt: skip


def _videos(row: dict[str, Any]) -> str:
    return "" if pd.isna(row["videos"]) else f"{row['videos']:,.0f}"


def _top1(row: dict[str, Any]) -> str:
    if pd.isna(row["top1"]) or not math.isfinite(row["low"] + row["high"]):
        return ""
    top1, low, high = (100 * row[key] for key in ("top1", "low", "high"))
    named = "mAP " if row.get("measure") == "mAP" else ""
    return f"{named}{top1:.1f} ({low:.1f}–{high:.1f}) %"


def _time(row: dict[str, Any]) -> str:
    return "" if pd.isna(row["trained"]) else f"{row['trained']:%Y-%m-%d %H:%M}"


def _said(value: Any) -> str:
    return printable(value) if isinstance(value, str) else ""


def printable(words: object) -> str:
    """The words as they are; as Python writes them where a terminal would obey or choke on them."""
    return str(words) if str(words).isprintable() else repr(str(words))
