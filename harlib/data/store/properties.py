"""What videos are like beside what they show: length, brightness, motion, size and rate.

Whatever differs between categories here, a network can learn in place of the action.
"""

from dataclasses import dataclass

import cv2
import joblib
import numpy as np
import pandas as pd

from harlib.data import label_sets
from harlib.data.catalog.catalog import Catalog
from harlib.data.store.clip_store import ClipStore
from harlib.data.video import tar_shards
from harlib.data.video.container import VideoError
from harlib.data.video.files import probe
from harlib.progress import Stage, shown

MOST = 4000  # videos that are looked at
PROBED = 400  # files whose heads are read: 3 ms each
LEAST = 5  # of a category in a split, where it has so many and the numbers above suffice
PLACES = 4  # of a video, at which two frames are compared
APART_S = 0.2  # seconds from one of them to the other
_SIDE = 64  # pixels of the grey picture that is measured


def measure(store: ClipStore, *, most: int = MOST, progress: bool | Stage = True) -> pd.DataFrame:
    """A row per stored video: `video_id, category, split, seconds, brightness, motion`.

    brightness: of its pictures, 0 (black) to 1 (white). motion: what a pixel's brightness changes
    by within 0.2 s, the camera's motion among it, 0 to 1; NaN of a video of one frame. Both are NaN
    of videos that were not looked at: of a store with more than `most`, an even share of every
    category in every split is.
    """
    videos = store.videos[["video_id", "category", "split"]].copy()
    videos["seconds"] = store.videos["frames"] / store.videos["fps"]
    rows = some(store.videos, most)
    found = np.full((len(store), 2), np.nan)
    with shown(progress, "measure", "video") as bar:
        bar.begin(0, len(rows), together=joblib.cpu_count())
        reading = joblib.Parallel(
            joblib.cpu_count(), "threading", batch_size=16, return_as="generator"
        )
        calls = (joblib.delayed(_look)(store, row) for row in rows.tolist())
        for done, (row, values) in enumerate(zip(rows, reading(calls), strict=True)):
            found[row] = values
            bar.at(done + 1)
    return videos.assign(brightness=found[:, 0], motion=found[:, 1])


def some(videos: pd.DataFrame, most: int) -> np.ndarray:
    """Row numbers of an even share of every category in every split, int (rows,), ascending.

    All of them where these are at most `most`; else about `most`, at least 5 of each where that is
    not more, and of more categories than `most` one of each of an even share of these.
    """
    if len(videos) <= most:
        return np.arange(len(videos))
    cells = videos.groupby(["split", "category"], sort=False)
    number, size = cells.cumcount().to_numpy(), cells["split"].transform("size").to_numpy()
    least = max(1, min(LEAST, most // cells.ngroups))
    wanted = np.minimum(size, np.maximum(least, np.round(size * most / len(videos))))
    # the first of each of `wanted` equal parts
    part = np.floor(number * wanted / size)
    rows = np.flatnonzero((number == 0) | (part > np.floor((number - 1) * wanted / size)))
    if cells.ngroups > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    return rows


def _look(store: ClipStore, row: int) -> tuple[float, float]:
    """(brightness, motion) of a video."""
    length, rate = (store.videos[name].iat[row] for name in ("frames", "fps"))
    apart = min(max(1, round(APART_S * rate)), length - 1)
    first = np.unique(np.linspace(0, length - 1 - apart, PLACES).round().astype(int))
    places = np.union1d(first, first + apart)
    grey = np.stack([_grey(frame) for frame in store.read(row, places)])
    if not apart:
        return float(grey.mean() / 255), np.nan
    one, other = (grey[np.searchsorted(places, which)] for which in (first, first + apart))
    return float(grey.mean() / 255), float(np.abs(one - other).mean() / 255)


def _grey(frame: np.ndarray) -> np.ndarray:
    """float32 (64, 64) of uint8 (height, width, 3)."""
    grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def recorded(catalog: Catalog, *, most: int = PROBED) -> pd.DataFrame:
    """A row per file whose head was read: `category, split, side, shape, rate, kind`, as recorded.

    side: pixels of the shorter side. shape: how many times as wide as high. rate: frames per
    second. kind: all of it in words. Files that cannot be read are left out, and so are those
    inside tar files.
    """
    frame = files(catalog)
    frame = frame.iloc[some(frame, most)]
    found = joblib.Parallel(joblib.cpu_count(), "threading")(
        map(joblib.delayed(_head), frame["path"])
    )
    heads = pd.DataFrame(found, frame.index, ["side", "shape", "rate", "kind"])
    return frame[["category", "split"]].join(heads).dropna()


def files(catalog: Catalog) -> pd.DataFrame:
    """The catalog's videos that have a file of their own, a row per file."""
    frame = catalog.frame.drop_duplicates("path")
    own = [path != "" and tar_shards.split(path) is None for path in frame["path"]]
    return frame[own].reset_index(drop=True)


def _head(path: str) -> tuple[int, float, float, str] | tuple[None, None, None, None]:
    try:
        info = probe(path)
    except (VideoError, OSError, ValueError):
        return None, None, None, None
    width, height = round(info.width * info.pixel_aspect), info.height
    rate = round(info.fps, 2)
    kind = f"{width} × {height} pixels, {rate:g} frames per second"
    return min(width, height), round(width / height, 3), rate, kind


@dataclass(frozen=True)
class Apart:
    """Videos that stand apart from all others by a number alone.

    `name` is their category or split, `share` that of the comparisons of one of them with one of
    the others in which it has the larger number, `own` and `others` are medians, `count` how many
    categories or splits stand apart, this one the farthest.
    """

    name: str
    share: float
    own: float
    others: float
    count: int


def standing_apart(table: pd.DataFrame, value: str, column: str) -> Apart | None:
    """The category or split that a number tells from all others best; None where none does.

    A category does where its videos have the larger number (or the smaller) in nine of ten
    comparisons with videos of others, a split where they have it in seven, and chance alone would
    hardly do it (3 standard errors of the rank sum). It takes 5 videos on either side.

    Args:
        table: of `measure` or `recorded`.
        value: its column with the number.
        column: "category" or "split"; of several labels per video, a label's videos are compared
            with those that lack it.

    Reference:
        Mann, Whitney, On a test of whether one of two random variables is stochastically larger
        than the other, 1947.
    """
    table = table[table[value].notna()]
    ranks, values = table[value].rank().to_numpy(), table[value].to_numpy()
    least = {"category": 0.4, "split": 0.2}[column]
    found: list[tuple[str, float, float, float]] = []
    for name, own in _sides(table[column]).items():
        ours, theirs = int(own.sum()), int((~own).sum())
        if min(ours, theirs) < LEAST:
            continue
        share = (ranks[own].sum() / ours - (ours + 1) / 2) / theirs
        error = np.sqrt((ours + theirs + 1) / (12 * ours * theirs))
        if abs(share - 0.5) >= max(least, 3 * error):
            middle, others = (float(np.median(values[which])) for which in (own, ~own))
            found.append((name, float(share), middle, others))
    if not found:
        return None
    farthest = max(found, key=lambda one: round(abs(one[1] - 0.5), 9))
    return Apart(*farthest, len(found))


def _sides(names: pd.Series) -> dict[str, np.ndarray]:
    """Which rows are of each category or split, bool (rows,); of a label, of every set with it."""
    kinds = sorted(names.unique(), key=lambda name: name == "train")  # of two splits, not this one
    if not label_sets.several(kinds):
        return {name: (names == name).to_numpy() for name in kinds}
    sets = names.map(label_sets.split)
    return {
        label: sets.map(lambda own, label=label: label in own).to_numpy()
        for label in label_sets.classes(kinds)
    }
