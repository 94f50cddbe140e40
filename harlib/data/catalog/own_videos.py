"""A person's own folder of videos -> rows of a catalog: categories, names, groups, sides."""

import hashlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from harlib import text
from harlib.data.catalog import held_out, names
from harlib.data.catalog.folder import CatalogError, Found, look
from harlib.data.catalog.published_lists import KINETICS_NAME, SPLIT_NAMES, UCF101_NAME, rows
from harlib.data.video import tar_shards
from harlib.data.video.reader import STILL_SUFFIXES, VIDEO_SUFFIXES


class Place(NamedTuple):
    """Where a video lies below the root: its path, its folders' names, its name and ending."""

    path: str
    folders: tuple[str, ...]
    stem: str
    suffix: str


def folder(root: Path, val: float, seed: int, group: str | None) -> tuple[pd.DataFrame, list[str]]:
    """(catalog table, sentences about what was left out); see `Catalog.from_folder`."""
    found = look(root, VIDEO_SUFFIXES | STILL_SUFFIXES)
    said = found.left_out()
    files = _moving(found, said)
    if not files:
        raise CatalogError(" ".join([f"{root} holds no videos.", *said]))
    places = [_place(root, path) for path in sorted(files)]
    has_splits = _has_splits(root, places)
    said += _empty(found, places, 1 + has_splits)
    called = names.alike(place.folders[-1] for place in places)
    said += _renamed(called)
    ids = _ids(places, root)
    pattern = _pattern(group)
    listed = [
        (
            name,
            place.path,
            called[place.folders[-1]],
            SPLIT_NAMES[_plain(place.folders[0])] if has_splits else "",
            _group(name, place.stem, pattern),
        )
        for place, name in zip(places, ids, strict=True)
    ]
    table = rows(listed)
    if not has_splits:
        # a video's own name may grow its folder's when another of that name comes
        unknown = table["group"] == table["video_id"]
        own = pd.Series([f"{place.folders[-1]}/{place.stem}" for place in places])
        table["split"], reached = held_out.split(
            table, own.where(unknown, table["group"]), val, seed
        )
        said.append(reached)
    return table, said


def unlabelled(root: Path) -> tuple[pd.DataFrame, list[str]]:
    """(catalog table, sentences about what was left out); see `Catalog.from_unlabelled`."""
    if root.is_file():
        files, said, base = [str(root.absolute())], [], root.parent
    else:
        found = look(root, VIDEO_SUFFIXES | STILL_SUFFIXES)
        said, base = found.left_out(), root
        files = _moving(found, said)
    if not files:
        raise CatalogError(" ".join([f"{root} holds no videos.", *said]))
    paths = [(Path(os.path.relpath(file, base.absolute())).as_posix(), file) for file in files]
    ids = [names.printable(path) for path, _ in paths]
    return rows(
        [(i, file, "videos", "test", i) for i, (_, file) in zip(ids, paths, strict=True)]
    ), said


def unknown_groups(videos: pd.DataFrame) -> int:
    """How many videos have no group but their own name: nothing says which others they belong with.

    Args:
        videos: rows of a catalog, a store or scores.
    """
    return int((videos["group"].astype(str) == videos["video_id"].astype(str)).sum())


def groups_warning(videos: pd.DataFrame) -> str:
    """What unknown groups mean for the use of these videos; "" where all are known."""
    unknown = unknown_groups(videos)
    if not unknown:
        return ""
    which = "all" if unknown == len(videos) else f"{unknown:,} of {len(videos):,}"
    return (
        f"Warning: the groups of {which} videos are unknown, so each counts as its own. Clips of "
        "one recording or person may lie on both sides of the split, which makes accuracies too "
        "high. For a folder of videos, group (har catalog --group) names what must stay together."
    )


def _place(root: Path, path: str) -> Place:
    *folders, name = Path(tar_shards.place(path)).relative_to(root.absolute()).parts
    stem, suffix = os.path.splitext(name)
    return Place(path, tuple(folders), stem, suffix)


def _plain(name: str) -> str:
    return name.strip().lower()


def _moving(found: Found, said: list[str]) -> list[str]:
    """The files without the pictures that lie beside videos, which are covers and thumbnails."""
    endings = {path: os.path.splitext(path)[1].lower() for path in found.files}
    pictures = [path for path, ending in endings.items() if ending in STILL_SUFFIXES]
    if not pictures or set(endings.values()) <= STILL_SUFFIXES | {".gif"}:
        return found.files
    first = names.first([found.relative(path) for path in pictures])
    said.append(
        f"Left out: {text.count(len(pictures), 'picture')} beside "
        f"{text.count(len(endings) - len(pictures), 'video')}, "
        f"first {first}. Stills to learn from belong into a folder without videos."
    )
    return [path for path, ending in endings.items() if ending not in STILL_SUFFIXES]


def _has_splits(root: Path, places: list[Place]) -> bool:
    """Whether the videos lie at split/category/NAME; else all lie at category/NAME."""
    kinds = [
        "category" if len(place.folders) == 1
        else "split" if len(place.folders) == 2 and _plain(place.folders[0]) in SPLIT_NAMES
        else "other"
        for place in places
    ]  # fmt: skip
    counts = Counter(kinds)
    most = max(("category", "split"), key=lambda kind: counts[kind])
    if counts[most] != len(places):
        odd = [place for place, kind in zip(places, kinds, strict=True) if kind != most]
        first = names.first(["/".join((*p.folders, p.stem + p.suffix)) for p in odd])
        raise CatalogError(
            f"{root} holds {text.count(len(places), 'video')}, not all at category/NAME or "
            f"split/category/NAME with splits train, val, test: {len(odd)} lie elsewhere "
            f"than the others, {first}; move them"
        )
    return most == "split"


def _empty(found: Found, places: list[Place], depth: int) -> list[str]:
    """A sentence about the folders, where categories lie, that hold no video."""
    filled = {place.folders[:n] for place in places for n in range(1, depth + 1)}
    empty = [
        path
        for path in map(found.relative, found.folders[1:])
        if len(Path(path).parts) <= depth and Path(path).parts not in filled
        # a shard's videos count as lying beside it
    ]
    if not empty:
        return []
    return [
        f"Left out: {text.count(len(empty), 'empty folder')} where categories lie, "
        f"{names.first(sorted(empty), 8)}."
    ]


def _renamed(called: dict[str, str]) -> list[str]:
    """A sentence for each category that is not called as its folder, or has several."""
    folders: dict[str, list[str]] = {}
    for name, category in called.items():
        folders.setdefault(category, []).append(name)
    return [
        f"The folders {names.told_apart(own)} look alike and are one category, {category!r}."
        if len(own) > 1
        else f"The folder {names.told_apart(own)} is the category {category!r}."
        for category, own in folders.items()
        if own != [category]
    ]


def _ids(places: list[Place], root: Path) -> list[str]:
    """A name for each video: as short as makes all of them different."""
    stems = [names.printable(place.stem) for place in places]
    if len(set(stems)) == len(stems):
        return stems
    ids = [names.printable("/".join((*p.folders, p.stem))) for p in places]
    twice = {name for name, count in Counter(ids).items() if count > 1}
    ids = [
        name + names.printable(place.suffix) if name in twice else name
        for name, place in zip(ids, places, strict=True)
    ]
    twice = {name for name, count in Counter(ids).items() if count > 1}
    return [
        f"{name}~{_digest(os.path.relpath(place.path, root))}" if name in twice else name
        for name, place in zip(ids, places, strict=True)
    ]


def _digest(path: str) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]


def _pattern(group: str | None) -> re.Pattern | None:
    if group is None:
        return None
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise CatalogError(f"group is {group!r}, no regular expression: {error}") from error
    if not pattern.groups:
        raise CatalogError(f"group is {group!r}: a part of it must be in (…), to be the group")
    return pattern


def _group(name: str, stem: str, pattern: re.Pattern | None) -> str:
    if pattern is None:
        known = KINETICS_NAME.fullmatch(stem) or UCF101_NAME.fullmatch(stem)
        return names.printable(known[1]) if known else name
    found = pattern.search(stem)
    if not found or not found[1]:
        raise CatalogError(f"the group pattern {pattern.pattern!r} finds no group in {stem!r}")
    return names.printable(found[1])
