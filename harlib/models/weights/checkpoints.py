"""Weights that others published as PyTorch files, into the networks here."""

import os
import pickle
import re

import numpy as np

from harlib.models.weights import parameter, pytorchvideo

# Modules of the families of files, each with `networks`, the names of the builders whose weights
# it knows, and `parameters(model)`. The file's names decide where several know a network.
FAMILIES = (pytorchvideo,)
# Where training programs keep a state dict in their files.
_KEYS = ("state_dict", "model_state", "model", "module")


def load_published(model, path):
    """Set every weight of `model` from a published file.

    Args:
        model: a network of `models.build` at the published width, whose name has published
            weights; torchvision's r3d_18 is the one with `stem="tran"`.
        path: `.safetensors`, or a file of PyTorch (needs PyTorch): a state dict, or a dict that
            holds one under "state_dict", "model_state", "model" or "module"; names may start with
            "module.". Only tensors are unpickled.

    Returns:
        Names of layers left as they were: the classifier, if the file's has other classes.
    Raises:
        ModuleNotFoundError: without PyTorch.
        ValueError: if the file is damaged or holds more than tensors, or as `load_arrays`.
    """
    return load_arrays(model, read(path))


def read(path):
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


def _pickled(path):
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "published weights are PyTorch files, and PyTorch is not installed: "
            "pip install 'harlib[torch]'."
        ) from error
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


def _safetensors(path):
    import safetensors.numpy

    try:
        arrays = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{_damaged(path)}: safetensors reads no weights from it.") from error
    return {name: np.asarray(array, "float32") for name, array in arrays.items()}


def _damaged(path):
    return f"{path} is {'cut short or damaged' if os.path.getsize(path) else 'empty'}"


def load_arrays(model, arrays, *, rows=None):
    """Set every weight of `model` from arrays by the names and in the layout of a published file.

    Args:
        rows: of the file's classes those that are the model's, in its order; None for all.

    Returns:
        Names of layers left as they were: the classifier, if the arrays' has other classes.
    Raises:
        ValueError: naming parameters that are missing, left over or mis-shaped; nothing is set.
    """
    arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
    arrays = {k: a for k, a in arrays.items() if not k.endswith("num_batches_tracked")}
    wanted = {one.name: one for one in parameters(model, arrays)}
    if rows is not None:
        for name in [one.name for one in wanted.values() if one.layer == "classifier"]:
            if name in arrays:
                arrays[name] = arrays[name][rows]
    kept = []
    if _classes_differ(wanted, arrays):
        for name in [name for name, one in wanted.items() if one.layer == "classifier"]:
            del wanted[name], arrays[name]
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
    for name, one in wanted.items():
        one.variable.assign(one.convert(arrays[name]))
    return kept


def parameters(model, names=()):
    """The `Parameter`s of a network's published file, a list.

    Args:
        names: of a file's arrays: of the families that know the network, that one is taken which
            shares most of them.
    Raises:
        ValueError: for a network of which no weights are published.
    """
    found = [list(f.parameters(model)) for f in FAMILIES if model.name in f.networks]
    if not found:
        return list(_parameters(model))
    return max(found, key=lambda family: sum(one.name in names for one in family))


def _parameters(model):
    flattened = None
    for layer in model.layers:
        if layer.name == "head_flatten":
            flattened = tuple(layer.input.shape[1:])
        if not layer.weights:
            continue
        prefix = _prefix(layer.name, model)
        if layer.name == "head_fc6":
            yield from parameter.flattened(layer, prefix, flattened)
        else:
            yield from parameter.of_layer(layer, prefix)


def _prefix(layer, model):
    """The published name of a layer."""
    names = {one.name for one in model.layers}
    # Hara's 18-layer network pools in its stem, torchvision's two do not.
    torchvision = names & {"stem_conv", "stem_space"} and "stem_pool" not in names
    if torchvision and (prefix := _torchvision(layer)):
        return prefix
    if found := re.fullmatch(r"stage(\d)_block(\d+)_(conv|bn)(\d)", layer):
        stage, block, kind, number = found.groups()
        return f"layer{stage}.{int(block) - 1}.{kind}{number}"
    if found := re.fullmatch(r"stage(\d)_block(\d+)_shortcut(_bn)?", layer):
        stage, block, norm = found.groups()
        return f"layer{stage}.{int(block) - 1}.downsample.{1 if norm else 0}"
    if found := re.fullmatch(r"stage(\d)_conv(\d)", layer):
        stage, number = found.groups()
        return f"conv{stage}" + ("ab"[int(number) - 1] if int(stage) > 2 else "")
    known = {
        "stem_conv": "conv1",
        "stem_bn": "bn1",
        "head_fc6": "fc6",
        "head_fc7": "fc7",
        "classifier": "fc8" if "head_fc6" in names else "fc",
    }
    if layer not in known:
        raise ValueError(
            f"{model.name} has no published PyTorch weights (its layer {layer} has none); "
            "c3d, resnext3d_*, r3d_18 and r2plus1d_18 have."
        )
    return known[layer]


def _torchvision(layer):
    """torchvision's name of a layer of `r3d_18` or `r2plus1d_18`, "" where it is as Hara's."""
    stem = {"stem_conv": 0, "stem_bn": 1, "stem_space": 0, "stem_space_bn": 1,
            "stem_time": 3, "stem_time_bn": 4}  # fmt: skip
    if layer in stem:
        return f"stem.{stem[layer]}"
    found = re.fullmatch(r"stage(\d)_block(\d+)_(conv|bn|space|time)(\d)(_bn)?", layer)
    if not found:
        return ""
    stage, block, kind, number, norm = found.groups()
    place = {"conv": "0", "bn": "1", "space": "0.0", "space_bn": "0.1",
             "time": "0.3", "time_bn": "1"}  # fmt: skip
    return f"layer{stage}.{int(block) - 1}.conv{number}.{place[kind + (norm or '')]}"


def _classes_differ(wanted, arrays):
    heads = [one for one in wanted.values() if one.layer == "classifier" and one.name in arrays]
    return len(heads) == 2 and all(arrays[one.name].shape[0] != one.shape[0] for one in heads)


def _hint(name, arrays):
    if name == "conv1.weight" and "bn1.weight" in arrays:
        return f" (build with stem={arrays[name].shape[0]})"
    return ""
