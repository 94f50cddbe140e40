"""A training run's checkpoints: everything that decides the next step, in one file per step.

A checkpoint is ``step-<step>-<checksum>.npz``: the model's and the optimiser's variables as plain
arrays and a JSON text (member ``state``) with the rest. The name carries the checksum of the whole
file, so file and checksum appear together; the arrays belong to no backend and to no precision.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from harlib import HarlibError, files


class CheckpointError(HarlibError):
    """No checkpoint of the run can be read."""


class CheckpointMismatch(HarlibError):
    """The checkpoint was made with other parameters or data; the message shows the difference."""


def capture(model: keras.Model) -> dict[str, np.ndarray]:
    """All variables of a compiled model and its optimiser, in their own order.

    The model's include the seeds of its random layers (Dropout); the optimiser's include its
    step count, moments, moving average, accumulated gradients and loss scale.
    """
    arrays = {}
    for part, variables in _variables(model).items():
        for i, variable in enumerate(variables):
            array = as_numpy(variable)
            # npz holds NumPy's own types only; bfloat16 fits into float32 exactly.
            arrays[f"{part}.{i}"] = array if array.dtype.isbuiltin == 1 else array.astype("float32")
    return arrays | _generators()


def as_numpy(variable: keras.Variable) -> np.ndarray:
    """A Keras variable's value; of one with a copy on each device, the first device's."""
    value = variable.value
    # What MirroredStrategy makes is no tensor yet, only a holder of tensors.
    if keras.backend.backend() == "tensorflow" and hasattr(value, "values"):
        return value.numpy()
    return keras.ops.convert_to_numpy(value)


def restore(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Put the arrays of :func:`capture` back into a model compiled with the same recipe.

    Raises:
        CheckpointMismatch: a variable is missing, left over or of another shape.
    """
    parts = _variables(model)
    expected = {f"{p}.{i}": v for p, vs in parts.items() for i, v in enumerate(vs)}
    saved = {name for name in arrays if not name.startswith("generator.")}
    for name in sorted(expected.keys() ^ saved):
        where = "checkpoint" if name in expected else "model"
        raise CheckpointMismatch(f"variable {name} is missing in the {where}")
    for name, variable in expected.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise CheckpointMismatch(
                f"{variable.path} has shape {tuple(variable.shape)} in the model, "
                f"{arrays[name].shape} in the checkpoint"
            )
    for name, variable in expected.items():
        variable.assign(arrays[name])
    _set_generators(arrays)


def restore_model(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """The model's own part of :func:`restore`, and the generators': no optimiser is needed."""
    for i, variable in enumerate(model.variables):
        variable.assign(arrays[f"model.{i}"])
    _set_generators(arrays)


class Checkpoints:
    """The checkpoints of one run in `folder`; the last `keep` are kept.

    `fingerprint` (JSON types) says what the run is made of: only checkpoints with the same one
    are taken up. Its entries in `free`, as "identity.epochs", may differ.
    """

    def __init__(
        self, folder: Path, fingerprint: Mapping, keep: int = 2, free: Collection[str] = ()
    ) -> None:
        if keep < 1:
            raise ValueError(
                f"keep is the number of checkpoints that stay, from 1; received {keep}"
            )
        self.folder = Path(folder)
        self.fingerprint = json.loads(json.dumps(fingerprint))
        self.keep = keep
        self.free = set(free)
        self.folder.mkdir(parents=True, exist_ok=True)
        for part in files.strays(self.folder):  # of a writer that was killed
            part.unlink()

    def paths(self) -> list[Path]:
        """The checkpoint files, oldest first."""
        return sorted(self.folder.glob("step-*.npz"), key=_step)

    def save(self, step: int, arrays: Mapping[str, np.ndarray], state: Mapping) -> Path:
        """Write the checkpoint of `step`; then remove the ones that are not kept."""
        state = {"step": step, "fingerprint": self.fingerprint, **state}
        text = np.frombuffer(json.dumps(state).encode(), np.uint8)
        part = self.folder / f".part-{os.getpid()}.npz"
        with part.open("wb") as file:
            np.savez(file, state=text, **arrays)  # type: ignore[arg-type]  # not `allow_pickle`
        path = self.folder / f"step-{step:09d}-{_checksum(part)}.npz"
        files.flush(part)
        part.replace(path)
        files.flush(self.folder)
        for old in self.paths()[: -self.keep]:
            old.unlink()
        return path

    def load(self, report: Callable[[str], None] = print) -> tuple[dict, dict] | None:
        """Arrays and state of the newest readable checkpoint; None when there is none at all.

        Raises:
            CheckpointError: there are checkpoints and all of them are damaged.
            CheckpointMismatch: the checkpoint is of other parameters or data.
        """
        damaged = []
        for path in reversed(self.paths()):
            if path.stem.split("-")[-1] != _checksum(path):
                report(f"checkpoint {path.name} is damaged; trying the one before")
                damaged.append(path)
                continue
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            state = json.loads(arrays.pop("state").tobytes())
            lines = [
                line
                for line in differences(state["fingerprint"], self.fingerprint)
                if line.partition(": ")[0] not in self.free
            ]
            if lines:
                raise CheckpointMismatch(
                    f"{path} was made with other parameters or data ({'; '.join(lines)}): "
                    "use them again, or another run folder, or resume=False to start anew"
                )
            for bad in damaged:
                bad.unlink()
            return arrays, state
        if damaged:
            raise CheckpointError(
                f"all {len(damaged)} checkpoints in {self.folder} are damaged: "
                "resume=False starts anew"
            )
        return None

    def holds(self, step: int) -> bool:
        """Whether there is a checkpoint of this step."""
        return any(_step(path) == step for path in self.paths())

    def clear(self) -> None:
        """Remove every checkpoint."""
        for path in self.folder.iterdir():
            path.unlink()


def newest_step(folder: Path) -> int:
    """The step of the newest checkpoint in `folder`; 0 where there is none."""
    return max(map(_step, Path(folder).glob("step-*.npz")), default=0)


def _step(path: Path) -> int:
    return int(path.name.split("-")[1])


def differences(then: Any, now: Any, name: str = "") -> list[str]:
    """What differs between two values of JSON types, a line each: ``a.b: 1 then, 2 now``."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = [*then, *(k for k in now if k not in then)]
        pairs = ((k, then.get(k, "absent"), now.get(k, "absent")) for k in keys)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        pairs = ((i, a, b) for i, (a, b) in enumerate(zip(then, now, strict=True)))
    else:
        return [] if then == now else [f"{name}: {_short(then)} then, {_short(now)} now"]
    return [
        line
        for key, a, b in pairs
        for line in differences(a, b, f"{name}.{key}" if name else f"{key}")
    ]


def _short(value: Any) -> str:
    text = (
        f"{len(value)} items" if isinstance(value, dict | list) and len(value) > 8 else str(value)
    )
    return text if len(text) <= 100 else text[:97] + "..."


def _variables(model: keras.Model) -> dict[str, list]:
    optimizer = getattr(model, "optimizer", None)  # none before the model is compiled
    return {"model": model.variables, "optimizer": optimizer.variables if optimizer else []}


def _generators() -> dict[str, np.ndarray]:
    """The states of PyTorch's generators, which Keras' Dropout draws from on that backend."""
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    return {f"generator.{i}": state.numpy() for i, state in enumerate(states)}


def _set_generators(arrays: Mapping[str, np.ndarray]) -> None:
    """Only what was saved on PyTorch and for as many devices; elsewhere a run resumes unequal."""
    if arrays.keys() >= (now := _generators()).keys() and now:
        import torch

        states = [torch.from_numpy(np.array(arrays[name])) for name in now]
        torch.set_rng_state(states[0])
        torch.cuda.set_rng_state_all(states[1:])


def _checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:16]
