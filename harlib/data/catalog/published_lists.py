"""Published lists of videos -> rows of a catalog. Called through `Catalog.from_…`."""

import io
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from harlib.data.catalog import frame_folders
from harlib.data.catalog.folder import CatalogError, Found, by_stem, look
from harlib.data.video.images import STILL_SUFFIXES

__all__ = ["CatalogError"]

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "validate": "val",
    "validation": "val",
    "valid": "val",
    "test": "test",
    "testing": "test",
}
# the default groups: a Kinetics name's YouTube id, a UCF101 name's category and number
KINETICS_NAME = re.compile(r"(.{11})_(\d{6})_(\d{6})")
UCF101_NAME = re.compile(r"v_(.+_g\d+)_c\d+")


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV as text columns. A `path` may hold bytes that are no UTF-8, as file names may."""
    try:
        data = Path(path).read_bytes()
        table = pd.read_csv(
            io.BytesIO(data), dtype=str, keep_default_na=False, encoding_errors="surrogateescape"
        )
    except FileNotFoundError:
        raise CatalogError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        line = str(error).strip().splitlines()[-1]
        raise CatalogError(f"{path} is not a readable CSV: {line}") from error
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if any(
            map(_is_no_text, [*table, *table.drop(columns="path", errors="ignore").values.flat])
        ):
            raise CatalogError(f"{path} is no UTF-8 text ({error}); save it as UTF-8") from error
    return table


def _is_no_text(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return True
    return False


def read_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise CatalogError(f"{path}: no such file") from None
    except (UnicodeDecodeError, OSError) as error:
        raise CatalogError(f"{path} is not a text file: {error}") from error
    return [line.strip() for line in lines if line.strip()]


def read_categories(categories: str | os.PathLike | Iterable[str]) -> list[str]:
    """Names, or those in a file with one a line."""
    if isinstance(categories, str | os.PathLike):
        return read_lines(Path(categories))
    return list(categories)


def rows(videos: list[tuple]) -> pd.DataFrame:
    """A catalog table of (video_id, path, category, split, group[, start_s, end_s])."""
    columns = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]
    full = [video if len(video) == 7 else (*video, np.nan, np.nan) for video in videos]
    return pd.DataFrame(full, columns=columns)


def _look(root: Path, frame_fps: float | None) -> tuple[Found, dict[str, list[str]], list[str]]:
    """What lies there, its videos or folders of frames by name, and what is said of the latter."""
    found = look(root, of_frames=bool)
    said: list[str] = []
    return found, by_stem(frame_folders.moving(found, said, frame_fps)), said


def _with_left_out(
    listed: list[tuple], found: Found, said: Iterable[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """The table, `said`, and what else lies beside the videos where some of the list do not."""
    table = rows(listed)
    return table, [*said, *(found.left_out() if (table["path"] == "").any() else [])]


def kinetics(
    paths: list[Path], videos: Path, frame_fps: float | None
) -> tuple[pd.DataFrame, list[str]]:
    found, files, said = _look(videos, frame_fps)
    listed = []
    for path in paths:
        table = read_csv(path)
        needed = ["label", "youtube_id", "time_start", "time_end", "split"]
        missing = [name for name in needed if name not in table]
        if missing:
            raise CatalogError(f"{path}: columns {missing} are missing; it has {list(table)}")
        for number, row in enumerate(table[needed].itertuples(index=False, name=None), 2):
            label, youtube, start, end, split = (cell.strip() for cell in row)
            try:
                start, end = float(start), float(end)
                split = SPLIT_NAMES[split.lower()]
            except ValueError:
                raise CatalogError(
                    f"{path}, line {number}: times {row[2:4]} are no numbers"
                ) from None
            except KeyError:
                raise CatalogError(
                    f"{path}, line {number}: unknown split {split!r}; known: train, val, test"
                ) from None
            if not 0 <= start < end < 1e6:
                raise CatalogError(f"{path}, line {number}: no part from {start} s to {end} s")
            name = f"{youtube}_{int(start):06d}_{int(end):06d}"
            trimmed = _best(files.get(name, []), label, split)
            whole = "" if trimmed else _best(files.get(youtube, []), label, split)
            part = (start, end) if whole else (np.nan, np.nan)
            listed.append((name, trimmed or whole, label, split, youtube, *part))
    return _with_left_out(listed, found, said)


def _best(paths: list[str], category: str, split: str) -> str:
    """Of several files with one name, the one whose folders agree with category and split.

    Kinetics-400's mirror keeps whole copies of its damaged videos in an archive "replacement…".
    """
    if len(paths) < 2:
        return paths[0] if paths else ""

    def agreement(path: str) -> tuple[bool, int]:
        folders = [SPLIT_NAMES.get(part, part.replace("_", " ")) for part in Path(path).parts]
        agrees = (category.replace("_", " ") in folders) + (split in folders)
        return any(part.startswith("replacement") for part in folders), agrees

    return max(paths, key=agreement)


def ucf101(
    videos: Path, lists: Path, split: int, frame_fps: float | None
) -> tuple[pd.DataFrame, list[str]]:
    names = {}
    for line in read_lines(lists / "classInd.txt"):
        number, _, name = line.partition(" ")
        names[number] = name.strip()
    found, files, said = _look(videos, frame_fps)
    listed = []
    for side in ("train", "test"):
        path = lists / f"{side}list{split:02d}.txt"
        for count, line in enumerate(read_lines(path), 1):
            video, _, label = line.partition(" ")
            category, _, file = video.rpartition("/")
            stem = os.path.splitext(file)[0]
            group = UCF101_NAME.fullmatch(stem)
            if not category or group is None:
                raise CatalogError(
                    f"{path}, line {count}: {video!r} is no category/v_X_gNN_cNN.avi"
                )
            if category not in names.values() or (label and names.get(label) != category):
                raise CatalogError(f"{path}, line {count}: {line!r} disagrees with classInd.txt")
            file = _best(files.get(stem, []), category, side)
            listed.append((stem, file, category, side, group[1]))
    return _with_left_out(listed, found, said)


def hmdb51(
    videos: Path, lists: Path, split: int, frame_fps: float | None
) -> tuple[pd.DataFrame, list[str]]:
    found, files, said = _look(videos, frame_fps)
    listed = []
    for path in sorted(lists.glob(f"*_test_split{split}.txt")):
        action = path.name.removesuffix(f"_test_split{split}.txt")
        category = action.replace("_", " ")
        for number, line in enumerate(read_lines(path), 1):
            video, _, use = line.rpartition(" ")
            side = {"0": None, "1": "train", "2": "test"}.get(use, "")
            if side == "" or not video.strip():
                raise CatalogError(f"{path}, line {number}: {line!r} is no NAME.avi and 0, 1 or 2")
            if side:
                stem = os.path.splitext(video.strip())[0]
                source = stem.rpartition(f"_{action}_")[0] or stem
                file = _best(files.get(stem, []), category, side)
                listed.append((f"{action}/{stem}", file, category, side, f"{action}/{source}"))
    if not listed:
        raise CatalogError(f"{lists} has no lists <action>_test_split{split}.txt")
    table, left_out = _with_left_out(listed, found, said)
    # the lists decide: clips of a source that they put on both sides are groups of their own
    both = table.groupby("group")["split"].transform("nunique") > 1
    if both.any():
        warnings.warn(
            f"HMDB51's split {split} puts clips of {table['group'][both].nunique()} sources into "
            f"training and test: these {both.sum()} clips are groups of their own",
            stacklevel=3,
        )
    table["group"] = table["group"].where(~both, table["video_id"])
    table["video_id"] = table["video_id"].str.partition("/")[2]
    return table, left_out


def stanford40(root: Path) -> tuple[pd.DataFrame, list[str]]:
    found = look(root / "JPEGImages", STILL_SUFFIXES)
    files = by_stem(found.files)
    lists = sorted((root / "ImageSplits").glob("*_*.txt"))
    listed = []
    for path in lists:
        action, _, side = path.stem.rpartition("_")
        if side in ("train", "test"):
            category = action.replace("_", " ")
            for line in read_lines(path):
                stem = os.path.splitext(line)[0]
                file = _best(files.get(stem, []), category, side)
                listed.append((stem, file, category, side, stem))
    if not listed:
        raise CatalogError(
            f"{root}/ImageSplits has no lists <action>_train.txt or <action>_test.txt"
        )
    return _with_left_out(listed, found)
