"""Values that only a run would find wrong, asked before anything is moved aside or begun.

The data are listed and the networks built, with the code that will do so in the run; nothing is
kept. Networks are built in a process of their own, which leaves devices and memory as they were.
"""

import json
import os
import signal
import subprocess
import sys

from harlib import MissingFile
from harlib.data import SPLITS, Catalog, Settings
from harlib.data.catalog import background, corrections
from harlib.data.demo import dataset
from harlib.files import read_json
from harlib.study.params.errors import nearest
from harlib.study.params.notebooks import (
    Common,
    DataPrep,
    Evaluation,
    FromScratch,
    Performance,
    project_root,
)
from harlib.study.params.trained import FrameCNN, Trained
from harlib.study.runs import fingerprint, session, study_files
from harlib.study.steps import data_prep

_ANY = ["a", "b"], set(SPLITS)  # categories and splits of data that are not known
_NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


def mistakes(todo: dict[str, Common], every: dict[str, Common] | None = None) -> list[str]:
    """A line for each wrong value of the runs `{where it was set: parameters}`.

    every: all runs of the study, for what compares them; None takes those in its folder.
    """
    found, known = [], {}
    nets: dict[str, tuple[Common, list[str]]] = {}
    for where, p in todo.items():
        said = []
        try:
            if isinstance(p, DataPrep):
                if p.store_asked in known:
                    said.append("key 'store': another run 01 of the study makes the same one")
                known[p.store_asked] = _ANY  # should the next line fail
                known[p.store_asked] = _data(p)
            elif isinstance(p, Trained):
                categories, splits = known.get(p.store_asked) or _stored(p)
                said += _absent_splits(p, splits)
                session.refuse_several(p, categories)
                nets[where] = p, categories
                if isinstance(p, FrameCNN):
                    _stills(p, todo)
            elif isinstance(p, Evaluation):
                others = _left(p) if every is None else every
                said += _absent_runs(p, others)
                if p.layer:  # one of a network whose run is complete counts too
                    compared = {name: q for name, q in others.items() if isinstance(q, Trained)}
                    nets = {**{name: (q, _ANY[0]) for name, q in compared.items()}, **nets}
                    nets[where] = p, []
            elif isinstance(p, FromScratch):
                if p.store_asked in known or (p.store_dir / "store.json").is_file():
                    session.refuse_several(p, (known.get(p.store_asked) or _stored(p))[0])
            elif isinstance(p, Performance):
                nets[where] = p, []
        except (ValueError, OSError) as error:
            said.append(str(error))
        found += [f"{where}: {line}" for line in said]
    return found + (_apart(nets) if nets else [])


def refuse(todo: dict[str, Common], every: dict[str, Common] | None = None) -> None:
    """Raises ParamsError with every mistake of the runs."""
    if wrong := mistakes(todo, every):
        raise study_files.ParamsError("\n".join(wrong))


def _data(p: DataPrep) -> tuple[list[str], set[str]]:
    """(categories, splits) of the clip store to come. Raises ValueError, FileNotFoundError."""
    Settings(p.codec, p.store_size, p.fps, p.quality)
    if p.source == "demo":
        chosen = sorted(set(p.categories or dataset.known(p.people)))
        numbers = p.train_videos, p.val_videos, p.still_images
        dataset.check(chosen, p.difficulty, *numbers, p.people)
        drawn = chosen if p.people == 1 else dataset.combinations(chosen)
        if p.untrimmed and p.background:
            drawn = sorted([*drawn, background.CATEGORY])
        if p.corrections:  # which videos it names is known once they are drawn
            drawn = corrections.categories(p.reads[0], drawn, "demo")
        return drawn, set(SPLITS) if p.untrimmed else {"train", "val"}
    listed = data_prep.own_videos(p)
    return listed.categories, set(listed.frame["split"])


def _stored(p: Common) -> tuple[list[str], set[str]]:
    """(categories, splits) of the clip store that is there. Raises FileNotFoundError."""
    about = p.store_dir / "store.json"
    if not about.is_file():
        raise MissingFile(session.no_store(p))
    content = read_json(about, "categories", "files")
    return content["categories"], {file["path"].partition("/")[0] for file in content["files"]}


def _absent_splits(p: Trained, splits: set[str]) -> list[str]:
    chosen = {key: getattr(p, key) for key in ("train_split", "validate_split", "split")}
    return [
        f"key {key!r}: the data have no videos in {split!r}; they have {', '.join(sorted(splits))}"
        for key, split in chosen.items()
        if split and split not in splits
    ]


def _stills(p: FrameCNN, todo: dict[str, Common]) -> None:
    """Raises ValueError, FileNotFoundError where the stills are neither there nor to be drawn."""
    if not p.stills:
        return
    folder = p.made(p.root / p.stills)
    preps = (q for q in todo.values() if isinstance(q, DataPrep) and q.source == "demo")
    drawn = [q.still_images for q in preps]
    if folder.is_relative_to(p.data_dir) and any(drawn):
        return
    if not folder.is_dir():
        none = "; its run 01 draws no stills (still_images: 0)" if drawn and not any(drawn) else ""
        raise MissingFile(
            f"key 'stills': no folder {session.from_root(p, folder)}{none}; leave it empty to go "
            "without stills"
        )
    Catalog.from_stills(folder)


def _left(p: Evaluation) -> dict[str, Common]:
    """What the study's runs have been, by their folders."""
    files_there = sorted(p.run_dir.parent.glob("[0-9][0-9]_*/params.yaml"))
    return {file.parent.name: study_files.load_folder(file.parent) for file in files_there}


def _absent_runs(p: Evaluation, every: dict[str, Common]) -> list[str]:
    there = {folder.name for folder in p.run_dir.parent.glob("[0-9][0-9]_*")}
    known = sorted(there | {q.run for q in every.values()})
    return [
        f"key 'runs': the study has no run {name!r}{nearest(name, known)}"
        for name in p.runs
        if name not in known
    ]


def _apart(nets: dict[str, tuple[Common, list[str]]]) -> list[str]:
    """`network_checks` in a process of its own."""
    asked = [
        (where, fingerprint.notebook_of(p), p.model_dump(mode="json"), categories)
        for where, (p, categories) in nets.items()
    ]
    done = subprocess.run(
        [sys.executable, "-m", "harlib.study.steps.network_checks"],
        input=json.dumps(asked),
        env=os.environ | _NO_GPU | {"HARLIB_ROOT": str(project_root())},
        capture_output=True,
        text=True,
    )
    if done.returncode > 0:
        raise RuntimeError(f"the networks could not be checked:\n{done.stderr}")
    if done.returncode < 0:
        how = signal.Signals(-done.returncode).name
        return [f"{', '.join(nets)}: building the networks ended by {how}, perhaps for memory"]
    return json.loads(done.stdout)
