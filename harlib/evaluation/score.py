"""Views of a video -> class scores, at the level of single views and of whole videos."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from harlib.data.loading import batches
from harlib.evaluation import resume
from harlib.evaluation.predict import ScoreError, answers, logarithms, logged, network
from harlib.files import write_npz
from harlib.progress import shown
from harlib.run_folder import RunFolder

# Below this a float32 loses digits, and soon is 0: there its logarithm tells two apart.
TINY = np.finfo(np.float32).tiny


def _no_text():
    return np.empty(0, dtype=str)


def _no_labels():
    return np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class Scores:
    """Class scores of one model on one split, one row a video, in the order of the store.

    video_id: str (videos,).
    label: int32 (videos,), the true class index.
    categories: str (classes,), sorted; a class index points into it.
    video_scores: float32 (videos, classes), the mean of the softmax over a video's views.
    view_scores: float32 (videos, views, classes), softmax; NaN where a video has fewer views
        than others. Zero views are legal (an ensemble over different protocols).
    view_logs: float32, natural logarithms of `view_scores`, of the same shape, where a network is
        so sure that some of these are too small for float32 and would rank by chance; else with
        zero views.
    group: str (videos,), what the intervals resample as one piece; empty = every video its own.
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
    view_logs: np.ndarray | None = None

    def __post_init__(self):
        text = ("video_id", "categories", "group", "missing_id", "missing_group")
        kinds = dict.fromkeys(text, str) | {"label": np.int32, "missing_label": np.int32}
        kinds |= dict.fromkeys(("video_scores", "view_scores", "view_logs"), np.float32)
        if self.view_logs is None:
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

    def _check(self):
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
        if labels.min() < 0 or labels.max() >= classes:
            raise ScoreError(
                f"labels run from {labels.min()} to {labels.max()}, expected 0 to {classes - 1}"
            )
        # a file name may occur in several categories, and stands for another video in each
        keys = pd.MultiIndex.from_arrays(
            [np.concatenate([self.video_id, self.missing_id]), self.categories[labels]]
        )
        if keys.has_duplicates:
            video, category = keys[keys.duplicated()][0]
            raise ScoreError(f"video {video!r} of {category!r} is listed more than once")

    def save(self, run_dir):
        """Writes `scores.npz` and `views.npz` into `run_dir`; a killed write leaves no half file.

        `scores.npz`: video_id, label, categories, video_scores float32 (videos, classes), group,
        missing_id, missing_label, missing_group. `views.npz`: view_scores float32
        (videos, views, classes), and view_logs float32 where they are needed to rank.
        """
        run_dir = Path(run_dir)
        run_dir.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__}
        views = {name: arrays.pop(name) for name in ("view_scores", "view_logs")}
        if not self.view_logs.size:
            del views["view_logs"]
        # scores.npz comes last: where it lies, views.npz is complete too
        write_npz(RunFolder(run_dir).views, **views)
        write_npz(RunFolder(run_dir).scores, **arrays)

    @classmethod
    def load(cls, run_dir):
        """The scores that `save` wrote; files without groups or missing videos are legal.

        So are views in float16, as earlier versions kept them: they rank as they did.

        Raises: FileNotFoundError when `run_dir` holds no scores.
        """
        folder, arrays = RunFolder(run_dir), {}
        for path in (folder.scores, folder.views):
            if not path.is_file():
                raise FileNotFoundError(
                    f"{run_dir} holds no {path.name}; score the run first (har evaluate RUN)"
                )
            with np.load(path, allow_pickle=False) as file:
                arrays |= {key: file[key] for key in file.files}
        return cls(**arrays)


def score(
    model,
    store,
    *,
    split,
    frames=16,
    stride=1,
    size=112,
    clips=1,
    crops=1,
    scale=None,
    batch=8,
    run_dir=None,
    listed=None,
    threads=2,
    progress=True,
):
    """Scores every view of every video of `split`; a video's score is the mean over its views.

    model: takes uint8 (batch, frames, height, width, 3), gives softmax (batch, classes). A Keras
        network is scored as its copy with batch norm folded into the convolutions.
    store: a ClipStore; `clips` × `crops` views are taken of each of its videos.
    scale: share of the largest box that a crop covers (`sampling.crops`): 0.875 for a network
        trained on 112 of 128 pixels; by default the whole short side.
    size: pixels a side, or (height, width). `batch` only changes speed and memory: the last,
        partial batch is padded, so that the graph is traced once, and cut after.
    run_dir: saves `scores.npz` and `views.npz` there; an interrupted scoring by the same weights
        on the same store and protocol goes on where it was, to the same bytes.
    listed: table with video_id, category, split and group (`Catalog.frame`): videos it lists in
        `split` that the store lacks are recorded as missing and count as wrong.
    progress: True shows a bar, a `harlib.progress.Stage` is told.

    Returns: Scores.
    Raises: ScoreError when the outputs are no probabilities or a view is lost or counted twice.
    """
    dataset = batches.evaluation_batches(
        store,
        split=split,
        batch=batch,
        frames=frames,
        stride=stride,
        size=size,
        clips=clips,
        crops=crops,
        scale=scale,
    )
    rows = np.asarray(store.rows(split))
    videos = store.videos.iloc[rows]
    if not len(rows):
        raise ScoreError(
            f"the store has no video in the split {split!r}, "
            f"its splits are {sorted(store.videos['split'].unique())}"
        )
    position = np.full(len(store.videos), -1)
    position[rows] = np.arange(len(rows))
    total = np.zeros((len(rows), len(store.categories)))
    seen, parts, logged_parts = [], [], []
    settings = {"split": split, "frames": frames, "stride": stride, "size": size, "clips": clips,
                "crops": crops, "scale": scale, "batch": batch}  # fmt: skip
    key = None if run_dir is None else resume.mark(model, store, **settings)
    fast = logged(network(model))
    every = resume.resumed(
        run_dir, key, lambda done: answers(fast, dataset, store, batch, done, threads)
    )
    done = 0
    with shown(progress, f"scoring {split}", "batch", kept=run_dir is not None) as bar:
        bar.begin(0, len(dataset))
        for video, view, probabilities, logs in every:
            where = position[video]
            np.add.at(total, where, probabilities)
            seen.append(np.stack([where, view]))
            parts.append(probabilities)
            # most networks are never so sure, and need no second array
            lost = (probabilities < TINY) & np.isfinite(logs)
            logged_parts.append(logs if lost.any() else None)
            done += -(-len(video) // batch)
            if len(video) > batch:  # what an interrupted scoring had left: no measure of speed
                bar.begin(done, len(dataset))
            else:
                bar.at(done)
    seen = np.concatenate(seen, axis=1)
    counts = _counts(seen, videos["video_id"].to_numpy())
    scores = Scores(
        video_id=videos["video_id"].to_numpy(dtype=str),
        label=videos["label"].to_numpy(),
        categories=np.array(store.categories, dtype=str),
        video_scores=total / counts[:, None],
        view_scores=_placed(parts, seen, counts),
        view_logs=_placed(_all_logs(parts, logged_parts), seen, counts),
        group=videos["group"].to_numpy(dtype=str),
        **_missing(listed, split, videos, store.categories),
    )
    if run_dir is not None:
        scores.save(run_dir)
        resume.drop(run_dir)
    return scores


def load_all(run_dirs):
    """{run name: Scores} of several runs; `run_dirs` is {name: folder} or a list of folders."""
    if not isinstance(run_dirs, Mapping):
        run_dirs = {Path(run_dir).name: run_dir for run_dir in run_dirs}
    return {name: Scores.load(run_dir) for name, run_dir in run_dirs.items()}


def _counts(seen, video_id):
    """How many views each video has: int (videos,). seen: videos and views of all answers.

    Raises: ScoreError when a view is lost or counted twice.
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


def _all_logs(parts, logged_parts):
    """The logarithms of all answers; None when all probabilities rank as they are."""
    if all(logs is None for logs in logged_parts):
        return None
    return [
        logarithms(probabilities) if logs is None else logs
        for probabilities, logs in zip(parts, logged_parts, strict=True)
    ]


def _placed(parts, seen, counts):
    """Answers by video and view: float32 (videos, views, classes), NaN where there is no view."""
    if parts is None:
        return None
    placed = np.full((len(counts), counts.max(), parts[0].shape[1]), np.nan, dtype=np.float32)
    start = 0
    for part in parts:  # one by one: joined they would be held twice
        video, view = seen[:, start : start + len(part)]
        placed[video, view] = part
        start += len(part)
    return placed


def _missing(listed, split, videos, categories):
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
