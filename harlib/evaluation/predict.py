"""Clips -> a network's probabilities, batch by batch."""

import numpy as np

from harlib import HarlibError
from harlib.data import loader


class ScoreError(HarlibError):
    """Scores that cannot be right: views lost or counted twice, or no probabilities."""


def network(model):
    """What scores as `model` does, faster: a Keras network's folded copy, else `model` itself.

    The copy takes about a second to make and as much memory again as the weights.
    """
    if not hasattr(model, "_flatten_layers"):
        return model
    import keras

    from harlib.models import folding

    if not folding.can_fold(model):
        return model
    folded = folding.fold(model, constant=True)
    # as in training: XLA makes these networks slower on TensorFlow
    folded.compile(jit_compile=keras.backend.backend() == "jax")
    return folded


def logged(model):
    """What `answers` asks: a Keras network that also gives logarithms, where that can be had."""
    if not hasattr(model, "_flatten_layers"):
        return model
    from harlib.models import log_scores

    return log_scores.with_logs(model) or model


def answers(model, dataset, store, batch, start=0, threads=2):
    """Yields (video int (n,), view int (n,), probabilities, logs) for the batches from `start` on.

    probabilities, logs: float32 (n, classes); the natural logarithms are the network's own where
    `logged` made it give them, else those of the probabilities, -inf where these are 0.

    dataset: `loader.evaluation_batches` of `batch` clips; the last, partial one is padded, so that
    the graph is traced once, and cut after. video: rows of the store.

    Raises: ScoreError when the outputs are no probabilities of the store's categories.
    """
    if start == len(dataset):
        return
    for element in loader.iterate(dataset, start=start, threads=threads):
        clips, video = np.asarray(element["clips"]), np.asarray(element["video"])
        count = len(clips)
        if count < batch:
            clips = np.concatenate([clips, np.repeat(clips[-1:], batch - count, axis=0)])
        output = model.predict_on_batch(clips)
        several = isinstance(output, (list, tuple))
        probabilities = np.asarray(output[0] if several else output, dtype=np.float32)[:count]
        _check(probabilities, store, video)
        logs = np.asarray(output[1], np.float32)[:count] if several else logarithms(probabilities)
        yield video, np.asarray(element["view"]), probabilities, logs


def logarithms(probabilities):
    """Natural logarithms, float32; -inf of 0, NaN of NaN."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities, dtype=np.float32)


def _check(probabilities, store, video):
    if probabilities.ndim != 2 or probabilities.shape[1] != len(store.categories):
        raise ScoreError(
            f"the model gives outputs of the shape {probabilities.shape[1:]}, "
            f"the store has {len(store.categories)} categories"
        )
    sums = probabilities.sum(axis=1)
    # half-precision softmax outputs sum to 1 within about 1e-3 per class that matters
    wrong = ~(np.isfinite(sums) & (np.abs(sums - 1) < 0.02) & (probabilities.min(axis=1) >= 0))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        name = store.videos["video_id"].iloc[int(video[first])]
        raise ScoreError(
            f"the model's outputs for video {name!r} are no probabilities: sum {sums[first]:.4g}, "
            f"least {probabilities[first].min():.4g}; build it with classifier_activation='softmax'"
        )
