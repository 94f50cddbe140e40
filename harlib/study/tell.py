"""Sentences and tables of a report, made from numbers; everything is escaped."""

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from harlib.data import own_videos

PERCENT = {"top1", "top5", "accuracy", "low", "high", "lowest", "highest", "share",
           "clip_top1", "clip_top5", "clip_mean_class", "video_top1", "video_top5", "mean_class",
           "majority", "difference"}  # fmt: skip


# a cell of a column that reads better aligned at the right
_NUMBER = re.compile(r"–|[+-]?[\d,.]+(e[+-]\d+)?( %)?( to [+-]?[\d,.]+( %)?)?")

# columns whose own name a reader would stumble over; others lose their underscores
NAMES = {
    "video_top1": "video top-1",
    "video_top5": "video top-5",
    "clip_top1": "clip top-1",
    "clip_top5": "clip top-5",
    "mean_class": "video mean class",
    "gmacs": "GMACs a clip",
    "low": "95 % from",
    "high": "95 % to",
    "true": "true category",
    "predicted": "called",
    "share": "share of the category",
}


class Sentence(str):
    """Text that a notebook shows as a paragraph."""

    def _repr_html_(self) -> str:
        return f'<p class="reading">{unbroken(html.escape(self))}</p>'

    def __repr__(self) -> str:
        return str(self)


class Table:
    """A DataFrame that a notebook shows with fractions as percent and counts with separators."""

    def __init__(self, frame: pd.DataFrame):
        self.frame = frame

    def _text(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                NAMES.get(name, str(name).replace("_", " ")): [
                    cell(name, value) for value in column
                ]
                for name, column in self.frame.items()
            }
        )

    def _repr_html_(self) -> str:
        if not len(self.frame):
            return ""
        text = self._text()
        kinds = ["number" if all(map(_NUMBER.fullmatch, values)) else "text"
                 for _, values in text.items()]  # fmt: skip
        head = _row('th scope="col"', text.columns, kinds)
        body = "\n".join(_row("td", cells, kinds) for cells in text.itertuples(index=False))
        return f"<table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"

    def __repr__(self) -> str:
        return self._text().to_string(index=False)


def _row(tag: str, texts: Iterable[str], kinds: list[str]) -> str:
    cells = (
        f'<{tag} class="{kind}">{html.escape(text)}</{tag[:2]}>'
        for kind, text in zip(kinds, texts, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def cell(name: str, value: Any) -> str:
    """One value as a reader wants it: ``0.913`` as ``91.3 %``, ``48340816`` as ``48,340,816``."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if name in PERCENT:
        return percent(value)
    if name == "bytes" or str(name).endswith("_bytes"):
        return size(value)
    if name == "minutes":
        return f"{value:,.1f}"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def unbroken(text: str) -> str:
    """The text with its percent signs on the line of their numbers."""
    return text.replace(" %", "\u00a0%")


def percent(value: float) -> str:
    return "–" if value is None or pd.isna(value) else f"{100 * value:.1f} %"


def count(number: int, noun: str) -> str:
    """``1 clip``, ``1,200 clips``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def size(value: float) -> str:
    """Bytes for people, in powers of ten: ``1.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def data(store) -> Sentence:
    """What a clip store holds."""
    splits = store.videos.groupby("split", sort=False).size()
    counts = " and ".join(count(number, f"{split} video") for split, number in splits.items())
    seconds = (store.videos["frames"] / store.videos["fps"]).median()
    return Sentence(
        f"The store holds {counts} of {len(store.categories)} categories, typically "
        f"{seconds:.1f} s long, {size(store.bytes)} as {store.codec}."
    )


def listed(catalog) -> Sentence:
    """What a catalog leaves out, could not find or does not know."""
    known = "Every video that lies there is listed, and which videos belong together is known."
    return Sentence(" ".join(catalog.notes) or known)


def groups(videos: pd.DataFrame) -> Sentence:
    """Whether the groups of some videos are known: rows with `video_id` and `group`."""
    known = "No group of videos that belong together lies on two sides of the split."
    return Sentence(own_videos.groups_warning(videos) or known)


def audit(table: pd.DataFrame) -> Sentence:
    """How much of what was listed can be used."""
    sums = table[["listed", "found", "decoded", "short", "unreadable"]].sum()
    lost = int(sums["listed"] - sums["decoded"])
    if not lost:
        return Sentence(f"All {int(sums['listed']):,} listed videos were found and decoded whole.")
    return Sentence(
        f"Of {int(sums['listed']):,} listed videos {int(sums['decoded']):,} can be used; {lost:,} "
        f"cannot ({int(sums['listed'] - sums['found']):,} without a file, "
        f"{int(sums['unreadable']):,} unreadable). Scores count them as wrong."
    )


def cost(parameters: int, gmacs: float, clips: int, epochs: int) -> Sentence:
    """What training such a network costs; a training step costs about three forward passes."""
    total = 3 * gmacs * clips * epochs / 1e6
    return Sentence(
        f"The network has {parameters:,} trainable parameters and spends {gmacs:.3g} billion "
        f"multiply-adds on a clip. Training shows it {clips:,} clips in {count(epochs, 'epoch')}: "
        f"about {total:.2g} × 10¹⁵ multiply-adds in all."
    )


def training(history: pd.DataFrame) -> Sentence:
    """How a training went, from its history."""
    first, last = history.iloc[0], history.iloc[-1]
    text = (
        f"In {count(len(history), 'epoch')} and {history['seconds'].sum() / 60:.1f} minutes the "
        f"training loss went from {first['loss']:.2f} to {last['loss']:.2f}"
    )
    if "val_accuracy" in history and history["val_accuracy"].notna().any():
        best = history["val_accuracy"].idxmax()
        text += (
            f"; single clips of the validation videos were right at best "
            f"{percent(history['val_accuracy'][best])} of the time, in epoch "
            f"{int(history['epoch'][best])}"
        )
    if "wait_share" in history:
        text += f". It waited for data {percent(history['wait_share'].mean())} of the time"
    if "memory_bytes" in history and history["memory_bytes"].notna().any():
        taken = history["memory_bytes"].dropna()
        text += (
            f". Its processes held {size(taken.iloc[0])} of memory after the first epoch, "
            f"{size(taken.iloc[-1])} after the last and {size(taken.max())} at most"
        )
    return Sentence(text + ".")


def stills(store) -> Sentence:
    """What the stills stage has to work with; `store` is None without stills."""
    if store is None:
        return Sentence(
            "No stills were given (parameter stills), so this stage is left out and the network "
            "starts on video frames at once."
        )
    counts = store.videos.groupby("split", sort=False).size()
    parts = " and ".join(count(number, f"{split} still") for split, number in counts.items())
    return Sentence(f"There are {parts} of {len(store.categories)} actions.")


def stills_training(history: pd.DataFrame | None) -> Sentence:
    """How the stills stage went."""
    return Sentence("Nothing was trained on stills.") if history is None else training(history)


def answer(metrics: Mapping[str, Any]) -> Sentence:
    """The result of one run in one sentence, with its protocol."""
    video, clip, how = metrics["video"], metrics["clip"], metrics["protocol"]
    low, high = video["top1_interval"]
    # windows give long videos more views, and videos that could not be read have none
    read = max(video["n"] - metrics.get("missing", 0), 1)
    views = clip["n"] / read
    said = count(round(views), "view") if views == round(views) else f"{views:.1f} views on average"
    chance = ""
    if metrics.get("majority") is not None:
        least = percent(metrics["majority"])
        chance = f" Always naming the most frequent category would give {least}."
    lost = ""
    if metrics.get("missing"):
        lost = (
            f" {count(metrics['missing'], 'listed video')} could not be read and counted as wrong."
        )
    return Sentence(
        f"{metrics['model']['name']} names the action in {percent(video['top1'])} of "
        f"{video['n']:,} {how['split']} videos (95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f} %), from {said} a video of "
        f"{count(how['frames'], 'frame')} × stride {how['stride']}; a single view is right "
        f"{percent(clip['top1'])} of the time.{lost}{chance}"
    )


def reading(per_category: pd.DataFrame, confused: pd.DataFrame) -> Sentence:
    """Where a model is strong and where it is weak."""
    ranked = per_category.dropna(subset=["accuracy"]).sort_values("accuracy", kind="stable")
    worst, best = ranked.iloc[0], ranked.iloc[-1]
    text = (
        f"Its surest category is {best['category']} ({percent(best['accuracy'])}), its hardest "
        f"{worst['category']} ({percent(worst['accuracy'])} of {int(worst['support'])})."
    )
    wrong = confused[confused["videos"] > 0]
    if not len(wrong):
        return Sentence(f"It confuses no two categories. {text}")
    top = wrong.iloc[0]
    return Sentence(
        f"{text} Its most frequent mistake is to call {top['true']} {top['predicted']} "
        f"({count(int(top['videos']), 'video')})."
    )


def pairs(table: pd.DataFrame) -> Sentence:
    """What a model makes of actions that are each other's reverse (``metrics.pair_accuracy``)."""
    if not len(table):
        return Sentence("These categories hold no two actions that are each other's reverse.")
    row = table.iloc[-1]
    verdict = (
        "which coin tosses could explain: nothing shows that it sees the order of time"
        if row["low"] <= 0.5
        else "more than coin tosses could explain: it sees the direction of time"
    )
    return Sentence(
        f"Of two actions that are each other's reverse it prefers the true one in "
        f"{percent(row['accuracy'])} of {int(row['videos'])} videos (95 % interval "
        f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %), {verdict}."
    )


def comparison(table: pd.DataFrame, compared: pd.DataFrame) -> Sentence:
    """Which run is best, and whether the lead is more than chance."""
    ranked = table.sort_values("video_top1", ascending=False, kind="stable")
    best = ranked.iloc[0]
    text = f"{best['run']} is best with {percent(best['video_top1'])} of the videos"
    if len(ranked) == 1:
        return Sentence(f"{text}; it is the only run so far.")
    second = ranked.iloc[1]
    if best["video_top1"] == second["video_top1"]:
        level = ranked.loc[ranked["video_top1"] == best["video_top1"], "run"]
        return Sentence(
            f"{', '.join(level[:-1])} and {level.iloc[-1]} lead together: each names the action in "
            f"{percent(best['video_top1'])} of the videos."
        )
    rows = compared[
        compared["a"].isin([best["run"], second["run"]])
        & compared["b"].isin([best["run"], second["run"]])
    ]
    row = rows.iloc[0]
    low, high = row["low"], row["high"]
    if row["a"] != best["run"]:  # the table says a - b, the sentence best - second
        low, high = -high, -low
    if low <= 0:
        return Sentence(
            f"{text}, but its lead over {second['run']} ({percent(second['video_top1'])}) may be "
            f"chance: the 95 % interval of the difference holds zero."
        )
    return Sentence(
        f"{text}, {100 * low:.1f} to {100 * high:.1f} points (95 % interval) ahead of "
        f"{second['run']} ({percent(second['video_top1'])})."
    )
