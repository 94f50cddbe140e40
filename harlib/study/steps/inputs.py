"""What a training gets from a run's parameters: its batches, its held-out clips, its onlookers."""

from pathlib import Path

from harlib.data import ClipStore
from harlib.data.loading import batches as loader
from harlib.run_folder import RunFolder
from harlib.study.params.notebooks import Trained
from harlib.study.widgets import live


def watchers(p: Trained, plan, folder: Path) -> list:
    """Who looks on: TensorBoard by parameter, curves below the cell for a person in JupyterLab."""
    from harlib.training import watchers as watch

    found = [watch.TensorBoard(RunFolder(folder).tensorboard)] if p.tensorboard else []
    if live.in_jupyter():
        from harlib import figures

        found.append(
            watch.LiveCurves(lambda done: figures.png(figures.learning_curves(done)), plan.epochs)
        )
    return found


def batches(p: Trained, plan, store: ClipStore, frames: int):
    """The endless training batches; of several processes, this one's part of each."""
    from harlib.training.distributed import devices

    process, processes = devices.place()
    if p.batch % processes:
        raise ValueError(f"{processes} processes cannot share a batch of {p.batch} clips equally")
    return loader.training_batches(
        store,
        split=p.train_split,
        batch=p.batch,
        frames=frames,
        stride=p.stride,
        size=p.size,
        seed=p.seed,
        crop=p.crop,
        flip=p.flip,
        color=p.color,
        grey=p.grey,
        reverse=p.reverse,
        jitter=p.jitter,
        shuffle_labels=p.shuffle_labels,
        balanced=p.balanced,
        mix=plan.mix or None,
        mix_share=p.mix_share,
        part=(process, processes),
    )


def validation(p: Trained, store: ClipStore, frames: int, validate_split: str | None = None):
    """The batches scored after each epoch; None without a split."""
    split = p.validate_split if validate_split is None else validate_split
    if not split:
        return None
    return loader.evaluation_batches(
        store,
        split=split,
        batch=p.score_batch,
        frames=frames,
        stride=p.stride,
        size=p.size,
        scale=p.crop_scale,
    )
