"""A study's scored videos, packed for a browser; `reports/template/videos.js` unpacks them."""

import gzip
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from harlib.evaluation import Scores, hits, naming
from harlib.evaluation.comparison import UNREAD
from harlib.run_folder import RunFolder
from harlib.study.runs.scored_videos import TOP, Calls, ScoredVideos

_VIEWS = 4_000_000  # calls of single views up to which they are packed
_KINDS = {"f4": np.float32, "u1": np.uint8, "u2": np.uint16, "i2": np.int16, "i4": np.int32}


def packed(study: str, scored: ScoredVideos, previews: Mapping[str, Any] | None = None) -> bytes:
    """All that the browser of videos shows but the clips; the same runs give the same bytes.

    gzip of: the length of the following JSON (uint32), JSON, arrays. In the JSON an array is
    [kind, offset behind the JSON, length]; numbers are little-endian.

    previews: said to the browser as it is, under that name.
    """
    arrays = _Arrays()
    videos = scored.videos
    groups, group = np.unique(videos["group"].to_numpy(str), return_inverse=True)
    splits, split = np.unique(videos["split"].to_numpy(str), return_inverse=True)
    suggested = np.searchsorted(scored.answers, videos["suggested"].to_numpy(str))
    views = sum(own.view_called.size for own in scored.calls.values())
    content = {
        "study": study,
        "best": scored.best,
        "several": scored.several,
        "other_names": dict(scored.other_names),
        "remarks": list(scored.remarks),
        "categories": scored.categories,
        "answers": scored.answers,
        "unread": UNREAD,
        "top": TOP,
        "suspects": int((videos["suspicion"] > 0).sum()),
        "lengths": bool(videos["seconds"].notna().any()),
        "id": videos["id"].tolist(),
        "file": videos["file"].tolist(),
        "problem": {str(row): text for row, text in enumerate(videos["problem"]) if text},
        "groups": groups.tolist(),
        "splits": splits.tolist(),
        "columns": {
            "true": arrays.index(np.searchsorted(scored.answers, videos["true"].to_numpy(str))),
            "group": arrays.index(group),
            "split": arrays.index(split),
            "seconds": arrays.add(videos["seconds"].to_numpy(), "f4"),
            "agreement": arrays.add(videos["agreement"].to_numpy(), "f4"),
            "suspicion": arrays.index(videos["suspicion"].to_numpy()),
            "suggested": arrays.index(np.where(videos["suspicion"] > 0, suggested, -1)),
        },
        "runs": [_run(own, videos, arrays, views <= _VIEWS) for own in scored.calls.values()],
        "previews": dict(previews or {}),
    }
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % 8)
    whole = np.uint32(len(text)).astype("<u4").tobytes() + text + b"".join(arrays.parts)
    return gzip.compress(whole, 6, mtime=0)


def told(packed: bytes) -> dict[str, Any]:
    """The JSON of `packed`, without the arrays."""
    whole = gzip.decompress(packed)
    return dict(json.loads(whole[4 : 4 + int.from_bytes(whole[:4], "little")]))


class _Arrays:
    """Arrays one behind the other, each at a multiple of eight bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0

    def add(self, content: np.ndarray, kind: str) -> list[Any]:
        """Keeps an array; returns how it is found."""
        data = np.ascontiguousarray(content, dtype=np.dtype(_KINDS[kind]).newbyteorder("<"))
        found = [kind, self._size, data.size]
        padded = data.tobytes() + b"\0" * (-data.nbytes % 8)
        self.parts.append(padded)
        self._size += len(padded)
        return found

    def index(self, content: np.ndarray) -> list[Any]:
        """Keeps whole numbers from -1 on."""
        return self.add(content, "i2" if content.max(initial=0) < 1 << 15 else "i4")


def _run(own: Calls, videos: pd.DataFrame, arrays: _Arrays, views: bool) -> dict[str, Any]:
    columns = {
        "listed": arrays.add(own.listed, "u1"),
        "called": arrays.index(own.called),
        "right": arrays.add(own.right, "u1"),
        "probability": arrays.add(own.probability, "f4"),
        "loss": arrays.add(own.loss, "f4"),
    }
    if own.every is not None:
        columns["every"] = arrays.add(_whole(own.every, 65535), "u2")
    else:
        columns["top"] = arrays.index(own.top)
        columns["top_probability"] = arrays.add(_whole(own.top_probability, 65535), "u2")
    if views:
        columns["view_called"] = arrays.index(own.view_called)
        columns["view_probability"] = arrays.add(_whole(own.view_probability, 255), "u1")
    folds = [folder.name for folder in own.folders] if len(own.folders) > 1 else []
    if folds:
        columns["fold"] = arrays.index(_fold(own, videos))
    folder = own.folders[0]
    about = naming.network(naming.read(folder)) if RunFolder(folder).metrics.is_file() else ""
    known = {} if own.every is None else _known(own.every[own.read])
    return {
        "name": own.name,
        "about": about,
        **known,
        "folds": folds,
        "views": own.view_called.shape[1],
        "columns": columns,
    }


def _known(every: np.ndarray) -> dict[str, list[int]]:
    """The places of the categories that a run knows, where it does not know them all."""
    known = ~np.isnan(every).all(axis=0)
    return {} if known.all() else {"known": np.flatnonzero(known).tolist()}


def _fold(own: Calls, videos: pd.DataFrame) -> np.ndarray:
    """The place of the fold that was to score each video; -1 for none."""
    wanted = pd.MultiIndex.from_frame(videos[["true", "id"]])
    found = np.full(len(videos), -1)
    for place, folder in enumerate(own.folders):
        scores = Scores.load(folder, views=False)
        ids = np.concatenate([scores.video_id, scores.missing_id])
        listed = [scores.truths[hits.all_labels(scores)], ids]
        found[own.listed & wanted.isin(pd.MultiIndex.from_arrays(listed))] = place
    return found


def _whole(probabilities: np.ndarray, most: int) -> np.ndarray:
    return np.rint(np.nan_to_num(probabilities) * most)
