"""Is every byte of a clip store what `prepare` wrote?"""

import os
from pathlib import Path

import pandas as pd

from harlib.data.store import category_file, clip_store
from harlib.data.store.category_file import StoreError


def verify(root: str | os.PathLike) -> pd.DataFrame:
    """Check every byte of a store: a table `video_id, category, split, problem`, empty when whole.

    Damage outside the videos' own bytes names its file in `problem` and has video_id "".

    Raises:
        StoreError: there is no complete store at `root`, or store.json or index.csv is damaged.
    """
    root = Path(root)
    about = clip_store.read_about(root)
    index = clip_store.read_index(root, about, checksums=True)
    problems = []
    category_file.refuse_pipe(root / "audit.csv")
    if clip_store.short_hash((root / "audit.csv").read_bytes()) != about["audit"]:
        problems.append(("", "", "", "audit.csv is damaged"))
    for number, place in enumerate(about["files"]):
        problems.extend(file_damage(root, place, index[index["file"] == number]))
    return pd.DataFrame(problems, columns=["video_id", "category", "split", "problem"])


def file_damage(root: Path, place: dict, videos: pd.DataFrame) -> list[tuple]:
    """All damage in one category file, as (video_id, category, split, problem).

    Args:
        place: what store.json says of the file.
        videos: its rows of the index.
    """
    path = root / place["path"]
    try:
        file = category_file.mapped(path, place)
    except StoreError as error:
        lost = [(v.video_id, v.category, v.split, str(error)) for v in videos.itertuples()]
        return lost or [("", "", "", str(error))]
    problems = []
    for video in videos.itertuples():
        try:
            file.check()
        except StoreError as error:
            problems.append((video.video_id, video.category, video.split, str(error)))
            continue
        own = file.offsets[video.first : video.first + video.frames + 1]
        if category_file.checksum(file.payload, own) != video.checksum:
            where = f"{place['path']}: bytes {own[0]} to {own[-1]} of its payload are damaged"
            problems.append((video.video_id, video.category, video.split, where))
    if not category_file.is_described(root, place):
        around = f"{place['path']}: the bytes around the videos' are damaged"
        problems.append(("", "", "", around))
    return problems
