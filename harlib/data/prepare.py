"""Catalog -> clip store: parallel, resumable, audited.

The work is cut into pieces of at most 32 videos of one category and split. Each piece becomes a
part file, the parts of a category its HDF5 file, and the index comes last. Every file is written
aside, synced and renamed, so a run killed at any moment is finished by running it again, and
the bytes are those of an undisturbed run.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import joblib
import pandas as pd
from tqdm import tqdm

from harlib.data import category_file, store
from harlib.data.audit import COLUMNS, Audit
from harlib.data.catalog import SPLITS, Catalog
from harlib.data.packing import PrepareError, Settings, read_piece, write_piece
from harlib.data.verify import verify

__all__ = ["Audit", "PrepareError", "prepare", "verify"]

PIECE = 32  # videos a task: a minute of work at Kinetics' sizes, all that a kill can lose


def prepare(
    catalog: Catalog,
    root: str | os.PathLike,
    *,
    codec: str = "jpeg",
    size: int | tuple[int, int] | None = 128,
    fps: float | None = None,
    quality: int = 90,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> Audit:
    """Write the catalog's videos as a clip store at `root`, or finish one that was begun.

    Args:
        size: short side in pixels, aspect kept; (128, 171) stretches, C3D's way.
        fps: frames per second to resample to; None keeps every video's own frames.
        quality: 1 to 100, see `harlib.data.codecs`; raw ignores it.
        workers: processes; None takes all cores. The store's bytes do not depend on it.
        scheduler: address of a Dask scheduler ("tcp://…") whose workers share `root`.

    Raises:
        PrepareError: a setting is wrong, `root` holds a store of other videos or settings, no
            video could be decoded, or the disk is full.
    """
    root = Path(root).absolute()
    size = tuple(int(side) for side in size) if isinstance(size, list | tuple) else size
    settings = Settings(codec, size, fps, quality)
    key = _key(catalog, settings)
    if _is_complete(root, key):  # asked before the lock: a finished store may be read-only
        return Audit.load(root)
    with _disk_errors(root), _locked(root):
        if _is_complete(root, key):
            return Audit.load(root)
        for folder in (root, *(root / split for split in SPLITS)):
            for stray in folder.glob("*.aside"):  # what a killed run had not finished
                stray.unlink()
        pieces = _pieces(catalog, root)
        files = {piece["file"] for piece in pieces}
        done = {file for file in files if category_file.key(file) == key}
        todo = [piece for piece in pieces if piece["file"] not in done]
        with (
            tqdm(total=len(catalog), unit="video", desc="prepare", disable=not progress) as bar,
            _workers(workers, scheduler) as parallel,
        ):
            bar.update(len(catalog) - sum(len(piece["rows"]) for piece in todo))
            counts = parallel(
                joblib.delayed(write_piece)(
                    piece["part"],
                    catalog.frame.iloc[piece["rows"]].to_dict("records"),
                    settings,
                    key,
                )
                for piece in todo
            )
            for piece, count in zip(todo, counts, strict=True):
                bar.update(count)
                if piece["last"]:
                    _assemble(piece, pieces, key)
        return _finish(catalog, root, settings, key, pieces)


def _is_complete(root: Path, key: str) -> bool:
    """Whether `root` is the wanted store already; refuses a store of something else."""
    if not (root / "store.json").exists():
        return False
    about = store.read_about(root)
    if about["key"] != key:
        raise PrepareError(
            f"{root} holds a store of other videos or settings ({about['settings']}, catalog "
            f"{about['catalog']}); remove it or choose another folder"
        )
    return True


def _key(catalog: Catalog, settings: Settings) -> str:
    """Names what a store is made from: the list, the settings, and the files' sizes."""
    sizes = [os.path.getsize(p) if p and os.path.isfile(p) else -1 for p in catalog.frame["path"]]
    text = json.dumps([category_file.VERSION, catalog.hash, asdict(settings), sizes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _pieces(catalog: Catalog, root: Path) -> list[dict]:
    """Tasks in the store's order: row numbers of the catalog, part file, category file."""
    names = category_file.slugs(catalog.categories)
    pieces = []
    for (split, category), rows in catalog.frame.groupby(["split", "category"], sort=True):
        slug = names[category]
        for begin in range(0, len(rows), PIECE):
            pieces.append(
                {
                    "rows": rows.index[begin : begin + PIECE],
                    "part": root / ".parts" / f"{split}-{slug}-{begin // PIECE:05d}",
                    "file": root / split / f"{slug}.h5",
                    "split": split,
                    "category": category,
                    "last": begin + PIECE >= len(rows),
                }
            )
    return pieces


def _assemble(last: dict, pieces: list[dict], key: str) -> None:
    """Make a category file of its pieces, then remove them."""
    parts = [piece["part"] for piece in pieces if piece["file"] == last["file"]]
    columns = [read_piece(part, key) for part in parts]
    if None in columns:
        lost = parts[columns.index(None)].name
        raise PrepareError(f"{lost}: the part file vanished or changed; run prepare again")
    attributes = {"category": last["category"], "split": last["split"], "key": key}
    payloads = [part.with_suffix(".bin") for part in parts]
    category_file.write(last["file"], attributes, list(zip(payloads, columns, strict=True)))
    for part in parts:
        part.with_suffix(".json").unlink()
        part.with_suffix(".bin").unlink()


def _finish(catalog, root: Path, settings: Settings, key: str, pieces: list[dict]) -> Audit:
    """Write audit.csv, index.csv and, last, store.json; every category file is there."""
    files, tables = [], []
    for piece in pieces:
        if piece["last"]:
            table = category_file.records(piece["file"]).rename(columns={"file": "name"})
            table["category"], table["split"], table["file"] = (
                piece["category"],
                piece["split"],
                len(files),
            )
            table["first"] = table["frames"].cumsum() - table["frames"]
            files.append(category_file.describe(root, piece["file"]))
            tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    labels = {category: label for label, category in enumerate(catalog.categories)}
    table["label"] = table["category"].map(labels)
    stored = table["frames"] > 0
    if not stored.any():
        why = table["reason"].value_counts().index[0]
        raise PrepareError(f"none of {len(table)} videos could be decoded; most often: {why}")
    # equal checksums are equal frames: also across categories and splits
    names = table["split"] + "/" + table["category"] + "/" + table["video_id"]
    first = names[stored].groupby(table["checksum"][stored]).transform("first")
    table["same_as"] = first.where(first != names[stored]).reindex(table.index).fillna("")
    audit = Audit(table.drop(columns="file").rename(columns={"name": "file"})[COLUMNS])
    index = table.loc[stored, list(store.INDEX_TYPES)].to_csv(index=False, lineterminator="\n")
    about = {
        "format": category_file.FORMAT,
        "version": category_file.VERSION,
        "hash": store.short_hash(index),
        "audit": store.short_hash(audit.to_csv()),
        "key": key,
        "name": catalog.name,
        "catalog": catalog.hash,
        "settings": asdict(settings),
        "categories": catalog.categories,
        "files": files,
    }
    # through JSON: the digest is of what a reader will get
    about = json.loads(json.dumps(about))
    about["digest"] = store.about_digest(about)
    category_file.write_text(root / "audit.csv", audit.to_csv())
    category_file.write_text(root / "index.csv", index)
    category_file.write_text(root / "store.json", json.dumps(about, indent=1))
    shutil.rmtree(root / ".parts", ignore_errors=True)
    return audit


@contextmanager
def _workers(workers: int | None, scheduler: str | None):
    """A joblib.Parallel whose results come in order, as soon as they are there."""
    options = {"n_jobs": workers or joblib.cpu_count(), "return_as": "generator"}
    if scheduler is None:
        # idle workers hold memory that training wants
        with (
            joblib.parallel_config(backend="loky", idle_worker_timeout=5),
            joblib.Parallel(**options) as parallel,
        ):
            yield parallel
        return
    try:
        from dask.distributed import Client
    except ImportError:
        raise PrepareError("a scheduler needs Dask: pip install 'harlib[cluster]'") from None
    with (
        Client(scheduler),
        joblib.parallel_config(backend="dask"),
        joblib.Parallel(**options | {"n_jobs": -1}) as parallel,
    ):
        yield parallel


@contextmanager
def _locked(root: Path):
    """One preparation of a folder at a time; the lock dies with its process."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / ".lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PrepareError(f"{root} is being prepared by another process") from None
        yield


@contextmanager
def _disk_errors(root: Path):
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PrepareError(
                f"the disk of {root} is full; what is done stays: make room and run prepare again"
            ) from error
        raise
