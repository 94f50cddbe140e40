"""Published PyTorch weights of C3D, 3D ResNeXt and 18-layer 3D ResNets, into the networks here."""

import os
import pickle
import re

import numpy as np

_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def load_published(model, path):
    """Set every weight of `model` from a published `.pth` file (needs PyTorch).

    Args:
        model: a `c3d`, `resnext3d_*`, `r3d_18` or `r2plus1d_18` network at the published width;
            torchvision's r3d_18 is the one with `stem="tran"`.
        path: a state dict, or a dict that holds one under "state_dict"; names may start with
            "module.". Only tensors are unpickled.

    Returns:
        Names of layers left as they were: the classifier, if the file's has other classes.
    Raises:
        ModuleNotFoundError: without PyTorch.
        ValueError: if the file is damaged or holds more than tensors, or as `load_arrays`.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "published weights are PyTorch files, and PyTorch is not installed: "
            "pip install 'harlib[torch]'."
        ) from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is refused: it is not a file of tensors alone, and anything else in a "
            "pickle can run code."
        ) from error
    except OSError:
        raise
    except Exception as error:  # a damaged file makes PyTorch raise anything
        what = "empty" if not os.path.getsize(path) else "cut short or damaged"
        raise ValueError(f"{path} is {what}: PyTorch reads no weights from it.") from error
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    if not isinstance(content, dict) or not all(hasattr(v, "numpy") for v in content.values()):
        raise ValueError(f"{path} holds no state dict; one maps parameter names to tensors.")
    return load_arrays(model, {name: v.float().numpy() for name, v in content.items()})


def load_arrays(model, arrays):
    """Set every weight of `model` from arrays by PyTorch's names and in its layout.

    Returns:
        Names of layers left as they were: the classifier, if the arrays' has other classes.
    Raises:
        ValueError: naming parameters that are missing, left over or mis-shaped; nothing is set.
    """
    arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
    arrays = {k: a for k, a in arrays.items() if not k.endswith("num_batches_tracked")}
    wanted = dict(_published(model))
    kept = []
    if _classes_differ(model, wanted, arrays):
        for name in [name for name, (layer, *_) in wanted.items() if layer == "classifier"]:
            del wanted[name], arrays[name]
        kept = ["classifier"]
    wrong = [f"{name} is missing" for name in wanted if name not in arrays]
    wrong += [f"{name} is left over" for name in arrays if name not in wanted]
    for name in wanted.keys() & arrays.keys():
        shape = _torch_shape(*wanted[name][1:])
        if shape != arrays[name].shape:
            wrong.append(f"{name} is {arrays[name].shape}, not {shape}{_hint(name, arrays)}")
    if wrong:
        listed = "; ".join(wrong[:8]) + (f"; and {len(wrong) - 8} more" if wrong[8:] else "")
        raise ValueError(f"these weights do not fit {model.name}: {listed}.")
    for name, (_, variable, flattened) in wanted.items():
        variable.assign(_from_torch(arrays[name], variable, flattened))
    return kept


def _published(model):
    """(published name, (layer, variable, shape before flattening or None)) of every weight."""
    flattened = None
    for layer in model.layers:
        if layer.name == "head_flatten":
            flattened = tuple(layer.input.shape[1:])
        for variable in layer.weights:
            prefix = _prefix(layer.name, model)
            kind = variable.name
            if kind in _BATCH_NORM.values():
                suffix = next(k for k, v in _BATCH_NORM.items() if v == kind)
            else:
                suffix = "weight" if kind == "kernel" else kind
            before = flattened if kind == "kernel" and layer.name == "head_fc6" else None
            yield f"{prefix}.{suffix}", (layer.name, variable, before)


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


def _classes_differ(model, wanted, arrays):
    ours = model.get_layer("classifier").units
    heads = [n for n, (layer, *_) in wanted.items() if layer == "classifier" and n in arrays]
    return len(heads) == 2 and all(arrays[name].shape[0] != ours for name in heads)


def _torch_shape(variable, flattened):
    """PyTorch's shape of a weight: filters first, then channels, then the kernel."""
    *size, channels, filters = (*variable.shape,) if len(variable.shape) > 1 else (None, None)
    if filters is None:
        return tuple(variable.shape)
    return (filters, channels, *size)


def _from_torch(array, variable, flattened):
    if flattened is not None:
        # PyTorch flattens channels first, Keras channels last.
        *size, channels = flattened
        array = array.reshape(-1, channels, *size).transpose(2, 3, 4, 1, 0)
        return array.reshape(variable.shape)
    return np.moveaxis(array, (0, 1), (-1, -2)) if array.ndim > 1 else array


def _hint(name, arrays):
    if name == "conv1.weight" and "bn1.weight" in arrays:
        return f" (build with stem={arrays[name].shape[0]})"
    return ""
