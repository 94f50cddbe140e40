"""Untrimmed videos: the time that no row labels, as rows of the category `background`."""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pandas as pd

from harlib import text
from harlib.data.catalog import names
from harlib.data.catalog.folder import CatalogError
from harlib.data.video import images, tar_shards
from harlib.data.video.container import VideoError
from harlib.data.video.files import probe

CATEGORY = "background"
SHORTEST_S = 1.5  # of a piece: about a clip
MARGIN_S = 0.25  # to a labelled segment, whose ends people set by eye
_BEYOND_S = 0.1  # a segment may end so much after its file: a frame or two
_TOLD_S = 1.0


def add(
    table: pd.DataFrame,
    most: float,
    seed: int,
    length: Callable[[str], float] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a catalog and those of its background, and sentences about them.

    Pieces are as long as labelled segments drawn at random, `SHORTEST_S` or more, and keep
    `MARGIN_S` away from these. Each split gets at most `most` times as many as its largest
    category has videos, taken from its files in turn and from anywhere in them. The seed, a file's
    name and its segments alone decide where its pieces lie. Each is in the split and group of its
    file.

    Args:
        most: above 0; 1 = as many as the largest category.
        length: seconds of a file; None = as the file itself tells.

    Raises:
        CatalogError: a file's segments are in several splits.
    """
    there = table[table["path"] != ""]
    split_of_file = there.groupby("path")["split"].nunique()
    if (split_of_file > 1).any():
        file = names.printable(os.path.basename(split_of_file.idxmax()))
        raise CatalogError(
            f"{file} has segments in several splits: with background, all of a file are in one"
        )
    said: list[str] = []
    lengths = _lengths(there, length or _length, said)
    called = named(table["category"])
    typical = (there["end_s"] - there["start_s"].fillna(0)).dropna()
    seconds = typical[there["category"] != called].to_numpy()
    pieces = {
        file: _pieces(_free(rows, lengths[file]), seconds, _rng(seed, file))
        for file, rows in there.groupby("path")
        if file in lengths
    }
    added = []
    for split, rows in there.groupby("split"):
        counts = rows["category"].value_counts()
        own = int(counts.get(called, 0))
        others = counts.drop(called, errors="ignore")
        wanted = round(most * (others.max() if len(others) else 0)) - own
        found = {file: pieces[file] for file in rows["path"].unique() if file in pieces}
        for file, start, end in _in_turn(found, wanted, _rng(seed, str(split))):
            first = rows[rows["path"] == file].iloc[0]
            name = f"{_stem(file)}_{start:010.3f}_{end:010.3f}"
            added.append((name, file, called, split, first["group"], start, end))
    new = pd.DataFrame(added, columns=table.columns)
    twice = new.duplicated(["split", "video_id"], keep=False)  # files of one name in two folders
    new.loc[twice, "video_id"] += [f"~{_digest(path)}" for path in new.loc[twice, "path"]]
    said.append(_told(new, most))
    return (pd.concat([table, new], ignore_index=True) if len(new) else table), said


def named(categories: pd.Series) -> str:
    """What a table calls its background, if it has such a category: `Background`, too."""
    called = names.alike([CATEGORY, *categories.unique()])
    own = [name for name, category in called.items() if category == called[CATEGORY]]
    return next((name for name in own if (categories == name).any()), CATEGORY)


def overlapping(table: pd.DataFrame) -> list[str]:
    """A sentence about segments of a file that overlap; none where they follow each other."""
    crossing = [
        f"{_stem(file)} at {later[0]:g} s"
        for file, rows in _parts(table)
        for earlier, later in pairwise(_spans(rows, np.inf))
        if later[0] < earlier[1]
    ]
    if not crossing:
        return []
    return [
        f"Warning: {text.count(len(crossing), 'segment')} of a file begin before the one ahead "
        f"ends, first {names.first(crossing)}: the same frames get both labels."
    ]


def offered(table: pd.DataFrame) -> list[str]:
    """A sentence about time between segments that no row labels; none where there is none."""
    if (table["category"] == named(table["category"])).any():
        return []
    gaps = {
        file: sum(later[0] - end for (_, end), later in pairwise(_joined(_spans(rows, np.inf))))
        for file, rows in _parts(table)
    }
    between = sum(gaps.values())
    if between <= _TOLD_S:
        return []
    return [
        f"Untrimmed: {text.duration(between)} between the segments of "
        f"{text.count(sum(gap > 0 for gap in gaps.values()), 'file')} have no label. With "
        f"--background 1 (background: 1 in the parameters) they are the category {CATEGORY!r}."
    ]


def _parts(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """(file, its rows) of each file whose rows are parts of it."""
    parts = table[(table["path"] != "") & (table["start_s"].notna() | table["end_s"].notna())]
    for file, rows in parts.groupby("path"):
        yield str(file), rows


def _length(file: str) -> float:
    info = probe(file)
    return info.duration_s or info.frames / info.fps


def _lengths(
    there: pd.DataFrame, length: Callable[[str], float], said: list[str]
) -> dict[str, float]:
    """Seconds of each file that can be read; a sentence about segments that end after it."""
    known: dict[str, float] = {}
    for file in there["path"].unique():
        with suppress(VideoError):  # the audit tells why
            known[file] = length(file)
    last = there["end_s"].fillna(there["start_s"])
    beyond = there[last > there["path"].map(known) + _BEYOND_S]
    if len(beyond):
        first = beyond.iloc[0]
        end = "ends after its file" if len(beyond) == 1 else "end after their file"
        said.append(
            f"Warning: {text.count(len(beyond), 'segment')} {end}, first "
            f"{_stem(first['path'])} at {last[beyond.index[0]]:g} s of {known[first['path']]:g} s."
        )
    if lost := there["path"].nunique() - len(known):
        said.append(f"No background of {text.count(lost, 'file')} that cannot be read.")
    return known


def _spans(rows: pd.DataFrame, length: float) -> list[tuple[float, float]]:
    """The labelled segments of a file in order of time."""
    starts, ends = rows["start_s"].fillna(0.0), rows["end_s"].fillna(length)
    return sorted(zip(starts.tolist(), ends.tolist(), strict=True))


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Overlapping and touching spans as one."""
    found: list[tuple[float, float]] = []
    for start, end in spans:
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def _free(rows: pd.DataFrame, length: float) -> list[tuple[float, float]]:
    """The time of a file that is in no segment and not next to one."""
    spans = _joined(_spans(rows, length))
    starts = [0.0] + [end + MARGIN_S for _, end in spans]
    ends = [start - MARGIN_S for start, _ in spans] + [length]
    return [
        (start, end)
        for start, end in zip(starts, ends, strict=True)
        if end - start >= SHORTEST_S and end <= length
    ]


def _pieces(
    free: list[tuple[float, float]], seconds: np.ndarray, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """The free time in pieces, in an order in which any first few lie all over the file."""
    found = []
    for start, end in free:
        while end - start >= SHORTEST_S:
            wanted = float(rng.choice(seconds)) if len(seconds) else SHORTEST_S
            last = min(end, start + max(SHORTEST_S, wanted))
            found.append((round(start, 3), round(last, 3)))
            start = last
    if not found:
        return []
    # by their numbers' binary digits read backwards, as van der Corput's sequence
    bits, first = len(found).bit_length(), int(rng.integers(len(found)))
    order = sorted(range(len(found)), key=lambda place: f"{place:0{bits}b}"[::-1])
    return [found[(place + first) % len(found)] for place in order]


def _in_turn(
    pieces: dict[str, list[tuple[float, float]]], most: int, rng: np.random.Generator
) -> Iterator[tuple[str, float, float]]:
    """At most so many pieces: the first of each file, then the second of each."""
    files = sorted(pieces, key=os.path.basename)
    files = [files[place] for place in rng.permutation(len(files))]
    rounds = max(map(len, pieces.values()), default=0)
    every = (
        (f, *pieces[f][turn]) for turn in range(rounds) for f in files if turn < len(pieces[f])
    )
    for _, piece in zip(range(most), every, strict=False):
        yield piece


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(os.fsencode(os.path.basename(name)))])


def _stem(file: str) -> str:
    return names.printable(os.path.splitext(os.path.basename(images.split(file)[0]))[0])


def _digest(path: str) -> str:
    place = tar_shards.split(path) or (path,)
    return hashlib.sha256(os.fsencode("/".join(place))).hexdigest()[:8]


def _told(new: pd.DataFrame, most: float) -> str:
    if new.empty:
        return (
            f"Background: none; no row leaves {SHORTEST_S:g} s of a file without a label, "
            f"{MARGIN_S:g} s away from the segments."
        )
    length = new["end_s"] - new["start_s"]
    counts = new["split"].value_counts()
    sides = ", ".join(f"{split} {counts[split]:,}" for split in counts.index)
    return (
        f"Background: {text.count(len(new), 'piece')} ({sides}) of {length.min():.1f} to "
        f"{length.max():.1f} s that no row labels, at most {most:g} × the largest category."
    )
