"""What makes a run the same run: its settings, its clip store, and the runs it builds on."""

import ast
import functools
import hashlib
import json
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from harlib.files import read_json, write_json
from harlib.run_folder import RunFolder
from harlib.study.params.notebooks import NOTEBOOKS, Common
from harlib.study.params.trained import Ablations, Network3D, Trained
from harlib.study.runs import carried, environment, study_files
from harlib.study.runs.results_version import versions

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


# Parameters of how a run is computed, not of what.
HOW = {"threads", "workers", "devices", "tensorboard", "preflight", "checkpoint_minutes",
        "checkpoint_steps", "checkpoints_kept"}  # fmt: skip


# Parameters that came later, with the value that stands for what was done before they came: with
# it a run is the one that it was.
_LATER = {"clip_fps": None, "val_share": 0.2, "frame_fps": None, "patience": 0,
          "background": 0.0, "untrimmed": False, "people": 1, "corrections": ""}  # fmt: skip


def notebook_of(params: Common) -> str:
    """The notebook that takes these parameters."""
    return next(name for name, one in NOTEBOOKS.items() if one.params is type(params))


def fingerprint(params: Common, also: Collection[Path] = ()) -> str:
    """16 hex digits that change with whatever decides what a run leaves.

    That is its settings, the clip store, an upstream run, and the `results_version` of a stage that
    the run goes through. How many threads read and devices share a batch does not change what is
    computed, so it does not count.

    also: folders of runs that are taken for complete.
    """
    notebook = notebook_of(params)
    digest = hashlib.sha256()
    digest.update(json.dumps(settings(params), sort_keys=True).encode())
    digest.update(json.dumps(versions(notebook), sort_keys=True).encode())
    digest.update(_store_hash(params).encode())
    if NOTEBOOKS[notebook].written_out:
        digest.update(_cells(notebook).encode())
    digest.update(params.content)
    for upstream in upstream_runs(params, also):
        digest.update(f"{upstream.name}:{RunFolder(upstream).read_state()['fingerprint']}".encode())
    return digest.hexdigest()[:16]


@functools.cache
def code(notebook: str) -> str:
    """12 hex digits of the code that decides what a run of this notebook leaves behind.

    Comments, docstrings, the way lines are broken and the names of modules do not count.
    """
    package = Path(__file__).resolve().parents[2]
    sources = {path for place in NOTEBOOKS[notebook].code for path in _sources(package / place)}
    digest = hashlib.sha256()
    for text in sorted(map(_plain, sources)):
        digest.update(text.encode())
    return digest.hexdigest()[:12]


def _plain(source: Path) -> str:
    """A module's code without what does nothing."""
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return ast.unparse(tree)  # the same for every version of Python, which a dump is not


def _cells(notebook: str) -> str:
    """The code of a notebook's cells without comments and parameters, which are settings."""
    content = read_json(study_files.notebook_path(notebook), "cells")
    sources = [
        "".join(cell["source"])
        for cell in content["cells"]
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", [])
    ]
    try:
        return "\n".join(ast.unparse(ast.parse(source)) for source in sources)
    except SyntaxError:  # IPython's own commands
        return "\n".join(sources)


def remark(run_dir: Path, *, than: str = "the installed one") -> str:
    """A warning about the code that made a run; empty where it is the installed one.

    than: what the installed code is to the reader.
    """
    state = RunFolder(run_dir).read_state()
    if is_old(state):
        return f"made by an earlier harlib, whose code is not compared with {than}"
    if "code" in state and state["code"] != code(state["notebook"]):
        return f"made by other code than {than}"
    return ""


def settings(params: Common) -> dict[str, Any]:
    """The parameters that decide the result (JSON types)."""
    values = params.model_dump(mode="json", exclude=HOW)
    return {key: value for key, value in values.items() if _LATER.get(key, ...) != value}


def _sources(room: Path) -> list[Path]:
    return [room] if room.suffix else list(room.rglob("*.py"))


def _store_hash(params: Common) -> str:
    """The hash of the clip store that the run reads; empty when it reads none, or none is there."""
    reads = "01" in NOTEBOOKS[notebook_of(params)].needs
    return hash_of(params.store_dir) if reads else ""


def upstream_runs(params: Common, also: Collection[Path] = ()) -> list[Path]:
    """Folders of the study's complete runs that this run builds on, in order.

    also: folders of runs that are taken for complete.
    """
    needs = NOTEBOOKS[notebook_of(params)].needs
    chosen = set(getattr(params, "runs", ()))
    return [
        folder
        for folder in sorted(params.run_dir.parent.glob("[0-9][0-9]_*"))
        if folder.name.startswith(needs)
        and (folder in also or is_ended(folder))
        and (not chosen or folder.name in chosen or folder.name.startswith("01"))
    ]


def is_complete(params: Common) -> bool:
    """Whether there is nothing to do: the same run, with all that it leaves."""
    if not is_ended(params.run_dir) or not is_same(params):
        return False
    made = notebook_of(params).startswith("01") and params.folder.read_state().get("store_hash")
    return not made or hash_of(params.store_dir) == made


def is_same(params: Common, also: Collection[Path] = ()) -> bool:
    """Whether what lies in the run's folder is of the same settings, store and runs.

    also: folders of runs that are taken for complete.
    """
    state = params.folder.read_state()
    if is_old(state):
        return _has_settings(params, state)
    return state.get("fingerprint") == fingerprint(params, also)


def is_old(state: dict[str, Any]) -> bool:
    """Whether a run is of a harlib whose fingerprint held the bytes of its code."""
    return "fingerprint" in state and "results_version" not in state


def _has_settings(params: Common, state: dict[str, Any]) -> bool:
    """Whether an old run has these settings, on the same store, and is newer than what it needs.

    A parameter that it did not know has its default.
    """
    then = params.folder.read_params()
    changed = params.model_dump(mode="json", exclude_defaults=True).keys()
    return (
        all(then[key] == value if key in then else key not in changed
            for key, value in settings(params).items())
        and state.get("store_hash", "") in ("", _store_hash(params) or state.get("store_hash"))
        and all(RunFolder(run).read_state().get("started", 0) <= state.get("started", 0)
                for run in upstream_runs(params))
    )  # fmt: skip


def is_ended(run_dir: Path) -> bool:
    """Whether a folder's run is complete, with scores by the protocol of its own parameters."""
    if RunFolder(run_dir).read_state().get("status") != "complete":
        return False
    scored, asked = RunFolder(run_dir).metrics, RunFolder(run_dir).params
    if not (scored.is_file() and asked.is_file()):
        return True
    how, wanted = read_json(scored, "protocol")["protocol"], RunFolder(run_dir).read_params()
    return all(how[key] == wanted[key] for key in how.keys() & wanted.keys())


def hash_of(store: Path) -> str:
    """The hash of the clip store in a folder; empty when none is there."""
    about = store / "store.json"
    return read_json(about, "hash")["hash"] if about.is_file() else ""


def displaces(params: Common) -> bool:
    """Whether the run's folder holds another run, which `claim` would move aside."""
    return params.run_dir.exists() and not is_same(params)


def shorter(params: Common) -> int:
    """Epochs of the run in the folder, where more of them are all that is asked now; else 0."""
    if not isinstance(params, Trained) or isinstance(params, Ablations) or not params.takes_steps:
        return 0
    then = params.folder.read_params().get("epochs")
    if not isinstance(then, int) or not 0 < then < params.epochs:
        return 0
    return then if is_same(params.model_copy(update={"epochs": then})) else 0


def goes_on(params: Common) -> bool:
    """Whether training goes on where the run in the folder ended, for more epochs than that had."""
    return bool(shorter(params)) and not _starts_anew_as(params)


def _starts_anew_as(params: Common) -> str:
    """Why a run for more epochs cannot go on from the shorter one; empty where it can."""
    assert isinstance(params, Trained)
    if reason := params.length_in_recipe:
        return f"recipe {params.recipe} depends on their number, as {reason}"
    if is_old(params.folder.read_state()):
        return "its checkpoints are of an earlier harlib"
    if not any(params.folder.checkpoints.glob("step-*.npz")):
        return "its checkpoints are gone"
    return ""


def claim(params: Common) -> None:
    """Makes the run's folder this run's own.

    What an earlier run with other parameters left is moved to ``before/`` beside it (a
    training may have cost days), numbered, and a line says so; what this very run left is kept,
    so that it resumes. A run that `goes_on` gets the checkpoints of the earlier one, too.
    """
    run_dir = params.run_dir
    ready = run_dir.parent / "before" / f".{run_dir.name}.part"
    if not run_dir.exists() and RunFolder(ready).state.is_file():
        ready.rename(run_dir)  # a process was killed between the two renames below
        print(f"{params.run} goes on after epoch {carried.epochs(run_dir)}")
    if displaces(params):
        before = _free(run_dir.parent / "before" / run_dir.name)
        before.parent.mkdir(parents=True, exist_ok=True)
        changed, kept = difference(params), before.relative_to(params.root)
        if goes_on(params):
            # whole before it has its place, so that a killed process leaves no half of it there
            carried.take(run_dir, ready)
            made_by = RunFolder(run_dir).read_state().get("code", "")
            RunFolder(ready).write_state(**_started(params, made_by))
            run_dir.rename(before)
            ready.rename(run_dir)
            print(
                f"{params.run} goes on after epoch {carried.epochs(run_dir)} ({changed}); the run "
                f"as it was is now in {kept}"
            )
        else:
            with_weights = bool(shorter(params)) and isinstance(params, Network3D)
            run_dir.rename(before)
            line = f"{params.run} starts anew ({changed}); what it had left is now in {kept}"
            if with_weights and RunFolder(before).model.is_file():
                line += f" (weights: {kept} begins with its weights)"
            print(line)
    run_dir.mkdir(parents=True, exist_ok=True)
    state = RunFolder(run_dir).read_state()
    made_by = code(notebook_of(params))
    if RunFolder(run_dir).checkpoints.is_dir() and (other := remark(run_dir)):
        line = f"it resumes from checkpoints {other}"
        RunFolder(run_dir).write_state(said=list(dict.fromkeys([*state.get("said", []), line])))
        made_by = state.get("code", made_by)
    if state.get("status") != "started":
        RunFolder(run_dir).write_state(**_started(params, made_by))
    RunFolder(run_dir).params.write_text(
        yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    )
    write_json(RunFolder(run_dir).environment, environment.describe())


def _started(params: Common, made_by: str) -> dict[str, Any]:
    """The state of a run that begins; `made_by`: the code of what it resumes from."""
    notebook = notebook_of(params)
    return {
        "notebook": notebook,
        "fingerprint": fingerprint(params),
        "results_version": versions(notebook),
        "builds_on": _builds_on(params),
        "read": _read(params),
        "code": made_by,
        "status": "started",
        "started": time.time(),
    }


def _builds_on(params: Common, also: Collection[Path] = ()) -> dict[str, str]:
    """The fingerprints of the runs that it builds on, by their names."""
    runs = upstream_runs(params, also)
    return {run.name: RunFolder(run).read_state()["fingerprint"] for run in runs}


def _read(params: Common) -> dict[str, str]:
    """{the files that it reads: 12 hex digits of what they say}; empty where it reads none."""
    names = ", ".join(path.name for path in params.reads)
    return {names: hashlib.sha256(params.content).hexdigest()[:12]} if names else {}


def difference(params: Common, also: Collection[Path] = ()) -> str:
    """What makes these parameters another run than the one in their folder, in words.

    also: folders of runs that are taken for complete.
    """
    notebook = NOTEBOOKS[notebook_of(params)]
    others = ["a run it builds on"] if notebook.needs else []
    others += ["the code of its cells"] if notebook.written_out else []
    # of these an earlier harlib noted nothing
    others += [] if "read" in params.folder.read_state() else [one.name for one in params.reads]
    first, *more = others or ["what it was made with"]
    other = first + "".join(f", or {one}," for one in more)
    return "; ".join(differences(params, also)) or f"{other} changed"


def differences(params: Common, also: Collection[Path] = ()) -> list[str]:
    """The same, a line each; empty where no more is known than that they are."""
    run_dir = params.run_dir
    then = RunFolder(run_dir).read_params()
    lines = [
        f"{key}: {then.get(key, 'absent')} then, {value} now"
        for key, value in settings(params).items()
        if then and then.get(key, "absent") != value
    ]
    if shorter(params) and (reason := _starts_anew_as(params)):
        lines.append(reason)
    stores = RunFolder(run_dir).read_state().get("store_hash", ""), _store_hash(params)
    if all(stores) and stores[0] != stores[1]:
        lines.append(f"clip store {stores[0]} then, {stores[1]} now")
    was, now = (
        RunFolder(run_dir).read_state().get("results_version", {}),
        versions(notebook_of(params)),
    )
    lines += [
        f"results version of {stage}: {was[stage]} then, {number} now"
        for stage, number in now.items()
        if stage in was and was[stage] != number
    ]
    read = RunFolder(run_dir).read_state().get("read", {})
    lines += [
        f"{names}, which it reads, changed"
        for names, said in _read(params).items()
        if read.get(names, said) != said
    ]
    built = RunFolder(run_dir).read_state().get("builds_on", {})
    if built != (builds := _builds_on(params, also)):
        named = sorted(name for name in built | builds if built.get(name) != builds.get(name))
        lines += [
            f"{name}, which it builds on, is now "
            f"{'another run' if name in builds else 'not complete'}"
            for name in named
            if name in built
        ]
        lines += [f"{name} is there now" for name in named if name not in built and built]
    return lines


def _free(folder: Path) -> Path:
    """The folder's own name, or the first numbered one that nothing has."""
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free
