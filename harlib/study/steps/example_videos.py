"""Single videos of a run: the hardest wrong ones, the surest right ones, where it looked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harlib import figures
from harlib.data import ClipSpec, ClipStore, Protocol, evaluation_batches
from harlib.evaluation import Scores, hits, multi_label, naming, ranking
from harlib.figures import clips as strips
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study.params.notebooks import Common
from harlib.study.runs import seeds, session
from harlib.study.runs.scored_store import AnotherStore, scored_store
from harlib.study.wording import tables
from harlib.text import percent

if TYPE_CHECKING:
    import grain
    import keras


def best_run(
    table: pd.DataFrame, lines: pd.DataFrame | None = None, *, over_time: bool = False
) -> str:
    """The run with the highest video top-1, of the seeds of one the middle; the first of equals.

    Args:
        table: `metrics.table`.
        lines: of it by `seeds.lines`; None: each run is a line of its own.
        over_time: of those whose network sees several frames at once, where there is one.
    """
    if lines is None:
        lines = table.assign(runs=[[run] for run in table["run"]])
    seen = ~lines["model"].str.startswith("frame_cnn") if over_time else pd.Series(False)
    return seeds.best(table, lines[seen] if seen.any() else lines)


_COLUMNS = ["row", "right", "true", "predicted", "confidence", "title"]


def chosen(scores: Scores, videos: int, split: str = ranking.CHOSEN_ON) -> pd.DataFrame:
    """The hardest wrong videos, then the surest right ones, at most `videos` of each.

    Columns: `row` (of the scores), `right`, `true`, `predicted`, `confidence` (score of what was
    predicted), `title`. Hardest: the least score for the true category.
    """
    if scores.several:
        return _chosen_of_several(scores, videos, split)
    predicted = hits.called(scores)
    right = predicted == scores.label
    logs = hits.video_logs(scores)
    ranked = scores.video_scores if logs is None else logs
    own = ranked[np.arange(len(right)), scores.label]
    hardest = [row for row in np.argsort(own, kind="stable") if not right[row]][:videos]
    surest = [row for row in np.argsort(-own, kind="stable") if right[row]][:videos]
    rows = []
    for row in (*hardest, *surest):
        true, called = scores.categories[scores.label[row]], scores.categories[predicted[row]]
        confidence = float(scores.video_scores[row, predicted[row]])
        said = percent(confidence)
        title = f"{true}\n✓ {said}" if right[row] else f"{true}\n✗ {called}, {said}"
        rows.append((int(row), bool(right[row]), str(true), str(called), confidence, title))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _chosen_of_several(scores: Scores, videos: int, split: str) -> pd.DataFrame:
    """Right: given exactly its labels. Hardest: the largest error of a single label's probability.

    `predicted` is the label of that error, `confidence` its score.
    """
    read = len(scores.video_id)
    targets, given = scores.targets[:read], multi_label.given(scores, split)[:read]
    right, error = (given == targets).all(axis=1), np.abs(scores.video_scores - targets)
    worst = error.max(axis=1)
    hardest = [row for row in np.argsort(-worst, kind="stable") if not right[row]][:videos]
    surest = [row for row in np.argsort(worst, kind="stable") if right[row]][:videos]
    rows = []
    for row in (*hardest, *surest):
        true = ", ".join(scores.categories[targets[row]])
        called = ", ".join(scores.categories[given[row]]) or "nothing"
        label = int(error[row].argmax())
        said = f"✓ {true}" if right[row] else f"{true}\n✗ {called}"
        confidence = float(scores.video_scores[row, label])
        name = str(scores.categories[label])
        rows.append((int(row), bool(right[row]), true, name, confidence, said))
    return pd.DataFrame(rows, columns=_COLUMNS)


def show(p: Common, scores: Scores, run_dir: Path, *, videos: int = 4) -> tables.Sentence | None:
    """Shows the chosen videos of a run: as rows of frames, and moving in a fold."""
    try:
        store = scored_store(run_dir, p.store_dir)
    except AnotherStore as error:
        return tables.Sentence(error)
    table = chosen(scores, videos, _split(run_dir))
    index = _store_rows(store, scores, run_dir)[table["row"]]
    clips = [store.read(row, np.arange(min(int(store.videos["frames"][row]), 64)))
             for row in index]  # fmt: skip
    drawn = figures.contact_sheet(clips, table["title"], colors=_colors(table))
    figures.link_rows(drawn, _links(table, scores, run_dir.name))
    figures.show(drawn)
    titles = [title.replace("\n", ": ") for title in table["title"]]
    speeds = store.videos["fps"].to_numpy()[index]
    strips.show_strip(clips, titles, fps=speeds, name="the same videos, moving", limit=800_000)
    return None


def show_attention(
    p: Common, scores: Scores, run_dir: Path, *, videos: int = 2, layer: str = ""
) -> tables.Sentence | None:
    """Shows what in the chosen videos spoke for the category that the run named (Grad-CAM).

    layer: whose maps; empty = the last that has at least 5 × 5 places.

    Says why not for a network of single frames, or for a run whose weights are not kept.

    Raises:
        ValueError: a layer that the network lacks, with the names it has.
    """
    from harlib.evaluation import gradcam  # needs Keras, and with it seconds

    try:
        store = scored_store(run_dir, p.store_dir)
    except AnotherStore as error:
        return tables.Sentence(error)
    model = _model(run_dir)
    if model is None:
        return tables.Sentence(f"The run {run_dir.name} has kept no weights to look into.")
    if not gradcam.maps(model):
        return tables.Sentence(
            f"The network of {run_dir.name} sees one frame at a time: there is no map over time."
        )
    layer = gradcam.map_layer(model, layer or None).name
    table = chosen(scores, videos, _split(run_dir))
    dataset, order = _middle_clips(store, run_dir), _store_rows(store, scores, run_dir)
    split = _split(run_dir)
    places = {int(row): place for place, row in enumerate(store.rows(split))}
    clips, titles, stage = [], [], session.stage(p, "where the best 3D network looked")
    stage.begin(0, len(table))
    for done, case in enumerate(table.itertuples(), 1):
        clip = np.asarray(dataset[places[int(order[case.row])]]["clips"][0])
        label = list(scores.categories).index(case.predicted)
        heat = gradcam.gradcam(model, clip, label=label, layer=layer)
        clips += [clip, gradcam.overlay(clip, heat)]
        what = "what" if heat.max() > 0 else "nothing"
        titles += [case.title, f"{what} spoke for\n{case.predicted}"]
        stage.at(done)
    colors = [color for color in _colors(table) for _ in range(2)]
    names = ", ".join(" ".join(title.split()) for title in titles[::2])
    named = naming.named(run_dir.name, naming.read(run_dir))
    title = f"{named}\nGrad-CAM, maps of {layer}"
    drawn = figures.contact_sheet(clips, titles, colors=colors, title=title)
    links = _links(table, scores, run_dir.name)
    figures.link_rows(drawn, [link for link in links for _ in range(2)])
    figures.show(
        drawn,
        "Frames of one clip per video, and below them the same frames with the places marked that "
        f"spoke for the named category, by the maps of the layer {layer}: {names}",
    )
    return None


def _links(table: pd.DataFrame, scores: Scores, run: str) -> list[tuple[str, dict[str, str]]]:
    """What the row of each chosen video leads to: the video itself."""
    true = scores.truths[scores.label]
    return [
        (
            " ".join(row.title.split()),
            {"run": run, "true": str(true[row.row]), "video": str(scores.video_id[row.row])},
        )
        for row in table.itertuples()
    ]


def attention(
    run_dir: Path, store: ClipStore, wanted: Collection[tuple[str, str]]
) -> Iterator[tuple[tuple[str, str], np.ndarray, float]]:
    """Where a run's network looked, in the middle clip of each wanted video that it has scored.

    Grad-CAM of the category that it named, over the frames. Nothing for a network of single frames,
    or of a run whose weights are not kept.

    Args:
        wanted: (category, video_id) each.

    Yields:
        (category, video_id), uint8 (frames, height, width, 3), frames per second.
    """
    from harlib.evaluation import gradcam  # needs Keras, and with it seconds

    scores = Scores.load(run_dir)
    keys = list(zip(scores.truths[scores.label].tolist(), scores.video_id.tolist(), strict=True))
    rows = [row for row, key in enumerate(keys) if key in wanted]
    model = _model(run_dir) if rows else None
    if model is None or not gradcam.maps(model):
        return
    dataset, order = _middle_clips(store, run_dir), _store_rows(store, scores, run_dir)
    places = {int(row): place for place, row in enumerate(store.rows(_split(run_dir)))}
    how = read_json(RunFolder(run_dir).metrics)["protocol"]
    for row in rows:
        clip = np.asarray(dataset[places[int(order[row])]]["clips"][0])
        label = int(scores.video_scores[row].argmax())
        heat = gradcam.gradcam(model, clip, label=label)
        own = float(store.videos["fps"].iloc[int(order[row])]) / how["stride"]
        yield keys[row], gradcam.overlay(clip, heat), how.get("clip_fps") or own


def _split(run_dir: Path) -> str:
    return str(read_json(RunFolder(run_dir).metrics)["protocol"]["split"])


def _colors(table: pd.DataFrame) -> list[str]:
    return [figures.RIGHT if right else figures.WRONG for right in table["right"]]


def _store_rows(store: ClipStore, scores: Scores, run_dir: Path) -> np.ndarray:
    """Rows of the store of the scored videos, int (videos,)."""
    split = _split(run_dir)
    videos = store.videos.iloc[store.rows(split)]
    keys = pd.MultiIndex.from_frame(videos[["category", "video_id"]])
    wanted = pd.MultiIndex.from_arrays([scores.truths[scores.label], scores.video_id])
    found = keys.get_indexer(wanted)
    if (found < 0).any():
        lost = str(scores.video_id[int((found < 0).argmax())])
        raise ValueError(
            f"the scored video {lost!r} is not among the {split} videos of {store.root}: the run "
            f"was scored on another store"
        )
    return videos.index.to_numpy()[found]


def _middle_clips(store: ClipStore, run_dir: Path) -> grain.MapDataset:
    """The middle clip of each video, as the run was scored: element i is video i of the split."""
    how = read_json(RunFolder(run_dir).metrics)["protocol"]
    clip = ClipSpec(how["frames"], how["stride"], how["size"], how.get("clip_fps"))
    protocol = Protocol(how["split"], crop_scale=how.get("crop_scale"))
    return evaluation_batches(store, clip, protocol, batch=1)


def _model(run_dir: Path) -> keras.Model | None:
    params = RunFolder(run_dir).read_params()
    best = RunFolder(run_dir).best_model
    path = best if params.get("checkpoint") == "best" else RunFolder(run_dir).model
    if not path.is_file():
        return None
    from harlib.models import keras_file  # needs Keras, and with it seconds

    return keras_file.load(path)
