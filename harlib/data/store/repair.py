"""Rewrite what `verify` finds damaged in a clip store, and nothing else."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from harlib.data.catalog.catalog import Catalog
from harlib.data.store import category_file, clip_store, finished, parts, source_files
from harlib.data.store.audit import Audit
from harlib.data.store.category_file import StoreError
from harlib.data.store.finished import Group, groups
from harlib.data.store.pack import Settings
from harlib.data.store.prepare import prepare
from harlib.data.store.verify import file_damage


def repair(catalog: Catalog, root: str | os.PathLike, **options: Any) -> Audit:
    """Make a damaged store whole again from the videos it was made of.

    Only the damaged videos are decoded; the others' bytes are kept. Damage around the videos'
    bytes costs the category, a damaged store.json or index.csv nothing but reading.

    Args:
        catalog, root, options: as `prepare` was called with.

    Raises:
        PrepareError: `root` was made from other videos or settings, or as `prepare` raises.
    """
    root = Path(root).absolute()
    names = {field.name for field in fields(Settings)}
    settings = Settings(**{name: value for name, value in options.items() if name in names})
    stamps = source_files.stamps(catalog.frame["path"].tolist())
    key = finished.key(catalog, settings, stamps)
    try:
        finished.is_complete(root, key)  # refuses a store of something else
        about = clip_store.read_about(root)
        index = clip_store.read_index(root, about, checksums=True)
        finished.refuse_changed(catalog, root, key, stamps)
    except StoreError:
        # the category files know all that these two say; a killed repair leaves neither
        (root / "store.json").unlink(missing_ok=True)
        prepare(catalog, root, **options)
        about = clip_store.read_about(root)
        index = clip_store.read_index(root, about, checksums=True)
    damaged = []
    for number, (group, place) in enumerate(
        zip(groups(catalog, root), about["files"], strict=True)
    ):
        problems = file_damage(root, place, index[index["file"] == number])
        if problems:
            # where the file's own tables are damaged nothing in it is trusted
            if category_file.is_described(root, place):
                _salvage(group, root, place, {video for video, *_ in problems}, key)
            damaged.append(group.file)
    audit = root / "audit.csv"
    if (
        not damaged
        and audit.is_file()
        and clip_store.short_hash(audit.read_bytes()) == about["audit"]
    ):
        return Audit.load(root)
    (root / "store.json").unlink()  # first: a store that names it lacks no file
    for file in damaged:
        file.unlink(missing_ok=True)
    return prepare(catalog, root, **options)


def _salvage(group: Group, root: Path, place: dict, bad: set[str], key: str) -> None:
    """Keep a category file's undamaged videos as a part file."""
    records = category_file.records(group.file)
    payload, offsets, *_ = category_file.mapped(group.file, place)
    firsts = np.append(0, records["frames"].cumsum())
    records = records.to_dict("records")
    good = [number for number, record in enumerate(records) if record["video_id"] not in bad]
    if not good:
        return
    part = root / ".parts" / f"{group.split}-{group.file.stem}-salvaged"
    with parts.writing(part, key) as (file, kept):
        for number in good:
            own = offsets[firsts[number] : firsts[number + 1] + 1]
            file.write(payload[own[0] : own[-1]].data)
            lengths = np.diff(own).tolist()
            kept.append({"row": group.rows[number], **records[number], "lengths": lengths})
