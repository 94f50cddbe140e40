"""What the system refused (`OSError`) as one line: the path, why, and what helps."""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

_REMEDIES = {
    errno.ENOENT: "check the name",
    errno.EACCES: "give yourself the right to it (chmod, chown), or name another place",
    errno.EPERM: "give yourself the right to it (chmod, chown), or name another place",
    errno.EROFS: "name a place that can be written to",
    errno.ENOSPC: "make room, then run the same command again",
    errno.EDQUOT: "make room in your quota, then run the same command again",
    errno.EFBIG: "name a place on another disk: this one takes no file as large",
    errno.ENOTDIR: "name a folder; a part of this path is a file",
    errno.EISDIR: "name a file; this is a folder",
    errno.EEXIST: "name another, or move it away",
    errno.ENOTEMPTY: "name another, or move it away",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "a link in it leads back to itself: remove the link",
    errno.EMFILE: "allow more open files (ulimit -n), or use fewer workers",
    errno.ENFILE: "close programs that hold many files open",
    errno.EIO: "the disk has a fault: look at dmesg, and copy what can still be read",
    errno.ESTALE: "the network disk lost it: mount it again",
    errno.EBUSY: "another program uses it: end that, or name another place",
    errno.ENOMEM: "use less memory: a smaller batch, fewer workers",
    errno.EADDRINUSE: "another program listens there: give another port",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LITTLE = 10_000_000  # bytes that are left on a disk called full


def line(error: OSError, paths: Iterable[Path] = ()) -> str:
    """One line about `error`; `paths` are what the command worked on, for one without a path.

    An error that harlib raised with a text of its own has no number, and is that text.
    """
    if error.errno is None:
        return " ".join(str(error).split())
    places = (
        [error.filename, error.filename2] if error.filename is not None else _places(error, paths)
    )
    where = " and ".join(_text(place) for place in places if place is not None)
    why = os.strerror(error.errno) if error.errno in errno.errorcode else error.strerror
    remedy = _REMEDIES.get(error.errno, "har --debug shows where it happened")
    return f"{where or 'the system'}: {why}; {remedy}"


def _places(error: OSError, paths: Iterable[Path]) -> list[Path]:
    """Of a full disk, the paths on it."""
    paths = [Path(path) for path in paths]
    if error.errno not in _FULL:
        return paths
    full = [path for path in paths if shutil.disk_usage(_there(path)).free < _LITTLE]
    return full or paths


def _there(path: Path) -> Path:
    """The path, or the nearest folder above that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _text(place: object) -> str:
    text = os.fsdecode(place) if isinstance(place, str | bytes | os.PathLike) else str(place)
    text = text if len(text) <= 200 else f"{text[:197]}..."
    return text if text.isprintable() else repr(text)
