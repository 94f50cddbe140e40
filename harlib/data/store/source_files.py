"""Are the videos still those that a clip store was made from?

Preparing keeps a digest of each video's content with its record (`source`) and, beside a finished
store, the sizes and times of all files. A file whose size and times are as they were is taken for
unchanged, which costs nothing. Another one is read again as a whole and compared: a copied or
restored data set once, at the disk's speed and at most 1.4 GB/s of a core (SHA-256, Zen 3), where
decoding it took a thousand times longer. Sizes alone, or samples of a file, would miss a change.
Of a folder of frames all this is said of its frames together.
"""

import errno
import functools
import hashlib
import json
import os
import stat
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import joblib

from harlib.data.video import images, tar_shards
from harlib.files import write_text

_KEPT = ".sources.json"


def digest(source: str | os.PathLike | bytes) -> str:
    """16 hex digits of the content of a file, of a folder of frames, or of a member read already.

    Raises:
        OSError: the file cannot be read.
        FileNotFoundError: there is none.
        ValueError: it is a folder without frames, a pipe or a device.
    """
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()[:16]
    place = images.split(source)[0]
    try:
        about = os.stat(place)
    except (NotADirectoryError, FileNotFoundError):
        raise FileNotFoundError("no such file") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise FileNotFoundError("no such file") from None
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a link that leads to itself") from None
        raise
    if stat.S_ISDIR(about.st_mode):
        return _digest_of_frames(place, *_stamp_of_frames(place))
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("it is a pipe or device, not a file")
    return _digest(place, *_stamp(about))


@functools.lru_cache(maxsize=64)  # many rows may be parts of one long video
def _digest(path: str, *stamp: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@functools.lru_cache(maxsize=64)
def _digest_of_frames(folder: str, *stamp: int) -> str:
    whole = hashlib.sha256()
    for path in images.content(folder):
        whole.update(os.fsencode(os.path.basename(path)) + b"\0")
        if os.path.isfile(path):  # a pipe would be waited for
            with suppress(PermissionError), open(path, "rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


def _stamp(about: os.stat_result) -> list[int]:
    # the time of a change cannot be set back, as that of a modification can
    return [about.st_size, about.st_mtime_ns, about.st_ctime_ns]


def _stamp_of_frames(folder: str) -> list[int]:
    """The frames' bytes, and the sums of their times and the folder's own, which renaming sets."""
    size, *times = _stamp(os.stat(folder))
    size = 0  # of the folder itself, as the disk's format has it
    for path in images.content(folder):
        with suppress(OSError):  # a link to nothing: a frame that cannot be read
            own, *others = _stamp(os.stat(path))
            size += own
            times = [a + b for a, b in zip(times, others, strict=True)]
    return [size, *times]


def stamps(paths: list[str]) -> list[list[int]]:
    """Size in bytes and times of each video's file (of a member: its shard); [-1] without one.

    Of a folder of frames they are sums.
    """
    known = {}

    def stamp(path: str) -> list:
        file = (tar_shards.split(path) or images.split(path))[0]
        if file not in known:
            known[file] = [-1]
            with suppress(OSError, ValueError):  # preparing says what it is
                about = os.stat(file) if file else None
                if about and stat.S_ISREG(about.st_mode):
                    known[file] = _stamp(about)
                elif about and stat.S_ISDIR(about.st_mode):
                    known[file] = _stamp_of_frames(file)
        return known[file]

    return [stamp(path) for path in paths]


def keep(root: Path, key: str, stamped: list[list[int]]) -> None:
    """Remember the files as they were when the store `key` was made or compared."""
    write_text(root / _KEPT, json.dumps({"key": key, "stamps": stamped}))


def are_kept(root: Path, key: str) -> bool:
    """Whether `keep` has remembered the files of the store `key`."""
    return bool(_before(root, key))


def touched(root: Path, key: str, stamped: list[list[int]]) -> set[int]:
    """Rows whose file is not as `keep` found it; all where it has not."""
    before = _before(root, key)
    if len(before) != len(stamped):
        return set(range(len(stamped)))
    pairs = zip(before, stamped, strict=True)
    return {row for row, (old, new) in enumerate(pairs) if old != new}


def _before(root: Path, key: str) -> list[list[int]]:
    try:
        kept = json.loads((root / _KEPT).read_text())
        return kept["stamps"] if kept["key"] == key else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def changed(paths: dict[int, str], digests: dict[int, str]) -> list[int]:
    """Of some videos (row -> path), those whose content is no longer that of `digests`."""
    by_shard, single = defaultdict(set), []
    for path in set(paths.values()):
        inside = tar_shards.split(path)
        if inside and os.path.isfile(inside[0]):
            by_shard[inside[0]].add(inside[1])
        else:
            single.append(path)
    jobs = [joblib.delayed(_of_file)(path) for path in single]
    jobs += [joblib.delayed(_of_shard)(shard, members) for shard, members in by_shard.items()]
    # reading and hashing let threads run
    parallel = joblib.Parallel(n_jobs=-1, prefer="threads")
    now = {path: found for part in parallel(jobs) for path, found in part.items()}
    return sorted(row for row, path in paths.items() if now[path] != digests[row])


def _of_file(path: str) -> dict[str, str]:
    try:
        return {path: digest(path)}
    except (OSError, ValueError):  # it was not read either, or is gone
        return {path: ""}


def _of_shard(shard: str, members: set[str]) -> dict[str, str]:
    return {
        tar_shards.address(shard, member): "" if isinstance(content, Exception) else digest(content)
        for member, content in tar_shards.stream(shard, members)
    }
