"""Videos of a clip store that look alike: copies, and clips cut from one recording.

<store>/look_alikes.json   which they are, in rows of index.csv
<store>/look_alikes.csv    where some lie on two sides of the split: the videos as a table
                           `path,label,group` that keeps them together (`source: table`)
"""

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from harlib import files, text
from harlib.data.catalog.catalog import Catalog
from harlib.data.store import picture_hash
from harlib.data.store.category_file import StoreError
from harlib.data.store.clip_store import ClipStore
from harlib.progress import Stage, shown

FILE, TABLE = "look_alikes.json", "look_alikes.csv"
RULE = 1  # raise it when `find` finds others in the same pictures: older files are made again
FRAMES = 5  # of a video, from its first to its last
RADIUS = 4  # bits in which two hashes of one picture may differ
COMMON = 0.5  # share of all videos from which on what they share is a background, not a recording
_FEW = 8  # videos of which one group may hold that many
_PAIRED = 600  # videos that are compared one by one


@dataclass(frozen=True)
class LookAlikes:
    """Which videos of a store look alike.

    `group` is int (videos,) in the store's order: a number for each video that looks like another
    one, -1 for all others. `common` is how many videos share a picture with so many that it tells
    no recordings apart, as with one fixed camera; they are in no group.
    """

    store: ClipStore
    group: np.ndarray
    common: int = 0

    def across(self, *splits: str) -> pd.DataFrame:
        """The videos that look like one of another side: `video_id, category, split, group, alike`.

        Args:
            splits: the sides that count; without them all.
        """
        videos = self.store.videos[["video_id", "category", "split", "group"]]
        videos = videos.assign(alike=self.group)[self.group >= 0]
        if splits:
            videos = videos[videos["split"].isin(splits)]
        sides = videos.groupby("alike")["split"].transform("nunique")
        return videos[sides > 1].sort_values("alike", kind="stable")

    def warning(self, *splits: str, named: str = "") -> str:
        """What these mean for an accuracy, and what keeps them together; "" where none is across.

        Args:
            splits: as of `across`.
            named: the store's folder as a person types it; by default its path.
        """
        found = self.across(*splits)
        if found.empty:
            return ""
        first = found[found["alike"] == found["alike"].iloc[0]].drop_duplicates("split").head(2)
        one, other = (f"{video.video_id} ({video.split})" for video in first.itertuples())
        said = (
            f"Warning: {text.count(len(found), 'video')} look like others across the split, first "
            f"{one} and {other}: copies, or clips of one recording or place, which make "
            "accuracies too high."
        )
        if (self.store.root / TABLE).is_file():
            table = shlex.quote(f"{named or self.store.root}/{TABLE}")
            said += f" har new-study NAME --videos {table} keeps them on one side."
        return said

    def said(self, *, named: str = "") -> str:
        """`warning` and `remark`, or that no video looks like one on another side."""
        none = "No video looks like one on another side of the split."
        return f"{self.warning(named=named) or none} {self.remark()}".strip()

    def remark(self) -> str:
        """What videos of one common background mean; "" where there are none."""
        if not self.common:
            return ""
        return (
            f"{self.common:,} of {text.count(len(self.group), 'video')} show one background, as of "
            "a fixed camera: pictures cannot tell which of them are of one recording."
        )


def look(store: ClipStore, *, progress: bool | Stage = True) -> LookAlikes:
    """What `load` reads; looked for now, and kept beside the store, where it is not there yet."""
    if (known := load(store)) is not None:
        return known
    found = find(store, progress=progress)
    groups: list[list[int]] = [[] for _ in range(found.group.max() + 1)]
    for row in np.flatnonzero(found.group >= 0).tolist():
        groups[found.group[row]].append(row)
    content = {"rule": RULE, "store": store.hash, "common": found.common, "groups": groups}
    with contextlib.suppress(OSError):  # a store that is read-only is looked through again
        files.write_json(store.root / FILE, content)
    return found


def load(store: ClipStore) -> LookAlikes | None:
    """What was found when the store was made; None where nobody has looked.

    Raises:
        HarlibError: the file is damaged.
    """
    path = Path(store.root) / FILE
    if not path.is_file():
        return None
    content = files.read_json(path, "rule", "store", "common", "groups")
    if (content["rule"], content["store"]) != (RULE, store.hash):
        return None
    group = np.full(len(store), -1)
    for number, rows in enumerate(content["groups"]):
        if not all(isinstance(row, int) and 0 <= row < len(store) for row in rows):
            raise StoreError(f"{path} names videos that the store has not: remove it")
        group[rows] = number
    return LookAlikes(store, group, content["common"])


def find(store: ClipStore, *, progress: bool | Stage = True) -> LookAlikes:
    """Looks at a few frames of every video, and finds those that are nearly the same picture."""
    places = [_places(length) for length in store.videos["frames"].tolist()]
    with shown(progress, "compare", "video") as bar:
        bar.begin(0, len(store), together=joblib.cpu_count())
        values, owners = [], []
        reading = joblib.Parallel(
            joblib.cpu_count(), "threading", batch_size=16, return_as="generator"
        )
        calls = (joblib.delayed(_hashes)(store, row, own) for row, own in enumerate(places))
        for row, own in enumerate(reading(calls)):
            values.append(own)
            owners.append(np.full(len(own), row))
            bar.at(row + 1)
    group, common = grouped(np.concatenate(values), np.concatenate(owners), len(store))
    return LookAlikes(store, group, common)


def pairs(found: LookAlikes) -> pd.DataFrame:
    """Every look-alike with the video that is most like it, a row a pair, the most alike first.

    Columns: `one`, `other` (rows of the store, the one of the earlier split first), `distance`
    (bits of 64 in which the hashes of their two most alike frames differ), `one_frame`,
    `other_frame` (the numbers of these), `across` (whether they lie on two sides of the split).
    Pairs across come first; a video has one within its side where it has none across. Of pairs that
    are equally alike, those of other categories come before more of the same. At most 600 videos
    are compared, those with look-alikes across first.
    """
    across = set(found.across()["alike"])
    rows = np.flatnonzero(found.group >= 0)
    inside = ~np.isin(found.group[rows], list(across))
    rows = rows[np.lexsort((found.group[rows], inside))][:_PAIRED]
    rows_of: dict[tuple[int, int], tuple] = {}
    for pair in _nearest(found, rows) if len(rows) else ():
        rows_of.setdefault(pair[:2], pair)
    columns = ["one", "other", "distance", "one_frame", "other_frame", "across"]
    table = pd.DataFrame(rows_of.values(), columns=columns)
    categories = found.store.videos["category"].to_numpy()
    kinds = [categories[table[side]] for side in ("one", "other")]
    table = table.assign(again=table.groupby([*kinds, "distance"]).cumcount())
    by = ["across", "distance", "again", "one", "other"]
    table = table.sort_values(by, ascending=[False, True, True, True, True], ignore_index=True)
    return table[columns]


def _nearest(found: LookAlikes, rows: np.ndarray) -> Iterator[tuple[int, int, int, int, int, bool]]:
    """Of each video a row of `pairs`: across the split where one is near enough."""
    store, lengths = found.store, found.store.videos["frames"].to_numpy()
    split = store.videos["split"].map({"train": 0, "val": 1, "test": 2}).to_numpy()
    reading = joblib.Parallel(joblib.cpu_count(), "threading")
    places = [_places(lengths[row]) for row in rows]
    seen = reading(
        joblib.delayed(_seen)(store, row, own)
        for row, own in zip(rows.tolist(), places, strict=True)
    )
    hashes, shows = (np.concatenate(each) for each in zip(*seen, strict=True))
    frames, owners = np.concatenate(places), np.repeat(rows, list(map(len, places)))
    for row in rows.tolist():
        own = np.flatnonzero((owners == row) & shows)
        others = np.flatnonzero((found.group[owners] == found.group[row]) & (owners != row) & shows)
        apart = np.bitwise_count(hashes[own, None] ^ hashes[others]).astype(int)
        ranked = apart + (RADIUS + 1) * (split[owners[others]] == split[row])
        ranked[apart > RADIUS] = 3 * RADIUS
        if not ranked.size or ranked.min() == 3 * RADIUS:
            continue  # those it is like are none of these rows
        mine, its = np.unravel_index(int(ranked.argmin()), ranked.shape)
        ends = [(row, frames[own[mine]]), (int(owners[others[its]]), frames[others[its]])]
        (one, first), (other, second) = sorted(ends, key=lambda end: (split[end[0]], end[0]))
        bits, sides = int(apart[mine, its]), bool(split[one] != split[other])
        yield one, other, bits, int(first), int(second), sides


def _places(length: int) -> np.ndarray:
    """The frames of a video that are looked at."""
    return np.unique(np.linspace(0, length - 1, FRAMES).round().astype(int))


def _hashes(store: ClipStore, row: int, places: np.ndarray) -> np.ndarray:
    found, shows = _seen(store, row, places)
    return found[shows]


def _seen(store: ClipStore, row: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return picture_hash.hashes(store.read(row, places))


def grouped(values: np.ndarray, owners: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """(the number of each video's group, -1 for none, int (count,); videos of common pictures).

    Args:
        values: hashes of pictures, uint64 (pictures,).
        owners: the video of each, int (pictures,).
        count: videos.
    """
    names, place = np.unique(values, return_inverse=True)
    piece = picture_hash.alike(names, RADIUS)[place]
    found = picture_hash.joined(owners, count + piece, count + len(names))[:count]
    sizes = np.bincount(found)[found]
    common = sizes > max(_FEW, COMMON * count)
    group = np.full(count, -1)
    kept = (sizes > 1) & ~common
    group[kept] = np.unique(found[kept], return_inverse=True)[1]
    return group, int(common.sum())


def mend(found: LookAlikes, catalog: Catalog) -> None:
    """Writes `TABLE` where videos on two sides look alike; one that is there stays.

    It lists the catalog's videos that have a file. Those that look alike are one group, together
    with the groups that they are known to be of.
    """
    path = Path(found.store.root) / TABLE
    if found.across().empty or path.is_file():
        return
    key = ["split", "category", "video_id"]
    own = found.store.videos[key].assign(alike=found.group)
    table = catalog.frame[catalog.frame["path"] != ""].merge(own, "left", on=key)
    alike = table["alike"].fillna(-1).astype(int).to_numpy()
    codes, groups = pd.factorize(table["group"])
    joined = np.flatnonzero(alike >= 0)
    links = codes[joined], len(groups) + alike[joined]
    piece = picture_hash.joined(*links, len(groups) + len(found.group))[codes]
    named = table["group"].mask(table["group"] == table["video_id"], "")
    first = table["video_id"].iloc[joined].groupby(piece[joined]).first()
    table["group"] = pd.Series(piece, table.index).map("like " + first).fillna(named)
    parts = [name for name in ("start_s", "end_s") if table[name].notna().any()]
    columns = ["path", "category", "group", *parts]
    with contextlib.suppress(OSError), files.appearing(path) as part:
        table[columns].rename(columns={"category": "label"}).to_csv(
            part, index=False, errors="surrogateescape"
        )
