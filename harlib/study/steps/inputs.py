"""What a training gets from a run's parameters: its batches, its held-out clips, its onlookers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harlib import data
from harlib.data import Augmentation, ClipSpec, ClipStore, Protocol
from harlib.data.loading import batches as loader
from harlib.run_folder import RunFolder
from harlib.study.params.trained import Trained
from harlib.study.widgets import live

if TYPE_CHECKING:
    import grain

    from harlib.training import Recipe

Watcher = Callable[[pd.DataFrame], None]  # is called with the history after every epoch


def watchers(p: Trained, plan: Recipe, folder: Path, patience: int = 0) -> list[Watcher]:
    """Who looks on: TensorBoard by parameter, curves below the cell for a person in JupyterLab."""
    from harlib.training import watchers as watch

    found: list[Watcher] = []
    if p.tensorboard:
        found.append(watch.TensorBoard(RunFolder(folder).tensorboard))
    if live.in_jupyter():
        from harlib import figures

        found.append(
            watch.LiveCurves(
                lambda done: figures.png(figures.learning_curves(done)), plan.epochs, patience
            )
        )
    return found


def batches(p: Trained, plan: Recipe, store: ClipStore, frames: int) -> grain.MapDataset:
    """The endless training batches; of several processes, this one's part of each."""
    from harlib.training.distributed import devices

    process, processes = devices.place()
    if p.batch % processes:
        raise ValueError(f"{processes} processes cannot share a batch of {p.batch} clips equally")
    how = _how(p) | {"part": (process, processes)}
    return data.training_batches(store, clip_spec(p, frames), augmentation(p, plan), **how)


def shown_clips(
    p: Trained, plan: Recipe, store: ClipStore, times: int
) -> tuple[int, np.ndarray, np.ndarray]:
    """A video as the run's training shows it the first times; see `loading.batches.shown_clips`."""
    spec, changes = clip_spec(p), augmentation(p, plan)
    return loader.shown_clips(store, spec, changes, times=times, **_how(p))


def _how(p: Trained) -> dict[str, Any]:
    """What `training_batches` is asked for, beside the clip and its augmentation."""
    return {
        "batch": p.batch,
        "split": p.train_split,
        "seed": p.seed,
        "balanced": p.balanced,
        "shuffle_labels": p.shuffle_labels,
    }


def validation(
    p: Trained, store: ClipStore, frames: int, validate_split: str | None = None
) -> grain.MapDataset | None:
    """The batches scored after each epoch; None without a split."""
    split = p.validate_split if validate_split is None else validate_split
    if not split:
        return None
    protocol = Protocol(split, crop_scale=p.crop_scale)
    return data.evaluation_batches(store, clip_spec(p, frames), protocol, batch=p.score_batch)


def clip_spec(p: Trained, frames: int | None = None) -> ClipSpec:
    """The clip of a run's network; `frames` for one that sees others, as on stills."""
    return ClipSpec(frames=frames or p.frames, stride=p.stride, size=p.size, fps=p.clip_fps)


def augmentation(p: Trained, plan: Recipe) -> Augmentation:
    """How the run's training changes its clips; the mix is the recipe's."""
    return Augmentation(
        crop=p.crop,
        flip=p.flip,
        color=p.color,
        grey=p.grey,
        reverse=p.reverse,
        jitter=p.jitter,
        mix=plan.mix,
        mix_share=p.mix_share,
    )


def protocol(p: Trained) -> Protocol:
    """How a run is scored at its end."""
    return Protocol(p.split, clips=p.clips, crops=p.crops, crop_scale=p.crop_scale)
