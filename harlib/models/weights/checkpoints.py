"""Weights that others published as PyTorch files, into the networks here."""

import os
import pickle
from collections.abc import Container, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from harlib.models.weights import (
    c3d,
    efficientnet,
    hara,
    pytorchvideo,
    torchvision,
    videomae,
    videomae_authors,
)
from harlib.models.weights.parameter import Parameter

# Modules of the families of files, each with `networks`, the names of the builders whose weights
# it knows, and `parameters(model)`, nothing for one that is built otherwise. The file's names
# decide where several know a network.
FAMILIES = (hara, torchvision, c3d, pytorchvideo, videomae, videomae_authors, efficientnet)
# Counters and tables that a network makes by itself.
_NOT_LEARNED = ("num_batches_tracked", "relative_position_index")
# Where training programs keep a state dict in their files.
_KEYS = ("state_dict", "model_state", "model", "module")


def load_published(
    model: keras.Model, path: str | os.PathLike, *, rows: Sequence[int] | None = None
) -> list[str]:
    """Set every weight of `model` from a published file.

    Args:
        model: a network of `models.build` at the published width, whose name has published
            weights; torchvision's r3d_18 is the one with `stem="tran"`.
        path: `.safetensors`, or a file of PyTorch (needs PyTorch): a state dict, or a dict that
            holds one under "state_dict", "model_state", "model" or "module"; names may start with
            "module.". Only tensors are unpickled.
        rows: see `load_arrays`.

    Returns:
        Names of layers left as they were: the classifier, if the file's has other classes.
    Raises:
        ModuleNotFoundError: without PyTorch.
        ValueError: if the file is damaged or holds more than tensors, or as `load_arrays`.
    """
    return load_arrays(model, read(path), rows=rows)


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The float32 arrays of a published file by name.

    Raises: as `load_published`.
    """
    if os.fspath(path).endswith(".safetensors"):
        return _safetensors(path)
    content = _pickled(path)
    for key in _KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not all(hasattr(v, "numpy") for v in content.values()):
        raise ValueError(f"{path} holds no state dict; one maps parameter names to tensors.")
    return {name: v.float().numpy() for name, v in content.items()}


def _pickled(path: str | os.PathLike) -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "published weights are PyTorch files, and PyTorch is not installed: "
            "pip install 'harlib[torch]'."
        ) from error
    with open(path, "rb") as file:
        begin = file.read(20)
    if begin and not begin.startswith((b"PK", b"\x80")):  # a zip file, or a pickle of older ones
        raise ValueError(
            f"{path} is no PyTorch file: it begins with {begin!r}. A page was saved in its place?"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is refused: it is not a file of tensors alone, and anything else in a "
            "pickle can run code."
        ) from error
    except OSError:
        raise
    except Exception as error:  # a damaged file makes PyTorch raise anything
        raise ValueError(f"{_damaged(path)}: PyTorch reads no weights from it.") from error


def _safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    import safetensors.numpy

    try:
        arrays = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{_damaged(path)}: safetensors reads no weights from it.") from error
    return {name: np.asarray(array, "float32") for name, array in arrays.items()}


def _damaged(path: str | os.PathLike) -> str:
    return f"{path} is {'cut short or damaged' if os.path.getsize(path) else 'empty'}"


def load_arrays(
    model: keras.Model, arrays: Mapping[str, np.ndarray], *, rows: Sequence[int] | None = None
) -> list[str]:
    """Set every weight of `model` from arrays by the names and in the layout of a published file.

    Args:
        rows: of the file's classes those that are the model's, in its order; None for all, empty
            to leave the classifier as it is.

    Returns:
        Names of layers left as they were: the classifier, if the arrays' has other classes.
    Raises:
        ValueError: naming parameters that are missing, left over or mis-shaped; nothing is set.
    """
    arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
    arrays = {name: a for name, a in arrays.items() if not name.endswith(_NOT_LEARNED)}
    every = parameters(model, arrays)
    wanted = {one.name: one for one in every}  # an array may be several variables' in part
    if rows:
        for name in {one.name for one in every if one.layer == "classifier"} & arrays.keys():
            arrays[name] = arrays[name][rows]
    kept = []
    if (rows is not None and not rows) or _classes_differ(wanted, arrays):
        for name in [name for name, one in wanted.items() if one.layer == "classifier"]:
            del wanted[name]
            arrays.pop(name, None)
        kept = ["classifier"]
    wrong = [f"{name} is missing" for name in wanted if name not in arrays]
    wrong += [f"{name} is left over" for name in arrays if name not in wanted]
    for name in wanted.keys() & arrays.keys():
        shape = wanted[name].shape
        if shape != arrays[name].shape:
            wrong.append(f"{name} is {arrays[name].shape}, not {shape}{_hint(name, arrays)}")
    if wrong:
        listed = "; ".join(wrong[:8]) + (f"; and {len(wrong) - 8} more" if wrong[8:] else "")
        raise ValueError(f"these weights do not fit {model.name}: {listed}.")
    for one in every:
        if one.name in wanted:
            one.variable.assign(one.convert(arrays[one.name]))
    return kept


def parameters(model: keras.Model, names: Container[str] = ()) -> list[Parameter]:
    """The `Parameter`s of a network's published file, a list.

    Args:
        names: of a file's arrays: of the families that know the network, that one is taken which
            shares most of them.
    Raises:
        ValueError: for a network of which no weights are published.
    """
    found = [list(f.parameters(model)) for f in FAMILIES if model.name in f.networks]
    if not any(found):
        known = sorted({name for family in FAMILIES for name in family.networks})
        raise ValueError(
            f"{model.name} has no published PyTorch weights as it is built; of {', '.join(known)} "
            "there are."
        )
    return max(filter(None, found), key=lambda every: sum(one.name in names for one in every))


def _classes_differ(wanted: Mapping[str, Parameter], arrays: Mapping[str, np.ndarray]) -> bool:
    heads = [one for one in wanted.values() if one.layer == "classifier" and one.name in arrays]
    return len(heads) == 2 and all(arrays[one.name].shape[0] != one.shape[0] for one in heads)


def _hint(name: str, arrays: Mapping[str, np.ndarray]) -> str:
    if name == "conv1.weight" and "bn1.weight" in arrays:
        return f" (build with stem={arrays[name].shape[0]})"
    return ""
