"""What notebook 01 shows of the videos: losses, groups, look-alikes, and how categories differ."""

from typing import Any

import numpy as np
import pandas as pd
from IPython.display import display

from harlib import figures
from harlib.data import Audit, Catalog, ClipStore, label_sets
from harlib.data.catalog import names, own_videos
from harlib.data.store import look_alikes as alike
from harlib.data.store import properties
from harlib.figures.beside import Beside, Side
from harlib.study.params.notebooks import DataPrep
from harlib.study.runs import session
from harlib.study.wording import properties as wording
from harlib.study.wording import tables
from harlib.study.wording.folded import Folded
from harlib.text import count

_PAIRS, _FEW = 12, 4  # shown as pictures; of pairs on one side of the split
_SPLITS = ("train", "val", "test")


def audit(table: pd.DataFrame) -> Folded:
    """The audit by category, those with losses first."""
    lost = table["listed"] - table["decoded"] + table["short"] + table["duplicates"]
    order = lost.sort_values(ascending=False, kind="stable").index
    return Folded(table.loc[order], "category", "categories", shown=30, most=1000)


def losses(p: DataPrep) -> Folded | tables.Sentence:
    """Every video that was not stored whole, and every one that was listed before, with why."""
    videos = Audit.load(p.store_dir).videos
    known = videos["same_as"].map("the same frames as {}".format).where(videos["same_as"] != "", "")
    videos = videos.assign(
        why=[", ".join(filter(None, pair)) for pair in zip(videos["reason"], known, strict=True)],
        status=videos["status"].where(videos["status"] != "ok", "duplicate"),
    )
    videos = videos[videos["why"] != ""]
    if videos.empty:
        return tables.Sentence("None was lost, cut short, or there twice.")
    order = {"missing": 0, "unreadable": 1, "short": 2, "duplicate": 3}
    videos = videos.sort_values("status", key=lambda column: column.map(order), kind="stable")
    videos = videos.assign(video=videos["file"].where(videos["file"] != "", videos["video_id"]))
    return Folded(_printable(videos[["video", "category", "split", "status", "why"]]), "video")


def groups(listed: Catalog) -> tables.Sentence:
    """How many groups there are and how large, or that every video is a group of its own."""
    sizes = listed.frame["group"].value_counts()
    alone = own_videos.unknown_groups(listed.frame)
    if alone == len(listed.frame):
        return tables.Sentence(
            "Every video is a group of its own: nothing says which of them belong together."
        )
    low, high = int(sizes.min()), int(sizes.max())
    of = f"{count(high, 'video')} each" if low == high else f"{low:,} to {high:,} videos"
    said = f"{count(len(sizes), 'group')} of {of}"
    if alone:
        videos = "is a video" if alone == 1 else "are videos"
        said += f"; {alone:,} of them {videos} of which no group is known"
    return tables.Sentence(f"{said}. None lies on two sides of the split.")


def group_sizes(listed: Catalog) -> Folded:
    """The groups that are known, the largest first: their videos in each split."""
    frame = listed.frame[listed.frame["group"] != listed.frame["video_id"]]
    table = pd.crosstab(frame["group"], frame["split"])
    table = table[[split for split in _SPLITS if split in table]]
    by_group = frame.groupby("group")["category"].nunique()
    table.insert(0, "categories", by_group.reindex(table.index))
    table.insert(0, "videos", frame["group"].value_counts().reindex(table.index))
    table = table.sort_values("videos", ascending=False, kind="stable")
    return Folded(_printable(table.reset_index()), "group", shown=6)


def show_look_alikes(store: ClipStore) -> Folded | tables.Sentence:
    """Shows the pairs that are most alike as pictures; the rest is a table."""
    found = alike.load(store)
    if found is None or not len(pairs := alike.pairs(found)):
        return tables.Sentence("There are no pairs to show.")
    shown = min(_PAIRS, max(_FEW, int(pairs["across"].sum())))
    display(Beside([_pair(store, pair) for pair in pairs.head(shown).itertuples()]))
    rest = pairs.iloc[shown:]
    said: dict[str, Any] = {
        side: [_called(store, row) for row in rest[side]] for side in ("one", "other")
    }
    said |= {"bits apart": rest["distance"], "sides": np.where(rest["across"], "two", "one")}
    return Folded(_printable(pd.DataFrame(said)), "pair", shown=0, most=100)


def _pair(store: ClipStore, pair: Any) -> tuple[Side, Side, str]:
    one, other = _side(store, pair.one, pair.one_frame), _side(store, pair.other, pair.other_frame)
    bits = f"{count(pair.distance, 'bit')} of 64 apart"
    where = "on two sides of the split" if pair.across else "on one side of the split"
    return one, other, f"{bits}, {where}"


def _side(store: ClipStore, row: int, alike_frame: int) -> Side:
    """The frame that is alike, and the middle one; where these are one, the first."""
    length, rate = (store.videos[name].iat[row] for name in ("frames", "fps"))
    second = length // 2 if length // 2 != alike_frame else 0
    places = list(dict.fromkeys([alike_frame, second]))
    what = {alike_frame: "alike", length // 2: "middle", 0: "first"} | {alike_frame: "alike"}
    moments = [f"{what[place]} at {place / rate:.1f} s" for place in places]
    video = store.videos.iloc[row]
    name, about = names.printable(video["video_id"]), f"{video['category']}, {video['split']}"
    return Side(list(store.read(row, places)), moments, name, about)


def _called(store: ClipStore, row: int) -> str:
    video = store.videos.iloc[row]
    return f"{video['video_id']} ({video['category']}, {video['split']})"


def measured(p: DataPrep, store: ClipStore) -> pd.DataFrame:
    """Length, brightness and motion of the stored videos; see `properties.measure`."""
    return properties.measure(store, progress=session.stage(p, "measuring videos"))


def show_quantiles(table: pd.DataFrame, column: str) -> tables.Sentence:
    """Shows a column of `measured` by category and split; says what stands out."""
    if table[column].notna().any():
        _show(table, column)
    return wording.standing_apart(table, column)


def show_recorded(listed: Catalog) -> tables.Sentence:
    """Shows sizes and rates as recorded, where they differ; says what stands out."""
    table = properties.recorded(listed)
    for column in ("side", "rate"):
        if table[column].nunique() > 1:
            _show(table, column)
    return wording.recorded(table, len(properties.files(listed)))


def _show(table: pd.DataFrame, column: str) -> None:
    what = wording.QUANTITIES[column]
    how: dict[str, Any] = {"title": what.title, "label": what.label, "write": what.write}
    figures.show(figures.quantiles(table, column, shares=what.shares, **how))


def show_samples(p: DataPrep, store: ClipStore) -> tables.Sentence:
    """Shows a training video each of the first categories; says how many of all these are."""
    clips, shown = session.sample(store, videos=p.samples)
    figures.show(figures.contact_sheet(clips, shown))
    every = "the " if len(shown) == len(store.categories) else f"{len(shown)} of the "
    kinds = "combinations of labels" if label_sets.several(store.categories) else "categories"
    return tables.Sentence(f"A training video each of {every}{len(store.categories)} {kinds}.")


def _printable(table: pd.DataFrame) -> pd.DataFrame:
    """The table with what no line of text can hold written out."""
    return table.map(lambda cell: names.printable(cell) if isinstance(cell, str) and cell else cell)
