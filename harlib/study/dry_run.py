"""What `har study` would do, said without doing it: which runs, why, how long, on what disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harlib import locks, text
from harlib.study import forecast
from harlib.study.params.notebooks import NOTEBOOKS, Common
from harlib.study.params.trained import Trained
from harlib.study.runs import carried, fingerprint, listing, session, study_files
from harlib.study.steps import checks

KEPT = "kept, complete with the same parameters"


def dry_run(
    study: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    only: tuple[str, ...] = (),
    tell_time: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Says of each run whether it would be kept, resumed or made, and why; makes no file.

    The arguments are those of `run_study`, whose checks of the parameters are made here too.

    Raises:
        ParamsError: wrong parameters.
    """
    folder, runs = study_files.chosen(study, overrides, only)
    every = {run.where: run.params for run in runs}
    runs = [run for run in runs if not only or run.name in only]
    todo = forecast.pending(runs)
    checks.refuse({run.where: run.params for run in todo}, every)
    for number, (run, said) in enumerate(zip(runs, plan(runs), strict=True), 1):
        say(f"[{number}/{len(runs)}] {run.name}: {said}")
    if tell_time:
        forecast.tell(runs, say, disk=True)
    say(_on_disk(runs[0]))
    say(f"{folder.name}: nothing was run, and no file made or moved (--dry-run)")


def plan(runs: list[study_files.Run]) -> list[str]:
    """What would happen to each run of a study, in order, in words."""
    said = []
    made: list[str] = []  # would be other runs than those that are there, or new ones
    done: set[Path] = set()  # folders of runs that would be complete, as what they are
    for run in runs:
        needs, chosen = NOTEBOOKS[run.notebook].needs, set(getattr(run.params, "runs", ()))
        before = [name for name in made if name.startswith(needs)]
        before = [name for name in before if not chosen or name in chosen or name[:2] == "01"]
        fate = _first(run, before, done) or _fate(run, done)
        if fate.is_other:
            made.append(run.name)
        else:
            done.add(run.params.run_dir)
        words = fate.words
        if holder := locks.holder(listing.run_lock(run.params.run_dir)):
            words += f" (but {holder} works on it now, so har study would not begin)"
        said.append(words)
    return said


@dataclass(frozen=True)
class _Fate:
    """What would happen to a run; `is_other`: it would be another run than the one there is."""

    words: str
    is_other: bool = True


def _first(run: study_files.Run, before: list[str], done: set[Path]) -> _Fate | None:
    """The fate of a run that is not there, or that builds on runs to be made; None of others."""
    p = run.params
    if not p.run_dir.exists():
        return _Fate("would begin")
    if not p.folder.state.is_file():
        return _Fate(f"would begin; its folder holds no run.json, so what lies there {_aside(p)}")
    if not before:
        return None
    why = [] if fingerprint.is_same(p, done) else fingerprint.differences(p, done)
    why.append(f"{', '.join(before)}, which it builds on, would be made before it")
    return _Fate(f"would start anew ({'; '.join(why)}); what it left {_aside(p)}")


def _fate(run: study_files.Run, done: set[Path]) -> _Fate:
    """The fate of a run that is there, on runs that stay what they are."""
    p = run.params
    epochs = carried.epochs(p.run_dir)
    if not fingerprint.is_same(p, done):
        why = fingerprint.difference(p, done)
        if fingerprint.goes_on(p):
            return _Fate(f"would go on after epoch {epochs} ({why}); the run as it is {_aside(p)}")
        if not fingerprint.differences(p, done) and not (p.store_dir / "store.json").is_file():
            return _Fate("kept if its clip store is made again as it was, else started anew", False)
        return _Fate(f"would start anew ({why}); what it left {_aside(p)}")
    if fingerprint.is_ended(p.run_dir):
        if fingerprint.is_same(p) and not fingerprint.is_complete(p):
            return _Fate("would make its clip store again, which is gone or another", False)
        other = fingerprint.remark(p.run_dir)
        return _Fate(f"{KEPT}{f' ({other})' if other else ''}", False)
    words = "would resume"
    if epochs and isinstance(p, Trained):
        words += f" after epoch {epochs} of {p.epochs}"
    problem = p.folder.read_state().get("problem")
    return _Fate(words + (f" (it failed: {problem})" if problem else ""), False)


def _aside(p: Common) -> str:
    return f"would go to {session.from_root(p, p.run_dir.parent)}/{listing.BEFORE}"


def _on_disk(run: study_files.Run) -> str:
    """What the study takes on the disk now, in a line."""
    runs, data = run.params.run_dir.parent, run.params.data_dir
    before = listing.disk_bytes(runs / listing.BEFORE)
    of_it = f", {text.size(before)} of it earlier runs" if before else ""
    return (
        f"On disk now: {session.from_root(run.params, runs)} "
        f"{text.size(listing.disk_bytes(runs))}{of_it}; "
        f"{session.from_root(run.params, data)} {text.size(listing.disk_bytes(data))}"
    )
