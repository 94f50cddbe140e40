"""Catalog -> clip store: parallel, resumable, audited.

The work is cut into tasks: at most 32 videos of one category and split, at most 128 of one .tar
shard, or all of one .tar.gz. Each task becomes a part file, the parts of a category its HDF5
file, and the index comes last. Every file is written aside, synced and renamed, so a run killed
at any moment is finished by running it again, and the bytes are those of an undisturbed run.
"""

import errno
import functools
import os
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import joblib

from harlib import files, processes
from harlib.data.catalog.catalog import SPLITS, Catalog
from harlib.data.store import category_file, clip_store, finished, source_files
from harlib.data.store.audit import Audit
from harlib.data.store.finished import Group, changed_rows, groups
from harlib.data.store.finishing import finish
from harlib.data.store.pack import PrepareError, Settings, write_part
from harlib.data.store.parts import Parts, key_of
from harlib.data.store.verify import verify
from harlib.data.video import tar_shards
from harlib.locks import Lock, Locked
from harlib.progress import Stage, Told, shown

__all__ = ["Audit", "PrepareError", "prepare", "verify"]

PIECE = 32  # videos a task: a minute of work at Kinetics' sizes, all that a kill can lose
SHARD_PIECE = 4 * PIECE  # of a .tar, whose headers every task reads from the first one on


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
    progress: bool | Stage = True,
) -> Audit:
    """Write the catalog's videos as a clip store at `root`, or finish one that was begun.

    A video that crashes the decoder is an unreadable one; with a single worker it ends this
    process.

    Args:
        size: short side in pixels, aspect kept; (128, 171) stretches, C3D's way.
        fps: frames per second to resample to; None keeps every video's own frames.
        quality: 1 to 100, see `harlib.data.store.codecs`; raw ignores it.
        workers: processes; None takes all cores. The store's bytes do not depend on it.
        scheduler: address of a Dask scheduler ("tcp://…") whose workers share `root`.
        progress: True shows a bar, a stage is told how far it is.

    Raises:
        PrepareError: a setting is wrong, `root` holds a store of other videos or settings (also
            where a video of the same name and size has other content), no video could be decoded,
            or the disk is full.
    """
    root = Path(root).absolute()
    settings = Settings(codec, size, fps, quality)
    stamps = source_files.stamps(catalog.frame["path"].tolist())
    key = finished.key(catalog, settings, stamps)
    if finished.is_whole(catalog, root, key, stamps):  # asked before the lock: it may be read-only
        return Audit.load(root)
    with _disk_errors(root), _locked(root):
        if finished.is_whole(catalog, root, key, stamps):
            return Audit.load(root)
        _sweep(root)  # what a killed run had not finished
        every = groups(catalog, root)
        touched = source_files.touched(root, key, stamps)
        if not source_files.are_kept(root, key):  # a killed run is compared with what it began with
            source_files.keep(root, key, stamps)
        with shown(progress, "prepare", "video") as bar:
            work = _Work(catalog, root, every, settings, key, touched)
            try:
                _pack(work, bar, workers, scheduler)
            except BrokenProcessPool:  # a video crashed a worker: find out which one
                _pack(work, bar, workers, scheduler, apart=True)
        audit = finish(catalog, root, asdict(settings), key, every)
        source_files.keep(root, key, stamps)
        return audit


class _Work(NamedTuple):
    """What is to be packed: `touched` are the rows whose files may have changed meanwhile."""

    catalog: Catalog
    root: Path
    groups: list[Group]
    settings: Settings
    key: str
    touched: set[int]


def place(catalog: Catalog, root: Path, **settings: Any) -> Path:
    """The folder for a store: `root`, or one beside it where `root` holds something else.

    That one is named by the videos and settings, so that it is found again. What a store of
    others has left unfinished counts too: it may have cost days.

    Raises:
        PrepareError, StoreError: a setting is wrong, or `root`'s store.json damaged.
    """
    stamps = source_files.stamps(catalog.frame["path"].tolist())
    key = finished.key(catalog, Settings(**settings), stamps)
    if (root / "store.json").exists():
        other = clip_store.read_about(root)["key"] != key
    else:
        files = (path for split in SPLITS for path in (root / split).glob("*.h5"))
        begun = [category_file.key(path) for path in files]
        begun += [key_of(path) for path in (root / ".parts").glob("*.json")]
        other = any(begun) and key not in begun
    return root.with_name(f"{root.name}-{key[:8]}") if other else root


def _pack(
    work: _Work, bar: Told, workers: int | None, scheduler: str | None, apart: bool = False
) -> None:
    """Write every category file that is not there; parts that are complete are used."""
    catalog, key = work.catalog, work.key
    todo = [
        group
        for group in work.groups
        if category_file.key(group.file) != key or changed_rows(catalog, group, work.touched)
    ]
    parts = Parts(work.root / ".parts", key)
    packed, paths = parts.sources(), catalog.frame["path"]
    asked = {row: paths[row] for row in packed if row in work.touched}
    parts.drop(source_files.changed(asked, packed))
    tasks = _tasks(catalog, work.root / ".parts", todo, parts)
    place = {row: number for number, group in enumerate(todo) for row in group.rows}
    missing = Counter(place[row] for _, rows in tasks for row in rows)
    together = workers or (1 if scheduler else joblib.cpu_count())
    bar.begin(len(catalog) - missing.total(), len(catalog), together=together)
    for number, group in enumerate(todo):
        if not missing[number]:
            _assemble(group, parts, key)
    frame = catalog.frame.assign(row=range(len(catalog)))
    with _workers(workers, scheduler) as parallel:
        jobs = (
            joblib.delayed(write_part)(
                part, frame.iloc[rows].to_dict("records"), work.settings, key, apart
            )
            for part, rows in tasks
        )
        for (part, rows), _ in zip(tasks, parallel(jobs), strict=True):
            if not parts.add(part):
                raise PrepareError(f"{part.name}: the part file vanished; run prepare again")
            done = Counter(place[row] for row in rows)
            missing -= done
            bar.at(len(catalog) - missing.total())
            for number in done:
                if not missing[number]:
                    _assemble(todo[number], parts, key)


def _tasks(
    catalog: Catalog, folder: Path, todo: list[Group], parts: Parts
) -> list[tuple[Path, list[int]]]:
    """(part file, rows) to pack: the videos of a shard together, others by category."""
    paths = catalog.frame["path"].tolist()
    by_shard: dict[str, list[int]] = defaultdict(list)
    tasks = []
    for group in todo:
        plain: list[int] = []
        for row in group.rows:
            if row not in parts:
                inside = tar_shards.split(paths[row])
                (by_shard[inside[0]] if inside else plain).append(row)
        for begin in range(0, len(plain), PIECE):
            rows = plain[begin : begin + PIECE]
            tasks.append((folder / f"{group.split}-{group.file.stem}-{rows[0]:08d}", rows))
    cut = []  # a shard's videos are read together, whatever categories they are of
    for shard, rows in by_shard.items():
        piece = SHARD_PIECE if tar_shards.is_plain(shard) else len(rows)
        cut += [rows[begin : begin + piece] for begin in range(0, len(rows), piece)]
    return [(folder / f"shard-{rows[0]:08d}", rows) for rows in cut] + tasks


def _assemble(group: Group, parts: Parts, key: str) -> None:
    """Make a category file of its videos' parts."""
    attributes = {"category": group.category, "split": group.split, "key": key}
    category_file.write(group.file, attributes, parts.videos(group.rows))
    parts.discard(group.rows)


@contextmanager
def _workers(
    workers: int | None, scheduler: str | None
) -> Iterator[Callable[[Iterable[Any]], Iterator[Any]]]:
    """What runs joblib's delayed calls; results come in order, as soon as they are there."""
    if scheduler is None:
        count = workers or joblib.cpu_count()
        with processes.parallel(count, return_as="generator") as parallel:
            yield parallel
        return
    try:
        from dask.distributed import Client
    except ImportError:
        raise PrepareError("a scheduler needs Dask: pip install 'harlib[cluster]'") from None
    with Client(scheduler) as client:
        yield functools.partial(_on_cluster, client)


def _on_cluster(client: Any, jobs: Iterable[Any]) -> Iterator[Any]:
    """Results of joblib's delayed calls, as its Dask backend gives them.

    That one (joblib 1.6) waits for ever for a task that its workers died of.
    """
    from dask.distributed import KilledWorker

    # all at once: were they handed over as results come in, a slow one would hold up the others
    futures = deque(client.submit(call, *args, pure=False, **named) for call, args, named in jobs)
    try:
        while futures:
            yield futures.popleft().result()
    except KilledWorker as error:  # several workers died of one task
        raise BrokenProcessPool(str(error)) from error


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One preparation of a folder at a time; half files of one that fails are removed."""
    try:
        lock = Lock(root / ".lock", f"{root} is being prepared")
    except Locked as error:
        raise PrepareError(str(error)) from None
    with lock:
        try:
            yield
        except BaseException:
            # killed in the middle of a file: on a full disk halves are what keeps it full
            _sweep(root)
            raise


def _sweep(root: Path) -> None:
    """Remove files that nobody writes any more; the folder is locked."""
    for folder in (root, root / ".parts", *(root / split for split in SPLITS)):
        for stray in files.strays(folder):
            stray.unlink(missing_ok=True)


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PrepareError(
                f"the disk of {root} is full; what is done stays: make room and run prepare again"
            ) from error
        raise
