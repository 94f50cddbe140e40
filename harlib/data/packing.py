"""Some videos -> one piece of a store: their packed frames and a record each."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from harlib.data.category_file import appearing, hasher, write_text
from harlib.data.codecs import CODECS, CodecError
from harlib.data.container import VideoError
from harlib.data.video_reader import VideoReader

SHORT = 0.9  # decoded time below this share of what the file or the list promises is "short"


class PrepareError(ValueError):
    """Preparation cannot start or go on; the message is one line."""


@dataclass(frozen=True)
class Settings:
    """How videos are stored; see `harlib.data.prepare.prepare`. Raises PrepareError."""

    codec: str
    size: int | tuple[int, int] | None
    fps: float | None
    quality: int

    def __post_init__(self):
        if self.codec not in CODECS:
            raise PrepareError(f"unknown codec {self.codec!r}; known: {', '.join(CODECS)}")
        sides = self.size if isinstance(self.size, tuple) else (self.size,) * 2
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


def write_piece(path: Path, rows: list[dict], settings: Settings, key: str) -> int:
    """Decode and pack a catalog's rows: `path`.bin holds the chunks, `path`.json the records.

    A piece that is complete already is kept. Returns the number of videos.
    """
    if read_piece(path, key) is None:
        cv2.setNumThreads(1)  # videos run in parallel, not the pixels of one frame
        with appearing(path.with_suffix(".bin")) as aside, open(aside, "wb") as payload:
            records = [_pack(row, settings, payload) for row in rows]
            payload.close()  # before it is synced and renamed
        columns = {name: [record[name] for record in records] for name in records[0]}
        write_text(path.with_suffix(".json"), json.dumps({"key": key, "columns": columns}))
    return len(rows)


def read_piece(path: Path, key: str) -> dict | None:
    """The records of a complete piece of this preparation as columns, else None."""
    try:
        piece = json.loads(path.with_suffix(".json").read_text())
        size = path.with_suffix(".bin").stat().st_size
    except (FileNotFoundError, ValueError):
        return None
    if piece["key"] != key or size != sum(map(sum, piece["columns"]["lengths"])):
        return None
    return piece["columns"]


def _pack(row: dict, settings: Settings, payload) -> dict:
    """Append one video's chunks to `payload`; returns its record."""
    record = {
        "video_id": row["video_id"],
        "group": row["group"],
        "file": os.path.basename(row["path"]).encode(errors="replace").decode(),
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
    begin, lengths, digest = payload.tell(), [], hasher()
    try:
        with VideoReader(
            row["path"],
            size=settings.size,
            fps=settings.fps,
            start_s=row["start_s"],
            end_s=row["end_s"],
        ) as reader:
            for chunk in CODECS[settings.codec].encode(iter(reader), settings.quality):
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


def _shortness(reader: VideoReader, row: dict) -> str:
    """In what the decoded video falls short of its promise, or ""."""
    whole = math.isnan(row["end_s"])
    promised = reader.info.duration_s if whole else row["end_s"] - reader.start_s
    if reader.span_s < SHORT * promised:
        by = "file" if whole else "list"
        return f"{reader.span_s:.2f} s decoded of {promised:.2f} s that the {by} promises"
    if reader.damage:
        return f"{reader.damage} damaged packets, {reader.decoded} frames decoded"
    return ""
