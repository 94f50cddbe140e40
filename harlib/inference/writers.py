"""Predictions as files for other programs: CSV, JSON, Parquet, subtitles (SRT)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harlib import HarlibError
from harlib.data.catalog.names import printable
from harlib.files import appearing, check_output, write_json, write_text
from harlib.inference.predictor import NONE_OF_THESE, Prediction
from harlib.text import FORMULA, percent

COLUMNS = ["video", "level", "start_s", "end_s", "rank", "label", "probability", "calibrated",
           "sure", "error"]  # fmt: skip


def check(out: Path, *, overwrite: bool = False) -> None:
    """Whether predictions may be written to `out`, asked before any work.

    Raises:
        HarlibError: as of `files.check_output`.
    """
    check_output(out, _WRITERS, overwrite=overwrite)


def write(
    out: Path, predictions: Sequence[Prediction], errors: Mapping[str, str], top: int = 5
) -> None:
    """Writes predictions, and why other videos have none (`errors` by video), by `out`'s ending.

    `.csv`, `.parquet`: a row per video and rank, and per window and rank, of the columns `COLUMNS`.
    `.json`: a list with an object per video. `.srt`: the windows of one video as subtitles.

    Raises:
        HarlibError: subtitles of other than one video.
    """
    _WRITERS[out.suffix](out, predictions, errors, top)


def table(predictions: Sequence[Prediction], errors: Mapping[str, str], top: int) -> pd.DataFrame:
    """The rows of `.csv` and `.parquet` files, see `write`."""
    rows: list[tuple] = []
    for one in predictions:
        video = printable(one.video)
        place_of = {name: place for place, name in enumerate(one.categories)}
        there, of_windows = one.reached(one.probabilities), one.reached(one.windows)
        for rank, row in enumerate(one.top(top).itertuples(), 1):
            sure = one.sure and bool(there[place_of[row.label]])
            rows.append((video, "video", one.start_s.min(), one.end_s.max(), rank, row.label,
                         row.probability, row.calibrated, sure, one.warning))  # fmt: skip
        for scores, reached, window in zip(one.windows, of_windows, one.timeline().itertuples(),
                                           strict=True):  # fmt: skip
            for rank, place in enumerate(np.argsort(-scores, kind="stable")[:top], 1):
                calibrated = window.calibrated if rank == 1 else np.nan
                sure = window.sure and bool(reached[place])
                rows.append((video, "window", window.start_s, window.end_s, rank,
                             one.categories[place], scores[place], calibrated, sure,
                             ""))  # fmt: skip
    for video, why in errors.items():
        name = printable(video)
        rows.append((name, "video", np.nan, np.nan, 0, "", np.nan, np.nan, None, why))
    found = pd.DataFrame(rows, columns=COLUMNS)
    return found.assign(start_s=found["start_s"].round(3), end_s=found["end_s"].round(3))


def _csv(out: Path, predictions: Sequence[Prediction], errors: Mapping[str, str], top: int) -> None:
    write_text(out, csv_text(table(predictions, errors, top)))


def csv_text(rows: pd.DataFrame, *, header: bool = True) -> str:
    """Rows of `table`, which may have more columns, as lines of a CSV file."""
    text = ["video", "label", "error"]
    safe = rows.assign(**rows[text].replace(FORMULA, r"'\1", regex=True))
    return safe.to_csv(index=False, header=header, float_format="%.9g", lineterminator="\n")


def _parquet(
    out: Path, predictions: Sequence[Prediction], errors: Mapping[str, str], top: int
) -> None:
    with appearing(out) as part:
        table(predictions, errors, top).to_parquet(part, index=False)


def _json(
    out: Path, predictions: Sequence[Prediction], errors: Mapping[str, str], top: int
) -> None:
    content = [record(one, top) for one in predictions]
    content += [{"video": printable(video), "error": why} for video, why in errors.items()]
    write_json(out, content)


def record(one: Prediction, top: int) -> dict[str, Any]:
    """What `.json` files hold of a video: its label, its `top` categories, and its windows'."""
    return {
        "video": printable(one.video),
        "label": one.label,
        "sure": one.sure,
        "warning": one.warning,
        "threshold": one.confidence and one.confidence.threshold,
        **_thresholds(one),
        "top": _ranked(one.top(top)),
        "windows": [
            {"start_s": round(float(window.start_s), 3), "end_s": round(float(window.end_s), 3),
             "sure": bool(window.sure),
             "top": [{"label": one.categories[i], "probability": float(scores[i])}
                     for i in np.argsort(-scores, kind="stable")[:top]]}
            for scores, window in zip(one.windows, one.timeline().itertuples(), strict=True)
        ],
    }  # fmt: skip


def _thresholds(one: Prediction) -> dict[str, Any]:
    if one.thresholds is None:
        return {}
    return {
        "labels": one.named(),
        "thresholds": thresholds_of(one.categories, one.thresholds),
    }


def thresholds_of(categories: Sequence[str], thresholds: np.ndarray) -> dict[str, float | None]:
    """Of each label, where a video may have several; None: it is never named."""
    values = [None if np.isnan(value) else float(value) for value in thresholds]
    return dict(zip(categories, values, strict=True))


def _ranked(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "label": row.label,
            "probability": float(row.probability),
            "calibrated": None if np.isnan(row.calibrated) else float(row.calibrated),
        }
        for row in rows.itertuples()
    ]


def _srt(out: Path, predictions: Sequence[Prediction], errors: Mapping[str, str], top: int) -> None:
    if len(predictions) != 1:
        raise HarlibError(
            f"{out}: subtitles are of one video, and {len(predictions)} were named; "
            "ask one at a time, or write .csv"
        )
    lines = []
    for number, row in enumerate(predictions[0].segments().itertuples(), 1):
        shown = " ".join(str(row.label).split())  # a line break would end the subtitle
        if row.label != NONE_OF_THESE:
            shown += f" {percent(row.probability, 0)}"
        lines += [str(number), f"{stamp(row.start_s)} --> {stamp(row.end_s)}", shown, ""]
    write_text(out, "\n".join(lines))


def stamp(seconds: float) -> str:
    """A time as subtitles write it.

    >>> stamp(3725.5)
    '01:02:05,500'
    """
    milliseconds = round(1000 * float(seconds))
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d},{rest % 1000:03d}"


_WRITERS: dict[str, Callable[[Path, Sequence[Prediction], Mapping[str, str], int], None]] = {
    ".csv": _csv, ".json": _json, ".parquet": _parquet, ".srt": _srt,
}  # fmt: skip
