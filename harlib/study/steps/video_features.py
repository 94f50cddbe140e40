"""`har features`: vectors of any network for a folder of videos, as a file for other programs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from harlib import HarlibError, evaluation, pretrained, text
from harlib.data import Catalog, ClipSpec, ClipStore, Protocol
from harlib.data.loading import clip_input
from harlib.data.store import prepare as preparing
from harlib.files import appearing, check_output
from harlib.run_folder import RunFolder
from harlib.study.params.trained import Trained
from harlib.study.runs import study_files
from harlib.study.steps import inputs, model_run

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Source:
    """A network, the clip that it expects, and how its videos are stored."""

    name: str
    model: keras.Model
    clip: ClipSpec
    crop_scale: float | None
    fps: float | None
    size: int | tuple[int, int]


def write(
    source: str,
    videos: Path,
    out: Path,
    *,
    layer: str = "",
    per: Literal["clip", "video"] = "clip",
    clips: int | Literal["windows"] = 10,
    batch: int = 8,
    threads: int = 2,
    frame_fps: float | None = None,
    overwrite: bool = False,
    say: Callable[[str], object] = print,
) -> str:
    """Writes a vector per clip, or their mean per video, and the table of the videos; says so.

    Memory does not grow with the videos. Run again after an interruption, it resumes.

    Args:
        source: published weights by name, or a trained run's folder.
        videos: a folder of videos, one video, or a clip store.
        out: `.npz`, `.h5` or `.parquet`: `features` float32 (rows, features), and of each row
            `video_id`, `category`, `split`, `group`, `view` and `start_s`.
        layer: its name; "" for what the classifier reads.
        clips: of a video, equally spaced; "windows": all that fit, side by side.
        frame_fps: of folders of numbered images, as `Catalog.from_unlabelled`.

    Raises:
        HarlibError: no such network, videos, layer or format, or `out` is there.
    """
    check_output(out, _WRITERS, overwrite=overwrite)
    asked, work = network(source), out.with_name(out.name + ".part")
    store = _store(videos, frame_fps, asked, work / "store", say)
    tables, total, width = [], 0, 0
    with open(work / "vectors", "wb") as file:
        for split in sorted(set(store.videos["split"])):
            answers = evaluation.features.features(
                asked.model,
                store,
                asked.clip,
                Protocol(split, clips=clips, crop_scale=asked.crop_scale),
                layer=layer,
                batch=batch,
                kept=work / split,
                threads=threads,
            )
            for places, vectors in _joined(answers, per):
                tables.append(places)
                vectors.tofile(file)
                total, width = total + len(vectors), vectors.shape[1]
    table = _described(pd.concat(tables, ignore_index=True), store)
    everything = np.memmap(work / "vectors", np.float32, "r", shape=(total, width))
    with appearing(out, suffix=out.suffix) as part:
        _WRITERS[out.suffix](part, table, everything, {"network": asked.name, "layer": layer})
    del everything
    shutil.rmtree(work)
    return (
        f"{out}: {text.count(total, 'vector')} of {width:,} numbers, one a {per}, of "
        f"{text.count(len(table[['category', 'video_id']].drop_duplicates()), 'video')}, by "
        f"{asked.name}"
    )


def network(source: str) -> Source:
    """A trained run's network, by its folder, or published weights by name.

    Raises:
        HarlibError: neither; or a run that trains nothing.
    """
    if source in pretrained.names():
        return _published(source)
    folder = Path(source)
    if not RunFolder(folder).params.is_file():
        raise HarlibError(
            f"{source!r} is no trained run and no published weights (har weights list)"
        )
    p = study_files.load_folder(folder)
    if not isinstance(p, Trained):
        raise HarlibError(f"{source} trains no network: give a run of notebook 02, 03, 04 or 09")
    model = model_run.load_model(p, p.checkpoint)  # first: without one there is nothing to say
    shown = clip_input.clip_input(folder)
    size = shown.get("stretch") or shown["short_side"]
    return Source(
        source,
        model,
        inputs.clip_spec(p),
        p.crop_scale,
        shown.get("fps") if p.clip_fps is None else p.clip_fps,
        tuple(size) if isinstance(size, list) else size,
    )


def _published(name: str) -> Source:
    from harlib import models

    found = pretrained.find(name)
    model = models.build(
        found.network, found.classes, frames=found.frames, size=found.size, **found.options
    )
    models.load_weights(model, name)
    sides = [int(side) for side in found.resize.split("x")]
    size = sides[0] if len(sides) == 1 else (sides[0], sides[1])
    rate = found.fps if found.frames > 1 else None
    # a store that is made for it has this rate and no other frames, a person's own any rate
    clip = ClipSpec(frames=found.frames, size=found.size, fps=rate)
    return Source(name, model, clip, found.crop_scale, rate, size)


def _store(
    videos: Path, frame_fps: float | None, asked: Source, place: Path, say: Callable[[str], object]
) -> ClipStore:
    """The videos' clip store: their own, or one that is made at `place` for the network's clip."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if (videos / "store.json").is_file():
        return ClipStore(videos)
    listed = Catalog.from_unlabelled(videos, frame_fps=frame_fps)
    for note in listed.left_out:
        say(note)
    audit = preparing.prepare(listed, place, size=asked.size, fps=asked.fps)
    say(str(audit))
    return ClipStore(place)


def _joined(
    answers: Iterator[tuple[np.ndarray, ...]], per: str
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """Tables `row, view, start_s` with their vectors; of a video one row, the mean of its views."""
    held: list[np.ndarray] = []
    row = -1
    for video, view, start_s, vectors in answers:
        if per == "clip":
            yield pd.DataFrame({"row": video, "view": view, "start_s": start_s}), vectors
            continue
        for number, vector in zip(video, vectors, strict=True):
            if number != row and held:
                yield _mean(row, held)
                held = []
            row = number
            held.append(vector)
    if held:
        yield _mean(row, held)


def _mean(row: int, held: list[np.ndarray]) -> tuple[pd.DataFrame, np.ndarray]:
    place = pd.DataFrame({"row": [row], "view": [-1], "start_s": [np.float32(0)]})
    return place, np.mean(held, axis=0, dtype="float64")[None].astype("float32")


def _described(table: pd.DataFrame, store: ClipStore) -> pd.DataFrame:
    """The rows' videos by name."""
    videos = store.videos.iloc[table["row"]][["video_id", "category", "split", "group"]]
    columns = {name: table[name].to_numpy() for name in ("view", "start_s")}
    return videos.reset_index(drop=True).assign(**columns)


def _npz(path: Path, table: pd.DataFrame, vectors: np.ndarray, about: dict[str, str]) -> None:
    columns: dict[str, Any] = {name: _column(table[name]) for name in table} | about
    np.savez(path, features=vectors, **columns)  # writes an array piece by piece


def _h5(path: Path, table: pd.DataFrame, vectors: np.ndarray, about: dict[str, str]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs.update(about)
        file.create_dataset("features", vectors.shape, vectors.dtype, chunks=True)
        for start in range(0, len(vectors), _ROWS):
            file["features"][start : start + _ROWS] = vectors[start : start + _ROWS]
        for name in table:
            column = table[name].to_numpy()
            kind = column.dtype if column.dtype.kind in "if" else h5py.string_dtype()
            file.create_dataset(name, data=column, dtype=kind)


def _parquet(path: Path, table: pd.DataFrame, vectors: np.ndarray, about: dict[str, str]) -> None:
    import pyarrow
    import pyarrow.parquet

    kinds = pyarrow.Schema.from_pandas(table, preserve_index=False)
    lists = pyarrow.list_(pyarrow.float32(), vectors.shape[1])
    schema = kinds.append(pyarrow.field("features", lists)).with_metadata(about)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, len(vectors), _ROWS):
            part = pyarrow.Table.from_pandas(
                table.iloc[start : start + _ROWS], kinds, preserve_index=False
            )
            flat = pyarrow.array(np.ravel(vectors[start : start + _ROWS]))
            column = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
            writer.write_table(part.append_column(schema.field("features"), column).cast(schema))


_ROWS = 4096  # written at once
_WRITERS = {".npz": _npz, ".h5": _h5, ".parquet": _parquet}


def _column(values: pd.Series) -> np.ndarray:
    array = values.to_numpy()
    return array.astype(str) if array.dtype == object else array
