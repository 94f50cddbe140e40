"""Runs side by side, of one study or of several: `har compare`."""

import string
import textwrap
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harlib import HarlibError
from harlib.evaluation import (
    Scores,
    comparison,
    hits,
    metrics,
    naming,
)
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study.params.base import ParamsError, project_root
from harlib.study.runs import settings_apart
from harlib.study.runs.listing import printable
from harlib.study.runs.named import run_folder
from harlib.study.wording import apart
from harlib.text import count, percent

_WIDTH = 100
_CATEGORIES = 5  # of a pair
_VIDEOS = 20
_LETTERS = string.ascii_uppercase


@dataclass(frozen=True)
class _Run:
    """One of the runs: `letter` stands for it in tables, `scores` are of the videos that all have.

    `others` are its videos that not every run has.
    """

    letter: str
    name: str
    folder: Path
    scores: Scores
    others: int = 0


def compare(names: Sequence[str]) -> str:
    """Two runs or more on the videos that all of them have scored, as text for a terminal.

    Args:
        names: as `named.run_folder` takes them.

    Raises:
        ParamsError: there is no such run, or fewer than two.
        FileNotFoundError: a run has no scores.
        HarlibError: scores that cannot be read, of other categories, or of no common video.
    """
    runs = _on_common(_loaded(names))
    sections = {
        "": _named(runs),
        "Settings that differ": _settings(runs),
        f"{_measure(runs)} with its 95 % interval": _accuracies(runs),
        "Is the difference real?": _tests(runs),
        "Categories where they differ most": _categories(runs),
        "Videos where they differ": _videos(runs),
    }
    return "\n\n".join(
        "\n".join(filter(None, [title, *(part for line in lines for part in _wrapped(line))]))
        for title, lines in sections.items()
    )


def _measure(runs: list[_Run]) -> str:
    several = runs[0].scores.several
    return "Mean average precision" if several else "Accuracy, video top-1"


def _loaded(names: Sequence[str]) -> list[_Run]:
    folders = [run_folder(name) for name in names]
    if len({folder.resolve() for folder in folders}) < max(2, len(names)):
        raise ParamsError(f"har compare takes two runs or more, each once; received {list(names)}")
    if len(names) > len(_LETTERS):
        raise ParamsError(f"har compare takes {len(_LETTERS)} runs at most; received {len(names)}")
    shown = [_shown(folder) for folder in folders]
    return [_Run(*one) for one in zip(_LETTERS, shown, folders, map(_read, folders), strict=False)]


def _shown(folder: Path) -> str:
    """A run's name: short below `runs/` of the project, its path elsewhere."""
    runs = project_root() / "runs"
    return printable(folder.relative_to(runs) if folder.is_relative_to(runs) else folder)


def _read(folder: Path) -> Scores:
    try:
        return Scores.load(folder)
    except (HarlibError, FileNotFoundError):
        raise
    except (ValueError, EOFError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise HarlibError(
            f"the scores in {folder} cannot be read ({error}): score the run again (har evaluate)"
        ) from error


def _on_common(runs: list[_Run]) -> list[_Run]:
    """The runs with their scores of the videos that all of them list, readable or not."""
    first = runs[0]
    for run in runs:
        if list(run.scores.truths) != list(first.scores.truths):
            raise HarlibError(
                f"{first.name} and {run.name} have {len(first.scores.categories)} and "
                f"{len(run.scores.categories)} categories that are not the same: compare runs on "
                "the same ones"
            )
    common = _keys(first.scores)
    for run in runs[1:]:
        common = common.intersection(_keys(run.scores), sort=False)
    if not len(common):
        raise HarlibError(
            f"{', '.join(run.name for run in runs)} have scored no video in common, by category "
            "and video_id: compare runs on one split of the same data"
        )
    return [_only(run, common) for run in runs]


def _keys(scores: Scores) -> pd.MultiIndex:
    """Category and name of every listed video, the scored ones first."""
    return pd.MultiIndex.from_arrays(
        [
            scores.truths[hits.all_labels(scores)],
            np.concatenate([scores.video_id, scores.missing_id]),
        ]
    )


def _only(run: _Run, videos: pd.MultiIndex) -> _Run:
    whole = run.scores
    kept = _keys(whole).isin(videos)
    scored, missing = kept[: len(whole.label)], kept[len(whole.label) :]
    if not scored.any():
        raise HarlibError(f"{run.name} could read none of the {len(videos):,} common videos")
    rows = ["video_id", "label", "video_scores", "view_scores", "group"]
    rows += ["view_logs"] if whole.view_logs.size else []
    changes: dict[str, Any] = {name: getattr(whole, name)[scored] for name in rows}
    lost = ("missing_id", "missing_label", "missing_group")
    changes |= {name: getattr(whole, name)[missing] for name in lost}
    return replace(run, scores=replace(whole, **changes), others=int((~kept).sum()))


def _named(runs: list[_Run]) -> Iterator[str]:
    """What each letter stands for, and on which videos the runs are compared."""
    for run in runs:
        network = ""
        if RunFolder(run.folder).metrics.is_file():
            network = f" ({naming.network(naming.read(run.folder))})"
        yield f"{run.letter}  {run.name}{network}"
    scores = runs[0].scores
    videos = len(hits.all_labels(scores))
    said = f"On {count(videos, 'video')} that all of them have"
    others = ", ".join(f"{run.others:,} of {run.letter}" for run in runs if run.others)
    yield f"{said}; left out, as not all have them: {others}." if others else f"{said} scored."


def _settings(runs: list[_Run]) -> list[str]:
    """A line for each parameter that is not the same in all runs; inner ones by `outer.inner`."""
    table = settings_apart.table({run.letter: run.folder for run in runs})
    lines = []
    for row in table.to_dict("records"):
        key, by_value = row.pop("setting"), dict[str, list[str]]()
        for letter, said in row.items():
            by_value.setdefault(printable(said), []).append(letter)
        told = (f"{', '.join(letters)} {value}" for value, letters in by_value.items())
        lines.append(f"  {printable(key)}: {'; '.join(told)}")
    return lines or ["  none"]


def _accuracies(runs: list[_Run]) -> Iterator[str]:
    for run in runs:
        video = metrics.summary(run.scores)["video"]
        key, bounds = ("top1", "top1_interval")
        if run.scores.several:
            key, bounds = ("mean_average_precision", "interval")
        low, high = (100 * bound for bound in video[bounds])
        yield f"  {run.letter}  {percent(video[key])} ({low:.1f} to {high:.1f})"


def _tests(runs: list[_Run]) -> Iterator[str]:
    """The paired comparison of every two runs, two lines each."""
    table = comparison.compare_all({run.letter: run.scores for run in runs})
    if runs[0].scores.several:
        for row in table.itertuples():
            yield (
                f"  {row.a} − {row.b}: {100 * row.difference:+.1f} points (95 % interval "
                f"{100 * row.low:+.1f} to {100 * row.high:+.1f})"
            )
        return
    for row in table.itertuples():
        yield (
            f"  {row.a} − {row.b}: {100 * row.difference:+.1f} points (95 % interval "
            f"{100 * row.low:+.1f} to {100 * row.high:+.1f}), p = {row.p:.2g} (McNemar)"
        )
        yield (
            f"         right: both {row.both:,}, only {row.a} {row.only_a:,}, "
            f"only {row.b} {row.only_b:,}, neither {row.neither:,}"
        )
    groups = hits.all_groups(runs[0].scores)
    if len(set(groups)) < len(groups):
        yield (
            f"  The videos are of {count(len(set(groups)), 'group')}: trust the interval, which "
            "resamples groups; McNemar's test takes each video by itself."
        )
    if said := apart.tests(len(table)):
        yield f"  {said}"


def _categories(runs: list[_Run]) -> Iterator[str]:
    for a, b in combinations(runs, 2):
        table = comparison.category_difference(a.scores, b.scores)
        several = a.scores.several
        yield f"  {printable(apart.categories(table, a.letter, b.letter, several=several))}"
        table = table[table["difference"] != 0]
        table = table.sort_values("difference", key=abs, ascending=False, kind="stable")
        for row in table.head(_CATEGORIES).itertuples():
            interval = f", {a.letter} − {b.letter} {100 * row.low:+.0f} to {100 * row.high:+.0f}"
            yield (
                f"  {printable(row.category)} (n = {row.support:,}): {a.letter} {percent(row.a)}, "
                f"{b.letter} {percent(row.b)}{'' if several else interval}"
            )


def _videos(runs: list[_Run]) -> Iterator[str]:
    """What each run called the videos that they call differently; first where one is right."""
    first = runs[0].scores
    orders = [comparison.same_videos(first, run.scores) for run in runs]
    own = [comparison.called(run.scores, _split(run)).iloc[order]
           for run, order in zip(runs, orders, strict=True)]  # fmt: skip
    named = np.stack([table["called"].to_numpy(str) for table in own])
    right = np.stack([table["right"].to_numpy(bool) for table in own])
    other = np.flatnonzero((named != named[0]).any(axis=0))
    shown = sorted(other, key=lambda video: not right[:, video].any())[:_VIDEOS]
    keys = _keys(first)
    whole = f"  {len(other):,} of {count(len(keys), 'video')}"
    yield f"{whole}, the first {_VIDEOS}:" if len(other) > _VIDEOS else f"{whole}."
    for video in shown:
        category, name = map(printable, keys[video])
        said = (
            f"{run.letter} {printable(called)}"
            for run, called in zip(runs, named[:, video], strict=True)
        )
        yield f"  {category}, {name}: {'; '.join(said)}"


def _split(run: _Run) -> str:
    """The split that a run was scored on; empty where it does not say."""
    file = RunFolder(run.folder).metrics
    return str(read_json(file, "protocol")["protocol"]["split"]) if file.is_file() else ""


def _wrapped(line: str) -> list[str]:
    margin = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(
        line, _WIDTH, subsequent_indent=f"{margin}    ", break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip
