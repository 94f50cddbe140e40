"""The study's own layout: uncompressed videos in HDF5, read by a Keras PyDataset with workers.

Run as a program, because its workers are forked and may hang: it prints its figures as JSON.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from harlib.data import ClipStore


def write(store: ClipStore, path: Path) -> None:
    """One dataset a video, uint8 (frames, height, width, 3), in one HDF5 file."""
    with h5py.File(path, "w") as file:
        for row, frames in enumerate(store.videos["frames"]):
            file[str(row)] = store.read(row, np.arange(frames))


def clip(file: h5py.File, row: int, rng: np.random.Generator, frames: int, size: int) -> np.ndarray:
    """A random clip and crop of one video, uint8 (frames, size, size, 3)."""
    video = file[str(row)]
    length, height, width = video.shape[:3]
    start = rng.integers(0, length - frames + 1)
    top, left = rng.integers(0, height - size + 1), rng.integers(0, width - size + 1)
    return video[start : start + frames][:, top : top + size, left : left + size]


def measure(path: str, frames: int, size: int, batch: int, seconds: float, workers: int) -> dict:
    """Clips/s of wall time that `fit`'s own queue gives with `workers` worker processes."""
    import keras

    class Clips(keras.utils.PyDataset):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            with h5py.File(path) as file:
                self.rows = [row for row in file if len(file[row]) >= frames]

        def __len__(self) -> int:
            return 1 << 20

        def __getitem__(self, number: int) -> tuple[np.ndarray]:
            rng = np.random.default_rng(number)
            # opened by each reader: a handle does not survive the fork
            with h5py.File(path) as file:
                rows = rng.choice(self.rows, batch)
                return (np.stack([clip(file, row, rng, frames, size) for row in rows]),)

    class Count(keras.callbacks.Callback):
        """Times the batches; the first ones wait for the workers to start."""

        done = 0
        begin: float | None = None

        def on_predict_batch_end(self, number: int, logs: dict | None = None) -> None:
            self.done += self.begin is not None
            if number == 4:
                self.begin = time.perf_counter()
            if self.begin and time.perf_counter() - self.begin > seconds:
                raise _Enough(self.done * batch / (time.perf_counter() - self.begin))

    inputs = keras.Input((frames, size, size, 3), dtype="uint8")
    model = keras.Model(inputs, inputs[:, 0, 0, 0, :1])  # nothing to compute but one pixel
    data = Clips(workers=workers, use_multiprocessing=workers > 0, max_queue_size=2 * workers or 1)
    try:
        model.predict(data, verbose=0, callbacks=[Count()])
    except _Enough as enough:
        return {"clips_per_s": enough.args[0]}
    raise RuntimeError("the batches ended before the time was over")


class _Enough(Exception):
    """The time is over; holds the clips/s."""


if __name__ == "__main__":
    path, frames, size, batch, seconds, workers = sys.argv[1:]
    counts = int(frames), int(size), int(batch)
    print(json.dumps(measure(path, *counts, float(seconds), int(workers))))
    sys.stdout.flush()
    # its worker processes wait for a queue that nobody reads any more
    import multiprocessing
    import os

    for child in multiprocessing.active_children():
        child.kill()
    os._exit(0)
