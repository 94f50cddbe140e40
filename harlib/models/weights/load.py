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

    The classifier is set where each of `categories` is one of the source's, by name. Of a published
    file it is set too where one of the two sides has no names and the classes are as many.
    Otherwise it stays as it was, and where only one of the two answers by sigmoids: the logits of a
    softmax have no zero.

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
    path, found = Path(source), _published(source, model.name)
    if found is None and (path.is_dir() or path.suffix == ".keras"):
        new = _set_from_run(model, path, categories)
    else:
        file = fetch(found) if found else path
        alike = not _is_sigmoid(model)  # published ones are of one category per video
        rows = _rows(categories, found.categories if found else ()) if alike else []
        new = checkpoints.load_published(model, file, rows=rows)
    return Loaded(new=tuple(new), **identify(source, model.name))


def identify(source: str | os.PathLike, network: str) -> dict[str, str]:
    """`name`, `digest` and `licence` of weights for a network, as of `Loaded`.

    Raises:
        HarlibError: as `load_weights`.
    """
    path, found = Path(source), _published(source, network)
    file = found.path if found else _model_file(path) if path.is_dir() else path
    licence = found.licence if found else ""
    name = found.name if found else os.fspath(source)
    return {"name": name, "digest": published.digest(file), "licence": licence}


def _published(source: str | os.PathLike, network: str) -> published.Pretrained | None:
    """The published weights of a name; None for a file or a folder that is named otherwise."""
    path, known = Path(source), published.names()
    if path.exists() and not {os.fspath(source), f"{network}/{source}"} & set(known):
        return None
    if len(path.parts) > 2 or path.suffix:
        raise HarlibError(f"no file {os.fspath(source)!r}, and no published weights have that name")
    found = find(os.fspath(source), network)
    if found.network != network:
        raise HarlibError(
            f"{found.name} are weights of {found.network}, and this network is {network}"
        )
    return found


def _rows(categories: Sequence[str], known: Sequence[str]) -> list[int] | None:
    """The source's classes that are the model's, in its order.

    None where the names of either are not known; empty where one of the model's is not there.
    """
    places = {name: row for row, name in enumerate(known)}
    if not categories or not places:
        return None
    return [places[name] for name in categories] if set(categories) <= set(places) else []


def _model_file(folder: Path) -> Path:
    """The network of a run's folder."""
    if not (file := RunFolder(folder).model).is_file():
        raise HarlibError(f"{folder} holds no model.keras: give a trained run's folder, or a file")
    return file


def _set_from_run(model: keras.Model, path: Path, categories: Sequence[str]) -> list[str]:
    """Layers of the same name and shapes; all but the classifier must be there."""
    file = _model_file(path) if path.is_dir() else path
    if not file.is_file():
        raise HarlibError(f"no file {file}")
    folder, source = RunFolder(file.parent), keras_file.load(file)
    theirs = {layer.name: layer for layer in source.layers if layer.weights}
    alike = _is_sigmoid(source) == _is_sigmoid(model)
    found, wrong = {}, []
    for layer in model.layers:
        if not layer.weights:
            continue
        values = theirs[layer.name].get_weights() if layer.name in theirs else []
        if layer.name == "classifier":
            rows = _rows(categories, _categories(folder)) if alike else []
            values = [value[..., rows] for value in values] if rows else []
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
    return [] if any(layer.name == "classifier" for layer in found) else ["classifier"]


def _is_sigmoid(model: keras.Model) -> bool:
    """Whether it answers each class by itself, as where videos have several labels."""
    last = next((layer for layer in model.layers if layer.name == "classifier"), None)
    return getattr(last, "activation", None) is keras.activations.sigmoid


def _categories(folder: RunFolder) -> tuple[str, ...]:
    """Of a scored run, in the order of its classes; none where it has no scores."""
    if not folder.scores.is_file():
        return ()
    with np.load(folder.scores) as scores:
        return tuple(map(str, scores["categories"]))
