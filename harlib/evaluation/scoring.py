"""Views of a video -> class scores, at the level of single views and of whole videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harlib.data import ClipSpec, ClipStore, Protocol, evaluation_batches, label_sets
from harlib.evaluation import resume
from harlib.evaluation.predict import answers, logarithms, logged, network
from harlib.evaluation.scores import ScoreError, Scores
from harlib.progress import Stage, shown
from harlib.run_folder import RunFolder

if TYPE_CHECKING:  # numpy models are scored without a framework
    import keras

# Below this a float32 loses digits, and soon is 0: there its logarithm tells two apart.
TINY = np.finfo(np.float32).tiny


def score(
    model: keras.Model,
    store: ClipStore,
    clip: ClipSpec,
    protocol: Protocol,
    *,
    batch: int = 8,
    run_dir: str | Path | None = None,
    listed: pd.DataFrame | None = None,
    threads: int = 2,
    progress: bool | Stage = True,
) -> Scores:
    """Scores every view of every video of a split; a video's score is the mean over its views.

    Args:
        model: takes uint8 (batch, frames, height, width, 3), gives softmax (batch, classes), or
            sigmoid where the store's videos have several labels: a class is a single label. A Keras
            network is scored as its copy with batch norm folded into the convolutions.
        clip: what the network takes; `protocol`: which views of which videos.
        batch: only changes speed and memory: the last, partial batch is padded, so that the graph
            is traced once, and cut after.
        run_dir: saves `scores.npz` and `views.npz` there; an interrupted scoring by the same
            weights on the same store and protocol resumes where it was, to the same bytes.
        listed: table with video_id, category, split and group (`Catalog.frame`): videos it lists
            in the split that the store lacks are recorded as missing and count as wrong.
        progress: True shows a bar, a `harlib.progress.Stage` is told.

    Raises:
        ScoreError: the outputs are no probabilities, or a view is lost or counted twice.
    """
    split = protocol.split
    dataset = evaluation_batches(store, clip, protocol, batch=batch)
    rows = np.asarray(store.rows(split))
    videos = store.videos.iloc[rows]
    if not len(rows):
        raise ScoreError(
            f"the store has no video in the split {split!r}, "
            f"its splits are {sorted(store.videos['split'].unique())}"
        )
    position = np.full(len(store.videos), -1)
    position[rows] = np.arange(len(rows))
    classes = label_sets.classes(store.categories)
    several = label_sets.several(store.categories)
    total = np.zeros((len(rows), len(classes)))
    places: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    logged_parts: list[np.ndarray | None] = []
    settings = dataclasses.asdict(clip) | dataclasses.asdict(protocol) | {"batch": batch}
    key = "" if run_dir is None else resume.mark(model, store, **settings)
    fast = logged(network(model))
    kept = None if run_dir is None else RunFolder(run_dir).scoring
    every = resume.resumed(
        kept, key, lambda done: answers(fast, dataset, store, batch, done, threads)
    )
    done = 0
    with shown(progress, f"scoring {split}", "batch", kept=run_dir is not None) as bar:
        bar.begin(0, len(dataset))
        for video, view, probabilities, logs in every:
            where = position[video]
            np.add.at(total, where, probabilities)
            places.append(np.stack([where, view]))
            parts.append(probabilities)
            # most networks are never so sure, and need no second array
            lost = (probabilities < TINY) & np.isfinite(logs)
            logged_parts.append(logs if lost.any() else None)
            done += -(-len(video) // batch)
            if len(video) > batch:  # what an interrupted scoring had left: no measure of speed
                bar.begin(done, len(dataset))
            else:
                bar.at(done)
    seen = np.concatenate(places, axis=1)
    counts = _counts(seen, videos["video_id"].to_numpy())
    scores = Scores(
        video_id=videos["video_id"].to_numpy(dtype=str),
        label=videos["label"].to_numpy(),
        categories=np.array(classes, dtype=str),
        label_sets=np.array(store.categories if several else [], dtype=str),
        video_scores=total / counts[:, None],
        view_scores=_placed(parts, seen, counts),
        view_logs=_placed(_all_logs(parts, logged_parts), seen, counts),
        group=videos["group"].to_numpy(dtype=str),
        **_missing(listed, split, videos, store.categories),
    )
    if run_dir is not None and kept is not None:
        scores.save(run_dir)
        resume.drop(kept)
    return scores


def _counts(seen: np.ndarray, video_id: np.ndarray) -> np.ndarray:
    """How many views each video has: int (videos,). seen: videos and views of all answers.

    Raises:
        ScoreError: a view is lost or counted twice.
    """
    video, view = seen
    shape = (len(video_id), int(view.max()) + 1)
    times = np.zeros(shape, dtype=np.int64)
    np.add.at(times, (video, view), 1)
    if (times > 1).any():
        row, column = np.argwhere(times > 1)[0]
        raise ScoreError(
            f"view {column} of video {video_id[row]!r} was scored {times[row, column]} times"
        )
    counts = times.sum(axis=1)
    gap = (counts == 0) | (times != (np.arange(shape[1]) < counts[:, None])).any(axis=1)
    if gap.any():
        row = int(np.flatnonzero(gap)[0])
        raise ScoreError(
            f"{gap.sum()} of {len(video_id)} videos lost views; the first is {video_id[row]!r} "
            f"with the views {np.flatnonzero(times[row]).tolist()}"
        )
    return counts


def _all_logs(parts: list[np.ndarray], logged_parts: list[np.ndarray | None]) -> list[np.ndarray]:
    """The logarithms of all answers; none when all probabilities rank as they are."""
    if all(logs is None for logs in logged_parts):
        return []
    return [
        logarithms(probabilities) if logs is None else logs
        for probabilities, logs in zip(parts, logged_parts, strict=True)
    ]


def _placed(parts: list[np.ndarray], seen: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Answers by video and view: float32 (videos, views, classes), NaN where there is no view.

    Without answers (videos, 0, 0).
    """
    if not parts:
        return np.empty((len(counts), 0, 0), np.float32)
    placed = np.full((len(counts), counts.max(), parts[0].shape[1]), np.nan, dtype=np.float32)
    start = 0
    for part in parts:  # one by one: joined they would be held twice
        video, view = seen[:, start : start + len(part)]
        placed[video, view] = part
        start += len(part)
    return placed


def _missing(
    listed: pd.DataFrame | None, split: str, videos: pd.DataFrame, categories: Sequence[str]
) -> dict[str, Any]:
    """The listed videos of `split` that the store lacks, as fields of Scores."""
    if listed is None:
        return {}
    listed = listed[listed["split"] == split]
    key = ["category", "video_id"]
    found = pd.MultiIndex.from_frame(videos[key])
    lost = listed[~pd.MultiIndex.from_frame(listed[key]).isin(found)]
    label = pd.Index(categories).get_indexer(lost["category"])
    if (label < 0).any():
        raise ScoreError(
            f"category {lost['category'].iloc[int((label < 0).argmax())]!r} is listed, "
            f"but the store has only {len(categories)} categories without it"
        )
    return {
        "missing_id": lost["video_id"].to_numpy(dtype=str),
        "missing_label": label,
        "missing_group": lost["group"].to_numpy(dtype=str),
    }
