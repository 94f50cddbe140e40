"""Small copies of scored videos that a browser plays, made of their clip store's frames."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
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


def telling(scored: ScoredVideos, most: int, there: Callable[[int], bool]) -> list[int]:
    """Rows of the videos that tell most, the first ones first; of those that are `there`.

    The suspected label errors; each run's mistakes, the best run's first and of each the surest
    ones; those on which runs agree least; the best run's highest losses; what it is surest of and
    right about. Where they are too many, each kind has an equal share before one has more.
    """
    videos, best = scored.videos, scored.calls[scored.best]
    suspicion, agreement = videos["suspicion"].to_numpy(), videos["agreement"].to_numpy()
    kinds = [_up(suspicion, suspicion > 0)]
    for own in sorted(scored.calls.values(), key=lambda own: own.name != scored.best):
        kinds.append(_up(-own.probability, own.read & ~own.right))
    kinds.append(_up(agreement, agreement < 1))
    kinds.append(_up(-best.loss, best.read))
    kinds.append(_up(-best.probability, best.right))
    found: dict[int, None] = {}
    for share in (-(-most // len(kinds)), most):
        for kind in kinds:
            taken = 0
            for row in kind:
                if taken == share or len(found) == most:
                    break
                if row not in found and there(row):
                    found[row] = None
                    taken += 1
    return list(found)


def _up(key: np.ndarray, chosen: np.ndarray) -> list[int]:
    """The rows that are chosen, in the order of their keys."""
    rows = np.flatnonzero(chosen)
    return [int(row) for row in rows[np.argsort(key[rows], kind="stable")]]
