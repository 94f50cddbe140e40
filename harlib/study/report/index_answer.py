"""What stands on top of a study's index: the best run in a sentence, and all of them as bars."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from harlib import MissingFile
from harlib.evaluation import ScoreError, Scores, folds, naming, ranking
from harlib.evaluation import metrics as metrics_of
from harlib.study.wording import sentences
from harlib.text import count, percent

SHOWN = 8  # bars; the other runs are in the table


def answer(ranked: pd.DataFrame, lines: pd.DataFrame, pooled: list[dict[str, Any]]) -> str:
    """What ranks first and what it reaches; empty without runs.

    Args:
        ranked: of `best.ranked`. lines: of `side_by_side.lines`. pooled: of `pooled`.
    """
    if not len(ranked):
        return ""
    first = ranked.iloc[0]
    if first["in_folds"]:
        return str(next(own["text"] for own in pooled if own["run"] == first["run"]))
    alone = lines[lines["run"].isin(ranked[~ranked["in_folds"]]["run"])]
    return sentence(alone, folded=int(ranked["in_folds"].sum()))


def sentence(lines: pd.DataFrame, folded: int = 0) -> str:
    """The best run and what it reaches; empty without runs.

    Args:
        lines: of `side_by_side.lines`.
        folded: how many runs of several folds are not better.
    """
    if not len(lines):
        return ""
    best = ranking.ranked(lines).iloc[0]
    seeds = f" It is the mean of {sentences.seeds(best)}." if best["seeds"] > 1 else ""
    leading = _leading(lines, best, folded)
    if ranking.measure(lines) == "mean_ap":
        return (
            f"{leading} {best['run']} ({best['network']}) reaches a mean average "
            f"precision of {percent(best['mean_ap'])} on {int(best['videos']):,} videos (95 % "
            f"interval {100 * best['low']:.1f} to {100 * best['high']:.1f} %). Guessing would give "
            f"{percent(best['chance'])}.{seeds}"
        )
    return (
        f"{leading} {best['run']} ({best['network']}) names the action "
        f"in {percent(best['video_top1'])} of {int(best['videos']):,} videos "
        f"(95 % interval {100 * best['low']:.1f} to {100 * best['high']:.1f} %)."
        f"{sentences.guess(best['low'], best['high'], best['majority'])}{seeds}"
    )


def _leading(lines: pd.DataFrame, best: pd.Series, folded: int) -> str:
    every = len(lines) + folded
    if every == 1:
        return "The only scored run:"
    kinds = ["seeds"] * bool(lines["seeds"].max() > 1) + ["folds"] * bool(folded)
    runs = f"{every} scored runs" + f", some with several {' or '.join(kinds)}" * bool(kinds)
    key = ranking.measure(lines)
    level = int((lines[key] == best[key]).sum())
    if level > 1:
        return f"{level} of {runs} are equally good, among them:"
    return f"Best of {runs}:"


def figure(
    lines: pd.DataFrame, pooled: list[dict[str, Any]], pages: Collection[str]
) -> dict[str, Any]:
    """The bars of the best runs with their intervals, beside chance; empty without runs.

    Args:
        lines: of `side_by_side.lines`.
        pooled: of `pooled`, whose folds are one bar.
        pages: the runs that have one.

    Returns:
        `caption`, `chance` (fraction, or None), `rows` of `name, link, network, value, low, high,
        text`, and `more`, the number of runs that are left out.
    """
    if not len(lines):
        return {}
    key = ranking.measure(lines)
    in_folds = {name for own in pooled if own["value"] is not None for name in own["names"]}
    rows = [
        {"name": own["run"], "link": "", "note": f"{count(len(own['names']), 'fold')} pooled"}
        | {name: own[name] for name in ("network", "value", "low", "high")}
        for own in pooled
        if own["value"] is not None
    ]
    for row in ranking.ranked(lines).to_dict("records"):
        if row["run"] in in_folds:
            continue
        rows.append(
            {"name": row["run"], "network": row["network"], "note": sentences.seeds(row)}
            | {"value": row[key], "low": row["low"], "high": row["high"]}
            | {"link": links(row, pages)["link"]}
        )
    rows.sort(key=lambda row: -row["value"])
    for row in rows:
        row["text"] = f"{percent(row['value'])} ({100 * row['low']:.0f}–{100 * row['high']:.0f})"
    base = "chance" if key == "mean_ap" else "majority"
    chance = lines[base].max() if base in lines and lines[base].notna().any() else None
    measure = "Mean average precision" if key == "mean_ap" else "Video top-1 accuracy"
    line = "guessing" if key == "mean_ap" else "always naming the most frequent category"
    caption = f"{measure} with its 95 % interval"
    if chance is not None:
        caption += f"; the dashed line is {line}, {percent(chance)}"
    shown = {"caption": f"{caption}.", "chance": chance, "rows": rows[:SHOWN]}
    return shown | {"more": max(0, len(rows) - SHOWN)}


def links(row: Mapping[str, Any], pages: Collection[str]) -> dict[str, Any]:
    """Where a line leads to: `link`, and of several seeds `seeds`, the page of each, and `spread`.

    row: of `side_by_side.lines`.
    """
    if row["seeds"] == 1:
        return {"link": f"{quote(row['run'])}.html" if row["run"] in pages else "", "seeds": []}
    each = [
        {"name": name, "link": f"{quote(name)}.html" if name in pages else ""}
        for name in row["runs"]
    ]
    return {"link": "", "seeds": each, "spread": sentences.seeds(row)}


def pooled(scored: list[Path]) -> list[dict[str, Any]]:
    """What cross-validation says of each run with folds, the best first.

    Returns:
        `run`, its `network`, the `names` of its folds, `text`, and `value, low, high` (fractions;
        None where the folds cannot be pooled).
    """
    place = {folder.name: folder for folder in scored}
    found: list[dict[str, Any]] = []
    for run, names in folds.of_names(list(place)).items():
        network = naming.network(naming.read(place[names[0]]))
        own: dict[str, Any] = {"run": run, "network": network, "names": names}
        try:
            scores = folds.pooled([Scores.load(place[name]) for name in names])
        except (ScoreError, MissingFile) as error:
            text = f"{run}: {len(names)} folds are not pooled, since {error}."
            found.append(own | {"text": text, "value": None, "low": None, "high": None})
            continue
        video = metrics_of.summary(scores)["video"]
        groups = len({*scores.group.tolist(), *scores.missing_group.tolist()})
        low, high = video["interval" if scores.several else "top1_interval"]
        value = video["mean_average_precision" if scores.several else "top1"]
        interval = f"95 % interval {100 * low:.1f} to {100 * high:.1f} %"
        if scores.several:
            reached = (
                f"its mean average precision is {percent(value)} on {video['n']:,} videos of "
                f"{groups:,} groups ({interval}; guessing would give {percent(video['chance'])})"
            )
        else:
            reached = (
                f"it names the action in {percent(value)} of {video['n']:,} videos of {groups:,} "
                f"groups ({interval}; mean class {percent(video['mean_class'])})"
            )
        text = (
            f"{run}, {len(names)} folds pooled: {reached}. Each video was scored by a network that "
            "had learned from none of its group."
        )
        found.append(own | {"text": text, "value": value, "low": low, "high": high})
    return sorted(found, key=lambda one: -1 if one["value"] is None else one["value"], reverse=True)
