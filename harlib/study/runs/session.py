"""A run while it works: its lock, its stages, its data, its end."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from harlib import HarlibError, MissingFile
from harlib.data import Audit, Catalog, ClipStore, label_sets
from harlib.data.store import look_alikes as alike
from harlib.locks import Lock, sweep
from harlib.progress import Stage
from harlib.run_folder import RunFolder
from harlib.study.params.notebooks import Common, FromScratch
from harlib.study.params.trained import Ablations
from harlib.study.wording import tables

_locks: dict[Path, Lock] = {}


def lock(p: Common) -> Lock:
    """Keeps other processes out of the run's folder until `unlock`, or this process's end.

    Raises:
        Locked: another process works there; the message says which one and since when.
    """
    path = p.run_dir.with_name(f".{p.run_dir.name}.lock")
    if path not in _locks:
        _locks[path] = Lock(path, f"{from_root(p, p.run_dir)} is being written")
    return _locks[path]


def unlock(p: Common) -> None:
    """Lets other processes have the run's folder; a lock that a killed one left is removed."""
    path = p.run_dir.with_name(f".{p.run_dir.name}.lock")
    if held := _locks.pop(path, None):
        held.release()
    else:
        sweep(path)


def note(p: Common, line: str) -> None:
    """Says a line in the notebook, and in `har study` when the run ends."""
    said = p.folder.read_state().get("said", [])
    p.folder.write_state(said=list(dict.fromkeys([*said, line])))
    print(line)


def kept(p: Common) -> bool:
    """Whether the run's folder holds a complete run, of which the steps change nothing."""
    return p.folder.read_state().get("status") == "complete"


def finish(p: Common) -> tables.Sentence:
    """Ends a run: from here on it counts as complete."""
    taken = minutes(p)
    if not kept(p):
        p.folder.write_state(status="complete", minutes=taken, problem="")
    unlock(p)
    return tables.Sentence(f"This run took {taken:.1f} minutes.")


def minutes(p: Common) -> float:
    """Wall time of this session, and of the epochs that an interrupted one trained before."""
    state = p.folder.read_state()
    if state["status"] == "complete":
        return state["minutes"]
    return (time.time() - state["begun"] + state["seconds_before"]) / 60


def worked(p: Common) -> float:
    """Minutes of a run that is not going on: the complete run's, else its epochs' alone."""
    state = p.folder.read_state()
    return state["minutes"] if state["status"] == "complete" else trained(p) / 60


def trained(p: Common) -> float:
    """Seconds of the epochs that the run's folder tells of."""
    history = p.folder.history
    return float(pd.read_csv(history)["seconds"].sum()) if history.is_file() else 0.0


def open_store(p: Common) -> ClipStore:
    """The clip store that notebook 01 made.

    Raises:
        FileNotFoundError: there is none; the message says which notebook to run.
        HarlibError: as `refuse_several`.
    """
    if not (p.store_dir / "store.json").is_file():
        raise MissingFile(no_store(p))
    store = ClipStore(p.store_dir)
    refuse_several(p, store.categories)
    if not kept(p):
        p.folder.write_state(store_hash=store.hash, store=from_root(p, p.store_dir))
    return store


def refuse_several(p: Common, categories: Sequence[str]) -> None:
    """Refuses notebooks that know videos of one label alone.

    Raises:
        HarlibError: a category holds "|", and the run is of notebook 07 or 08.
    """
    if isinstance(p, (Ablations, FromScratch)) and label_sets.several(categories):
        raise HarlibError(
            f"run {p.run} is of a notebook for videos of one label each, and these have several: "
            "train with notebooks 02, 03, 04 or 09, and compare runs in 05"
        )


def look_alikes(p: Common, store: ClipStore, *splits: str) -> str:
    """A warning of the store's videos that look alike on two sides of the split; else "".

    splits: the sides that count; without them all.
    """
    found = alike.load(store)
    return found.warning(*splits, named=from_root(p, store.root)) if found else ""


def no_store(p: Common) -> str:
    """Says that the clip store is not there, and what makes it."""
    return (
        f"no clip store at {from_root(p, p.store_dir)}: run notebook 01 with the study's "
        f"parameters first (har study {p.study})"
    )


def stage(p: Common, name: str) -> Stage:
    """A stage of the run, which tells in the run's `progress.json` how far it is.

    A training inside another run (notebook 07) tells it in that one's, with its own name. In a
    complete run nothing is written.
    """
    inside, folder = p.run.partition("/")[2], told_in(p)
    done = RunFolder(folder).read_state().get("status") == "complete"
    return Stage(None if done else folder, f"{inside}: {name}" if inside else name)


def told_in(p: Common) -> Path:
    """The folder of the run that a person has started: around a training of notebook 07 its own."""
    usual = p.root / "runs" / p.study / p.run
    return usual.parent if "/" in p.run and p.run_dir == usual else p.run_dir


def sample(
    store: ClipStore, *, split: str = "train", videos: int = 6, frames: int = 8
) -> tuple[list[np.ndarray], list[str]]:
    """Evenly spaced frames of one video each of the first categories: clips and their titles."""
    chosen = store.videos.iloc[store.rows(split)].drop_duplicates("category").head(videos)
    clips = [
        store.read(index, np.linspace(0, row["frames"] - 1, frames).round().astype(int))
        for index, row in chosen.iterrows()
    ]
    return clips, chosen["category"].tolist()


def catalog_file(p: Common) -> Path:
    """Where notebook 01 leaves what was listed, found or not."""
    return p.store_dir.with_name(f"{p.store_dir.name}-catalog.csv")


def listed(p: Common) -> pd.DataFrame:
    """What was listed, found or not: `video_id, category, split, group`, a row per video.

    From notebook 01's catalog; for a store of `har prepare`, from the store's own audit, which
    knows the groups of what could be decoded: every other video is its own.

    Raises:
        FileNotFoundError: neither is there: lost videos could not be counted.
    """
    if catalog_file(p).is_file():
        return Catalog.from_csv(catalog_file(p)).frame
    if not (p.store_dir / "audit.csv").is_file():
        raise MissingFile(
            f"neither {from_root(p, catalog_file(p))} nor {from_root(p, p.store_dir)}/audit.csv "
            "is there, so unreadable videos could not be counted as wrong: finish the store with "
            "har prepare"
        )
    videos = Audit.load(p.store_dir).videos
    key = ["split", "category", "video_id"]
    known = ClipStore(p.store_dir).videos[[*key, "group"]]
    videos = videos.merge(known, "left", on=key, validate="one_to_one")
    return videos.assign(group=videos["group"].fillna(videos["video_id"]))


def from_root(p: Common, path: Path) -> str:
    """The path as a person in the project's folder would type it."""
    return str(path.relative_to(p.root)) if path.is_relative_to(p.root) else str(path)
