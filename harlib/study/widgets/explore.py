"""Controls to look into a study in JupyterLab; on paper each leaves a picture in its place."""

import contextlib
import html
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes

from harlib import HarlibError, MissingFile, figures
from harlib.data import CROPS, ClipSpec, ClipStore
from harlib.data.loading import sampling
from harlib.data.loading.augment import augment
from harlib.evaluation import Scores, comparison, hits, metrics, multi_label
from harlib.run_folder import RunFolder
from harlib.study.params.base import project_root
from harlib.study.runs import study_files
from harlib.study.runs.scored_store import AnotherStore, scored_store
from harlib.study.widgets import controls
from harlib.text import count

ALL = "all"


class NothingToShow(HarlibError):
    """Scores that a control needs are not there."""


def open_study(study: str) -> tuple[ClipStore, dict[str, Scores]]:
    """A study's clip store, and by name the scores of the runs that were scored on it.

    Of a study with several stores (folds) the first scored run's. What was scored on another
    store is left out, and a line says so.

    Raises:
        FileNotFoundError: the study has no clip store yet.
    """
    runs = project_root() / "runs" / study
    found = sorted(file.parent for file in runs.glob("[0-9][0-9]_*/scores.npz"))
    own, opened = None, {}
    for run in found:
        try:
            store = scored_store(run)
        except AnotherStore as error:
            print(f"{error}")
            continue
        own = own or store
        if store.hash == own.hash:
            opened[run.name] = Scores.load(run)
        else:
            print(f"{run.name} is left out: it was scored on another clip store, {store.root}.")
    return own or _any_store(study), opened


def _any_store(study: str) -> ClipStore:
    """The store that notebook 01 made, else where a study's store usually lies."""
    root = project_root()
    for run in sorted((root / "runs" / study).glob("01_*")):
        with contextlib.suppress(AnotherStore):
            return scored_store(run)
    folder = root / "data" / study / "store"
    if not (folder / "store.json").is_file():
        raise MissingFile(
            f"the study {study!r} has no clip store at {folder}: run it first (har study {study})"
        )
    return ClipStore(folder)


def of_run(scores: dict[str, Scores], run: str) -> Scores:
    """The scores of one run.

    Raises:
        NothingToShow: it has none on the store that was opened.
    """
    if run not in scores:
        raise NothingToShow(
            f"{run!r} has no scores on this clip store; there are {', '.join(scores) or 'none'}"
        )
    return scores[run]


def browse(store: ClipStore, *, split: str | None = None, height: int = 224) -> controls.Control:
    """Plays the store's videos: choose split and category, then step through the videos."""
    splits = list(dict.fromkeys(store.videos["split"]))
    where = widgets.Dropdown(options=splits, value=split or splits[0], description="split")
    category = widgets.Dropdown(options=list(store.categories), description="category")
    choose, player = controls.player(store, height)

    def show(change: object = None) -> None:
        rows = store.rows(where.value)
        choose(rows[store.videos["category"].to_numpy()[rows] == category.value])

    for control in (where, category):
        control.observe(show, "value")
    show()
    shown = store.videos.iloc[store.rows(where.value)].drop_duplicates("category", keep="last")
    shown = shown.head(6)
    return controls.Control([widgets.HBox([where, category]), player], _sheet(store, shown.index))


def compare(
    store: ClipStore, scores: dict[str, Scores], *, split: str | None = None, height: int = 224
) -> controls.Control:
    """Two runs on one video: who is right, and how sure each is, view by view.

    Raises:
        NothingToShow: there are no two runs on the same videos.
    """
    names = list(scores)
    if len(names) < 2:
        raise NothingToShow(
            f"two scored runs are compared, this clip store has {len(names)}: "
            f"{', '.join(names) or 'none'}"
        )
    first = widgets.Dropdown(options=names, value=names[0], description="run A")
    second = widgets.Dropdown(options=names, value=names[-1], description="run B")
    kinds = {ALL: None, "only A right": (1, 0), "only B right": (0, 1), "both right": (1, 1),
             "both wrong": (0, 0)}  # fmt: skip
    kind = widgets.Dropdown(options=list(kinds), description="videos")
    view = widgets.IntSlider(min=0, max=1, description="view")
    about = widgets.HTML()
    state: dict[str, int] = {}

    def tell_scores(change: object = None) -> None:
        if "index" not in state:
            about.value = "<p>No such video.</p>"
            return
        parts = []
        for name in (first.value, second.value):
            row = _positions(store, scores[name], split).get(state["index"])
            if row is not None:
                parts.append(controls.likeliest(name, scores[name], row, view.value))
        about.value = f'<div style="display:flex;flex-wrap:wrap;gap:2em">{"".join(parts)}</div>'

    def shown(index: int | None) -> None:
        state.clear()
        if index is not None:
            state["index"] = index
        tell_scores()

    choose, player = controls.player(store, height, shown)

    def show(change: object = None) -> None:
        a, b = scores[first.value], scores[second.value]
        order = comparison.same_videos(a, b)[: len(a.label)]
        kept = order < len(b.label)
        right = np.stack([_right(a, split)[kept], _right(b, split)[order[kept]]], axis=1)
        rows = np.array(list(_positions(store, a, split)))[kept]
        wanted = kinds[kind.value]
        view.max = min(a.view_scores.shape[1], b.view_scores.shape[1])
        choose(rows if wanted is None else rows[(right == wanted).all(axis=1)])

    for control in (first, second, kind):
        control.observe(show, "value")
    view.observe(tell_scores, "value")
    show()
    table = comparison.category_difference(scores[names[0]], scores[names[-1]])
    measure = "average precision" if scores[names[0]].several else "accuracy"
    drawn = figures.category_difference(table, names=(names[0], names[-1]), measure=measure)
    note = widgets.Label("view 0 is the mean of all views, by which a video is judged")
    return controls.Control([widgets.HBox([first, second, kind]), view, note, about, player], drawn)


def confusions(
    store: ClipStore, scores: Scores, *, split: str | None = None, height: int = 224
) -> controls.Control:
    """The confusion matrix as buttons (a list above 30 categories): a cell plays its videos.

    Where videos have several labels, each label's average precision instead.
    """
    if scores.several:
        said = "each label is a question of its own, so none is taken for another one"
        table = multi_label.per_label(scores, split or "")
        return controls.Control([widgets.Label(said)], figures.average_precisions(table))
    matrix, names = metrics.confusion(scores), [str(name) for name in scores.categories]
    rows = np.array(list(_positions(store, scores, split)))
    predicted = hits.called(scores)
    heading = widgets.HTML()
    choose, player = controls.player(store, height)

    def show(true: int, called: int) -> None:
        own = rows[(scores.label == true) & (predicted == called)]
        verdict = "rightly called" if true == called else "called"
        heading.value = (
            f"<b>{html.escape(names[true])}</b>, {verdict} <b>{html.escape(names[called])}</b>: "
            f"{len(own)} of {int(matrix[true].sum())} videos"
        )
        choose(own)

    wrong = matrix - np.diag(np.diag(matrix))
    start = np.unravel_index(wrong.argmax(), wrong.shape)
    grid = (
        controls.cells(matrix, names, show)
        if len(names) <= controls.CELLS
        else controls.listed(scores, names, show)
    )
    show(*map(int, start))
    return controls.Control([grid, heading, player], figures.confusion(matrix, names))


def augmentations(
    store: ClipStore, study: str = "", run: str = "", *, copies: int = 4
) -> controls.Control:
    """One video as a training sees it: the stored one, then random clips of it, changed at random.

    study, run: whose crop, colours and sampling are shown at first; without them, or before there
    is such a run, those that notebook 03 has when nobody sets them.
    """
    p, whose = _training_of(study, run)
    rows = store.rows(p["train_split"])
    crop = widgets.Dropdown(options=list(CROPS), value=p["crop"], description="crop")
    color = widgets.FloatSlider(value=p["color"], min=0, max=0.9, step=0.1, description="color")
    flip = widgets.Checkbox(value=p["flip"], description="mirror half of the clips")
    number = widgets.BoundedIntText(value=1, min=1, max=len(rows), description="video")
    about = widgets.Label(whose)
    picture = widgets.Image(format="png", layout=controls.natural())

    def copy(row: int, rng: np.random.Generator) -> np.ndarray:
        video = store.videos.iloc[row]
        clip = ClipSpec(frames=p["frames"], stride=p["stride"], fps=p["clip_fps"])
        frames = sampling.random_clip(
            int(video["frames"]), clip.frames, clip.stride_at(video["fps"]), rng, jitter=p["jitter"]
        )
        return augment(
            store.read(row, frames), rng, size=p["size"], crop=crop.value, flip=flip.value,
            color=color.value, grey=p["grey"], reverse=p["reverse"],
        )  # fmt: skip

    def sheet() -> Axes:
        row, rng = int(rows[number.value - 1]), np.random.default_rng(number.value)
        clips = [store.read(row, _frames(store, row, 16)), *(copy(row, rng) for _ in range(copies))]
        titles = ["as stored", *(f"copy {place + 1}" for place in range(copies))]
        return figures.contact_sheet(clips, titles)

    def show(change: object = None) -> None:
        picture.value = figures.png(sheet())

    for control in (crop, color, flip, number):
        control.observe(show, "value")
    show()
    return controls.Control([about, widgets.HBox([number, crop, color]), flip, picture], sheet())


def _training_of(study: str, run: str) -> tuple[dict[str, Any], str]:
    """The parameters of a training, and in words whose they are and what they do to a clip."""
    file = RunFolder(project_root() / "runs" / study / run).params
    there = bool(study and run) and file.is_file()
    p = study_files.defaults("03_c3d") | (yaml.safe_load(file.read_text()) if there else {})
    pixels = p["size"] if isinstance(p["size"], int) else " × ".join(map(str, p["size"]))
    said = [f"{p['crop']} crops of {pixels} pixels", count(p["frames"], "frame"),
            f"{p['clip_fps']:g} per second" if p["clip_fps"] else f"stride {p['stride']}",
            ]  # fmt: skip
    said += [f"{name} {p[name]}" for name in ("color", "grey", "reverse", "jitter") if p[name]]
    whose = (
        f"as in {run}" if there else f"{run or 'no run'} is not there yet: as notebook 03 has it"
    )
    return p, f"{whose}: {', '.join(said)}; what is mixed between clips is not shown"


def _positions(store: ClipStore, scores: Scores, split: str | None) -> dict[int, int]:
    """{row of the store: row of the scores}, in the order of the scores.

    Raises:
        ValueError: a scored video is not in the store.
    """
    videos = store.videos if split is None else store.videos.iloc[store.rows(split)]
    keys = zip(videos["category"], videos["video_id"], strict=True)
    there = dict(zip(keys, videos.index, strict=True))
    wanted = [*zip(scores.truths[scores.label], scores.video_id, strict=True)]
    lost = [video for category, video in wanted if (category, video) not in there]
    if lost:
        raise ValueError(f"{len(lost)} scored videos such as {lost[0]!r} are not in {store.root}")
    return {int(there[key]): row for row, key in enumerate(wanted)}


def _right(scores: Scores, split: str | None) -> np.ndarray:
    if scores.several:  # exactly its labels
        named = multi_label.given(scores, split or "")
        return (named == scores.targets)[: len(scores.label)].all(axis=1)
    return hits.called(scores) == scores.label


def _frames(store: ClipStore, index: int, frames: int) -> np.ndarray:
    last = int(store.videos["frames"].iloc[int(index)]) - 1
    return np.linspace(0, last, frames).round().astype(int)


def _sheet(store: ClipStore, rows: pd.Index) -> Axes:
    clips = [store.read(int(row), _frames(store, row, 8)) for row in rows]
    return figures.contact_sheet(clips, store.videos["category"].loc[rows].tolist())
