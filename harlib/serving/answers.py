"""What is said of a network and of a video, as JSON and the page have it."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

from harlib import HarlibError, templates
from harlib.inference import Prediction, Predictor, evidence, timeline, writers
from harlib.text import percent

TOP = 5  # categories told of each window
_BARS = 8  # that the page shows of the video


def about(predictor: Predictor, licence: str) -> dict[str, Any]:
    """What a network is: its run, its categories, what it looks at, how sure it must be."""
    clip, settings = predictor.cut.clip, predictor.settings
    size = clip.size if isinstance(clip.size, int) else list(clip.size)
    thresholds = None
    if predictor.thresholds is not None:
        thresholds = writers.thresholds_of(predictor.categories, predictor.thresholds)
    return {
        "run": predictor.name,
        "categories": list(predictor.categories),
        "input": {
            "frames": clip.frames,
            "size": size,
            "stride": clip.stride,
            "clip_fps": clip.fps,
            "video_fps": settings.fps,
            "crops": predictor.cut.crops,
            "clips": predictor.clips or "windows",
        },
        "thresholds": thresholds,
        "confidence": predictor.confidence and dataclasses.asdict(predictor.confidence),
        "licence": licence,
        "note": predictor.note,
    }


def answer(predictor: Predictor, job: dict[str, Any]) -> dict[str, Any]:
    """What is said of the video of a job.

    Args:
        job: `path` of the file; the `name` that a person gave it; `gradcam`, whether to show where
            the network looked; `page`, whether to make what the page shows.

    Raises:
        VideoError: it cannot be read, or is too long.
    """
    found = predictor(job["path"])
    said = dataclasses.replace(found, video=job["name"])
    content = writers.record(said, TOP) | {
        "answer": timeline.sentence(said),
        "probabilities": _by_category(said, said.probabilities),
        "calibrated": _by_category(said, said.calibrated),
        "segments": [
            {
                "start_s": round(float(row.start_s), 3),
                "end_s": round(float(row.end_s), 3),
                "label": row.label,
                "probability": float(row.probability),
            }
            for row in said.segments().itertuples()
        ],
        "notes": timeline.notes(said),
    }
    if job["gradcam"]:
        content["gradcam"] = _looked(predictor, job["path"], said)
    if job["page"]:
        shown = _html(predictor.name, said, content["gradcam"])
        rows = writers.csv_text(writers.table([said], {}, TOP))
        return {"answer": content, "html": shown, "csv": rows}
    return content


def _html(network: str, said: Prediction, looked: Mapping[str, Any]) -> str:
    """What the page shows of a video once it was looked at."""
    column = "probability" if said.confidence is None else "calibrated"
    shown = said.top(_BARS).sort_values(column, ascending=False, kind="stable")
    bars = [
        {"label": label, "width": round(100 * value, 1), "probability": percent(value)}
        for label, value in zip(shown["label"], shown[column], strict=True)
    ]
    return templates.render(
        "serve_answer.html.j2",
        name=said.video,
        sentence=timeline.sentence(said),
        label=said.label,
        warning=said.warning,
        bars=bars,
        kind="probability" if said.confidence is None else "calibrated probability",
        looked=looked,
        start=timeline.clock(looked["start_s"]),
        end=timeline.clock(looked["end_s"]),
        said=timeline.said(network, said),
    )


def _by_category(said: Prediction, values: Any) -> dict[str, float] | None:
    if values is None:
        return None
    return {name: float(one) for name, one in zip(said.categories, values, strict=True)}


def _looked(predictor: Predictor, video: str, said: Prediction) -> dict[str, Any]:
    """Where the network looked, or why that cannot be shown."""
    place = evidence.telling(said)
    facts = {
        "label": said.top(1)["label"].iloc[0],
        "start_s": round(float(said.start_s[place]), 3),
        "end_s": round(float(said.end_s[place]), 3),
    }
    try:
        image = evidence.picture(predictor, video, said)
    except HarlibError as error:  # the answer stands without it
        return facts | {"image": None, "error": getattr(error, "reason", str(error))}
    return facts | {"image": f"data:image/webp;base64,{base64.b64encode(image).decode()}"}
