"""The steps of notebook 01: from videos to an audited clip store."""

import json
import shutil
from pathlib import Path

import pandas as pd

from harlib.data import actions, shards
from harlib.data import prepare as preparing
from harlib.data.catalog import Catalog
from harlib.data.own_videos import groups_warning
from harlib.data.store import ClipStore
from harlib.study import identity, session, tell
from harlib.study.params import DataPrep


def about(p: DataPrep) -> tell.Sentence:
    """Whose videos these are, by the parameter ``source``."""
    if p.source == "demo":
        return tell.Sentence(
            "This study needs no download: it draws its own short videos of people who sit down, "
            "stand up, open doors. Some actions come in pairs that are each other's reverse. A "
            "single frame cannot tell them apart, and that is what they are for."
        )
    return tell.Sentence(
        {
            "kinetics": "The videos are those that lists in Kinetics' format name.",
            "ucf101": "The videos are those that lists in UCF101's format name.",
            "folder": "The videos are those of a folder with a folder a category.",
        }[p.source]
    )


def catalog(p: DataPrep) -> Catalog:
    """Which videos there are; with ``source: demo`` they are drawn first (once)."""
    if p.source == "demo":
        return _draw(p)
    root = p.root / p.data_root
    videos = root / p.videos
    if p.source == "ucf101":
        listed = Catalog.from_ucf101(videos, root / p.lists, split=p.lists_split)
    elif p.source == "kinetics":
        tables = [root / name for name in p.annotations]
        return Catalog.from_kinetics_csv(tables, videos, categories=p.categories or None)
    else:
        listed = Catalog.from_folder(videos, group=p.group or None)
        if p.held_out:
            listed = _hold_out(listed, p.held_out)
    return listed.select(categories=p.categories) if p.categories else listed


def _hold_out(listed: Catalog, groups: list[str]) -> Catalog:
    """The catalog with the videos of these groups as val and all others to learn from."""
    frame, known = listed.frame, sorted(set(listed.frame["group"]))
    if unknown := sorted(set(groups) - set(known)):
        raise ValueError(
            f"held_out: no group {', '.join(unknown)}; there are {len(known)}: "
            f"{', '.join(known[:12])}"
        )
    held = frame["group"].isin(groups)
    return Catalog(frame.assign(split=held.map({True: "val", False: "train"})), listed.name)


def _draw(p: DataPrep) -> Catalog:
    folder = p.data_dir / "source"

    def write() -> Path:
        return actions.write_dataset(
            folder,
            train=p.train_videos,
            val=p.val_videos,
            stills=p.still_images,
            difficulty=p.difficulty,
            seed=p.seed,
            categories=p.categories or None,
            workers=p.workers,
            progress=session.stage(p, "drawing videos"),
        )

    try:
        table = write()
    except actions.AnotherDataset:
        # Videos drawn with other settings: these cost a minute and come back the same, so they
        # are replaced; what is made of a person's own videos is never removed.
        for left in (folder, p.data_dir / "store", *p.data_dir.glob("stills-store*")):
            shutil.rmtree(left, ignore_errors=True)
        table = write()
    return Catalog.from_kinetics_csv(table, folder / "videos")


def prepare(p: DataPrep, listed: Catalog) -> pd.DataFrame:
    """Makes the clip store (or keeps a complete one); returns the audit, one row a category."""
    settings = {"codec": p.codec, "size": p.store_size, "fps": p.fps, "quality": p.quality}
    if p.source == "demo" and p.store_dir == p.data_dir / "store" and _differs(p, settings):
        shutil.rmtree(p.store_dir)
    audit = preparing.prepare(
        listed,
        p.store_dir,
        workers=p.workers,
        progress=session.stage(p, "preparing videos"),
        **settings,
    )
    listed.to_csv(session.catalog_file(p))
    return audit.table.reset_index()


def _differs(p: DataPrep, settings: dict) -> bool:
    about = p.store_dir / "store.json"
    if not about.is_file():
        return False
    known = json.loads(about.read_text())["settings"]
    return json.loads(json.dumps(settings)) != known


def sizes(listed: Catalog, store: ClipStore) -> dict[str, int]:
    """Bytes of the videos' files, of the store, and of the store were it uncompressed."""
    files = {(shards.split(path) or [path])[0] for path in listed.frame["path"] if path}
    paths = [Path(file) for file in files]
    videos = store.videos
    pixels = int((videos["frames"] * videos["height"] * videos["width"]).sum())
    return {
        "video files": sum(path.stat().st_size for path in paths if path.is_file()),
        f"this store ({store.codec})": int(store.bytes),
        "same frames, uncompressed": 3 * pixels,
    }


def finish(p: DataPrep, store: ClipStore, audit: pd.DataFrame) -> tell.Sentence:
    """Ends notebook 01: leaves ``data.json``, what the study's index says about the data."""
    identity.write_json(
        p.run_dir / "data.json",
        {
            "summary": " ".join(
                filter(None, [tell.data(store), tell.audit(audit), groups_warning(store.videos)])
            ),
            "categories": list(store.categories),
            "videos": len(store.videos),
            "bytes": int(store.bytes),
            "store_hash": store.hash,
        },
    )
    identity.write_state(p.run_dir, store_hash=store.hash)
    return session.finish(p)
