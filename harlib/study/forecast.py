"""How long a study will take on this machine, told before it begins.

A child process (`trial`) measures for seconds what the runs will do for minutes or days, so that
the study's own process imports no TensorFlow; here these seconds are multiplied and added.
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from harlib.data import Catalog, ClipStore
from harlib.data.demo import dataset
from harlib.run_folder import RunFolder
from harlib.study import disk as room
from harlib.study.params.notebooks import (
    NOTEBOOKS,
    Common,
    DataPrep,
    Evaluation,
    FromScratch,
    Performance,
)
from harlib.study.params.trained import Ablations, FrameCNN, Trained
from harlib.study.runs import environment, fingerprint, study_files

# Factors between what is measured and what happens, set from the demo's recorded minutes on two
# cores (AMD EPYC, AVX2 alone); no whole run has been compared with its forecast yet. The start of a
# Python with TensorFlow stands for all that is Python and not arithmetic: a notebook's kernel with
# its figures and report takes this multiple of it,
_NOTEBOOK = 2.0
# the evaluation's many figures and comparisons this many more, and for each run that it compares.
_EVALUATION, _COMPARED = 1.5, 0.7
# Graphs are built for the checks before training, for training (with the recipe's optimiser, which
# has many small parts), for validation and for scoring: this many times what the trial's took.
_GRAPHS = 5.0
# Of the processes that draw and prepare, on as many cores.
_SHARED = 0.8
# Of an untrimmed video, for each of its actions: its pauses, too, are drawn and read.
_TAPE = 3.0
# The checks learn one batch by heart: mostly in this many steps, never for more than 20 s; then
# they read for 3 s.
_CHECK_STEPS, _CHECK_S, _READ_S = 30, 20.0, 3.0

# A measurement that takes longer tells nothing in time.
_LIMIT_S, _LIMIT_PER_RUN_S = 60.0, 120.0


class Unknown(Exception):
    """The time cannot be told; says why in one line."""


@dataclass(frozen=True)
class Videos:
    """What a run reads: videos by split, and of a stills stage images by split."""

    videos: Mapping[str, int]
    stills: Mapping[str, int] = field(default_factory=dict)


def tell(
    runs: Iterable[study_files.Run],
    say: Callable[[str], None],
    *,
    measure: Callable[[list], dict[str, Any]] | None = None,
    disk: bool = False,
) -> bool:
    """Says how long the runs that are not complete will take; whether that is known.

    With `disk` also what they will take there. Nothing to run, nothing said. What goes wrong is
    said, and stops nothing.
    """
    todo = pending(runs)
    if all(isinstance(run.params, (Performance, FromScratch)) for run in todo):
        return True
    begun = time.monotonic()
    try:
        reads = {run.name: _videos(run.params, todo) for run in todo}
        if missing := [name for name, found in reads.items() if found is None]:
            maker = next((run.name for run in todo if isinstance(run.params, DataPrep)), None)
            if maker is None:
                raise Unknown(f"{', '.join(missing)} has no clip store to read")
            say(f"How long this will take is said once {maker} has counted the videos")
            return False
        machine = environment.describe()
        measured = (measure or _measure)(todo) | {"cores": machine["cores"]}
        spent = time.monotonic() - begun
        parts = {
            run.name: _seconds(run, videos, measured)
            for run in todo
            if (videos := reads[run.name]) is not None
        }
        early = [run.name for run in todo if getattr(run.params, "patience", 0)]
        say(
            text(parts, machine, spent)
            + (f"; {', '.join(early)} may end earlier (patience)" if early else "")
        )
        if disk:
            needs = {run.name: _bytes(run, reads[run.name], measured) for run in todo}
            say(room.told(needs, todo[0].params.run_dir))
    except Unknown as why:
        say(f"How long this will take is unknown: {why}")
    except Exception as error:  # whatever it is, the runs themselves may still go well
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        say(f"How long this will take is unknown: {said}")
    return True


def pending(runs: Iterable[study_files.Run]) -> list[study_files.Run]:
    """The runs that a study would execute: incomplete ones, and those that build on such."""
    todo: list[study_files.Run] = []
    for run in runs:
        needs = NOTEBOOKS[run.notebook].needs
        if any(one.name.startswith(needs) for one in todo) or not fingerprint.is_complete(
            run.params
        ):
            todo.append(run)
    return todo


def text(parts: Mapping[str, float | None], machine: Mapping[str, Any], spent: float) -> str:
    """One line: the whole time and each run's; None for a run whose time is not known.

    machine: as `identity.environment` describes it. spent: seconds of measuring.
    """
    known = {name: seconds for name, seconds in parts.items() if seconds is not None}
    device = ", ".join(machine["accelerators"]) or f"{machine['cpu']}, {machine['cores']} cores"
    total = sum(known.values())
    unit, size = next(
        (unit, size)
        for unit, size, most in (("minute", 60, 100), ("hour", 3600, 72), ("day", 86400, math.inf))
        if total < most * size
    )
    digits = 0 if size == 60 else 1
    each = ", ".join(f"{name} {_amount(seconds / size, digits)}" for name, seconds in known.items())
    whole = max(1, round(total / size))
    left = [name for name, seconds in parts.items() if seconds is None]
    return (
        f"About {whole:,} {unit}{'s' * (whole != 1)} on this machine ({device}, measured for "
        f"{spent:.0f} s): {each}" + (f"; not counted: {', '.join(left)}" if left else "")
    )


def _amount(count: float, digits: int) -> str:
    least = 10**-digits
    return f"{count:,.{digits}f}" if count >= 0.95 * least else f"under {least:g}"


def _measure(todo: list[study_files.Run]) -> dict[str, Any]:
    """What `trial` says of the runs.

    Raises:
        Unknown: what decides it is not known yet.
    """
    makers = {run.params.store_dir: run.name for run in todo if _draws(run.params)}
    asked = {
        run.name: {
            "notebook": run.notebook,
            "values": run.params.model_dump(mode="json"),
            "drawn": makers.get(run.params.store_dir),
        }
        for run in todo
        if isinstance(run.params, (DataPrep, Trained))
    }
    limit = _LIMIT_S + _LIMIT_PER_RUN_S * len(asked)
    command = [sys.executable, "-m", "harlib.study.trial"]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        raise Unknown(f"measuring took more than {limit:.0f} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise Unknown(f"measuring failed: {said[-1][:200] if said else f'exit {done.returncode}'}")
    return json.loads(done.stdout)


def _seconds(run: study_files.Run, reads: Videos, measured: Mapping[str, Any]) -> float | None:
    """Of one run, from the measured seconds; None for one whose work its notebook alone knows."""
    p, start = run.params, measured["start_s"]
    if isinstance(p, (Performance, FromScratch)):
        return None
    if isinstance(p, Evaluation):
        return start * (_NOTEBOOK + _EVALUATION + _COMPARED * reads.videos["runs"])
    if isinstance(p, DataPrep):
        return start * _NOTEBOOK + _preparing(p, reads, measured)
    return start * _NOTEBOOK + sum(
        training(own, reads, network, measured["cores"], done=_epochs_done(own))
        for own, network in zip(trainings(p), measured["networks"][run.name], strict=True)
        if not fingerprint.is_complete(own)
    )


def trainings(p: Common) -> list[Trained]:
    """The trainings of a run: its own, or one a variant and seed of notebook 07."""
    from harlib.study.steps import ablations

    if isinstance(p, Ablations):
        return [own for _, _, own in ablations.plans(p)]
    return [p] if isinstance(p, Trained) else []


def training(
    p: Trained, reads: Videos, network: Mapping[str, float], cores: int, *, done: int = 0
) -> float:
    """Seconds of a training without its notebook: graphs, checks, epochs, scoring.

    network: of `trial`, seconds a clip. done: epochs that an earlier session trained.
    """
    read = network["read_s"] / cores
    step, score = network["step_s"] + read, network["score_s"] + read

    def epochs(count: int, learned: int, validated: int) -> float:
        steps = math.ceil(learned / p.batch)
        return count * (steps * p.batch * step + validated * score)

    total = _GRAPHS * network["graph_s"]
    if p.takes_steps and p.preflight != "off":
        total += min(_CHECK_S, _CHECK_STEPS * p.batch * step) + _READ_S
    if isinstance(p, FrameCNN) and reads.stills and not done:
        held_out = reads.stills.get("val", reads.stills.get("test", 0))
        # A still is one frame of a clip.
        total += epochs(p.stills_epochs, reads.stills["train"], held_out) / p.frames
    videos = reads.videos
    views = 4 if p.clips == "windows" else p.clips  # of a Kinetics video, about
    learned, validated = videos.get(p.train_split, 0), videos.get(p.validate_split, 0)
    if p.takes_steps:
        total += epochs(p.epochs - done, learned, validated)
    elif p.epochs:  # a probe is shown each training video once
        total += learned * views * p.crops * score
    return total + videos.get(p.split, 0) * views * p.crops * score


def _bytes(run: study_files.Run, reads: Videos | None, measured: Mapping[str, Any]) -> float | None:
    """What a run will take on the disk; None where it is not known."""
    reads = reads or Videos({})
    videos, stills = sum(reads.videos.values()), sum(reads.stills.values())
    drawn, networks = (measured[key].get(run.name) for key in ("videos", "networks"))
    return room.needed(run.params, videos, stills, drawn or {}, networks or [])


def _preparing(p: DataPrep, reads: Videos, measured: Mapping[str, Any]) -> float:
    """Seconds of drawing and preparing, without the notebook."""
    if p.source != "demo" or (p.store_dir / "store.json").is_file():
        return 0.0  # a complete store is kept
    drawn = measured["videos"][p.run]
    videos, stills = sum(reads.videos.values()), sum(reads.stills.values())
    times = _TAPE if p.untrimmed else 1.0
    work = videos * times * (drawn["draw_s"] + drawn["pack_s"]) + stills * drawn["still_s"]
    processes = min(p.workers or measured["cores"], measured["cores"])
    return work / (1 if processes == 1 else _SHARED * processes)


def _draws(p: Common) -> bool:
    return isinstance(p, DataPrep) and p.source == "demo"


def _videos(p: Common, todo: list[study_files.Run]) -> Videos | None:
    """What the run reads; None while nobody has counted it."""
    if isinstance(p, Evaluation):
        scored = [
            one for one in p.run_dir.parent.glob("0[2349]_*") if RunFolder(one).scores.exists()
        ]
        names = {one.name for one in scored}
        names |= {run.name for run in todo if isinstance(run.params, Trained)}
        return Videos({"runs": len(names)})
    if isinstance(p, Performance):
        return Videos({})
    makers = [run.params for run in todo if isinstance(run.params, DataPrep)]
    maker = next((made for made in makers if made.store_dir == p.store_dir), None)
    if maker is not None and _draws(maker):
        categories = len(maker.categories or dataset.known(maker.people))
        if maker.people > 1:  # each alone, and every two
            categories = math.comb(categories, 2) + categories
        videos = {
            "train": categories * maker.train_videos,
            "val": categories * maker.val_videos,
        }
        if maker.untrimmed:
            videos["test"] = videos["val"]
            return Videos({k: round(n * (1 + maker.background / categories))
                           for k, n in videos.items()})  # fmt: skip
        first = (3 * maker.still_images + 3) // 4
        count = len(dataset.STILLS)
        drawn = {"train": count * first, "test": count * (maker.still_images - first)}
        own = str(getattr(p, "stills", "")).startswith("data/") or isinstance(p, DataPrep)
        return Videos(videos, drawn if own else _stills(p))
    if isinstance(p, DataPrep):
        return Videos({}) if p.source != "demo" else None
    if not (p.store_dir / "store.json").is_file():
        return None
    counts = ClipStore(p.store_dir).videos["split"].value_counts()
    return Videos({str(split): int(count) for split, count in counts.items()}, _stills(p))


def _stills(p: Common) -> dict[str, int]:
    if not (isinstance(p, FrameCNN) and p.stills and (p.root / p.stills).is_dir()):
        return {}
    counts = Catalog.from_stills(p.root / p.stills).frame["split"].value_counts()
    return {str(split): int(count) for split, count in counts.items()}


def _epochs_done(p: Trained) -> int:
    """Epochs that are trained: by an interrupted session, or by a run for fewer epochs."""
    history = p.folder.history
    if not history.is_file() or not (fingerprint.is_same(p) or fingerprint.goes_on(p)):
        return 0
    return min(p.epochs, len(pd.read_csv(history)))
