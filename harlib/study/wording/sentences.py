"""Sentences of a report, made from numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from harlib.data import label_sets
from harlib.data.catalog import own_videos
from harlib.evaluation import naming, ranking
from harlib.study.wording.tables import Sentence
from harlib.text import count, percent, size
from harlib.training import stopping

if TYPE_CHECKING:
    from harlib.data import Catalog, ClipStore
    from harlib.data.store.look_alikes import LookAlikes


def data(store: ClipStore) -> Sentence:
    """What a clip store holds."""
    splits = store.videos.groupby("split", sort=False).size()
    counts = " and ".join(count(number, f"{split} video") for split, number in splits.items())
    seconds = (store.videos["frames"] / store.videos["fps"]).median()
    what = f"{len(store.categories)} categories"
    if label_sets.several(store.categories):
        single = label_sets.classes(store.categories)
        what = f"{len(single)} labels, of which a video may have several, "
        what += f"in {len(store.categories)} combinations"
    return Sentence(
        f"The store holds {counts} of {what}, typically "
        f"{seconds:.1f} s long, {size(store.bytes)} as {store.codec}."
    )


def listed(catalog: Catalog) -> Sentence:
    """What a catalog leaves out, could not find or does not know."""
    known = "Every video that lies there is listed, and which videos belong together is known."
    return Sentence(" ".join(catalog.notes) or known)


def groups(videos: pd.DataFrame) -> Sentence:
    """Whether the groups of some videos are known: rows with `video_id` and `group`."""
    known = "No group of videos that belong together lies on two sides of the split."
    return Sentence(own_videos.groups_warning(videos) or known)


def look_alikes(found: LookAlikes | None, named: str) -> Sentence:
    """Whether videos on two sides of a store's split look alike; None where nobody has looked.

    named: the store's folder as a person types it.
    """
    if found is None:
        return Sentence("Whether videos look alike is unknown: their pictures were not compared.")
    return Sentence(found.said(named=named))


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


def parameters(number: int, trained: int | None = None) -> str:
    """``1,000 parameters, 10 of them trained``; the second half where some are frozen."""
    some = "" if trained in (None, number) else f", {trained:,} of them trained"
    return f"{number:,} parameters{some}"


def starting_weights(weights: Mapping[str, str]) -> str:
    """What a run says of the weights that it started from: name, digest and licence."""
    licence = f", licence: {weights['licence']}" if weights["licence"] else ""
    return f"{weights['name']} (SHA-256 {weights['digest'][:12]}…{licence})"


def cost(
    number: int, gmacs: float, clips: int, epochs: int, trained: int | None = None
) -> Sentence:
    """What training such a network costs; a training step costs about three forward passes.

    number, trained: of parameters, in all and without the frozen ones.
    """
    total = 3 * gmacs * clips * epochs / 1e6
    per = "one epoch" if epochs == 1 else f"each of {count(epochs, 'epoch')}"
    return Sentence(
        f"The network has {parameters(number, trained)}, and spends {gmacs:.3g} billion "
        f"multiply-adds on a clip. Training shows it {clips:,} clips in {per}: "
        f"about {total:.2g} × 10¹⁵ multiply-adds in all."
    )


def training(history: pd.DataFrame) -> Sentence:
    """How a training went, from its history."""
    first, last = history.iloc[0], history.iloc[-1]
    went = f"went from {first['loss']:.2f} to {last['loss']:.2f}"
    if len(history) == 1:
        went = f"was {last['loss']:.2f}"
    text = (
        f"In {count(len(history), 'epoch')} and {history['seconds'].sum() / 60:.1f} minutes the "
        f"training loss {went}"
    )
    if "val_accuracy" in history and history["val_accuracy"].notna().any():
        best = history["val_accuracy"].idxmax()
        text += (
            f"; single clips, from the middle of each validation video, were right at best "
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


def impatient(patience: int, recipe: str, reason: str) -> str:
    """A warning that a training may end before its recipe has done its work."""
    return (
        f"patience: {patience} may end training early, but recipe {recipe} counts on every epoch: "
        f"{reason}; it suits study-adam, study-sgd and hara-sgd"
    )


def stopped(history: pd.DataFrame, params: Mapping[str, Any]) -> str:
    """Which epoch's weights a training with patience kept, and what that means for its accuracy.

    Empty without patience.
    """
    patience = params.get("patience", 0)
    if not patience:
        return ""
    rows, rule = history.to_dict("records"), stopping.Stopping(patience=patience)
    best, done = int(rows[rule.best(rows)]["epoch"]), len(rows)
    ended, what = f"Training had all of its {count(done, 'epoch')}", "This one was"
    if rule.is_over(rows):
        ended = (
            f"Training ended after epoch {done} of {params['epochs']}, as the last "
            f"{'was' if patience == 1 else f'{patience} were'} no better"
        )
        what = "Both were"
    text = (
        f"{ended}; the weights are those of epoch {best}. {what} chosen on the "
        f"{params['validate_split']} videos"
    )
    if params["split"] == params["validate_split"]:
        text += ", on which the accuracy was measured too: it is optimistic"
    return f"{text}."


def stills(store: ClipStore | None) -> Sentence:
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
    if ranking.is_of_several(metrics):
        return _answer_of_several(metrics)
    video, clip, how = metrics["video"], metrics["clip"], metrics["protocol"]
    low, high = video["top1_interval"]
    # windows give long videos more views, and videos that could not be read have none
    read = max(video["n"] - metrics.get("missing", 0), 1)
    views = clip["n"] / read
    said = count(round(views), "view") if views == round(views) else f"{views:.1f} views on average"
    lost = ""
    if metrics.get("missing"):
        lost = (
            f" {count(metrics['missing'], 'listed video')} could not be read and counted as wrong."
        )
    single = ""
    if clip["top1"] is not None and views > 1:
        single = f"; a single view is right {percent(clip['top1'])} of the time"
        apart = 100 * (clip["top1"] - video["top1"])
        if abs(apart) >= 0.05:
            single += f", {abs(apart):.1f} points {'more' if apart > 0 else 'less'} than their mean"
    return Sentence(
        f"{naming.network(metrics)} names the action in {percent(video['top1'])} of "
        f"{video['n']:,} {how['split']} videos (95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f} %), from {said} per video of "
        f"{naming.clip(how)}{single}."
        f"{lost}{guess(low, high, metrics.get('majority'))}"
    )


def _answer_of_several(metrics: Mapping[str, Any]) -> Sentence:
    video, clip, how = metrics["video"], metrics["clip"], metrics["protocol"]
    low, high = video["interval"]
    views = clip["n"] / max(video["n"] - metrics["missing"], 1)
    said = count(round(views), "view") if views == round(views) else f"{views:.1f} views on average"
    single = ""
    if clip["mean_average_precision"] is not None and views > 1:
        single = f"; of single views it is {percent(clip['mean_average_precision'])}"
    lost = ""
    if metrics["missing"]:
        lost = f" Of {count(metrics['missing'], 'listed video')} that could not be read no label "
        lost += "was found."
    absent = ""
    if metrics["without_video"]:
        absent = f" No video has {', '.join(metrics['without_video'])}: left out."
    labels = metrics["categories"] - len(metrics["without_video"])
    return Sentence(
        f"{naming.network(metrics)} finds {labels} labels in {video['n']:,} {how['split']} videos "
        f"with a mean average precision of {percent(video['mean_average_precision'])} (95 % "
        f"interval {100 * low:.1f} to {100 * high:.1f} %), from {said} per video of "
        f"{naming.clip(how)}{single}. Guessing would give {percent(video['chance'])}. With "
        f"{_thresholds(video['cross_fitted'])} the macro F1 is {percent(video['macro_f1'])}, and "
        f"{percent(video['exact'])} of the videos are given exactly their labels.{lost}{absent}"
    )


def _thresholds(cross_fitted: bool) -> str:
    if cross_fitted:
        return "thresholds chosen on other groups' videos"
    return "a threshold of one half, as no other validation videos chose one,"


def labels(table: pd.DataFrame, cross_fitted: bool) -> Sentence:
    """How to read `multi_label.per_label`, and where it is strong and weak."""
    known = table.dropna(subset=["average_precision"])
    ordered = known.sort_values("average_precision", kind="stable")
    worst, best = ordered.iloc[0], ordered.iloc[-1]
    how = (
        "A threshold is the one with the best F1 on all these videos, for new ones; precision, "
        "recall and F1 beside it are of thresholds that the videos of other groups chose "
        "(cross-fitting), so that no video is judged by a threshold that it helped to choose."
        if cross_fitted
        else "Precision, recall and F1 are at a probability of one half: only validation videos "
        "choose thresholds, those of one group for those of others."
    )
    if best["average_precision"] == worst["average_precision"]:
        value = percent(best["average_precision"])
        return Sentence(f"Each of its labels has an average precision of {value}. {how}")
    return Sentence(
        f"Its best label is {best['category']} (average precision "
        f"{percent(best['average_precision'])}), its hardest {worst['category']} "
        f"({percent(worst['average_precision'])}; guessing would reach "
        f"{percent(worst['prevalence'])}, the share of videos that have it). {how}"
    )


def guess(low: float, high: float, majority: float | None) -> str:
    """How an accuracy's interval lies to that of always naming the most frequent category."""
    if majority is None or pd.isna(majority):
        return ""
    text = f" Always naming the most frequent category would give {percent(majority)}"
    if high < majority:
        return f"{text}, which is more."
    if low <= majority:
        return f"{text}, which lies within the interval: nothing shows that more was learned."
    return f"{text}."


def reading(per_category: pd.DataFrame, confused: pd.DataFrame) -> Sentence:
    """Where a model is strong and where it is weak."""
    ranked = per_category.dropna(subset=["accuracy"]).sort_values("accuracy", kind="stable")
    worst, best = ranked.iloc[0], ranked.iloc[-1]
    if worst["accuracy"] == best["accuracy"]:
        text = f"It names each of its categories right equally often ({percent(best['accuracy'])})."
    else:
        text = (
            f"{_which(ranked, best['accuracy'], 'best')} ({percent(best['accuracy'])}). "
            f"{_which(ranked, worst['accuracy'], 'hardest')} "
            f"({percent(worst['accuracy'])})."
        )
    wrong = confused[confused["videos"] > 0]
    if not len(wrong):
        return Sentence(f"It confuses no two categories. {text}")
    top = wrong.iloc[0]
    several = len(wrong) > 1 and wrong.iloc[1]["videos"] == top["videos"]
    return Sentence(
        f"{text} {'One of its' if several else 'Its'} most frequent mistake"
        f"{'s' if several else ''} is to call {top['true']} {top['predicted']} "
        f"({count(int(top['videos']), 'video')})."
    )


def _which(ranked: pd.DataFrame, accuracy: float, word: str) -> str:
    """``Its best category is bow``, ``Its best categories are bow and wave``, or their number."""
    names = ranked.loc[ranked["accuracy"] == accuracy, "category"].tolist()
    if len(names) == 1:
        return f"Its {word} category is {names[0]}"
    if len(names) > 3:
        return f"Its {word} categories are {len(names)} alike"
    return f"Its {word} categories are {', '.join(names[:-1])} and {names[-1]}"


def pairs(table: pd.DataFrame, *, averaged: bool = False) -> Sentence:
    """What a model makes of actions that are each other's reverse (``metrics.pair_accuracy``).

    averaged: its score is a mean over single frames, which holds no order.
    """
    if not len(table):
        return Sentence("These categories hold no two actions that are each other's reverse.")
    row = table.iloc[-1]
    if row["high"] < 0.5:
        verdict = (
            "less than coin tosses could explain: it sees the direction of time, and takes one "
            "for the other"
        )
    elif row["low"] <= 0.5:
        verdict = "which coin tosses could explain: nothing shows that it sees the order of time"
    elif averaged:
        verdict = "more than coin tosses could explain: something beside the order gives them away"
    else:
        verdict = "more than coin tosses could explain: it sees the direction of time"
    held = "hold the same frames in another order"
    if averaged:
        held += ", which is lost in an average over single frames"
    return Sentence(
        f"Two actions that are each other's reverse {held}. Of the two scores within such a pair "
        f"the true action's is the higher one in {percent(row['accuracy'])} of "
        f"{int(row['videos'])} videos (95 % interval {100 * row['low']:.0f} to "
        f"{100 * row['high']:.0f} %), {verdict}."
    )


def seeds(row: Mapping[str, Any] | pd.Series) -> str:
    """How far the seeds of a row of `runs.seeds.lines` lie apart; empty of one seed."""
    if row.get("seeds", 1) < 2:
        return ""
    return (
        f"seeds from {percent(row['lowest'])} to {percent(row['highest'])}, standard deviation "
        f"{100 * row['spread']:.1f} points"
    )


def comparison(table: pd.DataFrame, compared: pd.DataFrame) -> Sentence:
    """Which run is best, whether the lead is more than chance, and whether it beats guessing."""
    ranked, key = ranking.ranked(table), ranking.measure(table)
    best = ranked.iloc[0]
    of, names_it = "of the videos", "names the action in "
    if key == "mean_ap":
        of, names_it = "mean average precision", "reaches "
    chance = ""
    if {"low", "high", "majority"} <= set(ranked):
        chance = guess(best["low"], best["high"], best["majority"])
    if key == "mean_ap":
        chance = f" Guessing would give {percent(best['chance'])}."
    if best.get("seeds", 1) > 1:
        chance += f" Its accuracy is the mean of {seeds(best)}."
    text = f"{best['run']} is best with {percent(best[key])} {of}"
    if len(ranked) == 1:
        return Sentence(
            f"{best['run']} {names_it}{percent(best[key])} {of}; it is the only run so far.{chance}"
        )
    second = ranked.iloc[1]
    if best[key] == second[key]:
        level = ranked.loc[ranked[key] == best[key], "run"]
        names = f"{', '.join(level[:-1])} and {level.iloc[-1]}"
        verdict = "lead together" if len(level) < len(ranked) else "are equal, and none leads"
        return Sentence(f"{names} {verdict}: each {names_it}{percent(best[key])} {of}.{chance}")
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
            f"{text}, but its lead over {second['run']} ({percent(second[key])}) may be "
            f"chance: the 95 % interval of the difference holds zero.{chance}"
        )
    return Sentence(
        f"{text}, {100 * low:.1f} to {100 * high:.1f} points (95 % interval) ahead of "
        f"{second['run']} ({percent(second[key])}).{chance}"
    )
