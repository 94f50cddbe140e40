"""The table of labels, `path,label`, and beside it the videos that nobody could tell.

A row is added at its end and nothing else in it is changed; it appears whole or not at all.
"""

from __future__ import annotations

import csv
import functools
import io
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from harlib import HarlibError
from harlib.data import label_sets
from harlib.data.catalog import names
from harlib.data.catalog import table as tables
from harlib.data.video import images, tar_shards
from harlib.files import appearing
from harlib.text import count

_FILLED = ("video_id", "split")  # columns that are filled in all rows or in none


class Labels:
    """The labels in a CSV, which may have been there before, with further columns.

    Videos that were skipped are in `skipped`, a table with the column `path`.

    Args:
        path: of the CSV; it is made with the first label.

    Raises:
        HarlibError: it cannot be read as a table of labels, or a new row cannot be added to it.
    """

    def __init__(self, path: Path) -> None:
        # a link stays one: what it points to is what is written
        self.path = Path(os.path.realpath(path))
        self.skipped = self.path.with_name(f"{self.path.stem}-skipped.csv")
        if self.path.suffix.lower() != ".csv":
            raise HarlibError(f"{path} is no CSV: labels are written to a file NAME.csv")
        self._done: list[tuple[Path, bytes, str]] = []
        self._read()
        self._read_skipped()

    def label(self, video: str) -> str | None:
        """The label of a video; None without one."""
        return self._labels.get(_same(video))

    def is_skipped(self, video: str) -> bool:
        """Whether somebody could not tell."""
        return _same(video) in self._skips

    @property
    def shown(self) -> str:
        """The table's path for a command: from the working folder on where it lies below."""
        below = self.path.is_relative_to(Path.cwd())
        return os.path.relpath(self.path) if below else str(self.path)

    @property
    def categories(self) -> list[str]:
        """The categories that occur, the first one first."""
        return list(self.counts)

    @property
    def counts(self) -> Counter[str]:
        """How many videos are of each category; spellings of one are counted together."""
        called = names.alike(self._labels.values())
        return Counter(called[label] for label in self._labels.values())

    @property
    def gone(self) -> list[str]:
        """Videos of the table that are not there any more."""
        return [path for path in self._labels if not os.path.exists(_file(path))]

    def add(self, video: str, label: str) -> None:
        """Writes a video's label.

        Raises:
            HarlibError: the video has one already, its file is gone, or the label is no text.
        """
        if not label.strip() or names.UNPRINTABLE.search(label):
            raise HarlibError(f"{label!r} is no label: it is a line of text, as 'sitting down'")
        if label_sets.several([label]):
            raise HarlibError(f"{label!r} is several labels ('|'): har label gives a video one")
        _check_there(video)
        self._read()  # it may have grown meanwhile
        if (known := self.label(video)) is not None:
            raise HarlibError(
                f"{_shown(video)} is labelled {known!r} already; {self.path} keeps it"
            )
        row = self._append(self.path, {"path": self._cell(video), "label": label.strip()})
        self._done.append((self.path, row, video))
        self._read()

    def skip(self, video: str) -> None:
        """Keeps in `skipped` that nobody could tell."""
        if not self.is_skipped(video):
            row = self._append(self.skipped, {"path": self._cell(video)})
            self._done.append((self.skipped, row, video))
            self._read_skipped()

    def undo(self) -> str:
        """Takes back the last label, or skip, that this object has written; returns the video.

        Raises:
            HarlibError: there is none, or the table has changed since.
        """
        if not self._done:
            raise HarlibError("nothing to undo: har label takes back what it has written itself")
        path, row, video = self._done[-1]
        content = path.read_bytes() if path.is_file() else b""
        if not content.endswith(row):
            raise HarlibError(
                f"{path} was changed by somebody else since: take the row of {_shown(video)} out "
                "there"
            )
        _write(path, content.removesuffix(row))
        self._done.pop()
        self._read()
        self._read_skipped()
        return video

    def _read(self) -> None:
        self._header, self._labels = ["path", "label"], dict[str, str]()
        if not self.path.is_file() or not self.path.stat().st_size:
            return
        self._header, where, listed = tables.content(self.path)
        filled = [name for name in _FILLED if any(getattr(row, name) for row in listed)]
        if filled:
            raise HarlibError(
                f"{self.path} has a column {filled[0]}, which is filled in all rows or in none: a "
                "new label has nothing for it, so name another --table, or take the column out"
            )
        self._columns = {name: self._header[place] for name, place in where.items()}
        for row in listed:
            self._labels.setdefault(_same(row.path), row.label)

    def _read_skipped(self) -> None:
        there = self.skipped.is_file() and self.skipped.read_bytes().count(b"\n") > 1
        self._skips = set(map(_same, tables.paths(self.skipped)[0])) if there else set()

    def _cell(self, video: str) -> str:
        """The path as the table has it: from its folder on where the video lies below."""
        folder = str(self.path.parent)
        for whole in (video, os.path.realpath(video)):
            if Path(whole).is_relative_to(folder):
                return Path(os.path.relpath(whole, folder)).as_posix()
        return video

    def _append(self, path: Path, cells: Mapping[str, str]) -> bytes:
        """Writes a row at the table's end; returns what was added for it."""
        header, called = list(cells), {name: name for name in cells}
        content = path.read_bytes() if path.is_file() else b""
        delimiter, end = ",", "\n"
        if content.strip():
            first = content.decode("utf-8-sig", "surrogateescape").partition("\n")[0]
            delimiter = max(",;\t", key=first.count)
            end = "\r\n" if first.endswith("\r") else "\n"
            if path == self.path:
                header, called = self._header, self._columns
        else:
            content = (",".join(header) + "\n").encode()
        by_name = {called[name]: cell for name, cell in cells.items()}
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter, lineterminator=end).writerow(
            [by_name.get(name, "") for name in header]
        )
        row = text.getvalue().encode("utf-8", "surrogateescape")
        _write(path, content + (b"" if content.endswith(b"\n") else end.encode()) + row)
        return row


def told(labels: Labels, videos: list[str]) -> list[str]:
    """Sentences about a table that is there, and the videos that are to be labelled."""
    said = []
    if labels.counts:
        each = ", ".join(f"{name} {number:,}" for name, number in labels.counts.items())
        said.append(f"{labels.path}: {count(labels.counts.total(), 'label')}: {each}.")
    there = set(map(_same, videos))
    if gone := labels.gone:
        said.append(
            f"{count(len(gone), 'video')} of {labels.path} not there any more, first "
            f"{_shown(gone[0])}; the rows stay."
        )
    elsewhere = [path for path in labels._labels if path not in there and path not in set(gone)]
    if elsewhere:
        said.append(
            f"{count(len(elsewhere), 'video')} of {labels.path} from elsewhere, first "
            f"{_shown(elsewhere[0])}."
        )
    return said


@functools.cache  # asked for every video after each label
def _same(video: str) -> str:
    return os.path.realpath(video)


def _file(video: str) -> str:
    return (tar_shards.split(video) or images.split(video))[0]


def _shown(video: str) -> str:
    return names.printable(os.path.basename(video))


def _check_there(video: str) -> None:
    if not os.path.exists(_file(video)):
        raise HarlibError(f"{names.printable(video)} is gone, so it gets no label")


def _write(path: Path, content: bytes) -> None:
    with appearing(path) as part:
        part.write_bytes(content)
