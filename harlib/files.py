"""Files that appear whole or not at all, and JSON read back with a clear error."""

import importlib.util
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harlib import HarlibError


@contextmanager
def appearing(path: Path, *, durable: bool = True, suffix: str = ".part") -> Iterator[Path]:
    """A path to write to; when the block ends, the file takes the place of `path` in one rename.

    Where the block fails there is nothing new. What a killed process leaves, `strays` finds.

    Args:
        durable: also survives a power cut: the file and its folder are flushed to the disk.
        suffix: of the path to write to, for what chooses a format by it. With another than the
            file's own nobody who looks for such files takes half a file for one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "notes.txt"
    ...     with appearing(file) as part:
    ...         _ = part.write_text("whole")
    ...         print(file.exists())
    ...     print(file.read_text())
    False
    whole
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # a name of its own: a killed run's orphaned worker may still be writing the same file
    aside = path.with_name(f".part-{uuid.uuid4().hex}-{path.stem}{suffix}")
    try:
        yield aside
        if durable:
            flush(aside)
        os.replace(aside, path)
        if durable:
            flush(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def check_output(path: Path, endings: Iterable[str], *, overwrite: bool = False) -> None:
    """Whether a file that a person names may be written, asked before any work; makes its folder.

    Raises:
        HarlibError: another ending, a package that is missing, a file that is there, or a folder
            into which nothing can be written.
    """
    if path.suffix not in (known := list(endings)):
        raise HarlibError(f"{path} names no format: end it in {', '.join(known)}")
    if path.exists() and not overwrite:
        raise HarlibError(f"{path} is there already: name another file, or give --overwrite")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise HarlibError("parquet files need pyarrow: pip install pyarrow")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarlibError(f"{path}: its folder cannot be made ({error.strerror})") from error
    if not os.access(path.parent, os.W_OK):
        raise HarlibError(f"{path}: nothing can be written into {path.parent}")


def strays(folder: Path) -> Iterable[Path]:
    """Files in the folder that `appearing` began and nobody finished, while no one writes there."""
    return Path(folder).glob(".part-*")


def flush(path: Path) -> None:
    """Waits until a file's content, or a folder's entries, are on the disk."""
    if os.name != "posix" and path.is_dir():
        return  # Windows opens no folder
    handle = os.open(path, os.O_RDWR if os.name != "posix" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Writes a text file (UTF-8, line ends as they are)."""
    with appearing(path, durable=durable) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, content: Any, *, durable: bool = True) -> None:
    """Writes a JSON file that a person can read.

    Raises:
        ValueError: NaN or infinity, which JSON has not; nothing is written.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", durable=durable)


def write_npz(path: Path, **arrays: Any) -> None:
    """Writes arrays as an uncompressed `.npz` file."""
    import numpy as np

    with appearing(path) as part, open(part, "wb") as file:
        np.savez(file, **arrays)
        file.close()  # before it is flushed and renamed


def read_json(path: Path, *keys: str) -> Any:
    """The content of a JSON file, which has these keys.

    Raises:
        HarlibError: it is cut, edited into something else, or lacks a key.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise HarlibError(f"{path} is no JSON ({error}); {_REMEDY}") from error
    if keys and not isinstance(content, dict):
        raise HarlibError(f"{path} holds no table of {', '.join(keys)}; {_REMEDY}")
    if missing := [key for key in keys if key not in content]:
        raise HarlibError(f"{path} lacks {', '.join(missing)}; {_REMEDY}")
    return content


_REMEDY = "it was cut or edited: take it from a copy, or make it again"
