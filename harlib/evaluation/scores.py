"""The scores of one model on one split, as a run keeps them."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from harlib import HarlibError, MissingFile
from harlib.data import label_sets
from harlib.files import write_npz
from harlib.run_folder import RunFolder


class ScoreError(HarlibError):
    """Scores that cannot be right: views lost or counted twice, or no probabilities."""


def _no_text() -> np.ndarray:
    return np.empty(0, dtype=str)


def _no_labels() -> np.ndarray:
    return np.empty(0, dtype=np.int32)


def _no_logs() -> np.ndarray:
    return np.empty((0, 0, 0))


@dataclass(frozen=True)
class Scores:
    """Class scores of one model on one split, one row per video, in the order of the store.

    video_id: str (videos,).
    label: int32 (videos,), the true class index; of several labels per video that of `label_sets`.
    categories: str (classes,), sorted; a class index points into it.
    video_scores: float32 (videos, classes), the mean of the softmax over a video's views. Of
        several labels per video each is a probability of its own (sigmoid), as in view_scores.
    view_scores: float32 (videos, views, classes), softmax; NaN where a video has fewer views
        than others. Zero views are legal (an ensemble over different protocols).
    view_logs: float32, natural logarithms of `view_scores`, of the same shape, where a network is
        so sure that some of these are too small for float32 and would rank by chance; else with
        zero views.
    group: str (videos,), what the intervals resample as one piece; empty = every video its own.
    label_sets: str (sets,), as "clapping|walking", where videos have several labels; else empty.
    missing_id, missing_label, missing_group: videos that were listed but could not be read.
        They have no scores and count as wrong in every accuracy.
    """

    video_id: np.ndarray
    label: np.ndarray
    categories: np.ndarray
    video_scores: np.ndarray
    view_scores: np.ndarray
    group: np.ndarray = field(default_factory=_no_text)
    missing_id: np.ndarray = field(default_factory=_no_text)
    missing_label: np.ndarray = field(default_factory=_no_labels)
    missing_group: np.ndarray = field(default_factory=_no_text)
    view_logs: np.ndarray = field(default_factory=_no_logs)
    label_sets: np.ndarray = field(default_factory=_no_text)

    def __post_init__(self) -> None:
        text = ("video_id", "categories", "group", "missing_id", "missing_group", "label_sets")
        kinds: dict[str, type] = dict.fromkeys(text, str) | {
            "label": np.int32,
            "missing_label": np.int32,
        }
        kinds |= dict.fromkeys(("video_scores", "view_scores", "view_logs"), np.float32)
        if not self.view_logs.size:
            object.__setattr__(self, "view_logs", np.empty((len(self.label), 0, 0)))
        for name, kind in kinds.items():
            array = np.asarray(getattr(self, name))
            # a str array keeps its own width; an empty one may arrive as float
            if kind is not str or array.dtype.kind != "U":
                array = array.astype(kind, copy=False)
            object.__setattr__(self, name, array)
        if not len(self.group):
            object.__setattr__(self, "group", self.video_id)
        if not len(self.missing_group):
            object.__setattr__(self, "missing_group", self.missing_id)
        self._check()

    @property
    def several(self) -> bool:
        """Whether a video may have several labels."""
        return bool(len(self.label_sets))

    @property
    def truths(self) -> np.ndarray:
        """What `label` points into, str: the categories, or the label sets."""
        return self.label_sets if self.several else self.categories

    @property
    def targets(self) -> np.ndarray:
        """Which labels each listed video has: bool (videos + missing, classes)."""
        members = label_sets.members(self.truths.tolist())
        return members[np.concatenate([self.label, self.missing_label])]

    def _check(self) -> None:
        videos, classes = len(self.video_id), len(self.categories)
        expected = {
            "label": (videos,),
            "group": (videos,),
            "video_scores": (videos, classes),
            "view_scores": (videos, *self.view_scores.shape[1:2], classes),
            "view_logs": self.view_scores.shape if self.view_logs.size else self.view_logs.shape,
            "missing_label": self.missing_id.shape,
            "missing_group": self.missing_id.shape,
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ScoreError(
                    f"{name} has the shape {getattr(self, name).shape}, expected {shape} "
                    f"for {videos} videos and {classes} categories"
                )
        if not videos:
            raise ScoreError("no video was scored: the split is empty")
        labels = np.concatenate([self.label, self.missing_label])
        if labels.min() < 0 or labels.max() >= len(self.truths):
            raise ScoreError(
                f"labels run from {labels.min()} to {labels.max()}, expected 0 to "
                f"{len(self.truths) - 1}"
            )
        if self.several and label_sets.classes(self.truths.tolist()) != self.categories.tolist():
            raise ScoreError("the label sets are not made of the categories that were scored")
        # a file name may occur in several categories, and stands for another video in each
        keys = pd.MultiIndex.from_arrays(
            [np.concatenate([self.video_id, self.missing_id]), self.truths[labels]]
        )
        if keys.has_duplicates:
            video, category = keys[keys.duplicated()][0]
            raise ScoreError(f"video {video!r} of {category!r} is listed more than once")

    def save(self, run_dir: str | Path) -> None:
        """Writes `scores.npz` and `views.npz` into `run_dir`; a killed write leaves no half file.

        `scores.npz`: video_id, label, categories, video_scores float32 (videos, classes), group,
        missing_id, missing_label, missing_group, of several labels per video label_sets too.
        `views.npz`: view_scores float32
        (videos, views, classes), and view_logs float32 where they are needed to rank.
        """
        run_dir = Path(run_dir)
        run_dir.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__}
        views = {name: arrays.pop(name) for name in ("view_scores", "view_logs")}
        if not self.view_logs.size:
            del views["view_logs"]
        if not self.several:
            del arrays["label_sets"]
        # scores.npz comes last: where it lies, views.npz is complete too
        write_npz(RunFolder(run_dir).views, **views)
        write_npz(RunFolder(run_dir).scores, **arrays)

    @classmethod
    def load(cls, run_dir: str | Path, *, views: bool = True) -> "Scores":
        """The scores that `save` wrote; files without groups or missing videos are legal.

        So are views in float16, as earlier versions kept them: they rank as they did.

        views: False reads none of them, which are the most of it; see `view_calls`.

        Raises:
            FileNotFoundError: `run_dir` holds no scores.
        """
        folder = RunFolder(run_dir)
        arrays: dict[str, np.ndarray] = {}
        for path in (folder.scores, folder.views) if views else (folder.scores,):
            if not path.is_file():
                raise MissingFile(
                    f"{run_dir} holds no {path.name}; score the run first (har evaluate RUN)"
                )
            with np.load(path, allow_pickle=False) as file:
                arrays |= {key: file[key] for key in file.files}
        if not views:
            videos, classes = arrays["video_scores"].shape
            arrays["view_scores"] = np.empty((videos, 0, classes), np.float32)
        return cls(**arrays)


def view_calls(run_dir: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class of each view of a run, and its probability.

    `views.npz` is read in pieces: all views of a large study are more than the memory holds.

    Returns:
        int32 (videos, views), -1 where a video has fewer views; float32 of the same shape, NaN.

    Raises:
        FileNotFoundError: `run_dir` holds no views.
    """
    path = RunFolder(run_dir).views
    if not path.is_file():
        raise MissingFile(f"{run_dir} holds no {path.name}; score the run first (har evaluate RUN)")
    with zipfile.ZipFile(path) as archive:
        logged = "view_logs.npy" in archive.namelist()
        shape, parts = _pieces(archive, "view_logs.npy" if logged else "view_scores.npy")
        called = np.full(shape[:2], -1, np.int32)
        values = np.full(shape[:2], np.nan, np.float32)
        start = 0
        for part in parts:
            there = ~np.isnan(part[..., 0])
            rows = slice(start, start + len(part))
            called[rows] = np.where(there, np.where(there[..., None], part, 0).argmax(axis=2), -1)
            values[rows] = part.max(axis=2)
            start += len(part)
    return called, np.exp(values) if logged else values


def _pieces(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], Iterator[np.ndarray]]:
    """The shape of an array in an `.npz`, and its rows, some at a time."""
    file = archive.open(name)
    version = np.lib.format.read_magic(file)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else (np.lib.format.read_array_header_2_0)
    )
    shape, fortran, kind = header(file)
    if fortran:
        raise ScoreError(f"{archive.filename} holds {name} by columns: score the run again")

    def rows() -> Iterator[np.ndarray]:
        one = int(np.prod(shape[1:]))
        step = max(1, (1 << 24) // max(1, one * kind.itemsize))
        for start in range(0, shape[0] if one else 0, step):
            number = min(step, shape[0] - start)
            data = file.read(number * one * kind.itemsize)
            yield np.frombuffer(data, kind).reshape(number, *shape[1:])

    return shape, rows()
