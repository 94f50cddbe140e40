"""Published lists of videos -> rows of a catalog. Called through `Catalog.from_…`."""

import itertools
import os
import re
import warnings
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from harlib import HarlibError
from harlib.data import shards
from harlib.data.video_reader import STILL_SUFFIXES, VIDEO_SUFFIXES

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


class CatalogError(HarlibError):
    """A list of videos that is missing, wrong or inconsistent; the message is one line."""


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV as text columns."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise CatalogError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        line = str(error).strip().splitlines()[-1]
        raise CatalogError(f"{path} is not a readable CSV: {line}") from error


def read_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise CatalogError(f"{path}: no such file") from None
    except (UnicodeDecodeError, OSError) as error:
        raise CatalogError(f"{path} is not a text file: {error}") from error
    return [line.strip() for line in lines if line.strip()]


def read_categories(categories) -> list[str]:
    """Names, or those in a file with one a line."""
    if isinstance(categories, str | os.PathLike):
        return read_lines(Path(categories))
    return list(categories)


def find_files(root: Path, suffixes=VIDEO_SUFFIXES) -> dict[str, list[str]]:
    """Absolute paths of all files with these suffixes below a folder, by stem; members of tar
    shards too (see `harlib.data.shards`)."""
    if not root.is_dir():
        raise CatalogError(f"{root}: no such folder of videos")
    found = defaultdict(list)
    seen, packed = set(), []
    for folder, folders, names in os.walk(root.absolute(), followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back would be walked for ever
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if shards.is_shard(name):
                packed.append(path)
            else:
                _add(found, path, suffixes)
    # unpacking .tar.gz is the work of a core each, and zlib lets threads run
    listed = joblib.Parallel(n_jobs=-1, prefer="threads")(
        joblib.delayed(_members)(path) for path in packed
    )
    for path, members in zip(packed, listed, strict=True):
        for member in members:
            _add(found, shards.address(path, member), suffixes)
    return found


def _add(found: dict, path: str, suffixes) -> None:
    name = os.path.basename(path)
    stem, suffix = os.path.splitext(name)
    if suffix.lower() in suffixes and not name.startswith("."):
        found[stem].append(path)


def _members(shard: str) -> list[str]:
    try:
        return shards.members(shard)
    except shards.ShardError as error:
        raise CatalogError(
            f"{shard}: {error}; get this shard again, or move it away to go on without its videos"
        ) from error


def rows(videos: list[tuple]) -> pd.DataFrame:
    """A catalog table of (video_id, path, category, split, group[, start_s, end_s])."""
    columns = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]
    full = [video if len(video) == 7 else (*video, np.nan, np.nan) for video in videos]
    return pd.DataFrame(full, columns=columns)


def kinetics(paths: list[Path], videos: Path) -> pd.DataFrame:
    found = find_files(videos)
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
            trimmed = _best(found.get(name, []), label, split)
            whole = "" if trimmed else _best(found.get(youtube, []), label, split)
            part = (start, end) if whole else (np.nan, np.nan)
            listed.append((name, trimmed or whole, label, split, youtube, *part))
    return rows(listed)


def _best(paths: list[str], category: str, split: str) -> str:
    """Of several files with one name, the one whose folders agree with category and split.

    Kinetics-400's mirror keeps whole copies of its damaged videos in an archive "replacement…".
    """
    if len(paths) < 2:
        return paths[0] if paths else ""

    def agreement(path):
        folders = [SPLIT_NAMES.get(part, part.replace("_", " ")) for part in Path(path).parts]
        agrees = (category.replace("_", " ") in folders) + (split in folders)
        return any(part.startswith("replacement") for part in folders), agrees

    return max(paths, key=agreement)


def ucf101(videos: Path, lists: Path, split: int) -> pd.DataFrame:
    names = {}
    for line in read_lines(lists / "classInd.txt"):
        number, _, name = line.partition(" ")
        names[number] = name.strip()
    found = find_files(videos)
    listed = []
    for side in ("train", "test"):
        path = lists / f"{side}list{split:02d}.txt"
        for number, line in enumerate(read_lines(path), 1):
            video, _, label = line.partition(" ")
            category, _, file = video.rpartition("/")
            stem = os.path.splitext(file)[0]
            group = UCF101_NAME.fullmatch(stem)
            if not category or group is None:
                raise CatalogError(
                    f"{path}, line {number}: {video!r} is no category/v_X_gNN_cNN.avi"
                )
            if category not in names.values() or (label and names.get(label) != category):
                raise CatalogError(f"{path}, line {number}: {line!r} disagrees with classInd.txt")
            file = _best(found.get(stem, []), category, side)
            listed.append((stem, file, category, side, group[1]))
    return rows(listed)


def hmdb51(videos: Path, lists: Path, split: int) -> pd.DataFrame:
    found = find_files(videos)
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
                file = _best(found.get(stem, []), category, side)
                listed.append((f"{action}/{stem}", file, category, side, f"{action}/{source}"))
    if not listed:
        raise CatalogError(f"{lists} has no lists <action>_test_split{split}.txt")
    table = rows(listed)
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
    return table


def stanford40(root: Path) -> pd.DataFrame:
    found = find_files(root / "JPEGImages", STILL_SUFFIXES)
    lists = sorted((root / "ImageSplits").glob("*_*.txt"))
    listed = []
    for path in lists:
        action, _, side = path.stem.rpartition("_")
        if side in ("train", "test"):
            category = action.replace("_", " ")
            for line in read_lines(path):
                stem = os.path.splitext(line)[0]
                file = _best(found.get(stem, []), category, side)
                listed.append((stem, file, category, side, stem))
    if not listed:
        raise CatalogError(
            f"{root}/ImageSplits has no lists <action>_train.txt or <action>_test.txt"
        )
    return rows(listed)


def folder(root: Path, val: float, seed: int, group: str | None) -> pd.DataFrame:
    found = find_files(root, VIDEO_SUFFIXES | STILL_SUFFIXES)
    files = [path for paths in found.values() for path in paths]
    base = root.absolute()
    parts = {path: Path(shards.place(path)).relative_to(base).parts for path in sorted(files)}
    depths = {len(p) for p in parts.values()}
    has_splits = depths == {3} and all(p[0].lower() in SPLIT_NAMES for p in parts.values())
    if not has_splits and depths != {2}:
        raise CatalogError(
            f"{root} holds {len(files)} videos, not all at category/NAME or split/category/NAME "
            "with splits train, val, test"
        )
    stems = [Path(place[-1]).stem for place in parts.values()]
    unique = len(set(stems)) == len(stems)
    listed = []
    for (path, place), stem in zip(parts.items(), stems, strict=True):
        split = SPLIT_NAMES[place[0].lower()] if has_splits else ""
        category = place[-2]
        name = stem if unique else "/".join((*place[:-1], stem))
        listed.append((name, path, category, split, _group(name, stem, group)))
    table = rows(listed)
    if not has_splits:
        table["split"] = _held_out(table, val, seed)
    return table


def _group(name: str, stem: str, pattern: str | None) -> str:
    if pattern is None:
        known = KINETICS_NAME.fullmatch(stem) or UCF101_NAME.fullmatch(stem)
        return known[1] if known else name
    found = re.search(pattern, stem)
    if not found or not found.groups():
        raise CatalogError(f"the group pattern {pattern!r} finds no group in {stem!r}")
    return found[1]


def _held_out(table: pd.DataFrame, val: float, seed: int) -> np.ndarray:
    """ "train" or "val" for each row: whole groups, every category in proportion."""
    from sklearn.model_selection import StratifiedGroupKFold

    if not 0 < val <= 0.5:
        raise CatalogError(f"val is {val}: the share of groups held out must be in (0, 0.5]")
    # of so many folds, so many are held out: of 3 one for val=0.33, of 5 two for 0.4
    share = Fraction(val).limit_denominator(max(20, round(1 / val)))
    held_out, folds = share.as_integer_ratio()
    fewest = table.groupby("category")["group"].nunique()
    if fewest.min() < folds:
        raise CatalogError(
            f"category {fewest.idxmin()!r} has {fewest.min()} groups; holding out {val:g} needs "
            f"at least {folds}, {held_out} of every {folds}"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    split = np.full(len(table), "train", dtype=object)
    parts = splitter.split(table, table["category"], table["group"])
    for _, held in itertools.islice(parts, held_out):
        split[held] = "val"
    return split
