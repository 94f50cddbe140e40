"""The files that make category files a store: audit.csv, index.csv and, last, store.json."""

import json
import shutil
from pathlib import Path

import pandas as pd

from harlib.data.catalog.catalog import Catalog
from harlib.data.store import category_file, clip_store
from harlib.data.store.audit import COLUMNS, Audit
from harlib.data.store.pack import PrepareError
from harlib.files import write_text


def finish(catalog: Catalog, root: Path, settings: dict, key: str, groups: list) -> Audit:
    """Write audit.csv, index.csv and, last, store.json; every category file is there."""
    files: list[dict] = []
    tables = []
    for group in groups:
        table = category_file.records(group.file).rename(columns={"file": "name"})
        table["category"], table["split"] = group.category, group.split
        table["file"] = len(files)
        table["first"] = table["frames"].cumsum() - table["frames"]
        files.append(category_file.describe(root, group.file))
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    labels = {category: label for label, category in enumerate(catalog.categories)}
    table["label"] = table["category"].map(labels)
    stored = table["frames"] > 0
    if not stored.any():
        why = table["reason"].value_counts().index[0]
        raise PrepareError(f"none of {len(table)} videos could be decoded; most often: {why}")
    # equal checksums are equal frames: also across categories and splits
    names = table["split"] + "/" + table["category"] + "/" + table["video_id"]
    first = names[stored].groupby(table["checksum"][stored]).transform("first")
    table["same_as"] = first.where(first != names[stored]).reindex(table.index).fillna("")
    audit = Audit(table.drop(columns="file").rename(columns={"name": "file"})[COLUMNS])
    index = table.loc[stored, list(clip_store.INDEX_TYPES)].to_csv(index=False, lineterminator="\n")
    about = {
        "format": category_file.FORMAT,
        "version": category_file.VERSION,
        "hash": clip_store.short_hash(index),
        "audit": clip_store.short_hash(audit.to_csv()),
        "key": key,
        "name": catalog.name,
        "catalog": catalog.hash,
        "settings": settings,
        "categories": catalog.categories,
        "files": files,
    }
    # through JSON: the digest is of what a reader will get
    about = json.loads(json.dumps(about))
    about["digest"] = clip_store.about_digest(about)
    write_text(root / "audit.csv", audit.to_csv())
    write_text(root / "index.csv", index)
    write_text(root / "store.json", json.dumps(about, indent=1))
    shutil.rmtree(root / ".parts", ignore_errors=True)
    return audit
