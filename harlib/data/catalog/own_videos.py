"""A person's own folder of videos -> rows of a catalog: categories, names, groups, sides."""

import hashlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from harlib import text
from harlib.data.catalog import frame_folders, groups, held_out, names
from harlib.data.catalog.folder import CatalogError, Found, look
from harlib.data.catalog.published_lists import SPLIT_NAMES, rows
from harlib.data.video import images, tar_shards
from harlib.data.video.images import STILL_SUFFIXES
from harlib.data.video.reader import VIDEO_SUFFIXES

# (splits first, folders inside the categories): what most videos lie in is meant
_LAYOUTS = [(False, False), (True, False), (False, True), (True, True)]
# a folder so called is no category where others lie inside it, and no group inside one
_SIDE = re.compile(
    r"(?:train|training|val|valid|validation|validate|test|testing|dev|eval|holdout|fold)"
    r"[\W_]*(?:set|split|data)?[\W_]*\d*"
)


class Place(NamedTuple):
    """Where a video lies below the root: its path, its folders' names, its name and ending."""

    path: str
    folders: tuple[str, ...]
    stem: str
    suffix: str


def folder(
    root: Path, val: float, seed: int, group: str | None, frame_fps: float | None
) -> tuple[pd.DataFrame, list[str]]:
    """(catalog table, sentences about what was left out); see `Catalog.from_folder`."""
    found = look(root, VIDEO_SUFFIXES | STILL_SUFFIXES, _lies_in_a_category)
    said = found.left_out()
    files = frame_folders.moving(found, said, frame_fps)
    if not files:
        expected = [] if said else [f"They are looked for at {root}/CATEGORY/NAME."]
        raise CatalogError(" ".join([f"{root} holds no videos.", *expected, *said]))
    places = [place(root, path) for path in sorted(files)]
    has_splits, has_inner = _layout(root, places)
    said += _empty(found, places, 1 + has_splits)
    called = names.alike(place.folders[has_splits] for place in places)
    said += renamed(called, "folder")
    if has_inner:
        said.append(_inner(places, called))
    videos = [
        groups.Video(
            place.stem,
            place.folders[-1] if has_inner else "",
            called[place.folders[has_splits]],
            SPLIT_NAMES[_plain(place.folders[0])] if has_splits else "",
        )
        for place in places
    ]
    known, taken = groups.find(videos, group)
    said += taken
    table = rows(
        [
            (name, place.path, video.category, video.split, own or name)
            for name, place, video, own in zip(
                short_ids(places, root), places, videos, known, strict=True
            )
        ]
    )
    if not has_splits:
        said.append(hold_out(table, places, val, seed))
    return table, said


def hold_out(table: pd.DataFrame, places: list[Place], val: float, seed: int) -> str:
    """Sets each row's split by its group; returns the sentence about the share reached.

    places: where each row's video lies; without a group, it is known by its folders and name.
    """
    # a video's own name may grow its folder's when another of that name comes
    unknown = table["group"] == table["video_id"]
    own = pd.Series(["/".join((*place.folders, place.stem)) for place in places])
    table["split"], reached = held_out.split(table, own.where(unknown, table["group"]), val, seed)
    return reached


def unlabelled(root: Path, frame_fps: float | None) -> tuple[pd.DataFrame, list[str]]:
    """(catalog table, sentences about what was left out); see `Catalog.from_unlabelled`."""
    if root.is_file():
        files, said, base = [str(root.absolute())], [], root.parent
    else:
        found = look(root, VIDEO_SUFFIXES | STILL_SUFFIXES, lambda folders: True)
        said = found.left_out()
        base = root.absolute().parent if str(root.absolute()) in found.frames else root
        files = frame_folders.moving(found, said, frame_fps)
    if not files:
        raise CatalogError(" ".join([f"{root} holds no videos.", *said]))
    shown = [os.path.relpath(images.split(file)[0], base.absolute()) for file in files]
    paths = [(Path(path).as_posix(), file) for path, file in zip(shown, files, strict=True)]
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
        "high. --group REGEX, or group in the parameters, names what must stay together."
    )


def place(root: Path, path: str) -> Place:
    """Where a video's file, or folder of frames, lies below a folder."""
    file = tar_shards.place(images.split(path)[0])
    *folders, name = Path(file).relative_to(root.absolute()).parts
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in VIDEO_SUFFIXES and os.path.isdir(file):
        stem, suffix = name, ""
    return Place(path, tuple(folders), stem, suffix)


def _lies_in_a_category(folders: tuple[str, ...]) -> bool:
    """Whether a folder is below those of the categories; images right in them are stills."""
    if len(folders) < 2 or _SIDE.fullmatch(_plain(folders[-1])):
        return False
    return len(folders) > 2 or not _SIDE.fullmatch(_plain(folders[0]))


def _plain(name: str) -> str:
    return name.strip().lower()


def _layout(root: Path, places: list[Place]) -> tuple[bool, bool]:
    """Whether the folders of splits come first, and whether others lie inside the categories."""
    if not any(place.folders for place in places):
        raise CatalogError(
            f"{root} holds {text.count(len(places), 'video')} and no folders: move each into a "
            f"folder named after its category, {root}/CATEGORY/NAME"
        )
    if all(len(p.folders) == 1 and _plain(p.folders[0]) in SPLIT_NAMES for p in places):
        raise CatalogError(
            f"{root} holds splits without categories: move each video into a folder named after "
            f"its category, {root}/{places[0].folders[0]}/CATEGORY/NAME"
        )
    kinds = [_kind(place.folders) for place in places]
    counts = Counter(kinds)
    most = max(_LAYOUTS, key=lambda kind: counts[kind])
    if counts[most] != len(places):
        odd = [place for place, kind in zip(places, kinds, strict=True) if kind != most]
        first = names.first(["/".join((*p.folders, p.stem + p.suffix)) for p in odd])
        which, others = ("not all", " than the others") if counts[most] else ("none", "")
        raise CatalogError(
            f"{root} holds {text.count(len(places), 'video')}, {which} at category/NAME or "
            f"split/category/NAME with splits train, val, test: {len(odd)} lie elsewhere{others}, "
            f"{first}; move them"
        )
    if most[1] and all(place.suffix.lower() in STILL_SUFFIXES for place in places):
        folder = names.printable("/".join(places[0].folders))
        raise CatalogError(
            f"{root} holds pictures in folders inside the categories, first {folder}, and they are "
            "no frames: those are two or more with running numbers (000001.jpg, frame_0001.png), "
            "in a folder and no tar file"
        )
    return most


def _kind(folders: tuple[str, ...]) -> tuple[bool, bool] | None:
    """(begins with a split, ends with a folder inside the category); None for other places."""
    has_split = len(folders) > 1 and _plain(folders[0]) in SPLIT_NAMES
    inner = len(folders) - has_split - 1
    if inner == 1 and any(_SIDE.fullmatch(_plain(name)) for name in folders[has_split:]):
        return None
    return (has_split, inner == 1) if inner in (0, 1) else None


def _inner(places: list[Place], called: dict[str, str]) -> str:
    """What is a category where folders lie in folders."""
    return (
        f"The outer folders are the categories ({names.first(sorted(set(called.values())))}), not "
        f"those inside them, first {names.first(sorted({p.folders[-1] for p in places}))}."
    )


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


def renamed(called: dict[str, str], what: str, one: str = "category") -> list[str]:
    """A sentence for each category (or group) that is not called as its folder, or has several."""
    own: dict[str, list[str]] = {}
    for name, category in called.items():
        own.setdefault(category, []).append(name)
    return [
        f"The {what}s {names.told_apart(found)} look alike and are one {one}, {category!r}."
        if len(found) > 1
        else f"The {what} {names.told_apart(found)} is the {one} {category!r}."
        for category, found in own.items()
        if found != [category]
    ]


def short_ids(places: list[Place], root: Path) -> list[str]:
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
