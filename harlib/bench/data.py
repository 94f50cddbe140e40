"""`har bench data`: how fast clips are read, what a video costs on disk, beside other ways.

Every reader gives the same thing: 16 neighbouring frames at a random place of a random video,
short side 128, a random crop of 112 x 112. "Clips/s per core" are clips per second of CPU time of
one process, so that other programs on the machine change them little; the scaling rows are wall
time and need a quiet machine, see `harlib.bench.scaling`. All files are read from the page cache:
a disk's speed is not measured.
"""

import functools
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from harlib.bench import decoding, kinetics_like, raw_hdf5, scaling
from harlib.data import (
    CODECS,
    COLUMNS,
    Augmentation,
    Catalog,
    ClipSpec,
    ClipStore,
    prepare,
    training_batches,
)
from harlib.data.demo import dataset as actions
from harlib.data.loading import sampling
from harlib.files import write_json

FRAMES, SIZE, SHORT_SIDE, BATCH = 16, 112, 128, 8
# Kinetics-600: 350,000 training and 27,000 validation videos
KINETICS = {
    "videos": 377_000,
    "train": 350_000,
    "frames": kinetics_like.SECONDS * kinetics_like.FPS,
}
TITLES = {
    "read": "read: clips per second of one core's CPU time",
    "scaling": "scaling: clips per second of wall time, on a quiet machine only",
    "prepare": "prepare: CPU seconds a video",
    "kinetics-600": "kinetics-600: what it costs, were its videos like these",
}
STUDY_EPOCH_H = 3.0  # the study's GPU trained one epoch of Kinetics-600 in this many hours


def run(
    videos: str | Path | None = None,
    *,
    as_kinetics: bool | None = None,
    json_file: Path | None = None,
    figure: str | Path | None = None,
    seconds: float = 5.0,
    say: Callable[[str], object] = print,
) -> list[dict]:
    """Measure on the videos of a folder, or on embedded ones.

    Args:
        videos: folder of videos, at any depth.
        as_kinetics: first write them as files like Kinetics' own (`kinetics_like.as_kinetics`),
            because size, codec and keyframes decide what decoding on the fly costs; by default
            embedded videos are.
        json_file, figure: files to write the rows and the drawing to.
        seconds: length of one measurement.
        say: told what is being measured.

    Returns:
        Rows: `task` is "read" (one core, CPU time), "scaling" (wall time), "prepare" or
        "kinetics-600"; the other keys as in the table.
    """
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="har-bench-") as made:
        folder = Path(made)
        if videos is None:
            say("drawing embedded videos")
            actions.write_dataset(folder / "drawn", train=2, val=1, stills=0, progress=False)
            videos, as_kinetics = folder / "drawn", as_kinetics is not False
        paths = kinetics_like.chosen(Path(videos))
        if as_kinetics:
            say(f"writing {len(paths)} videos as Kinetics' files are")
            paths = kinetics_like.as_kinetics(paths, folder / "files")
        catalog = _catalog(paths)
        stores = {}
        for codec in CODECS:
            say(f"preparing {len(catalog)} videos: {codec}")
            prepare(catalog, folder / codec, codec=codec, size=SHORT_SIDE, progress=False)
            stores[codec] = store = ClipStore(folder / codec)
            for row in range(len(store)):
                store.read(row, [0])  # only the first reading of a run compares checksums
        in_store = _paths(catalog, stores["raw"])
        rows = _reading(stores, in_store, folder, seconds, say)
        batches = {(codec, n): _batches(stores[codec], n) for codec, n in scaling.BATCHES}
        rows += scaling.rows(batches, folder / "study.h5", seconds, FRAMES, SIZE, say)
        say("decoding and encoding whole videos")
        spent, pixels, notes = decoding.preparing_cpu(in_store, SHORT_SIDE)
        rows += _preparing(spent, notes, in_store)
        rows += _kinetics(stores["raw"], rows, spent, pixels)
    like = ", as Kinetics' files" if as_kinetics else ""
    device = {"videos": f"{len(in_store)} videos{like}", "device": _device()}
    rows = [{"bench": "data", **row, **device} for row in rows]
    if json_file:
        write_json(json_file, rows)
    if figure:
        from harlib.bench.figures import bytes_and_speed
        from harlib.figures import png

        Path(figure).write_bytes(png(bytes_and_speed(rows)))
    return rows


def table(rows: list[dict]) -> str:
    """The rows as text, a table a task."""
    texts = []
    for task, own in pd.DataFrame(rows).groupby("task", sort=False):
        own = own.drop(columns=["bench", "task", "videos", "device"]).dropna(axis=1, how="all")
        texts.append(
            f"{TITLES[task]}\n" + own.to_string(index=False, na_rep="", float_format=_digits)
        )
    end = f"{rows[0]['videos']}, read from the page cache, on {rows[0]['device']}"
    return "\n\n".join([*texts, end])


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _catalog(paths: list[Path]) -> Catalog:
    nan = float("nan")
    rows = [(path.stem, str(path), "all", "train", path.stem, nan, nan) for path in paths]
    return Catalog(pd.DataFrame(rows, columns=COLUMNS), "bench")


def _paths(catalog: Catalog, store: ClipStore) -> list[str]:
    """The video file of every row of the store."""
    files = catalog.frame.set_index("video_id")["path"]
    return [files[video] for video in store.videos["video_id"]]


def _reading(
    stores: dict[str, ClipStore],
    paths: Sequence[str],
    folder: Path,
    seconds: float,
    say: Callable[[str], object],
) -> list[dict]:
    """Clips/s of CPU time of one reader, and bytes per video, of every codec and peer.

    A peer that cannot read a file has a `note` instead of figures.
    """
    rows, failed, videos = [], [], stores["raw"].videos
    long = np.flatnonzero(videos["frames"] >= FRAMES)
    if not len(long):
        raise ValueError(f"no video has the {FRAMES} frames of a clip")
    for codec, store in stores.items():
        say(f"reading {codec}")
        dataset = _batches(store)
        speed = _rate(functools.partial(_clips, dataset), seconds)
        rows.append(_read("harlib", codec, speed, store.bytes / len(store)))
    size = sum(os.path.getsize(path) for path in paths) / len(paths)
    for name, reader in decoding.peers().items():
        say(f"decoding on the fly: {name}")

        def read(number: int, reader: Callable = reader) -> np.ndarray:
            rng = np.random.default_rng(number)
            row = rng.choice(long)
            length, height, width, fps = videos.loc[row, ["frames", "height", "width", "fps"]]
            first = int(rng.integers(0, length - FRAMES + 1))
            clip = reader(paths[row], first, FRAMES, fps, (int(height), int(width)))
            box = sampling.random_box(int(height), int(width), SIZE, rng)
            inside = clip[:, box.top : box.top + SIZE, box.left : box.left + SIZE]
            return np.ascontiguousarray(inside)[None]

        try:
            rows.append(_read(name, "original", _rate(read, seconds), size))
        except Exception as error:  # whatever a foreign decoder raises
            row = {"task": "read", "engine": name, "codec": "original"}
            failed.append(row | {"bytes_per_video": round(size), "note": decoding.note(error)})
            say(f"  {failed[-1]['note']}")
    say("reading raw HDF5 through h5py")
    path = folder / "study.h5"
    raw_hdf5.write(stores["raw"], path)

    def read_hdf5(number: int) -> np.ndarray:
        rng = np.random.default_rng(number)
        with raw_hdf5.h5py.File(path) as file:
            chosen = rng.choice(long, BATCH)
            return np.stack([raw_hdf5.clip(file, r, rng, FRAMES, SIZE) for r in chosen])

    speed = _rate(read_hdf5, seconds)
    rows.append(_read("study-layout", "raw", speed, path.stat().st_size / len(videos)))
    fastest = max((r["clips_per_s"] for r in rows if r["codec"] == "original"), default=None)
    raw = rows[0]["bytes_per_video"]
    for row in rows:
        row["times_on_the_fly"] = round(row["clips_per_s"] / fastest, 2) if fastest else None
        row["share_of_raw_bytes"] = round(row["bytes_per_video"] / raw, 4)
    return rows + failed


def _read(engine: str, codec: str, speed: float, size: float) -> dict:
    return {
        **{"task": "read", "engine": engine, "codec": codec, "clips_per_s": round(speed, 2)},
        "bytes_per_video": round(size),
    }


def _batches(store: ClipStore, batch: int = BATCH) -> Any:
    augmentation = Augmentation(crop="random", flip=False)
    return training_batches(store, ClipSpec(FRAMES, size=SIZE), augmentation, batch=batch)


def _clips(dataset: Any, number: int) -> np.ndarray:
    return dataset[number][0]


def _rate(read: Callable[[int], np.ndarray], seconds: float) -> float:
    """Clips a second of this process's CPU time; `read(number)` gives a batch."""
    read(0)
    clips, number, begin = 0, 0, time.process_time()
    while (spent := time.process_time() - begin) < seconds or not clips:
        number += 1
        clips += len(read(number))
    return clips / spent


def _preparing(spent: dict, notes: dict, paths: Sequence[str]) -> list[dict]:
    """CPU seconds a video: decoding and scaling beside libav alone, then encoding."""
    floor = min((spent[name] for name in ("libav", "ffmpeg") if name in spent), default=None)
    rows = []
    for name in ("harlib", "libav", "ffmpeg"):
        row: dict[str, Any] = {"task": "prepare", "engine": name, "step": "decode and scale"}
        if name in spent:
            row["cpu_s_per_video"] = round(spent[name] / len(paths), 4)
            row["times_the_fastest_libav"] = round(spent[name] / floor, 3) if floor else None
            rows.append(row)
        elif name in notes:
            rows.append(row | {"note": notes[name]})
    for codec in CODECS:
        row = {"task": "prepare", "engine": "harlib", "step": "encode", "codec": codec}
        rows.append(row | {"cpu_s_per_video": round(spent[codec] / len(paths), 4)})
    return rows


def _kinetics(raw: ClipStore, rows: list[dict], spent: dict, source_pixels: float) -> list[dict]:
    """What Kinetics-600 costs by codec, were its pixels like these videos'.

    `clips_per_s_needed` feeds the study's GPU (an epoch in three hours), `cores_needed` by this
    machine's cores.
    """
    videos = raw.videos
    pixels = int((videos["frames"] * videos["height"] * videos["width"]).sum())
    short, long = kinetics_like.SIZE
    stored = KINETICS["frames"] * SHORT_SIDE * (2 * round(SHORT_SIDE * long / short / 2))
    decoded = KINETICS["frames"] * short * long
    needed = KINETICS["train"] / STUDY_EPOCH_H / 3600
    cores = os.cpu_count()
    result = []
    for row in rows:
        if row["task"] == "read" and row["engine"] == "harlib":
            codec = row["codec"]
            bytes_ = row["bytes_per_video"] * len(videos) / pixels * stored * KINETICS["videos"]
            cpu_s = spent["harlib"] / source_pixels * decoded + spent[codec] / pixels * stored
            result.append(
                {
                    **{"task": "kinetics-600", "engine": "harlib", "codec": codec},
                    "disk_gb": round(bytes_ / 1e9, 1),
                    "cores": cores,
                    "prepare_h": round(cpu_s * KINETICS["videos"] / 3600 / cores, 1),
                    "clips_per_s_needed": round(needed, 1),
                    "cores_needed": round(needed / row["clips_per_s"], 3),
                }
            )
    return result


def _device() -> str:
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    return f"{os.cpu_count()} x {name}"
