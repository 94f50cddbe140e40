"""A few seconds of a study's work, timed: what `forecast` reckons with.

    python -m harlib.study.trial < {RUN: {"notebook", "values", "drawn"}}

`drawn` names the run that will draw the videos that this one reads; null where they are in its
store. Says one line of JSON: `start_s` from the process's start to the end of its imports; in
`videos`, of each run that draws, `draw_s` and `pack_s` of a video and `still_s` of a still, and
their bytes: `drawn_b`, `store_b` and `drawn_still_b`; in `networks`, of each training of a run,
seconds a clip: `step_s`, `score_s`, `read_s`, and `graph_s` of building a graph for training and
one for scoring, and the bytes of its weights and its optimiser, `weights_b` and `optimizer_b`.
"""

import contextlib
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import keras
import psutil

from harlib import models
from harlib.data import Catalog, ClipStore
from harlib.data.demo import dataset
from harlib.data.store import prepare as preparing
from harlib.study import forecast
from harlib.study.params.notebooks import DataPrep, validate
from harlib.study.params.trained import FrameCNN, Trained
from harlib.study.runs import environment
from harlib.study.runs.listing import disk_bytes
from harlib.study.steps import inputs, model_run
from harlib.training import Recipe, precision, resources
from harlib.training.distributed import devices

_WORK_S = 1.0  # seconds of steps that are timed
_GMACS = 50.0  # multiply-adds of the clips in one step, in thousand millions: a second or a few
_CATEGORIES = 4  # of which videos are drawn


def main(asked: dict) -> dict:
    """What was asked for, measured."""
    start_s = time.time() - psutil.Process().create_time()
    runs = {name: validate(run["notebook"], run["values"]) for name, run in asked.items()}
    videos: dict[str, dict[str, float]] = {}
    networks: dict[str, list[dict[str, float]]] = {}
    known: dict[str, dict[str, float]] = {}
    with contextlib.ExitStack() as stack:
        stores = {}
        for name in {run["drawn"] for run in asked.values()} - {None}:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            p = runs[name]
            assert isinstance(p, DataPrep)
            stores[name], videos[name] = _videos(p, Path(folder))
        for name, p in runs.items():
            networks[name] = []
            for own in forecast.trainings(p):
                drawn = asked[name]["drawn"]
                if (mark := f"{drawn} {_network_of(own)}") not in known:
                    store = stores[drawn] if drawn else ClipStore(own.store_dir)
                    known[mark] = _network(own, store)
                networks[name].append(known[mark])
    return {"start_s": start_s, "videos": videos, "networks": networks}


def _network_of(p: Trained) -> str:
    """What decides how fast a training is; equal texts need one measurement."""
    slow = {"study", "run", "seed", "epochs", "recipe_options", "stills_epochs", "clips", "crops"}
    return p.model_dump_json(exclude=slow)


def _videos(p: DataPrep, root: Path) -> tuple[ClipStore, dict[str, float]]:
    """A store of a few drawn videos, and the seconds of one: drawing, preparing; of a still."""
    every = sorted(p.categories or dataset.known(p.people))
    options: dict[str, Any] = {
        "difficulty": p.difficulty,
        "seed": p.seed,
        "categories": every[:_CATEGORIES],
        "people": p.people,
    }
    begun = time.monotonic()
    table = dataset.write_dataset(
        root / "source", train=1, val=1, stills=0, workers=1, progress=False, **options
    )
    drawn = time.monotonic()
    listed = Catalog.from_kinetics_csv(table, root / "source" / "videos")
    settings: dict[str, Any] = {
        "codec": p.codec,
        "size": p.store_size,
        "fps": p.fps,
        "quality": p.quality,
    }
    preparing.prepare(listed, root / "store", workers=1, progress=False, **settings)
    packed = time.monotonic()
    stills = [
        dataset.draw_still(action, seed=p.seed, difficulty=p.difficulty)
        for action in list(dataset.STILLS)[:_CATEGORIES]
    ]
    still_s = (time.monotonic() - packed) / _CATEGORIES
    count = len(listed)
    return ClipStore(root / "store"), {
        "draw_s": (drawn - begun) / count,
        "pack_s": (packed - drawn) / count,
        "still_s": still_s,
        "drawn_b": disk_bytes(root / "source" / "videos") / count,
        "store_b": disk_bytes(root / "store") / count,
        "drawn_still_b": sum(len(cv2.imencode(".jpg", still)[1]) for still in stills) / len(stills),
    }


def _network(p: Trained, store: ClipStore) -> dict[str, float]:
    """Seconds of one clip in this network (trained, scored, read), and of building its graphs."""
    keras.utils.clear_session()
    precision.use(p.precision)
    bare = {"weights": None if isinstance(p, FrameCNN) else "", "devices": 1, "class_weights": ""}
    if not p.takes_steps:
        bare |= {"recipe": "modern", "epochs": 1}
    model = model_run.build(p.model_copy(update=bare), store)
    plan = model_run.recipe(p.model_copy(update=bare), store)
    batch = p.batch
    if not environment.accelerators():  # these need whole batches to be fast
        batch = max(1, min(batch, int(_GMACS / models.gmacs(model))))
    batches = inputs.batches(p.model_copy(update={"batch": batch}), plan, store, p.frames)
    begun = time.monotonic()
    clips, labels = batches[0]
    read_s = time.monotonic() - begun
    targets = plan.targets(labels, model.output_shape[-1])
    # Plain descent has the shortest graph; an optimiser's own arithmetic is small beside the rest.
    length = plan.steps_per_epoch, plan.epochs
    bare_plan = Recipe("trial", "", *length, "sgd", lr=1e-6, label_sets=plan.label_sets)
    bare_plan.compile(model)
    group = devices.of(model)
    train_graph_s, step_s = _timed(lambda: group.train(clips, targets, None))
    score_graph_s, score_s = _timed(lambda: group.predict(clips))
    plan.compile(model)
    weights_b, optimizer_b = resources.sizes(model)
    return {
        "graph_s": train_graph_s + score_graph_s,
        "step_s": step_s / batch,
        "score_s": score_s / batch,
        "read_s": read_s / batch,
        "weights_b": weights_b,
        "optimizer_b": optimizer_b,
    }


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that the first call takes longer than the quickest of some others, and of that."""
    times: list[float] = []
    ended = math.inf
    while len(times) < 3 or len(times) < 9 and time.monotonic() < ended:
        begun = time.monotonic()
        work()
        times.append(time.monotonic() - begun)
        ended = min(ended, time.monotonic() + _WORK_S)
    return max(0.0, times[0] - min(times[1:])), min(times[1:])


if __name__ == "__main__":
    answer = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        found = main(json.load(sys.stdin))
    print(json.dumps(found), file=answer, flush=True)
    os._exit(0)  # an accelerator's library may take seconds to say goodbye
