"""Many videos, one after the other: which there are, and what is said of each."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from harlib import HarlibError
from harlib.data import Catalog, VideoError
from harlib.data.catalog import table
from harlib.data.catalog.names import printable
from harlib.data.video import images
from harlib.evaluation import Confidence
from harlib.files import check_output
from harlib.inference import overlay as drawing
from harlib.inference import timeline, writers
from harlib.inference.predictor import NONE_OF_THESE, SHORT_S, Prediction, Predictor
from harlib.text import count, percent

TABLES = (".csv", ".tsv", ".parquet", ".pq")


def videos(argument: str, frame_fps: float | None = None) -> tuple[list[str], list[str]]:
    """The videos that a person means, and sentences about what was left out.

    Args:
        argument: a video; a folder of videos in any layout, or of a video's numbered frames; a
            table with a column of paths; or "-" for paths on standard input, one a line.
        frame_fps: of folders of frames, as `Catalog.from_unlabelled`.

    Raises:
        HarlibError: there is no such file, or it lists no videos.
    """
    if argument == "-":
        found = [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
        if not found:
            raise HarlibError("standard input names no videos: one path per line")
        return [images.address(p, frame_fps) if os.path.isdir(p) else p for p in found], []
    path = Path(argument)
    if path.is_dir():
        listed = Catalog.from_unlabelled(path, frame_fps=frame_fps)
    elif path.suffix.lower() in TABLES and path.is_file():
        return table.paths(path, frame_fps)
    elif path.exists() or ".tar!" in argument or images.is_folder(argument):
        return [argument], []
    else:
        raise HarlibError(f"{argument}: no such video, folder or table")
    files = listed.frame["path"]
    return list(dict.fromkeys(files[files != ""])), list(listed.left_out)


def listed(arguments: Sequence[str], frame_fps: float | None = None) -> tuple[list[str], list[str]]:
    """`videos` of several arguments, each video once.

    Raises:
        HarlibError: one of them is nothing.
    """
    found = [videos(argument, frame_fps) for argument in arguments]
    paths = {os.path.realpath(path): path for own, _ in reversed(found) for path in reversed(own)}
    return list(reversed(paths.values())), [note for _, notes in found for note in notes]


def check(
    paths: Sequence[str],
    *,
    out: Path | None,
    report: Path | None,
    overlay: Path | None,
    overwrite: bool = False,
) -> None:
    """Whether all this may be written of these videos, asked before any work.

    Raises:
        HarlibError: it may not; the message says why.
    """
    inputs = {os.path.realpath(path) for path in paths}
    for own in (out, overlay):
        if own is not None and os.path.realpath(own) in inputs:
            raise HarlibError(f"{own} is one of the videos: name another file")
        if own is not None and own.suffix in (".srt", ".mp4") and len(paths) != 1:
            raise HarlibError(f"{own} is of one video, and {len(paths):,} are named")
    if out is not None:
        writers.check(out, overwrite=overwrite)
    if report is not None:
        timeline.check(report)
    if overlay is not None:
        check_output(overlay, [".mp4"], overwrite=overwrite)


def predict(
    predictor: Predictor,
    paths: Sequence[str],
    *,
    clips: int | Literal["windows"] | None = None,
    every: float | None = None,
    top: int = 5,
    threshold: float | None = None,
    out: Path | None = None,
    report: Path | None = None,
    overlay: Path | None = None,
    overwrite: bool = False,
    batch: int = 8,
    say: Callable[[str], object] = print,
) -> bool:
    """Says what is in each video, a line each, and writes what is asked for.

    Args:
        clips, every: as `clips` and `every_s` of a `Predictor`.
        top: categories told of each video and window in `out`.
        threshold: instead of the one that validation videos chose.
        out, report, overlay: a table, a folder of pages, a video with its labels.

    Returns:
        Whether all videos could be read.
    """
    predictor = judged(predictor, threshold)
    number = clips
    if clips is None and every is None and (overlay or report or (out and out.suffix == ".srt")):
        number = "windows"  # what is shown over time looks at all of it
    predictions: list[Prediction] = []
    errors: dict[str, str] = {}
    for path in paths:
        try:
            said = predictor(path, clips=number, every_s=every, batch=batch)
        except VideoError as error:
            errors[path] = error.reason
            say(f"{printable(path)}: cannot be read: {error.reason}")
            continue
        predictions.append(said)
        say(f"{printable(path)}: {timeline.sentence(said)}")
        if said.warning:
            say(f"    Warning: {said.warning}")
        if len(paths) == 1 and len(said.windows) > 1 and (every or said.end_s.max() > SHORT_S):
            for part in said.segments().itertuples():
                when = f"{writers.stamp(part.start_s)[:-4]} to {writers.stamp(part.end_s)[:-4]}"
                sure = "" if part.label == NONE_OF_THESE else f"  {percent(part.probability)}"
                say(f"    {when}  {part.label}{sure}")
    if predictions:
        for note in timeline.notes(predictions[0]):
            say(note)
    if not predictions and (report or overlay):
        say("No page and no video is written: no video could be read")
    if out is not None:
        writers.write(out, predictions, errors, top)
        say(f"{out}: {count(len(predictions), 'video')}")
    if overlay is not None and predictions:
        drawing.write(paths[0], predictions[0], overlay)
        say(f"{overlay}: the video with its labels")
    if report is not None and predictions:
        say(f"Report: {timeline.write(report, predictor.name, predictions, errors)}")
    return not errors


def judged(predictor: Predictor, threshold: float | None) -> Predictor:
    """The predictor with a threshold by hand, and the temperature that was measured if one was."""
    if threshold is None:
        return predictor
    if predictor.thresholds is not None:
        given = np.full(len(predictor.categories), threshold)
        return dataclasses.replace(predictor, thresholds=given)
    measured = predictor.confidence
    temperature = measured.temperature if measured else 1.0
    by_hand = Confidence(temperature, threshold, videos=0, turned_away=0.0, accuracy=0.0)
    return dataclasses.replace(predictor, confidence=by_hand)
