"""The steps of notebook 01: from videos to an audited clip store."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from harlib import text
from harlib.data import Audit, Catalog, ClipStore, groups_warning
from harlib.data.catalog import corrections
from harlib.data.demo import dataset, untrimmed
from harlib.data.store import look_alikes as alike
from harlib.data.store import prepare as preparing
from harlib.data.store import source_files
from harlib.data.video import tar_shards
from harlib.files import appearing, write_json
from harlib.study.params.notebooks import DataPrep
from harlib.study.runs import session
from harlib.study.wording import sentences, tables


def about(p: DataPrep) -> tables.Sentence:
    """Whose videos these are, by the parameter ``source``."""
    if p.untrimmed:
        return tables.Sentence(
            "This study needs no download: it draws its own videos of two minutes, in which a "
            "person does twelve actions, one after the other. What lies between them is the "
            "category background."
        )
    if p.source == "demo":
        return tables.Sentence(
            "This study needs no download: it draws its own short videos of people who sit down, "
            "stand up, open doors. Some actions come in pairs that are each other's reverse. A "
            "single frame cannot tell them apart, and that is what they are for."
            + " Up to two people act side by side, and a video has the labels of both."
            * (p.people > 1)
        )
    return tables.Sentence(
        {
            "kinetics": "The videos are those that lists in Kinetics' format name.",
            "ucf101": "The videos are those that lists in UCF101's format name.",
            "folder": "The videos are those of a folder with a folder per category.",
            "table": "The videos are those that a table names.",
        }[p.source]
    )


def catalog(p: DataPrep) -> Catalog:
    """Which videos there are; with ``source: demo`` they are drawn first (once)."""
    if session.kept(p):
        return Catalog.from_csv(session.catalog_file(p))
    listed = _draw(p) if p.source == "demo" else own_videos(p)
    if p.corrections:
        with appearing(p.folder.corrections) as part:
            part.write_bytes(p.reads[0].read_bytes())
        said = [line for line in listed.left_out if line.startswith(corrections.SAID)]
        p.folder.write_state(corrected=" ".join(said))
    return listed


def own_videos(p: DataPrep) -> Catalog:
    """The person's own videos as the parameters list them, whatever the run's folder holds.

    Raises:
        ValueError: a list or folder is not as its source says.
        FileNotFoundError: it is not there.
    """
    root = p.root / p.data_root
    videos = root / p.videos
    if p.source == "ucf101":
        listed = Catalog.from_ucf101(
            videos, root / p.lists, split=p.lists_split, frame_fps=p.frame_fps
        )
    elif p.source == "kinetics":
        lists = [root / name for name in p.annotations]
        listed = Catalog.from_kinetics_csv(lists, videos, frame_fps=p.frame_fps)
    else:
        how: dict[str, Any] = {
            "val": p.val_share,
            "group": p.group or None,
            "frame_fps": p.frame_fps,
        }
        if p.source == "table":
            listed = Catalog.from_table(videos, background=p.background, **how)
        else:
            listed = Catalog.from_folder(videos, **how)
        if p.held_out:
            listed = _hold_out(listed, p.held_out)
    listed = _correct(p, listed)
    return listed.select(categories=p.categories) if p.categories else listed


def _correct(p: DataPrep, listed: Catalog) -> Catalog:
    return corrections.corrected(listed, p.reads[0]) if p.corrections else listed


def corrected(p: DataPrep) -> tables.Table | None:
    """The labels that were corrected, a row for each; None where none was."""
    if not p.folder.corrections.is_file():
        return None
    every = corrections.Corrections(p.folder.corrections)
    rows = [(one.video, one.label, one.correction, one.note) for one in every]
    return tables.Table(pd.DataFrame(rows, columns=[*corrections.COLUMNS]))


def _hold_out(listed: Catalog, groups: list[str]) -> Catalog:
    """The catalog with the videos of these groups as val and all others to learn from."""
    frame, known = listed.frame, sorted(set(listed.frame["group"]))
    if unknown := sorted(set(groups) - set(known)):
        raise ValueError(
            f"held_out: no group {', '.join(unknown)}; there are {len(known)}: "
            f"{', '.join(known[:12])}"
        )
    held = frame["group"].isin(groups)
    sides = frame.assign(split=held.map({True: "val", False: "train"}))
    # what was said of the share held out is not so
    said = [line for line in listed.left_out if not line.startswith("Held out: ")]
    return Catalog(sides, listed.name, said)


def _draw(p: DataPrep) -> Catalog:
    drawn: dict[str, Any] = {
        "train": p.train_videos,
        "val": p.val_videos,
        "difficulty": p.difficulty,
        "seed": p.seed,
    }
    if p.untrimmed:
        drawn["test"] = p.val_videos
    else:
        drawn |= {"stills": p.still_images, "categories": sorted(set(p.categories)) or None}
        drawn |= {"people": p.people} if p.people > 1 else {}  # as folders were named before
    write = untrimmed.write if p.untrimmed else dataset.write_dataset
    how: dict[str, Any] = {"workers": p.workers, "progress": session.stage(p, "drawing videos")}
    asked = folder = p.data_dir / "source"
    try:
        table = write(folder, **drawn, **how)
    except dataset.AnotherDataset:
        name = hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()[:8]
        folder = asked.with_name(f"{asked.name}-{name}")
        table = write(folder, **drawn, **how)
    _goes_to(p, asked, folder)
    if p.untrimmed:
        return _correct(p, Catalog.from_table(table, background=p.background))
    return _correct(p, Catalog.from_kinetics_csv(table, folder / "videos"))


def _goes_to(p: DataPrep, asked: Path, folder: Path) -> None:
    """Notes where this run's files go; says so when it is beside the folder asked for."""
    asked_name, name = (session.from_root(p, path) for path in (asked, folder))
    made = p.folder.read_state().get("made", {})
    made.pop(asked_name, None)
    if folder != asked:
        made[asked_name] = name
        size = text.size(sum(file.stat().st_size for file in asked.rglob("*") if file.is_file()))
        session.note(
            p,
            f"{asked_name} ({size} on disk) was made of other videos or settings and stays; "
            f"this run's files go to {name}",
        )
    p.folder.write_state(made=made)


def prepare(p: DataPrep, listed: Catalog) -> pd.DataFrame:
    """Makes the clip store (or keeps a complete one); returns the audit, one row per category."""
    if session.kept(p):
        return Audit.load(p.store_dir).table.reset_index()
    settings: dict[str, Any] = {
        "codec": p.codec,
        "size": p.store_size,
        "fps": p.fps,
        "quality": p.quality,
    }
    folder = preparing.place(listed, p.store_asked, **settings)
    _goes_to(p, p.store_asked, folder)
    audit = preparing.prepare(
        listed, folder, workers=p.workers, progress=session.stage(p, "preparing videos"), **settings
    )
    listed.to_csv(session.catalog_file(p))
    found = alike.look(ClipStore(folder), progress=session.stage(p, "comparing pictures"))
    alike.mend(found, listed)
    return audit.table.reset_index()


def look_alikes(p: DataPrep, store: ClipStore) -> tables.Sentence:
    """Whether videos on two sides of the split look alike, and what keeps them together."""
    return sentences.look_alikes(alike.load(store), session.from_root(p, store.root))


def sizes(listed: Catalog, store: ClipStore) -> dict[str, int]:
    """Bytes of the videos' files, of the store, and of the store were it uncompressed."""
    files = {(tar_shards.split(path) or [path])[0] for path in listed.frame["path"] if path}
    videos = store.videos
    pixels = int((videos["frames"] * videos["height"] * videos["width"]).sum())
    return {
        "video files": sum(max(0, size) for size, *_ in source_files.stamps(sorted(files))),
        f"this store ({store.codec})": int(store.bytes),
        "same frames, uncompressed": 3 * pixels,
    }


def finish(p: DataPrep, store: ClipStore, audit: pd.DataFrame) -> tables.Sentence:
    """Ends notebook 01: leaves ``data.json``, what the study's index says about the data."""
    if session.kept(p):
        return session.finish(p)
    write_json(
        p.folder.data,
        {
            "summary": " ".join(
                filter(
                    None,
                    [
                        sentences.data(store),
                        sentences.audit(audit),
                        p.folder.read_state().get("corrected", ""),
                        groups_warning(store.videos),
                        session.look_alikes(p, store),
                    ],
                )
            ),
            "categories": list(store.categories),
            "videos": len(store.videos),
            "bytes": int(store.bytes),
            "store_hash": store.hash,
        },
    )
    p.folder.write_state(store_hash=store.hash)
    return session.finish(p)
