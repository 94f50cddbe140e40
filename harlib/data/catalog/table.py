"""A table of videos, `path,label[,split,group,start,end,fps]` -> rows of a catalog."""

import csv
import importlib.util
import io
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from harlib.data import label_sets
from harlib.data.catalog import frame_folders, groups, names, own_videos
from harlib.data.catalog.folder import CatalogError
from harlib.data.catalog.own_videos import Place
from harlib.data.catalog.published_lists import SPLIT_NAMES, rows
from harlib.data.video import images, tar_shards
from harlib.data.video.reader import VIDEO_SUFFIXES

# what a column may be called; of several the first is read
_COLUMNS = {
    "path": ("path", "video", "file", "filename"),
    "label": ("label", "category", "class", "action"),
    "video_id": ("video_id",),
    "split": ("split",),
    "group": ("group", "actor", "subject", "person"),
    "start": ("start", "start_s"),
    "end": ("end", "end_s"),
    "fps": ("fps", "frame_fps"),
}
_FILLED_IN = {
    "video_id": "video_id from the paths",
    "split": "split by group",
    "group": "group as the names tell it",
    "start": "start at the file's beginning",
    "end": "end at the file's end",
}
_NEEDED = (
    "a table needs path (or video, file, filename) and label (or category, class, action), and may "
    "have split, group, start, end, fps and video_id"
)


class Row(NamedTuple):
    """A row as the table has it: its number, the file's absolute path, and its cells.

    The path of a folder of frames has its rate with it where one is stated (see `images.address`).
    `start` and `end` are seconds, NaN where there are none; other cells are then "".
    """

    number: int
    path: str
    label: str
    video_id: str
    split: str
    group: str
    start: float
    end: float


def read(
    path: Path, val: float, seed: int, group: str | None, frame_fps: float | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """(catalog table, sentences about what was filled in); see `Catalog.from_table`."""
    header, where, listed = content(path, frame_fps)
    folder = os.path.dirname(os.path.abspath(path))
    if not listed:
        raise CatalogError(f"{path} has no rows below its header; {_NEEDED}")
    given = _given(path, listed)
    _refuse_twice(path, listed)
    said = _columns_said([name for n, name in enumerate(header) if n not in where.values()], given)
    called, renamed = _called({row.label for row in listed})
    said += renamed
    said += frame_folders.told_of_table((row.path for row in listed), frame_fps)
    places = {row.path: _place(folder, row.path) for row in listed}
    known, taken = _groups(path, listed, places, called, group)
    short = own_videos.short_ids(list(places.values()), Path(folder))
    table = _table(listed, dict(zip(places, short, strict=True)), called, known)
    said += taken
    if "split" not in given:
        by_row = [places[row.path] for row in listed]
        said.append(own_videos.hold_out(table, by_row, val, seed))
    return table, said


def content(
    path: Path, frame_fps: float | None = None
) -> tuple[list[str], dict[str, int], list[Row]]:
    """(the column names, where each column that is read lies, the rows), none of it filled in.

    Raises:
        CatalogError: no path or label in the header or in a row, or it cannot be read.
    """
    header, lines = read_lines(path)
    where = _columns(path, header)
    folder = os.path.dirname(os.path.abspath(path))
    rows_ = [_row(f"{path}, row {n}", n, folder, where, cells, frame_fps) for n, cells in lines]
    return header, where, rows_


def paths(path: Path, frame_fps: float | None = None) -> tuple[list[str], list[str]]:
    """(absolute paths in a table that needs no other column than `path`, sentences).

    Args:
        frame_fps: of folders of frames in rows without an `fps`.

    Raises:
        CatalogError: it has no such column, no rows, or cannot be read.
    """
    header, lines = read_lines(path)
    keys = [name.casefold() for name in header]
    found, rate = (next((keys.index(word) for word in _COLUMNS[column] if word in keys), None)
                   for column in ("path", "fps"))  # fmt: skip
    if found is None or not lines:
        raise CatalogError(
            f"{path} names no videos: it needs a column path (or video, file, filename), and rows"
        )
    folder = os.path.dirname(os.path.abspath(path))
    files = [
        _file(f"{path}, row {number}", folder, _cell(cells, found), _cell(cells, rate), frame_fps)
        for number, cells in lines
    ]
    parts = {*_COLUMNS["start"], *_COLUMNS["end"]} & set(keys)
    said = [f"Not read: {', '.join(sorted(parts))}. Whole videos are looked at."] if parts else []
    said += frame_folders.told_of_table(files, frame_fps)
    return list(dict.fromkeys(files)), said


def _cell(cells: list[str], place: int | None) -> str:
    return cells[place] if place is not None and place < len(cells) else ""


def _table(
    listed: list[Row], short: dict[str, str], called: dict[str, str], known: list[str]
) -> pd.DataFrame:
    """The rows as a catalog has them; parts of a file are a group where nothing else is known."""
    parts = Counter(row.path for row in listed)
    there = {
        file: os.path.exists((tar_shards.split(file) or images.split(file))[0]) for file in parts
    }
    videos = []
    for row, group in zip(listed, known, strict=True):
        name = row.video_id or short[row.path] + _stamp(row)
        own = short[row.path] if parts[row.path] > 1 else name
        file = row.path if there[row.path] else ""
        videos.append((name, file, called[row.label], row.split, group or own, row.start, row.end))
    return rows(videos)


def _called(labels: set[str]) -> tuple[dict[str, str], list[str]]:
    """(the category of each cell, its labels spelled as elsewhere; sentences)."""
    single = names.alike(label for cell in labels for label in label_sets.split(cell))
    called = {
        cell: label_sets.joined([single[label] for label in label_sets.split(cell)])
        for cell in labels
    }
    return called, own_videos.renamed(single, "label")


def _columns_said(unread: list[str], given: set[str]) -> list[str]:
    said = []
    if unread:
        said.append(f"Not read: the columns {names.first(unread, 8)}.")
    if filled := [words for column, words in _FILLED_IN.items() if column not in given]:
        said.append(f"Not in the table and filled in: {', '.join(filled)}.")
    return said


# From a file to rows


def read_lines(path: Path, needed: str = _NEEDED) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """(the column names, (number, cells) of each row); `needed` is said of an empty table."""
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        raise CatalogError(
            f"{path} is a video and no table: give the folder of the videos, with a folder per "
            "category, or a CSV"
        )
    is_parquet = path.suffix.lower() in (".parquet", ".pq")
    return _of_parquet(path) if is_parquet else _of_csv(path, needed)


def _of_csv(path: Path, needed: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """(the column names, (number, cells) of each row); numbers as spreadsheets count rows."""
    try:
        # a path's bytes need be no UTF-8; `_row` refuses other cells
        content = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except FileNotFoundError:
        raise CatalogError(f"{path}: no such file") from None
    except OSError as error:
        raise CatalogError(f"{path} cannot be read: {error.strerror}") from error
    if content.startswith("PK\3\4"):
        raise CatalogError(
            f"{path} is a zip file, as Excel's are: unpack it, or save the table as CSV (UTF-8)"
        )
    if "\0" in content:
        raise CatalogError(f"{path} is no CSV: it holds null characters; save it as CSV (UTF-8)")
    delimiter = max(",;\t", key=content.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [(n, cells) for n, cells in enumerate(reader, 1) if any(map(str.strip, cells))]
    except csv.Error as error:
        raise CatalogError(f"{path}, line {reader.line_num}: not a readable CSV: {error}") from None
    if not lines:
        raise CatalogError(f"{path} is empty; {needed}")
    (_, header), *lines = lines
    for number, cells in lines:
        if len(cells) > len(header):
            raise CatalogError(
                f"{path}, row {number} has {len(cells)} cells, the header {len(header)}; a cell "
                f"with {delimiter!r} in it must be in quotes"
            )
    return [name.strip() for name in header], lines


def _of_parquet(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """As `_of_csv`; the first row is 1."""
    if importlib.util.find_spec("pyarrow") is None:
        raise CatalogError(f"{path}: Parquet files need pyarrow: pip install pyarrow")
    import pyarrow
    import pyarrow.parquet

    try:
        content = pyarrow.parquet.read_table(path)
        columns = [[_text(cell) for cell in column.to_pylist()] for column in content.columns]
    except FileNotFoundError:
        raise CatalogError(f"{path}: no such file") from None
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        line = str(error).strip().splitlines()[0]
        raise CatalogError(f"{path} is not a readable Parquet file: {line}") from error
    lines = [(number, list(cells)) for number, cells in enumerate(zip(*columns, strict=True), 1)]
    return content.column_names, [(n, cells) for n, cells in lines if any(cells)]


def _text(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return os.fsdecode(cell) if isinstance(cell, bytes) else str(cell)


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """Where each column that is there lies."""
    keys = [name.casefold() for name in header]
    where = {}
    for column, words in _COLUMNS.items():
        found = next((word for word in words if word in keys), None)
        if found is not None:
            if keys.count(found) > 1:
                raise CatalogError(f"{path} has {keys.count(found)} columns {found}; one is needed")
            where[column] = keys.index(found)
    missing = [column for column in ("path", "label") if column not in where]
    if missing:
        raise CatalogError(
            f"{path} has no column {' and no column '.join(missing)}, its first line is "
            f"{names.first(header, 8)}; {_NEEDED}"
        )
    return where


def _row(
    about: str,
    number: int,
    folder: str,
    where: dict[str, int],
    cells: list[str],
    frame_fps: float | None,
) -> Row:
    said = {column: _cell(cells, place) for column, place in where.items()}
    file = _file(about, folder, said.pop("path"), said.pop("fps", ""), frame_fps)
    said = {column: cell.strip() for column, cell in said.items()}
    for column, cell in said.items():
        if names.UNPRINTABLE.search(cell):
            raise CatalogError(
                f"{about}: {column} {ascii(cell)} holds a control character or bytes that are no "
                "UTF-8; save the table as UTF-8"
            )
    if not said["label"]:
        raise CatalogError(f"{about} has no label; it needs the category of the video")
    split = said.get("split", "")
    if split and split.lower() not in SPLIT_NAMES:
        raise CatalogError(f"{about}: unknown split {split!r}; known: train, val, test")
    start, end = (_seconds(about, column, said.get(column, "")) for column in ("start", "end"))
    begin = 0 if math.isnan(start) else start
    if begin >= end:
        raise CatalogError(
            f"{about}: start {begin:g} s is not before end {end:g} s; leave both empty for the "
            "whole file"
        )
    return Row(
        *(number, file, said["label"], said.get("video_id", "")),
        *(SPLIT_NAMES.get(split.lower(), ""), said.get("group", ""), start, end),
    )


def _file(about: str, folder: str, cell: str, fps: str, frame_fps: float | None) -> str:
    """The absolute path of a row's file, or address of a shard's member or a folder of frames."""
    if not cell.strip():
        raise CatalogError(f"{about} has no path; it needs the path of a video file")
    if "\0" in cell:
        raise CatalogError(f"{about}: path {ascii(cell)} holds a null character")
    file, member = tar_shards.split(cell) or (cell, None)
    tried = [os.path.abspath(os.path.join(folder, name)) for name in (file, file.strip())]
    file = next(filter(os.path.exists, tried), tried[-1])
    if os.path.isdir(file):
        inside = os.listdir(file)
        if inside and not any(map(images.is_image, inside)):
            raise CatalogError(
                f"{about}: path {cell!r} is a folder; a row names one video file, or a folder of "
                "numbered frames (har catalog --folder lists a folder)"
            )
        try:
            return images.address(
                file, images.checked_rate(fps.strip()) if fps.strip() else frame_fps
            )
        except ValueError as error:
            raise CatalogError(f"{about}: fps {error}") from None
    return file if member is None else tar_shards.address(file, member)


def _seconds(about: str, column: str, cell: str) -> float:
    if not cell:
        return math.nan
    try:
        seconds = float(cell)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise CatalogError(
            f"{about}: {column} is {cell!r}; it must be seconds in the file, 12 or 12.5, or empty"
        )
    return seconds


# What the rows say together


def _given(path: Path, listed: list[Row]) -> set[str]:
    """The columns that are filled; video_id and split are so in all rows or in none."""
    given = set()
    for column in ("video_id", "split", "group"):
        empty = [row.number for row in listed if not getattr(row, column)]
        if len(empty) < len(listed):
            given.add(column)
            if empty and column != "group":
                raise CatalogError(
                    f"{path}, row {empty[0]} has no {column}, and others have; fill the column in "
                    "all rows or in none"
                )
    return given | {
        column
        for column in ("start", "end")
        if not all(math.isnan(getattr(row, column)) for row in listed)
    }


def _refuse_twice(path: Path, listed: list[Row]) -> None:
    seen: dict[tuple, int] = {}
    ids: dict[tuple, int] = {}
    for row in listed:
        key = (row.path, row.label, _stamp(row))
        first = seen.setdefault(key, row.number)
        if first != row.number:
            raise CatalogError(
                f"{path}, row {row.number} lists the same video with the same label as row "
                f"{first}; remove one of them"
            )
        if row.video_id and (first := ids.setdefault(row[2:5], row.number)) != row.number:
            raise CatalogError(
                f"{path}, row {row.number} has the video_id {row.video_id!r} of row {first}; "
                "each video of a category needs its own"
            )


def _refuse_both_sides(path: Path, listed: list[Row]) -> None:
    sides: dict[str, Row] = {}
    for row in listed:
        first = sides.setdefault(row.path, row)
        if first.split != row.split:
            raise CatalogError(
                f"{path}, row {row.number}: parts of one file are in {first.split} (row "
                f"{first.number}) and {row.split}; they belong on one side, or a column group "
                "says what does"
            )


def _place(folder: str, file: str) -> Place:
    """Where a file lies below the table's folder, or below the root where it lies elsewhere."""
    found = Path(tar_shards.place(images.split(file)[0]))
    return own_videos.place(Path(folder if found.is_relative_to(folder) else found.anchor), file)


def _stamp(row: Row) -> str:
    """A part's seconds, as Kinetics' names have them; "" for a whole file."""
    if math.isnan(row.start) and math.isnan(row.end):
        return ""
    start, end = (
        "end" if math.isnan(s) else f"{s:06.0f}" if s.is_integer() else f"{s:010.3f}"
        for s in (0.0 if math.isnan(row.start) else row.start, row.end)
    )
    return f"_{start}_{end}"


def _of_column(path: Path, listed: list[Row]) -> tuple[list[str], list[str]]:
    """The column's groups: spellings of one are one, and so are the parts of a file."""
    called = names.alike(row.group for row in listed if row.group)
    of_file: dict[str, str] = {}
    for row in listed:
        group = called.get(row.group, "")
        known = of_file.setdefault(row.path, group) or group
        if group and known != group and not row.split:
            raise CatalogError(
                f"{path}, row {row.number}: {names.printable(os.path.basename(row.path))} is of "
                f"group {group!r} here and of {known!r} above; parts of a file are one group"
            )
        of_file[row.path] = known
    found = [called.get(row.group, "") or of_file[row.path] for row in listed]
    return found, own_videos.renamed(called, "name", "group")


def _groups(
    path: Path,
    listed: list[Row],
    places: dict[str, Place],
    called: dict[str, str],
    pattern: str | None,
) -> tuple[list[str], list[str]]:
    """(each row's group, "" where it is unknown; sentences): of the column, or as `groups.find`."""
    if pattern is None:
        if any(row.group for row in listed):
            return _of_column(path, listed)
        _refuse_both_sides(path, listed)
    videos = {}  # a file counts once in a category, however many parts of it are listed
    for row in listed:
        place, category = places[row.path], called[row.label]
        folder = place.folders[-1] if place.folders else ""
        videos[row.path, category] = groups.Video(place.stem, folder, category, row.split)
    found, said = groups.find(list(videos.values()), pattern)
    of_file: dict[str, str] = {}
    for (file, _), group in zip(videos, found, strict=True):
        of_file[file] = of_file.get(file) or group
    return [of_file[row.path] for row in listed], said
