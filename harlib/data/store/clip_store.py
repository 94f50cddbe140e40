"""The clip store: one HDF5 file per category per split, and an index with one row per video.

<root>/store.json               settings, categories, where each file's arrays lie; written last
<root>/index.csv                a row per stored video
<root>/audit.csv                a row per listed video: what became of it
<root>/look_alikes.json, .csv   videos that look alike, see `look_alikes`
<root>/.sources.json            sizes and times of the videos' files, see `source_files`
<root>/<split>/<category>.h5    see `category_file`
"""

import hashlib
import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from multiprocessing.context import get_spawning_popen
from multiprocessing.heap import BufferWrapper
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harlib.data.store import category_file
from harlib.data.store.category_file import FORMAT, VERSION, StoreError
from harlib.data.store.codecs import CODECS, CodecError
from harlib.data.video.container import MAX_PIXELS

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


class ClipStore:
    """Random access to the clips of a prepared data set; thread-safe and picklable.

    A video's bytes are compared with their checksum when it is first read, once in a run: reading
    processes share what has been compared. At 2 ms a MB (Zen 3) that takes 3 % of one clip's time
    for H.264, half of it for JPEG and that of 13 clips for raw videos of 173 frames: beside what
    learning from a clip takes, over the epochs of a run, less than 1 % of each.

    Attributes:
        videos: table with one row per video, in the order split, category, video_id: `video_id,
            category, label, split, group, frames, height, width, fps`.
        categories: sorted names; a video's `label` is its category's place here.
        codec: "raw", "jpeg" or "h264".
        hash: 12 hex digits that name the content.
        bytes: size of all category files.
        settings: what `prepare` was called with: codec, size, fps, quality.

    Raises:
        StoreError: there is no complete store at `root`.
    """

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = Path(root)
        about = read_about(self.root)
        index = read_index(self.root, about, checksums=True)
        self.codec: str = about["settings"]["codec"]
        self.settings: dict = about["settings"]
        self.categories: list[str] = about["categories"]
        self.hash: str = about["hash"]
        self.bytes: int = sum(file["bytes"] for file in about["files"])
        self._files = about["files"]
        # plain arrays: a table look-up costs more than reading a raw clip
        self._file, self._first = index.pop("file").to_numpy(), index.pop("first").to_numpy()
        self._checksums = index.pop("checksum").to_numpy("S16")
        self._compared = np.zeros(len(index), np.uint8)  # 1 for a video that has been
        self._shared = None  # the memory of that, once reading processes share it
        self._sizes = index[["frames", "height", "width"]].to_numpy()
        self.videos: pd.DataFrame = index
        self._decode = CODECS[self.codec].decode
        self._maps: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return ClipStore, (self.root,), self.__getstate__()

    def __getstate__(self) -> Any:
        if get_spawning_popen() is None:
            return None  # into a file, or to another machine
        if self._shared is None:
            before = self._compared
            self.__setstate__(BufferWrapper(max(1, len(before))))
            self._compared[:] = before
        return self._shared

    def __setstate__(self, shared: Any) -> None:
        self._shared = shared
        self._compared = np.frombuffer(shared.create_memoryview(), np.uint8, len(self))

    def __len__(self) -> int:
        return len(self.videos)

    def __repr__(self) -> str:
        return (
            f"ClipStore({str(self.root)!r}: {len(self)} videos, {len(self.categories)} categories, "
            f"{self.codec}, {self.bytes / 1e6:,.1f} MB, {self.hash})"
        )

    def rows(self, split: str) -> np.ndarray:
        """Indices of a split's videos, int (videos,).

        Raises:
            StoreError: an unknown split.
        """
        rows = np.flatnonzero((self.videos["split"] == split).to_numpy())
        if not len(rows):
            known = ", ".join(sorted(self.videos["split"].unique()))
            raise StoreError(f"{self.root} has no videos in split {split!r}; it has: {known}")
        return rows

    def read(self, index: int, frames: np.ndarray | Sequence[int]) -> np.ndarray:
        """The video's frames of these numbers, uint8 (len(frames), height, width, 3).

        Equally spaced frames of a raw store are a read-only view of the file: copy to change them.

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
        file = self._mapped(self._file[index])
        file.check()
        own = file.offsets[self._first[index] :][: length + 1]
        if not self._compared[index]:
            if category_file.checksum(file.payload, own).encode() != self._checksums[index]:
                raise StoreError(
                    f"{self._name(index)}: its stored bytes are not those that were written; "
                    "`har verify` lists every damaged video"
                )
            self._compared[index] = 1
        try:
            return self._decode(file.payload, own, frames, height, width)
        except CodecError as error:
            raise StoreError(
                f"{self._name(index)}: {error}; `har verify` lists every damaged video"
            ) from error

    def _name(self, index: int) -> str:
        video = self.videos.iloc[index]
        return f"video {video['video_id']} ({video['category']}, {video['split']})"

    def _mapped(self, number: int) -> category_file.Mapped:
        """A category file, mapped when first used."""
        with self._lock:
            if number not in self._maps:
                file = self._files[number]
                self._maps[number] = category_file.mapped(self.root / file["path"], file)
                if len(self._maps) > MAPS:
                    # the file that was read longest ago; readers in other threads keep the arrays
                    # they hold, and the last one unmaps
                    self._maps.popitem(last=False)
            self._maps.move_to_end(number)
            return self._maps[number]


def read_about(root: Path) -> dict:
    """store.json, checked.

    Raises:
        StoreError: it is missing, damaged or of another kind.
    """
    category_file.refuse_pipe(root / "store.json")
    try:
        about = json.loads((root / "store.json").read_text())
    except FileNotFoundError:
        state = "it was not finished" if (root / ".parts").is_dir() else "store.json is missing"
        inside = sorted(path.parent for path in root.glob("*/store.json"))
        remedy = f"it holds one: {inside[0]}" if inside else "run `har prepare`"
        raise StoreError(f"no clip store at {root}: {state}; {remedy}") from None
    except ValueError as error:
        raise StoreError(f"{root}/store.json is not JSON: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise StoreError(f"{root}/store.json does not describe a {FORMAT} store")
    about = dict(about)
    if about.pop("digest", None) != about_digest(about):
        raise StoreError(f"{root}/store.json is damaged: its digest is wrong")
    if about["version"] != VERSION:
        raise StoreError(f"{root} has version {about['version']}; this harlib reads {VERSION}")
    if about["settings"]["codec"] not in CODECS:
        raise StoreError(f"{root} has codec {about['settings']['codec']!r}; known: {[*CODECS]}")
    for file in about["files"]:
        ours = re.fullmatch(r"[\w-]+/[\w.-]+\.h5", file["path"])
        spans = (file["payload"], 1), (file["offsets"], 8)
        if not ours or any(
            start < 0 or count < 0 or start + count * size > file["bytes"]
            for (start, count), size in spans
        ):
            raise StoreError(f"{root}/store.json: impossible entry for file {file['path']!r}")
    return about


def about_digest(about: dict) -> str:
    """12 hex digits of store.json's content, kept in it as `digest`."""
    return short_hash(json.dumps(about, sort_keys=True))


def short_hash(text: str | bytes) -> str:
    """12 hex digits of the SHA-256.

    >>> short_hash("a"), short_hash(b"a")
    ('ca978112ca1b', 'ca978112ca1b')
    """
    data = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:12]


def read_index(root: Path, about: dict, *, checksums: bool = False) -> pd.DataFrame:
    """index.csv with `file` and `first` (frame in the file), checked against store.json."""
    category_file.refuse_pipe(root / "index.csv")
    try:
        data = (root / "index.csv").read_bytes()
    except OSError as error:
        raise StoreError(f"{root}/index.csv cannot be read: {error.strerror}") from error
    if short_hash(data) != about["hash"]:
        raise StoreError(f"{root}/index.csv is not the one store.json names ({about['hash']})")
    columns = [name for name in INDEX_TYPES if checksums or name != "checksum"]
    try:
        index = pd.read_csv(
            root / "index.csv", usecols=columns, dtype=INDEX_TYPES, keep_default_na=False
        )[columns]
    except (ValueError, OverflowError) as error:
        line = str(error).strip().splitlines()[-1]
        raise StoreError(f"{root}/index.csv is no index of a store: {line}") from error
    _check_ranges(root, index, about)
    for name in ("category", "split"):  # read as codes for memory, handed out as plain text
        index[name] = index[name].astype(str)
    return index


def _check_ranges(root: Path, index: pd.DataFrame, about: dict) -> None:
    """Refuse videos that lie outside their files or categories, or are of absurd sizes."""
    frames, first = (index[name].to_numpy(np.int64) for name in ("frames", "first"))
    sides = index[["height", "width"]].to_numpy(np.int64)
    numbers = {"file": len(about["files"]), "label": len(about["categories"])}
    right = (frames > 0) & (first >= 0) & (sides > 0).all(1) & (sides.prod(1) <= MAX_PIXELS)
    for name, count in numbers.items():
        right &= ((index[name] >= 0) & (index[name] < count)).to_numpy()
    # a file has an offset more than frames
    offsets = np.array([file["offsets"][1] for file in about["files"]], np.int64)
    inside = np.flatnonzero(right)
    right[inside] = first[inside] < offsets[index["file"].to_numpy()[inside]] - frames[inside]
    if not right.all():
        row = index.iloc[int(right.argmin())]
        values = ", ".join(
            f"{name} {row[name]}"
            for name in ("file", "label", "first", "frames", "height", "width")
        )
        raise StoreError(
            f"{root}/index.csv: impossible entry for video {row['video_id']!r}: {values}"
        )
