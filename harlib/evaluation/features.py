"""Views of videos -> feature vectors of a network, batch by batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harlib.data import ClipSpec, ClipStore, Protocol, evaluation_batches, iterate
from harlib.evaluation import resume
from harlib.evaluation.predict import computed, network, whole
from harlib.progress import Stage, shown

if TYPE_CHECKING:
    import keras

FIELDS = ("video", "view", "start_s", "vectors")  # of an answer


def features(
    model: keras.Model,
    store: ClipStore,
    clip: ClipSpec,
    protocol: Protocol,
    *,
    layer: str = "",
    batch: int = 8,
    kept: Path | None = None,
    threads: int = 2,
    progress: bool | Stage = True,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields (video int (n,), view int (n,), start_s float32 (n,), vectors float32 (n, features)).

    In the order of the store, as `evaluation_batches`: a video is a row of `store.videos`,
    `start_s` the second at which a view begins. The network is folded as for scoring, and only so
    much of it computed as the layer needs.

    Args:
        layer: its name; "" for what the classifier reads. See `models.features.extractor`.
        kept: a folder in which an interrupted computation by the same weights, on the same store
            and protocol, leaves what it has, and from which it resumes; `resume.drop` removes it.

    Raises:
        HarlibError: the network has no such layer.
        ScoreError: the split has no video.
    """
    from harlib.models.features import extractor

    dataset = evaluation_batches(store, clip, protocol, batch=batch)
    inner = extractor(model, layer)
    settings = dataclasses.asdict(clip) | dataclasses.asdict(protocol) | {"batch": batch}
    key = "" if kept is None else resume.mark(inner, store, layer=layer, **settings)
    fast = network(inner)

    def compute(start: int) -> Iterable[tuple[np.ndarray, ...]]:
        if start == len(dataset):
            return
        elements = iterate(dataset, start=start, threads=threads)
        for element, output in computed(fast, ((e, whole(e, batch)) for e in elements)):
            places = (np.asarray(element[name]) for name in FIELDS[:-1])
            yield *places, np.asarray(output, "float32")[: len(element["video"])]

    done = 0
    with shown(progress, f"features of {protocol.split}", "batch", kept=kept is not None) as bar:
        bar.begin(0, len(dataset))
        for answer in resume.resumed(kept, key, compute, fields=FIELDS):
            yield answer
            done += -(-len(answer[0]) // batch)
            if len(answer[0]) > batch:  # what an interrupted computation had left
                bar.begin(done, len(dataset))
            else:
                bar.at(done)
