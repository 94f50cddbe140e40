"""One category's HDF5 file in a clip store: written complete or not at all, read by mapping.

    payload   uint8 (bytes,)        all videos' chunks, one a frame, in order
    offsets   uint64 (frames + 1,)  frame i of the file is payload[offsets[i]:offsets[i + 1]]
    videos/*  one value per listed video; a video that could not be decoded has 0 frames

Both arrays are stored contiguous, so reading needs neither the HDF5 library nor its lock.
"""

import hashlib
import io
import mmap
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd

from harlib import HarlibError
from harlib.files import appearing

FORMAT, VERSION = "harlib-clips", 1
BLOCK = 1 << 26  # bytes copied or hashed at a time


class StoreError(HarlibError):
    """A clip store that is missing, unfinished, damaged or foreign."""


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


def write(path: Path, attributes: dict, videos: list[tuple[Path, int, dict]]) -> None:
    """Assemble a file from videos: (file with its chunks, place of the first byte, record).

    `record["lengths"]` holds the sizes of the video's chunks, the rest is kept beside them.
    """
    lengths = np.concatenate([record["lengths"] for _, _, record in videos]).astype(np.int64)
    with appearing(path) as aside, _Sink(aside) as sink, h5py.File(sink, "w") as file:
        file.attrs.update(format=FORMAT, version=VERSION, **attributes)
        file["offsets"] = np.append(0, np.cumsum(lengths)).astype(np.uint64)
        payload = file.create_dataset("payload", (int(lengths.sum()),), np.uint8)
        place = 0
        for begin, end, source in _spans(videos):
            with open(source, "rb") as handle:
                handle.seek(begin)
                while begin < end:
                    block = handle.read(min(BLOCK, end - begin))
                    if not block:
                        raise StoreError(f"{source} ends before its chunks do; run prepare again")
                    payload[place : place + len(block)] = np.frombuffer(block, np.uint8)
                    sink.check()
                    place += len(block)
                    begin += len(block)
        group = file.create_group("videos")
        for name in videos[0][2]:
            if name != "lengths":
                column = np.array([record[name] for _, _, record in videos])
                text = column.dtype.kind == "U"
                group[name] = np.char.encode(column, "utf-8") if text else column
        file.close()  # before it is synced and renamed
        sink.check()


class _Sink(io.FileIO):
    """A file that HDF5 writes to, which hears of no error.

    Closing a file on a full disk, HDF5 1.14 ends the process. `check` raises the first error.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        data = memoryview(data).cast("B")
        written = 0
        try:
            while self._error is None and written < len(data):
                written += self._write(data[written:])
        except OSError as error:
            self._error = error
        return len(data)

    def _write(self, data: Any) -> int:
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size or 0

    def flush(self) -> None:
        """Nothing is kept back."""

    def check(self) -> None:
        if self._error:
            raise self._error


def _spans(videos: Any) -> list[list]:
    """[begin, end, source] of the videos' chunks, neighbours in one file joined."""
    spans: list[list] = []
    for source, begin, record in videos:
        end = begin + int(record["lengths"].sum(dtype=np.int64))
        if spans and spans[-1][1:] == [begin, source]:
            spans[-1][1] = end
        else:
            spans.append([begin, end, source])
    return spans


def records(path: Path) -> pd.DataFrame:
    """The values a file keeps for every listed video, a row each."""
    with h5py.File(path, "r") as file:
        columns = {name: data[()] for name, data in file["videos"].items()}
    return pd.DataFrame(
        {
            name: np.char.decode(column, "utf-8") if column.dtype.kind == "S" else column
            for name, column in columns.items()
        }
    )


def key(path: Path) -> str | None:
    """The preparation a complete file belongs to; None for any other file."""
    try:
        refuse_pipe(path)
        with h5py.File(path, "r") as file:
            _check(file)
            return str(file.attrs["key"])
    except (OSError, KeyError, RuntimeError, StoreError):
        return None


def describe(root: Path, path: Path) -> dict:
    """What store.json says of a file: path, size, and where both arrays lie (offset, length).

    With a digest of everything but the payload, whose bytes have their videos' checksums.
    """
    refuse_pipe(path)
    with h5py.File(path, "r") as file:
        _check(file)
        spans = {
            name: [file[name].id.get_offset() or 0, file[name].size]
            for name in ("payload", "offsets")
        }
    begin, count = spans["payload"]
    digest = hashlib.blake2b(digest_size=8)
    with open(path, "rb") as handle:
        digest.update(handle.read(begin))
        handle.seek(begin + count)
        while block := handle.read(BLOCK):
            digest.update(block)
    return {
        "path": path.relative_to(root).as_posix(),
        "bytes": path.stat().st_size,
        **spans,
        "digest": digest.hexdigest(),
    }


def is_described(root: Path, place: dict) -> bool:
    """Whether all of a file but its payload is as `describe` found it."""
    try:
        return describe(root, root / place["path"]) == place
    except (OSError, KeyError, RuntimeError, ValueError):
        return False


def _check(file: h5py.File) -> None:
    """Refuse a file that is not ours, or whose data lie in other files."""
    if file.attrs.get("format") != FORMAT or file.attrs.get("version") != VERSION:
        raise StoreError(f"{file.filename} is not a {FORMAT} file of version {VERSION}")
    for name, kind in {"payload": np.uint8, "offsets": np.uint64}.items():
        link = file.get(name, getlink=True)
        data = file[name] if isinstance(link, h5py.HardLink) else None
        plain = isinstance(data, h5py.Dataset) and data.dtype == kind and data.ndim == 1
        if data is None or not plain or data.chunks or data.is_virtual or data.external:
            raise StoreError(f"{file.filename}: {name} is not a plain contiguous dataset")


def refuse_pipe(path: Path) -> None:
    """Refuse what is there and no file: a pipe or device would be waited for without end.

    Raises:
        StoreError: it is one.
    """
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is no file but a pipe, a device or a folder")


class Mapped(NamedTuple):
    """A file's arrays in mapped memory: payload uint8 (bytes,), offsets int64 (frames + 1,)."""

    payload: np.ndarray
    offsets: np.ndarray
    memory: mmap.mmap
    path: Path

    def check(self) -> None:
        """To be called before the arrays are read.

        Raises:
            StoreError: the file was cut since; reading it, the system would end the process
                (SIGBUS).
        """
        if (size := self.memory.size()) < len(self.memory):
            raise StoreError(
                f"{self.path} was cut while it was in use: it has {size} bytes, the index says "
                f"{len(self.memory)}"
            )


def mapped(path: Path, place: dict) -> Mapped:
    """A file's arrays, memory-mapped; `place` is what `describe` gave.

    Raises:
        StoreError: the file is not the one that was described.
    """
    refuse_pipe(path)
    try:
        with open(path, "rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            if size != place["bytes"]:
                raise StoreError(f"{path} has {size} bytes; the index says {place['bytes']}")
            memory = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from error
    (begin, count), (first, frames) = place["payload"], place["offsets"]
    payload = np.frombuffer(memory, np.uint8, count, begin) if count else np.empty(0, np.uint8)
    return Mapped(payload, np.frombuffer(memory, np.int64, frames, first), memory, path)


def hasher() -> "hashlib.blake2b":
    """For a video's checksum: fed with its chunks, then with their sizes as int64."""
    return hashlib.blake2b(digest_size=8)


def checksum(payload: np.ndarray, offsets: np.ndarray) -> str:
    """16 hex digits of the video between these offsets, int64 (frames + 1,)."""
    digest = hasher()
    digest.update(payload[max(offsets[0], 0) : max(offsets[-1], 0)].data)
    digest.update(np.diff(offsets).tobytes())
    return digest.hexdigest()
