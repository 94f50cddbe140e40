"""Catalog -> clip store: parallel, resumable, audited; and the check of a finished store.

The work is cut into pieces of at most 32 videos of one category and split. Each piece is a part
file, the parts of a category become its HDF5 file, the index comes last. Every file is written
aside, synced and renamed, so a run killed at any moment is finished by running it again, and
the bytes are those of an undisturbed run.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import h5py
import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from harlib.data import store
from harlib.data.catalog import Catalog
from harlib.data.codecs import CODECS, CodecError
from harlib.data.video import VideoError, VideoReader

PIECE = 32  # videos a task: a minute of work at Kinetics' sizes, all that a kill can lose
SHORT = 0.9  # decoded time below this share of what the file or the list promises is "short"
COUNTS = ["listed", "found", "decoded", "short", "unreadable"]


class PrepareError(ValueError):
    """Preparation cannot start or go on; the message is one line."""


@dataclass(frozen=True)
class Settings:
    codec: str
    size: int | tuple[int, int] | None
    fps: float | None
    quality: int

    def __post_init__(self):
        if self.codec not in CODECS:
            raise PrepareError(f"unknown codec {self.codec!r}; known: {', '.join(CODECS)}")
        sides = (self.size,) if isinstance(self.size, int) else self.size or ()
        if (not isinstance(self.size, int) and len(sides) not in (0, 2)) or not all(
            isinstance(side, int) and 8 <= side <= 4096 for side in sides
        ):
            raise PrepareError(
                f"size is {self.size!r}: it must be the short side (128), (height, width) or None"
            )
        if self.codec == "h264" and any(side % 2 for side in sides):
            raise PrepareError(f"size is {self.size!r}: H.264 needs even sides, such as (128, 170)")
        if not 1 <= self.quality <= 100:
            raise PrepareError(f"quality is {self.quality}: it must be from 1 to 100")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise PrepareError(f"fps is {self.fps}: it must be above 0 and at most 1000, or None")


@dataclass(frozen=True)
class Audit:
    """What became of every listed video.

    `videos` has a row for each: `video_id, category, split, file, status, reason, same_as`;
    status is "ok", "short" (stored, but less than was promised), "unreadable" or "missing".
    `same_as` names the first video with the same frames. `table` counts by category.
    """

    videos: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """A row a category: listed, found, decoded, short, unreadable, duplicates."""
        status = self.videos["status"]
        flags = pd.DataFrame(
            {
                "category": self.videos["category"],
                "listed": 1,
                "found": status != "missing",
                "decoded": status.isin(["ok", "short"]),
                "short": status == "short",
                "unreadable": status == "unreadable",
                "duplicates": self.videos["same_as"] != "",
            }
        )
        return flags.groupby("category").sum().astype(int)

    def __str__(self) -> str:
        total = self.table.sum()
        return ", ".join(f"{name} {total[name]:,}" for name in total.index)

    @classmethod
    def load(cls, root: str | os.PathLike) -> "Audit":
        return cls(pd.read_csv(Path(root) / "audit.csv", dtype=str, keep_default_na=False))


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
    root = Path(root)
    size = tuple(int(side) for side in size) if isinstance(size, list | tuple) else size
    settings = Settings(codec, size, fps, quality)
    key = _key(catalog, settings)
    if _is_complete(root, key):  # asked before the lock: a finished store may be read-only
        return Audit.load(root)
    with _disk_errors(root), _locked(root):
        if _is_complete(root, key):
            return Audit.load(root)
        pieces = _pieces(catalog, root, key)
        with (
            tqdm(
                total=len(catalog),
                unit="video",
                desc="prepare",
                disable=not progress,
                smoothing=0.05,
            ) as bar,
            _backend(scheduler),
        ):
            # the category files come as soon as their last piece is done
            todo = [p for p in pieces if not p["file"].exists() or not _is_ours(p["file"], key)]
            bar.update(sum(len(p["rows"]) for p in pieces) - sum(len(p["rows"]) for p in todo))
            jobs = joblib.Parallel(n_jobs=workers or joblib.cpu_count(), return_as="generator")(
                joblib.delayed(write_piece)(p["part"], p["rows"], settings, key) for p in todo
            )
            for piece, count in zip(todo, jobs, strict=True):
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
    text = json.dumps([catalog.hash, asdict(settings), sizes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _pieces(catalog: Catalog, root: Path, key: str) -> list[dict]:
    """Tasks in the store's order: rows of the catalog, part file, category file."""
    names = store.slugs(catalog.categories)
    pieces = []
    for (split, category), rows in catalog.frame.groupby(["split", "category"], sort=True):
        slug = names[category]
        for begin in range(0, len(rows), PIECE):
            pieces.append(
                {
                    "rows": rows.iloc[begin : begin + PIECE].to_dict("records"),
                    "part": root / ".parts" / f"{split}-{slug}-{begin // PIECE:05d}",
                    "file": root / split / f"{slug}.h5",
                    "split": split,
                    "category": category,
                    "last": begin + PIECE >= len(rows),
                }
            )
    return pieces


def write_piece(part: Path, rows: list[dict], settings: Settings, key: str) -> int:
    """Decode and pack some videos: `part`.bin holds the bytes, `part`.json a record a video.

    A piece that is complete already is kept. Returns the number of videos.
    """
    if _read_piece(part, key) is not None:
        return len(rows)
    part.parent.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)  # videos run in parallel, not the pixels of one frame
    aside = part.with_suffix(".aside")
    with open(aside, "wb") as payload:
        records = [_pack(row, settings, payload) for row in rows]
    store.replace(aside, part.with_suffix(".bin"))
    columns = {name: [record[name] for record in records] for name in records[0]}
    columns = {"key": key, "columns": columns}
    store.write_text(part.with_suffix(".json"), json.dumps(columns))
    return len(rows)


def _read_piece(part: Path, key: str) -> dict | None:
    """The columns of a complete piece of this preparation, else None."""
    try:
        piece = json.loads(part.with_suffix(".json").read_text())
        size = part.with_suffix(".bin").stat().st_size
    except (FileNotFoundError, ValueError):
        return None
    if piece["key"] != key or size != sum(sum(n) for n in piece["columns"]["lengths"]):
        return None
    return piece["columns"]


def _pack(row: dict, settings: Settings, payload) -> dict:
    """Append one video's chunks to `payload`; returns its record."""
    record = {
        "video_id": row["video_id"],
        "group": row["group"],
        "file": os.path.basename(row["path"]),
        "status": "ok",
        "reason": "",
        "frames": 0,
        "height": 0,
        "width": 0,
        "fps": 0.0,
        "checksum": "",
        "lengths": [],
    }
    if not row["path"] or not os.path.isfile(row["path"]):
        return record | {"status": "missing", "reason": "no such file"}
    begin = payload.tell()
    digest = hashlib.blake2b(digest_size=8)
    lengths, shape = [], ()

    def same_size(frames):
        nonlocal shape
        for frame in frames:
            if shape and frame.shape != shape:
                raise VideoError(row["path"], f"frames change from {shape} to {frame.shape}")
            shape = frame.shape
            yield frame

    try:
        with VideoReader(
            row["path"],
            size=settings.size,
            fps=settings.fps,
            start_s=row["start_s"],
            end_s=row["end_s"],
        ) as reader:
            frames = same_size(reader)
            for chunk in CODECS[settings.codec].encode(frames, settings.quality):
                payload.write(chunk)
                digest.update(chunk)
                lengths.append(len(chunk))
    except (VideoError, CodecError) as error:
        payload.seek(begin)
        payload.truncate()
        reason = error.reason if isinstance(error, VideoError) else str(error)
        return record | {"status": "unreadable", "reason": reason}
    if len(lengths) != reader.yielded:
        raise PrepareError(
            f"{row['path']}: the {settings.codec} encoder made {len(lengths)} chunks of "
            f"{reader.yielded} frames"
        )
    reason = _shortness(reader, row)
    return record | {
        "status": "short" if reason else "ok",
        "reason": reason,
        "frames": len(lengths),
        "height": shape[0],
        "width": shape[1],
        "fps": settings.fps or round(reader.decoded / reader.span_s, 4),
        "checksum": digest.hexdigest(),
        "lengths": lengths,
    }


def _shortness(reader: VideoReader, row: dict) -> str:
    """In what the decoded video falls short of its promise, or ""."""
    whole = np.isnan(row["end_s"])
    promised = reader.info.duration_s if whole else row["end_s"] - (row["start_s"] or 0)
    if reader.span_s < SHORT * promised:
        by = "file" if whole else "list"
        return f"{reader.span_s:.2f} s decoded of {promised:.2f} s that the {by} promises"
    if reader.damage:
        return f"{reader.damage} damaged packets, {reader.decoded} frames decoded"
    return ""


def _is_ours(path: Path, key: str) -> bool:
    """Whether a category file is complete and of this preparation."""
    try:
        with h5py.File(path, "r") as file:
            store.check_category(file)
            return file.attrs["key"] == key
    except (OSError, KeyError, store.StoreError):
        return False


def _assemble(last: dict, pieces: list[dict], key: str) -> None:
    """Make a category file of its pieces, then remove them."""
    parts = [p["part"] for p in pieces if p["file"] == last["file"]]
    read = [(part.with_suffix(".bin"), _read_piece(part, key)) for part in parts]
    lost = [part.name for part, (_, columns) in zip(parts, read, strict=True) if columns is None]
    if lost:
        raise PrepareError(f"{lost[0]}: the part file vanished or changed; run prepare again")
    attributes = {"category": last["category"], "split": last["split"], "key": key}
    store.write_category(last["file"], attributes, read)
    for part in parts:
        part.with_suffix(".json").unlink()
        part.with_suffix(".bin").unlink()


def _finish(catalog, root: Path, settings: Settings, key: str, pieces) -> Audit:
    """Write audit.csv, index.csv and, last, store.json; every category file is there."""
    labels = {category: label for label, category in enumerate(catalog.categories)}
    files, tables = [], []
    for piece in pieces:
        if piece["last"]:
            table = store.read_records(piece["file"])
            table["category"], table["split"] = piece["category"], piece["split"]
            table["file_name"], table["file"] = table["file"], len(files)
            table["first"] = table["frames"].cumsum() - table["frames"]
            files.append(store.describe_category(root, piece["file"]))
            tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table["label"] = table["category"].map(labels)
    stored = table["checksum"] != ""
    if not stored.any():
        reasons = table["reason"].value_counts()
        raise PrepareError(
            f"none of {len(table)} videos could be decoded; most often: {reasons.index[0]}"
        )
    name = table["split"] + "/" + table["category"] + "/" + table["video_id"]
    first = name[stored].groupby(table["checksum"][stored]).transform("first")
    table["same_as"] = first.where(first != name).reindex(table.index).fillna("")
    audit = table[["video_id", "category", "split", "file_name", "status", "reason", "same_as"]]
    audit = audit.rename(columns={"file_name": "file"})
    index = table.loc[stored, list(store.INDEX_TYPES)].to_csv(index=False, lineterminator="\n")
    store.write_text(root / "audit.csv", audit.to_csv(index=False, lineterminator="\n"))
    store.write_text(root / "index.csv", index)
    about = {
        "format": store.FORMAT,
        "version": store.VERSION,
        "hash": hashlib.sha256(index.encode()).hexdigest()[:12],
        "key": key,
        "catalog": catalog.hash,
        "name": catalog.name,
        "settings": asdict(settings),
        "categories": catalog.categories,
        "files": files,
    }
    store.write_text(root / "store.json", json.dumps(about, indent=1))
    shutil.rmtree(root / ".parts", ignore_errors=True)
    return Audit(audit)


def verify(root: str | os.PathLike) -> pd.DataFrame:
    """Check every stored byte: a table `video_id, category, split, problem`, empty when all is well.

    Raises:
        StoreError: there is no complete store at `root`, or its index is damaged.
    """
    root = Path(root)
    about = store.read_about(root)
    index = store.read_index(root, about, checksums=True)
    problems = []
    for number, videos in index.groupby("file"):
        file = about["files"][number]
        problem, payload, offsets = "", None, None
        try:
            with h5py.File(root / file["path"], "r") as opened:
                store.check_category(opened)
            if store.describe_category(root, root / file["path"]) != file:
                raise store.StoreError("its datasets lie elsewhere than the index says")
            payload, offsets = store.map_file(root / file["path"], file)
        except (OSError, KeyError, RuntimeError, store.StoreError) as error:
            problem = f"{file['path']}: {error}"
        for video in videos.itertuples():
            found = problem
            if not found:
                begin, end = offsets[video.first], offsets[video.first + video.frames]
                digest = hashlib.blake2b(payload[max(begin, 0) : max(end, 0)], digest_size=8)
                if digest.hexdigest() != video.checksum:
                    found = f"{file['path']}: bytes {begin} to {end} of the payload are damaged"
            if found:
                problems.append((video.video_id, video.category, video.split, found))
    return pd.DataFrame(problems, columns=["video_id", "category", "split", "problem"])


def _backend(scheduler: str | None):
    """joblib's own processes, or a Dask cluster's workers."""
    if scheduler is None:
        return nullcontext()
    try:
        from dask.distributed import Client
    except ImportError:
        raise PrepareError("scheduler needs Dask: pip install 'harlib[cluster]'") from None
    return joblib.parallel_config(backend="dask", client=Client(scheduler))


@contextmanager
def _locked(root: Path):
    """One preparation of a folder at a time; the lock dies with its process."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / ".lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
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
