"""Predictions as pages: the video, and below it what a network says of each moment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from harlib import HarlibError
from harlib.data import VideoError
from harlib.data.catalog.names import printable
from harlib.figures import PALETTE
from harlib.files import write_text
from harlib.inference import preview as previews
from harlib.inference.predictor import NONE_OF_THESE, Prediction
from harlib.templates import opened, render
from harlib.text import count, percent

_SHOWN = 6  # categories in the picture


def check(folder: Path) -> None:
    """Whether pages may be written to `folder`, asked before any work.

    Raises:
        HarlibError: something is there already.
    """
    if folder.is_dir() and any(folder.iterdir()) or folder.is_file():
        raise HarlibError(f"{folder} is there already: name a new folder for the report")


def write(
    folder: Path, network: str, predictions: Sequence[Prediction], errors: Mapping[str, str]
) -> Path:
    """Writes a page and a small copy of each video, several with a page of all; returns the first.

    The pages load nothing from elsewhere. A click into a timeline jumps to that moment.
    """
    many = len(predictions) + len(errors) > 1
    pages = []
    for number, one in enumerate(predictions, 1):
        stem = f"{number:04d}_{re.sub(r'[^A-Za-z0-9._-]+', '_', Path(one.video).stem)[:60]}"
        page = folder / (f"{stem}.html" if many else "index.html")
        copy = folder / f"{stem}.mp4"
        shown = _copied(one.video, copy)
        write_text(page, _page(network, one, shown, many))
        pages.append(page)
    if not many:
        return pages[0]
    rows = [
        {"video": _name(one.video), "page": page.name, "label": one.label,
         "probability": percent(float(one.probabilities.max()))}
        for one, page in zip(predictions, pages, strict=True)
    ]  # fmt: skip
    rows += [{"video": _name(video), "page": "", "label": why, "probability": "–"}
             for video, why in errors.items()]  # fmt: skip
    index = folder / "index.html"
    write_text(index, render("predictions.html.j2", network=network, rows=rows))
    return index


def said(network: str, one: Prediction) -> Markup:
    """The part of a page below its video: when and what, as a picture, tables and notes.

    Its rules are `reports/template/prediction.css`.
    """
    template = opened("prediction.html.j2")
    return Markup("".join(template.blocks["said"](template.new_context(_facts(network, one)))))


def sentence(one: Prediction) -> str:
    """What is said of a video, in a line."""
    if one.thresholds is not None:
        told = one.top(len(one.categories)).set_index("label")["probability"]
        parts = [f"{label}, {percent(told[label])}" for label in one.named()]
        first = f"{told.index[0]}, {percent(told.iloc[0])}"
        return "; ".join(parts) or f"{NONE_OF_THESE} (the most probable is {first})"
    best = one.top(2)
    column = "probability" if one.confidence is None else "calibrated"
    said = [f"{row['label']}, {percent(row[column])}" for _, row in best.iterrows()]
    parts = one.segments()
    seen = parts[parts["label"] != NONE_OF_THESE].assign(s=lambda p: p["end_s"] - p["start_s"])
    several = seen.groupby("label")["s"].sum().sort_values(ascending=False).index.tolist()
    if not one.sure and len(several) > 1:
        return f"several, one after the other: {', '.join(several[:4])}{', …' * (len(several) > 4)}"
    if not one.sure:
        return f"{NONE_OF_THESE} (the most probable is {said[0]})"
    return said[0] + (f" (then {said[1]})" if len(said) > 1 else "")


def notes(one: Prediction) -> list[str]:
    """How the threshold and the temperature were chosen."""
    if one.thresholds is not None:
        return _notes_of_several(one)
    sure = one.confidence
    if sure is None:
        return [
            "No validation videos were scored by this network, so no threshold was chosen: the "
            "most probable category is always named, also where it is none of them."
        ]
    if not sure.videos:
        return [f"The threshold, {percent(sure.threshold)}, was given."]
    return [
        f"A video is {NONE_OF_THESE} where the calibrated probability of its best category is "
        f"below {percent(sure.threshold)}. That was chosen so that 95 % of the validation videos "
        "that are named correctly stay named; single windows are judged by it too.",
        f"Of {count(sure.videos, 'validation video')} it leaves {percent(sure.turned_away)} "
        f"unnamed, and names {percent(sure.accuracy)} of the others correctly. Probabilities are "
        f"calibrated with the temperature {sure.temperature:.2f}, at which they fit the validation "
        "videos best.",
    ]


def _notes_of_several(one: Prediction) -> list[str]:
    assert one.thresholds is not None
    known = one.thresholds[~np.isnan(one.thresholds)]
    if len(known) and (known == known[0]).all():
        return [f"A video has each label from a probability of {percent(float(known[0]))} on."]
    said = [
        "A video may have several labels. It has each from a probability on that was best on the "
        f"validation videos (F1): {percent(float(known.min()))} to {percent(float(known.max()))} "
        "for these labels. Single windows are judged by the same."
    ]
    never = [name for name, value in zip(one.categories, one.thresholds, strict=True)
             if np.isnan(value)]  # fmt: skip
    if never:
        said.append(f"No validation video has {', '.join(never)}, so they are never named.")
    return said


def _copied(video: str, copy: Path) -> str:
    """The name of the small copy that a page plays; "" of a file whose time stamps leap."""
    try:
        previews.write(video, copy)
    except VideoError:
        return ""
    return copy.name


def _name(video: str) -> str:
    return printable(Path(video).name)


def _page(network: str, one: Prediction, preview: str, many: bool) -> str:
    return render("prediction.html.j2", preview=preview, many=many, **_facts(network, one))


def _facts(network: str, one: Prediction) -> dict[str, Any]:
    length = float(one.end_s.max())
    lines = _lines(one, length)
    segments = [
        {"start": round(float(row.start_s), 3), "from": clock(row.start_s),
         "to": clock(row.end_s), "label": row.label,
         "probability": "–" if row.label == NONE_OF_THESE else percent(row.probability)}
        for row in one.segments().itertuples()
    ]  # fmt: skip
    limits = None
    if one.thresholds is not None:
        limits = dict(zip(one.categories, one.thresholds, strict=True))
    top = [
        {"label": row.label, "probability": percent(row.probability),
         "calibrated": percent(row.calibrated if limits is None else limits[row.label])}
        for row in one.top(5 if limits is None else len(one.categories)).itertuples()
    ]  # fmt: skip
    span = float(np.median(one.end_s - one.start_s))
    return {
        "network": network,
        "name": _name(one.video),
        "warning": one.warning,
        "answer": sentence(one),
        "lines": lines,
        "alt": "Probability over time of " + ", ".join(line["label"] for line in lines),
        "length": clock(length),
        "how": f"The network looked at {count(len(one.windows), 'window')} of {span:.1f} s.",
        "segments": segments,
        "top": top,
        "beside": "calibrated" if limits is None else "named from",
        "notes": notes(one),
        "seconds": round(length, 3),
    }


def _lines(one: Prediction, length: float) -> list[dict[str, str]]:
    """The main categories' probabilities over time, as points of a picture of 1000 x 100."""
    order = np.argsort(-one.windows.max(axis=0), kind="stable")[:_SHOWN]
    middles = 500 * (one.start_s + one.end_s) / max(length, 1e-9)
    found = []
    for color, place in zip(PALETTE, order, strict=False):
        heights = 100 * (1 - one.windows[:, place])
        x = np.concatenate([[0], middles, [1000]])  # the first and the last window to the edges
        y = np.concatenate([heights[:1], heights, heights[-1:]])
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        found.append({"label": one.categories[place], "color": color, "points": points})
    return found


def clock(seconds: float) -> str:
    """A moment of a video, as minutes and seconds.

    >>> clock(83.25), clock(59.96)
    ('1:23.2', '1:00.0')
    """
    minutes, rest = divmod(round(float(seconds), 1), 60)
    return f"{int(minutes)}:{rest:04.1f}"
