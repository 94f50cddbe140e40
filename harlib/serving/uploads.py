"""What was sent to a server, on disk while it is looked at, and gone after."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Self

from harlib.data.video import VIDEO_SUFFIXES, images
from harlib.locks import Lock, Locked

_PREFIX = "har-serve-"
_LOCK = "lock"
_FRESH_S = 60.0  # a folder this new may be another server's that has not locked it yet


class Uploads:
    """The folder of the files, in the system's folder for temporary ones (`TMPDIR`).

    Inside `with Uploads() as uploads` it is there; at the end it goes with all that is in it. Those
    that killed servers of this user left go at the next start.
    """

    def __enter__(self) -> Self:
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))  # for its owner alone
        self._lock = Lock(self.folder / _LOCK, f"{self.folder} is in use")
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new(self, name: str) -> Upload:
        """A file for a video that a person calls `name`, of which only a known ending is used."""
        ending = os.path.splitext(name)[1].lower()
        known = ending if ending in VIDEO_SUFFIXES | images.STILL_SUFFIXES else ""
        return Upload(*tempfile.mkstemp(suffix=known, dir=self.folder))


class Upload:
    """A file that grows by what comes.

    Attributes:
        path: where it lies.
        size: its bytes.
    """

    def __init__(self, handle: int, path: str) -> None:
        self.path, self.size = Path(path), 0
        self._file = os.fdopen(handle, "wb")

    def write(self, chunk: bytes) -> None:
        """Adds to it.

        Raises:
            OSError: the disk is full, for one.
        """
        self._file.write(chunk)
        self.size += len(chunk)

    def finish(self) -> None:
        """Nothing more comes."""
        self._file.close()

    def remove(self) -> None:
        """Deletes it; once more does nothing."""
        with contextlib.suppress(OSError):  # of a full disk: what was held back is not needed
            self._file.close()
        # Windows deletes no file that the worker reads: it goes with the folder
        with contextlib.suppress(PermissionError):
            self.path.unlink(missing_ok=True)


def sweep() -> None:
    """Deletes the folders that killed servers of this user left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            about = folder.lstat()
            own = not hasattr(os, "getuid") or about.st_uid == os.getuid()
            if not own or folder.is_symlink() or time.time() - about.st_mtime < _FRESH_S:
                continue
            with Lock(folder / _LOCK, f"{folder} is in use"):
                shutil.rmtree(folder, ignore_errors=True)
        except (Locked, OSError):
            continue  # it is in use, or another server sweeps it
