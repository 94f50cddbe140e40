"""A process that builds the networks, recipes and batches of runs to see whether they can be.

It reads from stdin a JSON list of `[where, notebook, parameters, categories]` and writes a list of
mistakes, a line each; see `checks`, which starts it.
"""

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from harlib import models
from harlib.evaluation import gradcam
from harlib.study.params.notebooks import Common, Evaluation, Performance, validate
from harlib.study.params.trained import Ablations, FrameCNN, Trained
from harlib.study.runs import environment
from harlib.study.steps import ablations, inputs, model_run
from harlib.training import precision


def _networks(asked: list) -> list[str]:
    """A line for each run whose network, recipe or batches its parameters do not make."""
    found = []
    layers: dict[str, list[str]] = {}
    for where, notebook, values, categories in asked:
        p = validate(notebook, values, on_disk=False)  # asked before
        if isinstance(p, Evaluation):
            if p.layer and layers and p.layer not in set().union(*layers.values()):
                known = "; ".join(f"{name}: {', '.join(own)}" for name, own in layers.items())
                found.append(f"{where}: key 'layer': no network has maps {p.layer!r}; {known}")
            continue
        for what, make in _steps(p, categories, layers):
            try:
                make()
            except Exception as error:  # whatever Keras raises, the run would end by it
                line = (str(error).strip() or type(error).__name__).splitlines()[0]
                found.append(f"{where}: {what}: {line}")
                break
    return found


def _steps(
    p: Common, categories: list[str], layers: dict[str, list[str]]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """(the parameters that decide, what is made of them) of a run, one after the other."""
    if isinstance(p, Performance):
        for name in p.models:
            shape: dict[str, Any] = {"frames": p.frames, "size": p.size}
            yield (
                f"models, frames, size ({name})",
                functools.partial(models.build, name, 2, **shape),
            )
        return
    if isinstance(p, Ablations):
        for variant, seed, own in ablations.plans(p):
            if seed == p.seeds[0]:
                for what, make in _steps(own, categories, layers):
                    yield f"variant {variant}, {what}", make
        return
    assert isinstance(p, Trained)
    p = p.model_copy(update={"devices": 1})
    store: Any = _StandIn(categories)

    def computed() -> None:
        # GPUs are hidden here; the run sees them
        if not environment.accelerators() and (problem := precision.missing(p.precision)):
            raise ValueError(problem)

    def recipe() -> None:
        if (plan := model_run.plan(p, store)) is not None:
            inputs.batches(p, plan, store, p.frames)

    def network(frames: int | None = None) -> None:
        # what is frozen is asked below
        update = {"freeze_below": "", "freeze_bn": False, "recipe": "modern"}
        whole = p.model_copy(update=update)
        built = model_run.build(whole, store, frames=frames)
        if not isinstance(p, FrameCNN):
            layers[p.run] = list(gradcam.maps(built))

    def stages() -> None:
        model_run.recipe(p, store).compile(model_run.build(p, store))

    yield "precision", computed
    yield "recipe, recipe_options, mix, batch", recipe
    keys = "backbone, weights" if isinstance(p, FrameCNN) else "model, weights"
    yield f"{keys}, frames, size, width (the network)", network
    if p.takes_steps and (any(p.frozen) or p.lr_multipliers):
        yield "freeze_below, lr_multipliers", stages


class _StandIn:
    """What networks and batches ask of a clip store: two videos per category per split."""

    def __init__(self, categories: list[str]) -> None:
        self.categories = categories
        labels = [*range(len(categories))] * 2
        each = {"label": labels, "frames": 64, "fps": 25.0, "height": 128, "width": 171}
        self.videos = pd.concat(
            [pd.DataFrame({**each, "split": split}) for split in ("train", "val", "test")],
            ignore_index=True,
        )

    def rows(self, split: str) -> Any:
        return self.videos.index[self.videos["split"] == split].to_numpy()


if __name__ == "__main__":
    answer = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        lines = _networks(json.load(sys.stdin))
    answer.write(json.dumps(lines))
