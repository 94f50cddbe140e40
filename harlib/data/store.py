"""The clip store: one HDF5 file a category a split, and an index with one row a video.

    <root>/store.json                 settings, categories, where each file's payload lies
    <root>/index.csv                  a row a video
    <root>/audit.csv                  what became of every listed video
    <root>/<split>/<category>.h5      payload uint8 (bytes,), offsets uint64 (frames + 1,): frame i
                                      of the file is payload[offsets[i]:offsets[i + 1]];
                                      videos/*: one value a listed video

Payload and offsets are stored contiguous, so reading needs no HDF5: the files are memory-mapped.
"""

import hashlib
import json
import mmap
import os
import re
import threading
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from harlib.data.codecs import CODECS, CodecError

FORMAT, VERSION = "harlib-clips", 1
INDEX_TYPES = {
    "video_id": str,
    "category": "category",
    "label": np.int32,
    "split": "category",
    "group": str,
    "frames": np.int32,
    "height": np.int32,
    "width": np.int32,
    "fps": np.float64,
    "file": np.int32,
    "first": np.int64,
    "checksum": str,
}
MAPS = 400  # files mapped at a time: each holds a file descriptor, of which 1,024 are usual


class StoreError(ValueError):
    """A clip store that is missing, unfinished, damaged or foreign."""


class ClipStore:
    """Random access to the clips of a prepared data set; thread-safe and picklable.

    Attributes:
        videos: table with one row a video, in the order split, category, video_id: `video_id,
            category, label, split, group, frames, height, width, fps`.
        categories: sorted names; a video's `label` is its category's place here.
        codec: "raw", "jpeg" or "h264".
        hash: 12 hex digits that name the content.
        bytes: size of all category files.
        settings: what `prepare` was called with: codec, size, fps, quality.

    Raises:
        StoreError: there is no complete store at `root`.
    """

    def __init__(self, root: str | os.PathLike):
        self.root = Path(root)
        about = read_about(self.root)
        index = read_index(self.root, about)
        self.codec: str = about["settings"]["codec"]
        self.settings: dict = about["settings"]
        self.categories: list[str] = about["categories"]
        self.hash: str = about["hash"]
        self.bytes: int = sum(file["bytes"] for file in about["files"])
        self._files = about["files"]
        # plain arrays: a table look-up costs more than reading a raw clip
        self._file, self._first = index.pop("file").to_numpy(), index.pop("first").to_numpy()
        self._sizes = index[["frames", "height", "width"]].to_numpy()
        self.videos: pd.DataFrame = index
        self._decode = CODECS[self.codec].decode
        self._maps = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self):
        return ClipStore, (self.root,)

    def __len__(self) -> int:
        return len(self.videos)

    def __repr__(self) -> str:
        return (
            f"ClipStore({str(self.root)!r}: {len(self)} videos, {len(self.categories)} categories, "
            f"{self.codec}, {self.bytes / 1e6:,.1f} MB, {self.hash})"
        )

    def rows(self, split: str) -> np.ndarray:
        """Indices of a split's videos, int (videos,). Raises StoreError for an unknown split."""
        rows = np.flatnonzero((self.videos["split"] == split).to_numpy())
        if not len(rows):
            known = ", ".join(sorted(self.videos["split"].unique()))
            raise StoreError(f"{self.root} has no videos in split {split!r}; it has: {known}")
        return rows

    def read(self, index: int, frames) -> np.ndarray:
        """The video's frames of these numbers, uint8 (len(frames), height, width, 3).

        Raises:
            IndexError: the video or a frame number is out of range.
            StoreError: the stored bytes are damaged; the message names the video.
        """
        length, height, width = self._sizes[index].tolist()
        frames = np.asarray(frames, np.int64)
        if not len(frames) or frames.min() < 0 or frames.max() >= length:
            raise IndexError(
                f"{self._name(index)} has frames 0 to {length - 1}; asked for {frames.tolist()}"
            )
        payload, offsets = self._mapped(self._file[index])
        first = self._first[index]
        try:
            return self._decode(payload, offsets[first : first + length + 1], frames, height, width)
        except CodecError as error:
            raise StoreError(
                f"{self._name(index)}: {error}; `har verify` lists every damaged video"
            ) from error

    def _name(self, index) -> str:
        video = self.videos.iloc[index]
        return f"video {video['video_id']} ({video['category']}, {video['split']})"

    def _mapped(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """(payload, offsets) of a category file, mapped when first used."""
        maps = self._maps.get(number)
        if maps is not None:
            return maps
        with self._lock:
            file = self._files[number]
            maps = self._maps[number] = map_file(self.root / file["path"], file)
            while len(self._maps) > MAPS:
                # readers in other threads keep the arrays they hold; the last one unmaps
                self._maps.popitem(last=False)
        return maps


def map_file(path: Path, file: dict) -> tuple[np.ndarray, np.ndarray]:
    """(payload uint8 (bytes,), offsets uint64 (frames + 1,)) of a category file, memory-mapped."""
    try:
        with open(path, "rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            if size != file["bytes"]:
                raise StoreError(f"{path} has {size} bytes; the index says {file['bytes']}")
            memory = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from error
    start, count = file["payload"]
    payload = np.frombuffer(memory, np.uint8, count, start) if count else np.empty(0, np.uint8)
    start, count = file["offsets"]
    return payload, np.frombuffer(memory, np.uint64, count, start).astype(np.int64, copy=False)


def read_about(root: Path) -> dict:
    """store.json, checked. Raises StoreError."""
    try:
        about = json.loads((root / "store.json").read_text())
    except FileNotFoundError:
        state = "it was not finished" if (root / ".parts").is_dir() else "store.json is missing"
        raise StoreError(f"no clip store at {root}: {state}; run `har prepare`") from None
    except ValueError as error:
        raise StoreError(f"{root}/store.json is not JSON: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise StoreError(f"{root}/store.json does not describe a {FORMAT} store")
    if about["version"] != VERSION:
        raise StoreError(f"{root} has version {about['version']}; this harlib reads {VERSION}")
    if about["settings"]["codec"] not in CODECS:
        raise StoreError(f"{root} has codec {about['settings']['codec']!r}; known: {[*CODECS]}")
    for file in about["files"]:
        inside = re.fullmatch(r"[\w-]+/[\w.-]+\.h5", file["path"])
        spans = (file["payload"], 1), (file["offsets"], 8)
        if not inside or any(
            start < 0 or count < 0 or start + count * size > file["bytes"]
            for (start, count), size in spans
        ):
            raise StoreError(f"{root}/store.json: impossible entry for file {file['path']!r}")
    return about


def read_index(root: Path, about: dict, *, checksums: bool = False) -> pd.DataFrame:
    """index.csv with `file` and `first` (frame in the file), checked against store.json."""
    try:
        data = (root / "index.csv").read_bytes()
    except OSError as error:
        raise StoreError(f"{root}/index.csv cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest()[:12] != about["hash"]:
        raise StoreError(f"{root}/index.csv is not the one store.json names ({about['hash']})")
    columns = [name for name in INDEX_TYPES if checksums or name != "checksum"]
    index = pd.read_csv(
        root / "index.csv", usecols=columns, dtype=INDEX_TYPES, keep_default_na=False
    )[columns]
    for name in ("category", "split"):  # read as codes for memory, handed out as plain text
        index[name] = index[name].astype(str)
    return index


def slugs(categories: list[str]) -> dict[str, str]:
    """File names for categories: lower-case letters, digits and underscores, all different."""
    names = {c: re.sub(r"[^a-z0-9]+", "_", c.lower()).strip("_")[:80] for c in categories}
    taken = list(names.values())
    return {
        category: name
        if name and taken.count(name) == 1
        else f"{name}_{hashlib.sha256(category.encode()).hexdigest()[:8]}"
        for category, name in names.items()
    }


def write_category(path: Path, attributes: dict, parts: list[tuple[Path, dict]]) -> None:
    """Assemble a category file from parts (payload file, columns of its videos).

    `columns["lengths"]` is a list of chunk sizes for each video; the other columns hold one value
    a video. The file appears complete or not at all.
    """
    lengths = [n for _, columns in parts for video in columns["lengths"] for n in video]
    total = sum(lengths)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".aside")
    with h5py.File(aside, "w", libver=("v110", "v110")) as file:
        file.attrs.update(format=FORMAT, version=VERSION, **attributes)
        file["offsets"] = np.cumsum([0, *lengths], dtype=np.uint64)
        payload = file.create_dataset("payload", (total,), np.uint8)
        place = 0
        for source, _ in parts:
            with open(source, "rb") as handle:
                while block := handle.read(1 << 26):
                    payload[place : place + len(block)] = np.frombuffer(block, np.uint8)
                    place += len(block)
        if place != total:
            raise StoreError(f"{path.name}: the parts hold {place} bytes instead of {total}")
        videos = file.create_group("videos")
        for name in parts[0][1]:
            if name != "lengths":
                column = np.array([v for _, columns in parts for v in columns[name]])
                videos[name] = (
                    np.char.encode(column, "utf-8") if column.dtype.kind == "U" else column
                )
    replace(aside, path)


def describe_category(root: Path, path: Path) -> dict:
    """What store.json says of a category file: path, size, places of payload and offsets."""
    with h5py.File(path, "r") as file:
        check_category(file)
        spans = {
            name: [file[name].id.get_offset() or 0, file[name].size]
            for name in ("payload", "offsets")
        }
    return {"path": path.relative_to(root).as_posix(), "bytes": path.stat().st_size, **spans}


def read_records(path: Path) -> pd.DataFrame:
    """The columns that a category file keeps for every listed video."""
    with h5py.File(path, "r") as file:
        columns = {name: data[()] for name, data in file["videos"].items()}
    return pd.DataFrame(
        {
            name: np.char.decode(column, "utf-8") if column.dtype.kind == "S" else column
            for name, column in columns.items()
        }
    )


def check_category(file: h5py.File) -> None:
    """Refuse a file that is not a category file, or whose data lie elsewhere. Raises StoreError."""
    if file.attrs.get("format") != FORMAT or file.attrs.get("version") != VERSION:
        raise StoreError(f"{file.filename} is not a {FORMAT} file of version {VERSION}")
    for name, kind in {"payload": np.uint8, "offsets": np.uint64}.items():
        link = file.get(name, getlink=True)
        data = file[name] if isinstance(link, h5py.HardLink) else None
        plain = isinstance(data, h5py.Dataset) and data.dtype == kind and data.ndim == 1
        if not plain or data.chunks or data.is_virtual or data.external:
            raise StoreError(f"{file.filename}: {name} is not a plain contiguous dataset")


def write_text(path: Path, text: str) -> None:
    """Write a file that appears complete or not at all."""
    aside = path.with_name(f"{path.name}.aside")
    aside.write_text(text, newline="")
    replace(aside, path)


def replace(aside: Path, path: Path) -> None:
    """Give a finished file its name once its bytes are on the disk."""
    with open(aside, "rb") as handle:
        os.fsync(handle.fileno())
    os.replace(aside, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
