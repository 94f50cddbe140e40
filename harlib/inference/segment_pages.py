"""Segments found beside segments labelled: a page with two tracks per video, and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harlib import HarlibError
from harlib.data.catalog.names import printable
from harlib.evaluation import segments
from harlib.files import write_json, write_text
from harlib.inference.timeline import clock
from harlib.templates import render
from harlib.text import FORMULA, count, percent

MARKED = 0.5  # the overlap by which a segment is marked right or wrong
TABLE, RESULTS, PAGE = "segments.csv", "segments.json", "index.html"
_FILES = frozenset((TABLE, RESULTS, PAGE))


def check(folder: Path, *, overwrite: bool) -> None:
    """Whether results may be written to `folder`, asked before any work.

    Raises:
        HarlibError: something is there already, and is not to be replaced or nothing of ours.
    """
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if folder.is_file() or there - _FILES or (there and not overwrite):
        raise HarlibError(
            f"{folder} is there already: name a new folder"
            + ("" if folder.is_file() or there - _FILES else ", or give --overwrite")
        )


def write(
    folder: Path,
    network: str,
    labelled: pd.DataFrame,
    found: pd.DataFrame,
    result: segments.Result,
    lengths: Mapping[str, float],
    notes: Sequence[str],
) -> Path:
    """Writes the page, the segments and the results; returns the page.

    `segments.csv` has a row per segment: `video, kind, label, start_s, end_s, score, right` with
    kind "labelled" or "found"; of a labelled one `right` says whether it was found. `segments.json`
    has the numbers of the page. The page loads nothing from elsewhere.

    Args:
        labelled, found, result: as of `harlib.evaluation.segments.measure`.
        lengths: seconds of each video, in the order in which they are shown.
        notes: sentences about how the segments were found.
    """
    marked = _marked(labelled, found)
    write_text(folder / TABLE, _csv(marked))
    write_json(
        folder / RESULTS,
        {
            "network": network,
            "videos": len(lengths),
            "minutes": round(sum(lengths.values()) / 60, 2),
            "notes": list(notes),
            "overall": _plain(result.overall),
            "categories": _plain(result.categories),
        },
    )
    write_text(folder / PAGE, _page(network, marked, result, lengths, notes))
    return folder / PAGE


def sentence(result: segments.Result, videos: int) -> str:
    """The result in a line, at an overlap of one half."""
    row = _at(result.overall, MARKED)
    labelled, found, right = (int(row[key]) for key in ("labelled", "found", "right"))
    if not found:
        return f"No segment was found in {count(videos, 'video')}; {labelled:,} are labelled"
    return (
        f"F1 {_interval(row, 'f1')} at overlap {row['overlap']:g}: of {labelled:,} labelled "
        f"segments {right:,} were found in {count(videos, 'video')}, and {found - right:,} others"
    )


def _at(rows: pd.DataFrame, overlap: float) -> Any:
    return rows.iloc[(rows["overlap"] - overlap).abs().argmin()]


def _interval(row: Any, key: str) -> str:
    if math.isnan(row[key]):
        return "–"
    bounds = f"{100 * row[key + '_low']:.0f}–{100 * row[key + '_high']:.0f}"
    return f"{percent(row[key])} ({bounds})"


def _marked(labelled: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Both kinds of segments, and whether each has its match."""
    match = segments.matched(labelled, found, MARKED)
    seen = np.isin(np.arange(len(labelled)), match)
    columns = ["video", "label", "start_s", "end_s"]
    return pd.concat(
        [
            labelled[columns].assign(kind="labelled", score=np.nan, right=seen),
            found[columns].assign(kind="found", score=found["score"], right=match >= 0),
        ],
        ignore_index=True,
    ).sort_values(["video", "start_s", "kind"], kind="stable")


def _csv(marked: pd.DataFrame) -> str:
    columns = ["video", "kind", "label", "start_s", "end_s", "score", "right"]
    rows = marked[columns].assign(video=marked["video"].map(printable))
    text = ["video", "label"]
    safe = rows.assign(**rows[text].replace(FORMULA, r"'\1", regex=True))
    return safe.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(key): None if isinstance(value, float) and math.isnan(value) else value
         for key, value in row.items()}
        for row in rows.astype(object).to_dict("records")
    ]  # fmt: skip


def _page(
    network: str,
    marked: pd.DataFrame,
    result: segments.Result,
    lengths: Mapping[str, float],
    notes: Sequence[str],
) -> str:
    labels = sorted(marked["label"].unique())
    colors = {label: _color(place, len(labels)) for place, label in enumerate(labels)}
    half = result.categories[result.categories["overlap"] == _at(result.overall, MARKED)["overlap"]]
    return render(
        "segments.html.j2",
        network=network,
        answer=f"{sentence(result, len(lengths))}.",
        notes=notes,
        overlap=f"{MARKED:g}",
        overall=[
            {"overlap": f"{row['overlap']:g}", "map": percent(row["map"])}
            | {key: _interval(row, key) for key in ("precision", "recall", "f1")}
            for _, row in result.overall.iterrows()
        ],
        categories=[
            {"label": row["label"], "labelled": row["labelled"], "found": row["found"]}
            | {key: percent(row[key]) for key in ("precision", "recall", "f1", "ap")}
            for _, row in half.iterrows()
        ],
        legend=[{"label": label, "color": colors[label]} for label in labels],
        videos=[_video(name, marked, colors, length) for name, length in lengths.items()],
    )


def _color(place: int, many: int) -> str:
    """Hues all around; neighbours in the alphabet, which are often alike, far apart."""
    step = next((s for s in (5, 7, 3, 11) if many % s), 1)
    return f"hsl({360 * (place * step % many) / max(1, many):.0f} 62% {(46, 60)[place % 2]}%)"


def _video(
    name: str, marked: pd.DataFrame, colors: Mapping[str, str], length: float
) -> dict[str, Any]:
    own = marked[marked["video"] == name]
    tracks = []
    for kind in ("labelled", "found"):
        rows = own[own["kind"] == kind]
        bad = "missed" if kind == "labelled" else "wrong"
        bars = [
            {
                "left": f"{100 * row.start_s / length:.3f}",
                "width": f"{100 * (min(row.end_s, length) - row.start_s) / length:.3f}",
                "color": colors[row.label],
                "bad": "" if row.right else bad,
                "title": f"{row.label}, {clock(row.start_s)} to {clock(row.end_s)}"
                + ("" if row.right else f" ({bad})"),
            }
            for row in rows.itertuples()
        ]
        missed = int((~rows["right"].astype(bool)).sum())
        said = f"{count(len(rows), 'segment')} {kind}, {missed} of them {bad}"
        tracks.append({"kind": kind, "bars": bars, "said": said})
    return {
        "name": printable(name),
        "length": clock(length),
        "tracks": tracks,
        "rows": [
            {"kind": row.kind, "label": row.label, "from": clock(row.start_s),
             "to": clock(row.end_s), "score": percent(row.score),
             "verdict": "right" if row.right else "missed" if row.kind == "labelled" else "wrong"}
            for row in own.itertuples()
        ],
    }  # fmt: skip
