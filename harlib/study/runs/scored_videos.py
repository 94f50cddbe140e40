"""Every scored video of a study in one table: which it is, and what each run called it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harlib import MissingFile
from harlib.data import Audit, ClipStore, label_sets
from harlib.evaluation import (
    ScoreError,
    Scores,
    folds,
    hits,
    label_errors,
    multi_label,
    view_calls,
)
from harlib.evaluation.comparison import NOTHING, UNREAD
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study.runs import best
from harlib.study.runs.scored_store import AnotherStore, scored_store
from harlib.text import count

TOP = 5
"""Categories that are kept of each call, the most probable ones."""
KEYS = ["split", "true", "id"]
"""What tells a video: one file name may be in several categories."""
_WHOLE = 1_500_000  # numbers up to which the probabilities of all categories are kept


@dataclass(frozen=True)
class Calls:
    """What one run said of a study's videos, in their order.

    name: the run's, of folds the one that they are folds of. folders: its own or its folds'.
    listed: bool (videos,), whether it was to score the video. read: bool (videos,), whether it did.
    called: int32 (videos,), a place in `ScoredVideos.answers`; -1 where nothing was read.
    right: bool (videos,); of several labels, whether exactly those were named.
    probability: float32 (videos,), of what was called; of several labels, of the most doubtful of
        its answers, that a label is there or that it is not.
    own: float32 (videos,), of the true category. loss: float32 (videos,), the cross entropy.
    top, top_probability: (videos, TOP), the most probable single categories, best first; -1, NaN
        where nothing was read, or where the run has fewer categories.
    every: float32 (videos, categories), all probabilities; None of a study too large for them.
    view_called, view_probability: (videos, views), the same of each view; -1 where there is none.
    """

    name: str
    folders: tuple[Path, ...]
    listed: np.ndarray
    read: np.ndarray
    called: np.ndarray
    right: np.ndarray
    probability: np.ndarray
    own: np.ndarray
    loss: np.ndarray
    top: np.ndarray
    top_probability: np.ndarray
    every: np.ndarray | None
    view_called: np.ndarray
    view_probability: np.ndarray


@dataclass(frozen=True)
class ScoredVideos:
    """The scored videos of a study's runs.

    videos: a row per video: `id, file, group, seconds, fps, true, split, problem, agreement,
        suspicion, suggested`. `file` is its name without a folder and `seconds` its length, "" and
        NaN where the clip store is gone; `problem` says why it could not be read. `agreement` is
        the share of its runs that give the most frequent answer. `suspicion` is the place among the
        suspected label errors, from 1 on, else 0, and `suggested` what the runs take it for.
    calls: what each run said, in the order of their names; folds of one run are one.
    categories: what the networks tell apart, sorted. answers: what can be called: the same, of
        several labels per video every set that occurs.
    best: the name of the run that ranks first. several: whether a video may have several labels.
    other_names: {a fold's name: the name that it is part of here}.
    remarks: sentences about what is not in the table and why.
    """

    videos: pd.DataFrame
    calls: Mapping[str, Calls]
    categories: list[str]
    answers: list[str]
    best: str
    several: bool
    other_names: Mapping[str, str]
    remarks: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """`videos` with four columns per run: RUN called, RUN probability, RUN right, RUN loss."""
        found = self.videos.copy()
        names = np.array([*self.answers, UNREAD])
        for name, own in self.calls.items():
            called = pd.Series(names[own.called], index=found.index, dtype=object)
            found[f"{name} called"] = called.where(own.listed, "")
            found[f"{name} probability"] = own.probability
            found[f"{name} right"] = pd.Series(own.right, dtype="boolean").where(own.listed)
            found[f"{name} loss"] = own.loss
        return found


def scored(runs_dir: Path) -> list[Path]:
    """The complete runs with scores in ``runs/<study>``; where some have several labels, those."""
    return [one for one in best.measured(runs_dir) if RunFolder(one).scores.is_file()]


def scores_of(run_dir: Path) -> Scores:
    """A run's scores, with those of single views, which are large, where they decide on equals."""
    file = RunFolder(run_dir).views
    if not file.is_file():
        return Scores.load(run_dir, views=False)
    with np.load(file) as views:
        decide = "view_logs" in views.files
    return Scores.load(run_dir, views=decide)


def load(runs_dir: Path) -> ScoredVideos:
    """The videos that the complete runs of ``runs/<study>`` have scored.

    The scores of single views, which are many times as large, are read in pieces where they do not
    decide between equals.

    Raises:
        FileNotFoundError: no run there has scores.
    """
    folders = scored(runs_dir)
    if not folders:
        raise MissingFile(f"{runs_dir} holds no complete run with scores: run a model notebook")
    joined, scores, remarks = _joined(folders)
    listed = {name: _listed(own, joined[name]) for name, own in scores.items()}
    videos = pd.concat(listed.values()).drop_duplicates(KEYS).sort_values(KEYS, kind="stable")
    videos = videos.reset_index(drop=True)
    places = pd.MultiIndex.from_frame(videos[KEYS])
    rows = {
        name: places.get_indexer(pd.MultiIndex.from_frame(own[KEYS]))
        for name, own in listed.items()
    }
    categories = np.array(sorted({name for own in scores.values() for name in own.categories}))
    several = any(own.several for own in scores.values())
    said = {name: _said(own, joined[name]) for name, own in scores.items()}
    answers = sorted(
        {*videos["true"], *categories, *(set().union(*said.values()) if several else ())}
    )
    whole = len(videos) * len(categories) * len(scores) <= _WHOLE
    calls = {
        name: _calls(
            name, joined[name], own, rows[name], np.array(said[name]), len(videos),
            categories, answers, whole=whole,
        )
        for name, own in scores.items()
    }  # fmt: skip
    videos = _described(videos, joined, rows, remarks)
    videos["agreement"] = _agreement(calls)
    videos["suspicion"], videos["suggested"] = 0, ""
    if several:
        remarks.append(
            "Suspected label errors are not ranked: the method is for videos with one label each."
        )
    else:
        learned = [name for name in scores if _learned_from(joined[name])]
        if learned:
            remarks.append(
                f"Suspected label errors are found without {', '.join(learned)}: the scored videos "
                "are those learned from."
            )
        others = {name: own for name, own in scores.items() if name not in learned}
        _suspect(videos, others, rows, categories)
    other = {part.name: name for name, parts in joined.items() for part in parts
             if part.name != name}  # fmt: skip
    first = best.run(folders)
    first = other.get(first, first)
    return ScoredVideos(
        videos, calls, categories.tolist(), answers, first, several, other, tuple(remarks)
    )


def _joined(
    folders: list[Path],
) -> tuple[dict[str, tuple[Path, ...]], dict[str, Scores], list[str]]:
    """({a run's name: its folder or its folds'}, {its name: its scores}, why some are not pooled).

    Sorted by name, and with the scores of views where they decide on equals alone.
    """
    runs: dict[str, tuple[Path, ...]] = {folder.name: (folder,) for folder in folders}
    scores = {folder.name: scores_of(folder) for folder in folders}
    remarks = []
    for name, parts in folds.of_names(list(runs)).items():
        try:
            together = folds.pooled(_alike([scores[part] for part in parts], parts, runs))
        except (ScoreError, MissingFile) as error:
            remarks.append(f"{name}: its {len(parts)} folds are shown apart, since {error}.")
            continue
        own = f"{name}, folds" if name in runs else name
        runs[own], scores[own] = tuple(runs.pop(part)[0] for part in parts), together
        for part in parts:
            del scores[part]
    return dict(sorted(runs.items())), dict(sorted(scores.items())), remarks


def _alike(
    scores: list[Scores], parts: list[str], runs: dict[str, tuple[Path, ...]]
) -> list[Scores]:
    """The scores of a run's folds, where single views decide on equals in some all with views."""
    apart = len({bool(own.view_logs.size) for own in scores}) > 1
    return [Scores.load(runs[part][0]) for part in parts] if apart else scores


def _listed(scores: Scores, folders: tuple[Path, ...]) -> pd.DataFrame:
    """A row per video that a run listed, in the order of its scores, those not read last."""
    return pd.DataFrame(
        {
            "id": np.concatenate([scores.video_id, scores.missing_id]).astype(object),
            "group": hits.all_groups(scores).astype(object),
            "true": scores.truths[hits.all_labels(scores)].astype(object),
            "split": _split(folders[0]),
        }
    )


def _split(run_dir: Path) -> str:
    return str(read_json(RunFolder(run_dir).metrics, "protocol")["protocol"]["split"])


def _said(scores: Scores, folders: tuple[Path, ...]) -> list[str]:
    """What a run called each video that it read; of several labels, the set of those given."""
    if scores.several:
        given = multi_label.given(scores, _split(folders[0]))[: len(scores.label)]
        return [label_sets.joined(scores.categories[row]) or NOTHING for row in given]
    return scores.categories[hits.called(scores)].tolist()


def _calls(
    name: str,
    folders: tuple[Path, ...],
    scores: Scores,
    rows: np.ndarray,
    said: np.ndarray,
    videos: int,
    categories: np.ndarray,
    answers: list[str],
    *,
    whole: bool,
) -> Calls:
    read = rows[: len(scores.label)]
    true = scores.truths[scores.label]
    column = np.searchsorted(categories, scores.categories)  # of the run's own categories
    values = scores.video_scores
    first = np.argsort(-values, axis=1, kind="stable")[:, :TOP]
    lacking = ((0, 0), (0, TOP - first.shape[1]))
    if scores.several:
        targets = scores.targets[: len(values)]
        own = np.where(targets, values, 1 - values).min(axis=1)
        loss = -_logs(np.where(targets, values, 1 - values)).mean(axis=1)
        given = multi_label.given(scores, _split(folders[0]))[: len(values)]
        probability = np.where(given, values, 1 - values).min(axis=1)
    else:
        own = values[np.arange(len(values)), scores.label]
        probability, loss = values.max(axis=1), -_logs(own)
    views, view_values = _views(folders, len(values))

    def spread(content: np.ndarray, blank: float) -> np.ndarray:
        """The run's rows at their places among all videos."""
        kind = np.int32 if content.dtype.kind == "i" else content.dtype
        found = np.full((videos, *content.shape[1:]), blank, kind)
        found[read] = content
        return found

    every = None
    if whole:
        every = np.full((videos, len(categories)), np.nan, np.float32)
        every[np.ix_(read, column)] = values
    listed = np.zeros(videos, bool)
    listed[rows] = True
    return Calls(
        name=name,
        folders=folders,
        listed=listed,
        read=spread(np.ones(len(values), bool), False),
        called=spread(np.searchsorted(answers, said), -1),
        right=spread(said == true, False),
        probability=spread(probability, np.nan),
        own=spread(own, np.nan),
        loss=spread(loss.astype(np.float32), np.nan),
        top=spread(np.pad(column[first], lacking, constant_values=-1), -1),
        top_probability=spread(
            np.pad(np.take_along_axis(values, first, axis=1), lacking, constant_values=np.nan),
            np.nan,
        ),
        every=every,
        view_called=spread(np.where(views < 0, -1, column[views]), -1),
        view_probability=spread(view_values, np.nan),
    )


def _logs(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, np.finfo(np.float32).tiny))


def _views(folders: tuple[Path, ...], videos: int) -> tuple[np.ndarray, np.ndarray]:
    """The most probable category of each view and its probability, (videos, views); -1, NaN."""
    if not all(RunFolder(folder).views.is_file() for folder in folders):
        return np.full((videos, 0), -1), np.full((videos, 0), np.nan, np.float32)
    parts = [view_calls(folder) for folder in folders]
    most = max(called.shape[1] for called, _ in parts)
    called, values = np.full((videos, most), -1), np.full((videos, most), np.nan, np.float32)
    start = 0
    for own, probability in parts:
        called[start : start + len(own), : own.shape[1]] = own
        values[start : start + len(own), : own.shape[1]] = probability
        start += len(own)
    return called, values


def _described(
    videos: pd.DataFrame,
    joined: dict[str, tuple[Path, ...]],
    rows: dict[str, np.ndarray],
    remarks: list[str],
) -> pd.DataFrame:
    """`videos` with what the runs' clip stores know of them, in the order that people read."""
    about = pd.DataFrame(
        {"file": "", "seconds": np.nan, "fps": np.nan, "problem": ""}, index=videos.index
    )
    seen: set[str] = set()
    gone: set[str] = set()
    for folders in joined.values():
        for folder in folders:
            wanted = RunFolder(folder).read_state().get("store_hash", "")
            if wanted in seen | gone:
                continue
            try:
                store = scored_store(folder)
            except AnotherStore:
                gone.add(wanted)
                continue
            seen.add(wanted)
            for name, column in _of_store(store, videos).items():
                about[name] = about[name].where(column.isna() | (column == ""), column)
    if gone:
        remarks.append(
            f"{count(len(gone), 'clip store')} that runs were scored on "
            f"{'are' if len(gone) > 1 else 'is'} no longer there: files and lengths of those "
            "videos are not known."
        )
    order = ["id", "file", "group", "seconds", "fps", "true", "split", "problem"]
    return pd.concat([videos, about], axis=1)[order]


def _of_store(store: ClipStore, videos: pd.DataFrame) -> dict[str, pd.Series]:
    wanted = pd.MultiIndex.from_frame(videos[KEYS])
    own = store.videos.rename(columns={"category": "true", "video_id": "id"}).set_index(KEYS)
    own = own.reindex(wanted)
    listed = Audit.load(store.root).videos.rename(columns={"category": "true", "video_id": "id"})
    listed = listed.set_index(KEYS).reindex(wanted)
    found = {
        "file": listed["file"].fillna(""),
        "seconds": own["frames"] / own["fps"],
        "fps": own["fps"],
        "problem": listed["reason"].fillna("").where(own["frames"].isna(), ""),
    }
    return {name: column.set_axis(videos.index) for name, column in found.items()}


def _agreement(calls: dict[str, Calls]) -> np.ndarray:
    """The share of a video's runs that give the most frequent answer; NaN where none was read."""
    called = np.stack([own.called for own in calls.values()], axis=1)
    most = np.zeros(len(called), int)
    for column in called.T:
        most = np.maximum(most, ((called == column[:, None]) & (column >= 0)[:, None]).sum(axis=1))
    read = (called >= 0).sum(axis=1)
    return np.divide(most, read, out=np.full(len(called), np.nan), where=read > 0)


def _suspect(
    videos: pd.DataFrame, scores: dict[str, Scores], rows: dict[str, np.ndarray],
    categories: np.ndarray,
) -> None:  # fmt: skip
    """Sets `suspicion` and `suggested` by the mean of the runs' probabilities.

    Of each category it is the mean over the runs that know it.
    """
    total = np.zeros((len(videos), len(categories)), np.float32)
    times = np.zeros((len(videos), len(categories)), np.uint16)
    for name, own in scores.items():
        read = rows[name][: len(own.label)]
        at = np.ix_(read, np.searchsorted(categories, own.categories))
        total[at] += own.video_scores
        times[at] += 1
    read = np.flatnonzero(times.any(axis=1))
    if not len(read):
        return
    mean = total[read] / np.maximum(times[read], 1)
    label = np.searchsorted(categories, videos["true"].to_numpy()[read])
    found = label_errors.suspected(mean, label)
    place = read[found["video"].to_numpy(int)]
    videos.loc[place, "suspicion"] = np.arange(1, len(place) + 1)
    videos.loc[place, "suggested"] = categories[found["suggested"].to_numpy(int)]


def _learned_from(folders: tuple[Path, ...]) -> bool:
    """Whether the videos that a run scored are those that it had learned from."""
    return any(
        RunFolder(folder).read_params().get("train_split") == _split(folder) for folder in folders
    )
