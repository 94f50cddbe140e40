"""What an interrupted scoring has done, so that the next one resumes from there."""

from __future__ import annotations

import hashlib
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harlib.data import ClipStore
from harlib.files import write_npz

if TYPE_CHECKING:
    import keras

EVERY_S = 30.0
FIELDS = ("video", "view", "probabilities", "logs")  # of an answer


def resumed(
    folder: Path | None,
    key: str,
    compute: Callable[[int], Iterable[tuple[np.ndarray, ...]]],
    *,
    fields: Sequence[str] = FIELDS,
    say: Callable[[str], object] = print,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields the answers for all batches: those kept in `folder`, then the missing ones.

    The order, and with it every sum over the answers, is that of an undisturbed scoring. Kept
    answers of another `key` are thrown away, and `say` is told.

    Args:
        folder: None keeps nothing.
        key: `mark` of the scoring; without a folder "".
        compute: called with the number of batches done; gives the answers for the others, tuples
            (video int (n,), view int (n,), probabilities and logs float32 (n, classes)).
        fields: names of an answer's arrays.
    """
    done = 0
    if folder is not None and folder.is_dir():
        for path in _kept(folder, key, say):
            if (answer := _read(path, done, fields)) is None:
                say(f"{path} is damaged, or what came before it is: scored again from there")
                break
            yield answer
            done = int(path.stem.partition("-")[2])
        for path in _after(folder, done):
            path.unlink()
        if done:
            say(f"scoring resumes after {done} batches, which an interrupted one left in {folder}")
    answers, first, saved = [], done, time.monotonic()
    try:
        for answer in compute(done):
            done += 1
            if folder:
                answers.append(answer)
                if time.monotonic() - saved >= EVERY_S:
                    _save(folder, key, first, done, answers, fields)
                    answers, first, saved = [], done, time.monotonic()
            yield answer
    except BaseException:  # Ctrl-C, or the reader gave up: keep the last seconds too
        if folder and answers:
            _save(folder, key, first, done, answers, fields)
        raise


def drop(folder: Path) -> None:
    """Removes what was kept: the scores themselves are saved."""
    shutil.rmtree(folder, ignore_errors=True)


def mark(model: keras.Model, store: ClipStore, **settings: Any) -> str:
    """Hex digits that change with the weights, the precision, the store and the settings."""
    digest = hashlib.sha256(repr((FIELDS, store.hash, sorted(settings.items()))).encode())
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else ()
    digest.update(repr([(type(x).__name__, x.compute_dtype) for x in layers]).encode())
    for weight in getattr(model, "weights", ()):
        values = np.asarray(weight)
        digest.update(repr((values.shape, str(values.dtype))).encode() + values.tobytes())
    return digest.hexdigest()


def _save(
    folder: Path,
    key: str,
    first: int,
    end: int,
    answers: list[tuple[np.ndarray, ...]],
    fields: Sequence[str],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key").write_text(key)
    parts = (np.concatenate(part) for part in zip(*answers, strict=True))
    # the batches it holds: names sort by number
    path = folder / f"{first:012d}-{end:012d}.npz"
    write_npz(path, **dict(zip(fields, parts, strict=True)))


def _kept(folder: Path, key: str, say: Callable[[str], object]) -> list[Path]:
    """The files of kept answers in order; none, and the folder is gone, when of another key."""
    file = folder / "key"
    if not file.is_file() or file.read_text() != key:
        say(f"{folder} holds scores of other weights, videos or settings: scored from the start")
        shutil.rmtree(folder)
    return sorted(folder.glob("*.npz"))


def _after(folder: Path, done: int) -> list[Path]:
    return [path for path in folder.glob("*.npz") if int(path.stem.partition("-")[0]) >= done]


def _read(path: Path, done: int, fields: Sequence[str]) -> tuple[np.ndarray, ...] | None:
    """The answers of a file that begins with batch `done`; None of another or a damaged one."""
    if int(path.stem.partition("-")[0]) != done:
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return tuple(file[name] for name in fields)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
