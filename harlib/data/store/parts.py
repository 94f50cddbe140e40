"""Part files: what an unfinished preparation has packed already.

`<name>.bin` holds the chunks of some videos one after the other, `<name>.json`, written last,
their records. A part belongs to one preparation, named by its key.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from harlib.files import appearing, write_text


@contextmanager
def writing(path: Path, key: str) -> Iterator[tuple[BinaryIO, list[dict]]]:
    """(payload to append chunks to, list to append records to): a part that appears complete.

    A record has `row`, the video's number in the catalog, `lengths`, the sizes of its chunks, and
    what `category_file` keeps of it.
    """
    records: list[dict] = []
    with appearing(path.with_suffix(".bin")) as aside, open(aside, "w+b") as payload:
        yield payload, records
        payload.close()  # before it is synced and renamed
    columns = {name: [record[name] for record in records] for name in records[0]}
    write_text(path.with_suffix(".json"), json.dumps({"key": key, "columns": columns}))


class Parts:
    """The complete parts of a preparation: which of the catalog's rows they hold, and where."""

    def __init__(self, folder: Path, key: str) -> None:
        self._key = key
        self._places: dict[
            int, tuple[Path, int, dict]
        ] = {}  # row -> (part, its first byte there, its record)
        self._left: Counter[Path] = Counter()  # part -> rows that are still wanted
        for path in sorted(folder.glob("*.json")):
            self.add(path.with_suffix(""))

    def __contains__(self, row: int) -> bool:
        return row in self._places

    def add(self, path: Path) -> bool:
        """Take notice of a part; False where it is none, or of another preparation."""
        columns = _read(path, self._key)
        if columns is None:
            return False
        begin = 0
        for values in zip(*columns.values(), strict=True):
            record = dict(zip(columns, values, strict=True))
            record["lengths"] = np.array(record["lengths"], np.int32)  # a list takes ten times more
            row = record.pop("row")
            if row not in self._places:
                self._places[row] = path, begin, record
                self._left[path] += 1
            begin += int(record["lengths"].sum(dtype=np.int64))
        return True

    def sources(self) -> dict[int, str]:
        """The digest of each video's content, by row."""
        return {row: record["source"] for row, (_, _, record) in self._places.items()}

    def videos(self, rows: Iterable[int]) -> list[tuple[Path, int, dict]]:
        """(file with the chunks, place of the first byte, record) of every row."""
        return [
            (path.with_suffix(".bin"), begin, record)
            for path, begin, record in (self._places[row] for row in rows)
        ]

    def drop(self, rows: Iterable[int]) -> None:
        """These rows' parts are no longer wanted, whatever else they hold."""
        paths = {self._places[row][0] for row in rows}
        self.discard([row for row, (path, *_) in self._places.items() if path in paths])

    def discard(self, rows: Iterable[int]) -> None:
        """These rows are no longer wanted: a part goes with its last one."""
        for row in rows:
            path = self._places.pop(row)[0]
            self._left[path] -= 1
            if not self._left[path]:
                path.with_suffix(".json").unlink()
                path.with_suffix(".bin").unlink()


def key_of(path: Path) -> str | None:
    """The preparation that a part's JSON file belongs to; None of a damaged one."""
    try:
        return json.loads(path.read_text())["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(path: Path, key: str) -> dict | None:
    try:
        part = json.loads(path.with_suffix(".json").read_text())
        size = path.with_suffix(".bin").stat().st_size
    except (FileNotFoundError, ValueError):
        return None
    if "source" not in part["columns"]:  # packed before sources were looked at
        return None
    if part["key"] != key or size != sum(map(sum, part["columns"]["lengths"])):
        return None
    return part["columns"]
