"""Small copies of scored videos that a browser plays, made of their clip store's frames."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from harlib.data import ClipStore, encode
from harlib.study.runs.scored_store import AnotherStore, scored_store
from harlib.study.runs.scored_videos import KEYS, ScoredVideos

SECONDS = 10.0
"""How much of a video is shown."""
_RATE, _SIDE, _CRF = 12.5, 160, 30  # frames per second and pixels of the short side, at most


class Clips:
    """The frames of a study's scored videos, where the clip stores of its runs are still there.

    problem: why no video can be shown, in a sentence; empty where some can.
    """

    def __init__(self, scored: ScoredVideos) -> None:
        columns = (scored.videos[name].tolist() for name in KEYS)
        self._keys = list(zip(*columns, strict=True))
        self._stores: dict[str, ClipStore] = {}
        self._place: list[tuple[str, int] | None] = [None] * len(scored.videos)
        self.problem = "No run has noted its clip store."
        wanted = pd.MultiIndex.from_frame(scored.videos[KEYS])
        for folder in (one for own in scored.calls.values() for one in own.folders):
            try:
                store = scored_store(folder)
            except AnotherStore as error:
                self.problem = str(error)
                continue
            if store.hash in self._stores:
                continue
            self._stores[store.hash] = store
            table = store.videos.rename(columns={"category": "true", "video_id": "id"})
            found = pd.MultiIndex.from_frame(table[KEYS]).get_indexer(wanted)
            for row in np.flatnonzero(found >= 0):
                self._place[row] = self._place[row] or (store.hash, int(found[row]))
        if self._stores:
            self.problem = ""

    def there(self, row: int) -> bool:
        """Whether the video in this row of the table has frames."""
        return self._place[row] is not None

    def name(self, row: int) -> str:
        """The file name of a video's copy, without its ending: the same in every table of it."""
        place = self._place[row]
        key = [place[0] if place else "", *self._keys[row]]
        return hashlib.sha256("\n".join(key).encode("utf-8", "surrogateescape")).hexdigest()[:12]

    def frames(self, row: int) -> tuple[np.ndarray, float]:
        """(uint8 (frames, height, width, 3), frames per second) of what is shown.

        Raises:
            KeyError: it has none.
        """
        place = self._place[row]
        if place is None:
            raise KeyError(row)
        store, own = self._stores[place[0]], place[1]
        length, rate = int(store.videos["frames"].iloc[own]), float(store.videos["fps"].iloc[own])
        step = max(1, round(rate / _RATE))
        numbers = np.arange(0, min(length, max(1, int(SECONDS * rate))), step)
        return store.read(own, numbers), rate / step

    def copy(self, row: int) -> bytes:
        """The video's copy, an H.264 mp4; of the same frames the same bytes.

        Raises:
            KeyError: it has no frames.
        """
        return mp4(*self.frames(row))


def mp4(frames: np.ndarray, fps: float) -> bytes:
    """Frames uint8 (frames, height, width, 3) as a small H.264 mp4 without sound."""
    import cv2

    height, width = frames.shape[1:3]
    scale = min(1.0, _SIDE / min(height, width))
    size = [max(2, 2 * round(side * scale / 2)) for side in (width, height)]
    fitted = (
        frame if frame.shape[:2] == (size[1], size[0])
        else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        for frame in frames
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="har-preview-") as folder:
        encode(path := Path(folder) / "clip.mp4", fitted, max(fps, 1.0), crf=_CRF)
        return path.read_bytes()


def telling(scored: ScoredVideos, most: int) -> list[int]:
    """Rows of the videos that tell most, the first ones first.

    In turn one of: the suspected label errors, the videos that the best run is surest of and wrong
    about, those on which runs agree least, those that it is surest of and right about.
    """
    videos, best = scored.videos, scored.calls[scored.best]
    rows = np.arange(len(videos))
    suspected = rows[videos["suspicion"] > 0][np.argsort(videos["suspicion"][lambda s: s > 0])]
    surest = np.argsort(-np.nan_to_num(best.probability), kind="stable")
    wrong = [row for row in surest if best.read[row] and not best.right[row]]
    right = [row for row in surest if best.right[row]]
    agreement = videos["agreement"].to_numpy()
    apart = [row for row in np.argsort(agreement, kind="stable") if agreement[row] < 1]
    return _in_turn([suspected, wrong, apart, right], most)


def _in_turn(lists: Iterable[Iterable[int]], most: int) -> list[int]:
    found: dict[int, None] = {}
    waiting = [iter(one) for one in lists]
    while waiting and len(found) < most:
        for own in list(waiting):
            row = next((row for row in own if int(row) not in found), None)
            if row is None:
                waiting.remove(own)
            elif len(found) < most:
                found[int(row)] = None
    return list(found)
