"""Accuracies printed elsewhere, for the categories and data of a study: quoted, never measured."""

from pathlib import Path
from typing import Any

import pandas as pd

from harlib.text import percent

_STUDY = (
    "The original study's own figures, as it prints them: top-1 on the validation videos. "
    "Its choice of categories is not published, so other videos may be meant."
)
_STUDY_600 = "The original study's own figures, as it prints them: top-1 on the validation videos."
_LITERATURE = (
    "What others print for these categories and data. Clip: one view of a video; video: the mean "
    "over its views, whose number differs between the sources."
)


def tables(study: str) -> list[dict[str, Any]]:
    """What was printed for a study's categories and data, tables of `caption, columns, rows`.

    Only a study of all categories of Kinetics-400 or Kinetics-600 has a table of the literature:
    on a choice of 15 or 27 categories an accuracy means something else. ``published.csv`` holds
    the original study's figures (shares), ``literature.csv`` those of others with their sources
    (percent, with the digits that were printed).
    """
    found = []
    rows = _rows("published.csv", study)
    if len(rows):
        found.append(
            {
                "title": "The original study",
                "caption": _STUDY if study.startswith("kinetics400") else _STUDY_600,
                "columns": [("model", "text"), ("validation top-1", "number")],
                "rows": [[row.model, percent(row.top1)] for row in rows.itertuples()],
            }
        )
    rows = _rows("literature.csv", study, dtype=str, keep_default_na=False)
    if len(rows):
        numbers = ["clip_top1", "video_top1", "video_top5"]
        found.append(
            {
                "title": "The literature",
                "caption": _LITERATURE,
                "columns": [
                    ("network", "text"),
                    ("frames × pixels", "text"),
                    *((name.replace("_top", " top-"), "number") for name in numbers),
                    ("source", "text"),
                ],
                "rows": [
                    [
                        row["network"],
                        row["frames_size"],
                        *(f"{row[name]} %" if row[name] else "–" for name in numbers),
                        row["source"],
                    ]
                    for _, row in rows.iterrows()
                ],
            }
        )
    return found


def _rows(file: str, study: str, **options: Any) -> pd.DataFrame:
    table = pd.read_csv(Path(__file__).with_name(file), **options)
    return table[table["study"] == study]
