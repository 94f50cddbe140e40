"""Weights by name, from a published file, or from a run of one's own, into a network."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from harlib import HarlibError
from harlib.models import keras_file
from harlib.models.weights import checkpoints
from harlib.pretrained import fetch, find, published
from harlib.run_folder import RunFolder


@dataclass(frozen=True)
class Loaded:
    """What was set from where.

    `name`: of the published set, or the file's; `digest`: SHA-256 of the file; `licence`: of
    published weights, "" otherwise; `new`: layers left as they were.
    """

    name: str
    digest: str
    licence: str
    new: tuple[str, ...]

    def __str__(self) -> str:
        but = f" but {', '.join(self.new)}, new for these categories" if self.new else ""
        terms = f" (licence: {self.licence})" if self.licence else ""
        return f"weights of {self.name}{terms}: every layer is set{but}"


def load_weights(
    model: keras.Model, source: str | os.PathLike, *, categories: Sequence[str] = ()
) -> Loaded:
    """Set the weights of a network.

    The classifier is set too where its classes are the source's, and, with `categories`, where
    each of them is one of the source's by name; otherwise it stays as it was.

    Args:
        model: of `models.build`, as the source's network is built.
        source: published weights as "x3d_s/kinetics400", or "kinetics400" alone for the network's
            own (fetched when they are not here); a file of PyTorch or safetensors with the
            published names; a run's folder or its `.keras` file.
        categories: names of the model's classes, in order.

    Raises:
        HarlibError: an unknown name, or no network to fetch it.
        ValueError: the file is damaged, or not of this network; nothing is set.
    """
    path = Path(source)
    if path.is_dir() or path.suffix == ".keras":
        return _from_run(model, path, categories)
    if path.is_file():
        new = checkpoints.load_arrays(model, checkpoints.read(path))
        return Loaded(os.fspath(source), published.digest(path), "", tuple(new))
    if len(path.parts) > 2 or path.suffix:
        raise HarlibError(f"no file {os.fspath(source)!r}, and no published weights have that name")
    weights = find(os.fspath(source), model.name)
    if weights.network != model.name:
        raise HarlibError(
            f"{weights.name} are weights of {weights.network}, and this network is {model.name}"
        )
    path = fetch(weights)
    arrays = checkpoints.read(path)
    rows = _rows(categories, weights.categories)
    new = checkpoints.load_arrays(model, arrays, rows=rows)
    return Loaded(weights.name, published.digest(path), weights.licence, tuple(new))


def _rows(categories: Sequence[str], known: Sequence[str]) -> list[int] | None:
    """The source's classes that are the model's, in its order; None where one is not there."""
    places = {name: row for row, name in enumerate(known)}
    if not categories or not set(categories) <= set(places):
        return None
    return [places[name] for name in categories]


def _from_run(model: keras.Model, path: Path, categories: Sequence[str]) -> Loaded:
    """Layers of the same name and shapes; all but the classifier must be there."""
    folder = RunFolder(path if path.is_dir() else path.parent)
    file = folder.model if path.is_dir() else path
    if not file.is_file():
        raise HarlibError(f"{path} holds no model.keras: give a trained run's folder, or its file")
    theirs = {layer.name: layer for layer in keras_file.load(file).layers if layer.weights}
    found, wrong = {}, []
    for layer in model.layers:
        if not layer.weights:
            continue
        values = theirs[layer.name].get_weights() if layer.name in theirs else []
        if layer.name == "classifier":
            rows = _rows(categories, _categories(folder))
            values = [] if rows is None else [value[..., rows] for value in values]
        if [np.shape(value) for value in values] == [tuple(w.shape) for w in layer.weights]:
            found[layer] = values
        elif layer.name != "classifier":
            wrong.append(layer.name)
    if wrong:
        raise ValueError(
            f"{file} is of another network than {model.name}: its layers {', '.join(wrong[:4])}"
            + (f" and {len(wrong) - 4} more" if wrong[4:] else "")
            + " are not there or have other shapes; build it with the run's parameters"
        )
    for layer, values in found.items():
        layer.set_weights(values)
    new = [] if any(layer.name == "classifier" for layer in found) else ["classifier"]
    return Loaded(os.fspath(path), published.digest(file), "", tuple(new))


def _categories(folder: RunFolder) -> tuple[str, ...]:
    """Of a scored run, in the order of its classes; none where it has no scores."""
    if not folder.scores.is_file():
        return ()
    with np.load(folder.scores) as scores:
        return tuple(map(str, scores["categories"]))
