"""Controls to look into a study in JupyterLab; on paper each leaves a picture in its place."""

import html

import ipywidgets as widgets
import numpy as np
import pandas as pd
import yaml

from harlib.data.augment import augment
from harlib.data.store import ClipStore
from harlib.evaluation import comparison, figures, metrics
from harlib.evaluation.score import Scores
from harlib.study import controls, identity
from harlib.study.params import project_root

ALL = "all"


def open_study(study: str) -> tuple[ClipStore, dict[str, Scores]]:
    """A study's clip store, and the scores of its scored runs by name.

    Of a study with several stores (folds) the first scored run's, and the runs that share it.

    Raises: FileNotFoundError when the study has no clip store yet.
    """
    runs = project_root() / "runs" / study
    found = sorted(file.parent for file in runs.glob("[0-9][0-9]_*/scores.npz"))
    # Before any run is scored, notebook 01 tells where the store is.
    stores = {run: _store_of(run) for run in found or sorted(runs.glob("01_*"))}
    own = next(iter(stores.values()), "")
    found = [run for run in found if stores[run] == own]
    folder = project_root() / own if own else project_root() / "data" / study / "store"
    if not (folder / "store.json").is_file():
        raise FileNotFoundError(
            f"the study {study!r} has no clip store at {folder}: run it first (har study {study})"
        )
    return ClipStore(folder), {run.name: Scores.load(run) for run in found}


def _store_of(run) -> str:
    if made := identity.read_state(run).get("store"):
        return made
    file = run / "params.yaml"
    return yaml.safe_load(file.read_text())["store"] if file.is_file() else ""


def browse(store: ClipStore, *, split: str | None = None, height: int = 224) -> controls.Control:
    """Plays the store's videos: choose split and category, then step through the videos."""
    splits = list(dict.fromkeys(store.videos["split"]))
    where = widgets.Dropdown(options=splits, value=split or splits[0], description="split")
    category = widgets.Dropdown(options=list(store.categories), description="category")
    choose, player = controls.player(store, height)

    def show(change=None) -> None:
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

    Raises: ValueError without two runs on the same videos.
    """
    names = list(scores)
    if len(names) < 2:
        raise ValueError(f"two scored runs are compared, there are {len(names)}: {names}")
    first = widgets.Dropdown(options=names, value=names[0], description="run A")
    second = widgets.Dropdown(options=names, value=names[-1], description="run B")
    kinds = {ALL: None, "only A right": (1, 0), "only B right": (0, 1), "both right": (1, 1),
             "both wrong": (0, 0)}  # fmt: skip
    kind = widgets.Dropdown(options=list(kinds), description="videos")
    view = widgets.IntSlider(min=0, max=1, description="view")
    about = widgets.HTML()
    state: dict[str, int] = {}

    def tell_scores(change=None) -> None:
        if "index" not in state:
            about.value = "<p>No such video.</p>"
            return
        parts = []
        for name in (first.value, second.value):
            row = _positions(store, scores[name], split).get(state["index"])
            parts.append(controls.likeliest(name, scores[name], row, view.value))
        about.value = f'<div style="display:flex;flex-wrap:wrap;gap:2em">{"".join(parts)}</div>'

    def shown(index: int | None) -> None:
        state.clear()
        if index is not None:
            state["index"] = index
        tell_scores()

    choose, player = controls.player(store, height, shown)

    def show(change=None) -> None:
        a, b = scores[first.value], scores[second.value]
        order = comparison.same_videos(a, b)[: len(a.label)]
        kept = order < len(b.label)
        right = np.stack([_right(a)[kept], _right(b)[order[kept]]], axis=1)
        rows = np.array(list(_positions(store, a, split)))[kept]
        wanted = kinds[kind.value]
        view.max = min(a.view_scores.shape[1], b.view_scores.shape[1])
        choose(rows if wanted is None else rows[(right == wanted).all(axis=1)])

    for control in (first, second, kind):
        control.observe(show, "value")
    view.observe(tell_scores, "value")
    show()
    table = comparison.category_difference(scores[names[0]], scores[names[-1]])
    drawn = figures.category_difference(table, names=(names[0], names[-1]))
    note = widgets.Label("view 0 is the mean of all views, by which a video is judged")
    return controls.Control([widgets.HBox([first, second, kind]), view, note, about, player], drawn)


def confusions(
    store: ClipStore, scores: Scores, *, split: str | None = None, height: int = 224
) -> controls.Control:
    """The confusion matrix as buttons (a list above 30 categories): a cell plays its videos."""
    matrix, names = metrics.confusion(scores), [str(name) for name in scores.categories]
    rows = np.array(list(_positions(store, scores, split)))
    predicted = scores.video_scores.argmax(axis=1)
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
    store: ClipStore, *, split: str | None = None, size: int | None = None, copies: int = 4
) -> controls.Control:
    """One video as a training sees it: the stored clip, then random crops, flips and colours.

    size: pixels a side of what the network sees; by default 7/8 of the stored short side.
    """
    rows = store.rows(split or store.videos["split"].iloc[0])
    size = size or int(store.videos[["height", "width"]].to_numpy().min()) * 7 // 8
    crop = widgets.Dropdown(options=["hara", "resized", "random", "center"], description="crop")
    color = widgets.FloatSlider(value=0.0, min=0, max=0.9, step=0.1, description="color")
    flip = widgets.Checkbox(value=True, description="mirror half of the clips")
    number = widgets.BoundedIntText(value=1, min=1, max=len(rows), description="video")
    picture = widgets.Image(format="png")

    def sheet():
        clip = store.read(int(rows[number.value - 1]), _frames(store, rows[number.value - 1], 16))
        rng = np.random.default_rng(number.value)
        drawn = [
            augment(clip, rng, size=size, crop=crop.value, flip=flip.value, color=color.value)
            for _ in range(copies)
        ]
        titles = ["as stored", *(f"copy {copy + 1}" for copy in range(copies))]
        return figures.contact_sheet([clip, *drawn], titles)

    def show(change=None) -> None:
        picture.value = figures.png(sheet())

    for control in (crop, color, flip, number):
        control.observe(show, "value")
    show()
    return controls.Control([widgets.HBox([number, crop, color]), flip, picture], sheet())


def _positions(store: ClipStore, scores: Scores, split: str | None) -> dict[int, int]:
    """{row of the store: row of the scores}, in the order of the scores.

    Raises: ValueError when a scored video is not in the store.
    """
    videos = store.videos if split is None else store.videos.iloc[store.rows(split)]
    keys = zip(videos["category"], videos["video_id"], strict=True)
    there = dict(zip(keys, videos.index, strict=True))
    wanted = [*zip(scores.categories[scores.label], scores.video_id, strict=True)]
    lost = [video for category, video in wanted if (category, video) not in there]
    if lost:
        raise ValueError(f"{len(lost)} scored videos such as {lost[0]!r} are not in {store.root}")
    return {int(there[key]): row for row, key in enumerate(wanted)}


def _right(scores: Scores) -> np.ndarray:
    return scores.video_scores.argmax(axis=1) == scores.label


def _frames(store: ClipStore, index: int, frames: int) -> np.ndarray:
    last = int(store.videos["frames"].iloc[int(index)]) - 1
    return np.linspace(0, last, frames).round().astype(int)


def _sheet(store: ClipStore, rows: pd.Index):
    clips = [store.read(int(row), _frames(store, row, 8)) for row in rows]
    return figures.contact_sheet(clips, store.videos["category"].loc[rows].tolist())
