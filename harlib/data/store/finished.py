"""Is a folder the finished clip store of a catalog and its settings?"""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from harlib.data.catalog.catalog import Catalog
from harlib.data.store import category_file, clip_store, source_files
from harlib.data.store.pack import PrepareError, Settings


class Group(NamedTuple):
    """One category of one split: its file, and its videos' rows in the catalog."""

    split: str
    category: str
    file: Path
    rows: list[int]


def groups(catalog: Catalog, root: Path) -> list[Group]:
    """The store's category files in its order."""
    names = category_file.slugs(catalog.categories)
    return [
        Group(split, category, root / split / f"{names[category]}.h5", rows.index.tolist())
        for (split, category), rows in catalog.frame.groupby(["split", "category"], sort=True)
    ]


def key(catalog: Catalog, settings: Settings, stamps: list[list[int]]) -> str:
    """Names what a store is made from: the list, the settings, and the files' sizes."""
    sizes = [stamp[0] for stamp in stamps]
    text = json.dumps([category_file.VERSION, catalog.hash, asdict(settings), sizes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_whole(catalog: Catalog, root: Path, key: str, stamps: list[list[int]]) -> bool:
    """Whether `root` is the store `key` with all its files, of the videos as they are now.

    Raises PrepareError for a store of something else, or a damaged one.
    """
    if not is_complete(root, key):
        return False
    places = clip_store.read_about(root)["files"]
    for place in places:
        file = root / place["path"]
        if file.is_file() and file.stat().st_size != place["bytes"]:
            raise PrepareError(
                f"{file} is damaged: it has {file.stat().st_size:,} bytes, {place['bytes']:,} were "
                "written; --repair makes it whole"
            )
    refuse_changed(catalog, root, key, stamps)
    names = ["audit.csv", "index.csv", *(place["path"] for place in places)]
    return all((root / name).is_file() for name in names)


def is_complete(root: Path, key: str) -> bool:
    """Whether `root` has been finished as the store `key`; refuses a store of something else."""
    if not (root / "store.json").exists():
        return False
    about = clip_store.read_about(root)
    if about["key"] != key:
        raise PrepareError(
            f"{root} holds a store of other videos or settings ({about['settings']}, catalog "
            f"{about['catalog']}); remove it or choose another folder"
        )
    return True


def refuse_changed(catalog: Catalog, root: Path, key: str, stamps: list[list[int]]) -> None:
    """Refuses videos that are others than those that a finished store was made of.

    Raises:
        PrepareError: they are, though of the same names and sizes.
    """
    touched = source_files.touched(root, key, stamps)
    if not touched:
        return
    changed = []
    for group, place in zip(
        groups(catalog, root), clip_store.read_about(root)["files"], strict=True
    ):
        rows = changed_rows(catalog, group, touched)
        if rows and category_file.is_described(root, place):  # else its own table is damaged
            changed += rows
    if changed:
        first = catalog.frame.iloc[changed[0]]
        raise PrepareError(
            f"{len(changed)} of {len(catalog)} videos have other content than those that {root} "
            f"was made from, though the same names and sizes, first {first['video_id']} "
            f"({first['path']}); remove the store or choose another folder"
        )
    with suppress(OSError):  # a store that is read-only is compared again the next time
        source_files.keep(root, key, stamps)


def changed_rows(catalog: Catalog, group: Group, touched: set[int]) -> list[int]:
    """Rows of a category file, among the touched, whose videos have other content than it."""
    rows = touched.intersection(group.rows)
    if not rows:
        return []
    try:
        records = category_file.records(group.file)
    except (OSError, KeyError, RuntimeError, UnicodeDecodeError):  # missing or damaged
        return []
    if "source" not in records or len(records) != len(group.rows):
        return []  # written before sources were looked at
    digests = dict(zip(group.rows, records["source"], strict=True))
    paths = catalog.frame["path"]
    return source_files.changed({row: paths[row] for row in sorted(rows)}, digests)
