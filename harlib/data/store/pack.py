"""Some videos -> one part file of a store: their packed frames and a record each."""

import errno
import math
import multiprocessing
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from harlib import HarlibError, processes
from harlib.data.catalog import names
from harlib.data.catalog.published_lists import KINETICS_NAME
from harlib.data.store import parts, source_files
from harlib.data.store.category_file import hasher
from harlib.data.store.codecs import CODECS
from harlib.data.video import tar_shards
from harlib.data.video.container import VideoError
from harlib.data.video.reader import VideoReader

SHORT = 0.9  # decoded time below this share of what the file or the list promises is "short"
MAX_S = 1e6  # a part that begins later is a slip: eleven days


class PrepareError(HarlibError):
    """Preparation cannot start or continue; the message is one line."""


@dataclass(frozen=True)
class Settings:
    """How videos are stored; see `harlib.data.store.prepare.prepare`.

    Raises:
        PrepareError: a value is out of its range.
    """

    codec: str = "jpeg"
    size: int | tuple[int, int] | None = 128
    fps: float | None = None
    quality: int = 90

    def __post_init__(self) -> None:
        if isinstance(self.size, list | tuple):  # frozen, but not yet
            object.__setattr__(self, "size", tuple(int(side) for side in self.size))
        if self.codec not in CODECS:
            raise PrepareError(f"unknown codec {self.codec!r}; known: {', '.join(CODECS)}")
        sides: tuple = self.size if isinstance(self.size, tuple) else (self.size,) * 2
        if self.size is not None and (
            len(sides) != 2 or not all(isinstance(s, int) and 8 <= s <= 4096 for s in sides)
        ):
            raise PrepareError(
                f"size is {self.size!r}: it must be a short side of 8 to 4096 pixels, "
                "(height, width), or None for the size as recorded"
            )
        if self.codec == "h264" and isinstance(self.size, tuple) and any(s % 2 for s in sides):
            raise PrepareError(f"size is {self.size!r}: H.264 needs even sides, as in (128, 170)")
        if not 1 <= self.quality <= 100:
            raise PrepareError(f"quality is {self.quality}: it must be from 1 to 100")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise PrepareError(f"fps is {self.fps}: it must be above 0 and at most 1000, or None")


Content = bytes | tar_shards.ShardError | None  # of a shard's member; None of a plain file


def write_part(
    path: Path, rows: list[dict], settings: Settings, key: str, apart: bool = False
) -> None:
    """Decode and pack a catalog's rows, whose `row` is their number there, into a part file.

    Rows of one shard are packed in the shard's order. With `apart` every video is decoded in a
    process of its own: one that crashes the decoder costs itself alone.
    """
    cv2.setNumThreads(1)  # videos run in parallel, not the pixels of one frame
    pack = _pack_apart if apart else _pack
    with parts.writing(path, key) as (payload, records):
        for row, content in _contents(rows):
            records.append({"row": row["row"], **pack(row, content, settings, payload)})


def _contents(rows: list[dict]) -> Iterator[tuple[dict, Content]]:
    """(row, the video's bytes or why there are none); None for a video in a file of its own."""
    inside = tar_shards.split(rows[0]["path"])
    if inside is None or not os.path.isfile(inside[0]):
        yield from ((row, None) for row in rows)
        return
    wanted = defaultdict(list)  # several rows may be parts of one long video
    for row in rows:
        address = tar_shards.split(row["path"])
        assert address is not None  # as the first row
        wanted[address[1]].append(row)
    for member, content in tar_shards.stream(inside[0], set(wanted)):
        yield from ((row, content) for row in wanted[member])


def _pack_apart(row: dict, content: Content, settings: Settings, payload: BinaryIO) -> dict:
    """`_pack` in a child process, which writes to the same file.

    Windows forks no processes: there a decoder that crashes ends the preparation.
    """
    if not hasattr(os, "fork"):
        return _pack(row, content, settings, payload)
    payload.flush()
    begin = payload.tell()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    parent = os.getpid()
    # forked: what was imported stays, and the child has the open file; not by multiprocessing,
    # which lets daemonic processes, such as Dask's workers, have no children
    child = os.fork()
    if not child:
        try:
            _send_packed(parent, sender, row, content, settings, payload)
        finally:
            os._exit(1)  # nobody asks how, once the record is sent
    sender.close()
    try:
        record = receiver.recv()
    except EOFError:
        record = None
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if isinstance(record, Exception):
        raise record
    if record is not None:
        payload.seek(begin + sum(record["lengths"]))
        return record
    payload.seek(begin)
    payload.truncate()
    if code in (-signal.SIGKILL, -signal.SIGTERM):
        raise PrepareError(f"{row['path']}: its decoder was killed, perhaps for want of memory")
    how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
    crashed = {"status": "unreadable", "reason": f"the decoder crashed ({how})"}
    with suppress(_Refused):
        crashed["source"] = _source(row, content)
    return _record(row) | crashed


def _send_packed(
    parent: int, sender: Any, row: dict, content: Content, settings: Settings, payload: BinaryIO
) -> None:
    processes.follow(parent)
    record: dict | Exception
    try:
        record = _pack(row, content, settings, payload)
        payload.flush()
    except Exception as error:  # handed to the parent, which raises it
        record = error
    sender.send(record)


def _record(row: dict) -> dict:
    return {
        "video_id": row["video_id"],
        "group": row["group"],
        "file": names.printable(os.path.basename(row["path"])),
        "source": "",
        "status": "ok",
        "reason": "",
        "frames": 0,
        "height": 0,
        "width": 0,
        "fps": 0.0,
        "checksum": "",
        "lengths": [],
    }


class _Refused(Exception):
    """A video that is no part of the store: `args` are its status and the reason."""


def _pack(row: dict, content: Content, settings: Settings, payload: BinaryIO) -> dict:
    """Append one video's chunks to `payload`; returns its record.

    Whatever reading the video raises becomes the record's reason; what writing raises does not.
    """
    record = _record(row)
    begin, lengths, digest = payload.tell(), [], hasher()
    try:
        record["source"] = _source(row, content)
        reader, chunks = _chunks(row, content, settings)
        for chunk in chunks:
            payload.write(chunk)
            digest.update(chunk)
            lengths.append(len(chunk))
    except _Refused as refusal:
        payload.seek(begin)
        payload.truncate()
        status, reason = refusal.args
        return record | {"status": status, "reason": names.printable(reason)}
    if len(lengths) != reader.yielded:
        raise PrepareError(
            f"{row['path']}: the {settings.codec} encoder made {len(lengths)} chunks of "
            f"{reader.yielded} frames"
        )
    digest.update(np.array(lengths, np.int64).tobytes())
    reason = _shortness(reader, row)
    height, width = reader.shape
    return record | {
        "status": "short" if reason else "ok",
        "reason": reason,
        "frames": len(lengths),
        "height": height,
        "width": width,
        "fps": settings.fps or round(reader.decoded / reader.span_s, 4),
        "checksum": digest.hexdigest(),
        "lengths": lengths,
    }


def _source(row: dict, content: Content) -> str:
    """The digest of the video's file or member. Raises _Refused where there is none to read."""
    if isinstance(content, tar_shards.ShardError):
        raise _Refused("unreadable", str(content))
    with _reasons():
        return source_files.digest(row["path"] if content is None else content)


def _chunks(row: dict, content: Content, settings: Settings) -> tuple[VideoReader, Iterator[bytes]]:
    """(the video's reader, its packed frames as they are read). Both raise _Refused."""
    if isinstance(content, tar_shards.ShardError):
        raise _Refused("unreadable", str(content))
    with _reasons():
        start, end = row["start_s"], row["end_s"]
        for second in (start, end):
            if not (math.isnan(second) or 0 <= second <= MAX_S):
                raise ValueError(f"there is no part from {start:g} s to {end:g} s")
        reader = VideoReader(
            row["path"],
            size=settings.size,
            fps=settings.fps,
            start_s=start,
            end_s=end,
            data=content,
        )

    def packed() -> Iterator[bytes]:
        with _reasons(), reader:
            yield from CODECS[settings.codec].encode(iter(reader), settings.quality)

    return reader, packed()


@contextmanager
def _reasons() -> Iterator[None]:
    """Makes a _Refused of whatever the block raises."""
    try:
        yield
    except FileNotFoundError:
        raise _Refused("missing", "no such file") from None
    except Exception as error:
        if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):  # no fault of the file
            raise
        raise _Refused("unreadable", _said(error)) from error


def _said(error: Exception) -> str:
    if isinstance(error, VideoError):
        return error.reason
    text = getattr(error, "strerror", None) or str(error).strip()
    if isinstance(error, OSError | ValueError) and text:
        return text
    return f"{type(error).__name__}: {text}".rstrip(": ")


def _shortness(reader: VideoReader, row: dict) -> str:
    """In what the decoded video falls short of its promise, or ""."""
    whole = math.isnan(row["end_s"])
    promised = reader.promised_s if whole else row["end_s"] - reader.start_s
    by = "file" if whole else "list"
    if whole and (trimmed := KINETICS_NAME.fullmatch(row["video_id"])):
        listed = int(trimmed[3]) - int(trimmed[2])  # such a file holds this part alone
        promised, by = max((promised, by), (listed, "list"))
    if reader.span_s < SHORT * promised:
        return f"{reader.span_s:.2f} s decoded of {promised:.2f} s that the {by} promises"
    return reader.remark
