"""One process at a time: a lock that says who holds it, and ends with its process."""

import contextlib
import errno
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import IO, Self

import psutil

from harlib import HarlibError

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

# Some network file systems have no locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_ENDING_S = 10.0  # what a killed process started, and its hold on the lock, ends within this


class Locked(HarlibError):
    """Another process is at work; the message says which one and since when.

    Attributes:
        pid: its number, 0 when it is not known; on this machine, unless `host` is another.
    """

    def __init__(self, what: str, holder: dict) -> None:
        self.pid, self.host = holder.get("pid", 0), holder.get("host", "")
        who = "another process"
        if holder:
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
            who = f"process {self.pid} on {self.host}, since {since} ({holder['command']})"
        super().__init__(f"{what} by {who}: wait for its end, or end it")


class Lock:
    """The lock of a file, held until `release` or the end of this process.

    Its children hold it too where they inherit its open file. The kernel lets go of it, so one
    that a killed process left is free; on NFS the server does.

    Args:
        path: of the lock's own file, which `release` removes.
        what: begins the message, as in "STORE is being prepared".

    Raises:
        Locked: another process holds it.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        while (handle := self._taken()) is None:
            holder = _holder(self.path)
            if _lives(holder) or time.monotonic() - begun > (_ENDING_S if holder else 1):
                raise Locked(what, holder)
            time.sleep(0.1)
        self.file = handle
        about = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.time(),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
        }
        handle.seek(0)
        handle.truncate()
        handle.write(json.dumps(about))
        handle.flush()

    def _taken(self) -> IO[str] | None:
        """The open file, locked; None when another process has it."""
        handle = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115 - kept open
        try:
            _lock(handle)
            # else the one who held it has removed the file meanwhile
            if os.path.samestat(os.fstat(handle.fileno()), os.stat(self.path)):
                return handle
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError as error:
            if error.errno in _NO_LOCKS:
                print(
                    f"{self.path.parent} has no file locks ({error.strerror}): see that no other "
                    "process works there",
                    file=sys.stderr,
                )
                return handle
            handle.close()
            raise
        handle.close()
        return None

    def release(self) -> None:
        """Let others have it; nothing when it is released already."""
        if self.file.closed:
            return
        if os.name == "posix":
            self.path.unlink(missing_ok=True)
            self.file.close()
        else:  # Windows removes no open file; a process that takes it in between keeps it
            self.file.close()
            with contextlib.suppress(PermissionError):
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def holder(path: Path) -> str:
    """Who holds the lock of a file, as "process 12 on host"; empty where nobody does.

    It only reads: nobody who begins at this moment is disturbed.
    """
    about = _holder(path)
    return f"process {about['pid']} on {about['host']}" if _lives(about) else ""


def sweep(path: Path) -> None:
    """Removes the file of a lock that a killed process left; one that is held stays."""
    if path.exists():
        with contextlib.suppress(Locked, OSError):
            Lock(path, "").release()


def _lock(handle: IO[str]) -> None:
    """Locks the open file for this process.

    Raises:
        OSError: another process has it, or the file system has no locks.
    """
    if os.name == "posix":
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    handle.seek(1 << 30)  # behind what is written: Windows lets nobody read what is locked
    try:
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows
    except PermissionError as error:  # how Windows says that another process has it
        raise BlockingIOError(*error.args) from error


def _holder(path: Path) -> dict:
    """What a lock's file says of the process that took it; nothing while it is being written."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text())
    return {}


def _lives(holder: dict) -> bool:
    """Whether a process is at work still, as far as can be told from here."""
    if not holder or holder["host"] != socket.gethostname():
        return bool(holder)
    try:
        return psutil.Process(holder["pid"]).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
