"""Predictions as pages: the video, and below it what a network says of each moment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from harlib import HarlibError, shipped
from harlib.data import VideoReader, encode, probe
from harlib.figures import PALETTE
from harlib.files import write_text
from harlib.inference.predictor import NONE_OF_THESE, Prediction
from harlib.text import count, percent

_TEMPLATE = shipped.FOLDER / "reports" / "template"
_SHOWN = 6  # categories in the picture
_SIDE, _FPS = 240, 25.0  # of the copy beside a page: pixels of its short side, its highest rate


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
        _copy(one.video, copy)
        write_text(page, _page(network, one, copy.name, many))
        pages.append(page)
    if not many:
        return pages[0]
    rows = [
        {"video": Path(one.video).name, "page": page.name, "label": one.label,
         "probability": percent(float(one.probabilities.max()))}
        for one, page in zip(predictions, pages, strict=True)
    ]  # fmt: skip
    rows += [{"video": Path(video).name, "page": "", "label": why, "probability": "–"}
             for video, why in errors.items()]  # fmt: skip
    index = folder / "index.html"
    write_text(index, _render("predictions.html.j2", network=network, rows=rows))
    return index


def sentence(one: Prediction) -> str:
    """What is said of a video, in a line."""
    best = one.top(2)
    first = f"{best['label'].iloc[0]}, {percent(best['probability'].iloc[0])}"
    if not one.sure:
        return f"{NONE_OF_THESE} (the most probable is {first})"
    if len(best) == 1:
        return first
    return f"{first} (then {best['label'].iloc[1]}, {percent(best['probability'].iloc[1])})"


def notes(one: Prediction) -> list[str]:
    """How the threshold and the temperature were chosen."""
    sure = one.confidence
    if sure is None:
        return [
            "No validation videos were scored by this network, so no threshold was chosen: the "
            "most probable category is always named, also where it is none of them."
        ]
    said = [
        f"A video is {NONE_OF_THESE} where the calibrated probability of its best category is "
        f"below {percent(sure.threshold)}. That was chosen so that 95 % of the validation videos "
        "that are named rightly stay named."
    ]
    if sure.videos:
        said.append(
            f"Of {count(sure.videos, 'validation video')} it turns "
            f"{percent(sure.turned_away)} away, and {percent(sure.accuracy)} of the others are "
            "named rightly. Calibrated probabilities are at the temperature "
            f"{sure.temperature:.2f}, at which they fit the validation videos best."
        )
    else:
        said = [f"The threshold, {percent(sure.threshold)}, was given."]
    return said


def _copy(video: str, out: Path) -> None:
    rate = min(probe(video).fps, _FPS)
    with VideoReader(video, size=_SIDE, fps=rate) as reader:
        encode(out, reader, rate, crf=28, threads=0)


def _page(network: str, one: Prediction, preview: str, many: bool) -> str:
    length = float(one.end_s.max())
    lines = _lines(one, length)
    segments = [
        {"start": round(float(row.start_s), 3), "from": _clock(row.start_s),
         "to": _clock(row.end_s), "label": row.label, "probability": percent(row.probability)}
        for row in one.segments().itertuples()
    ]  # fmt: skip
    top = [
        {"label": row.label, "probability": percent(row.probability),
         "calibrated": percent(row.calibrated)}
        for row in one.top().itertuples()
    ]  # fmt: skip
    span = float(np.median(one.end_s - one.start_s))
    return _render(
        "prediction.html.j2",
        network=network,
        name=Path(one.video).name,
        answer=sentence(one),
        preview=preview,
        lines=lines,
        alt="Probability over time of " + ", ".join(line["label"] for line in lines),
        length=_clock(length),
        how=f"The network looked at {count(len(one.windows), 'window')} of {span:.1f} s.",
        segments=segments,
        top=top,
        notes=notes(one),
        many=many,
        seconds=round(length, 3),
    )


def _lines(one: Prediction, length: float) -> list[dict[str, str]]:
    """The main categories' probabilities over time, as points of a picture of 1000 x 100."""
    order = np.argsort(-one.windows.max(axis=0), kind="stable")[:_SHOWN]
    middles = 500 * (one.start_s + one.end_s) / length
    found = []
    for color, place in zip(PALETTE, order, strict=False):
        heights = 100 * (1 - one.windows[:, place])
        x = np.concatenate([[0], middles, [1000]])  # the first and the last window to the edges
        y = np.concatenate([heights[:1], heights, heights[-1:]])
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        found.append({"label": one.categories[place], "color": color, "points": points})
    return found


def _render(template: str, **facts: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE), autoescape=True, keep_trailing_newline=True
    )
    style = Markup((_TEMPLATE / "style.css").read_text())
    return environment.get_template(template).render(style=style, **facts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes)}:{rest:04.1f}"
