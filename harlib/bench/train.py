"""Clips/s of training and inference: harlib and its peers in one run, turn by turn."""

import contextlib
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harlib import files, machine, shipped
from harlib.bench.child_process import Child, ChildError

ENGINES = ("harlib", "keras-stock", "torch", "onnxruntime", "openvino")
POLICIES = ("float32", "mixed_bfloat16")
# What an engine does not do at all; every other one does everything.
_CANNOT = {
    "keras-stock": {"mixed_bfloat16"},
    "onnxruntime": {"train", "mixed_bfloat16"},
    "openvino": {"train"},
}
# One after the other, several times: a machine that slows down slows all of them.
_ROUNDS = 3
_REFERENCE = shipped.FOLDER / "benchmarks" / "torch_reference.py"
# A training step computes the forward pass and two gradients of every product.
_PASSES = {"train": 3, "infer": 1}


def run(
    models: Sequence[str] = ("resnext3d_101", "c3d"),
    *,
    engines: Sequence[str] = ENGINES,
    policies: Sequence[str] = POLICIES,
    modes: Sequence[str] = ("train", "infer"),
    batch: int = 4,
    frames: int = 16,
    size: int = 112,
    steps: int = 4,
    seconds: float = 30.0,
    limit_s: float = 600.0,
    json_file: Path | None = None,
    say: Callable[[str], object] = print,
) -> list[dict[str, Any]]:
    """Rows of clips/s, one an engine, policy, mode and model.

    Every engine is a child process; those of one model and mode take turns of at most `steps`
    steps and about `seconds` seconds, three rounds, and the median turn counts. Stock Keras and
    ONNX Runtime are measured in float32 alone, OpenVINO and ONNX Runtime in inference alone, on
    harlib's folded network. Building, the first step and a turn may take `limit_s` seconds each;
    an engine that takes longer or fails has a `note` instead of a figure.

    Returns:
        List of dicts: `bench, model, mode, engine, policy, backend, batch, frames, size, device,
        cpu, instructions, clips_per_s, first_step_s, memory_bytes, limit_clips_per_s` (the
        device's rate of a large matrix product over the clip's multiply-adds, three times those
        in training) and `share` of it reached; `json_file` holds them too, rewritten after every
        model and mode.
    Raises:
        ValueError: for an unknown engine or mode, or numbers below 1.
    """
    for given, known in ((engines, ENGINES), (modes, _PASSES)):
        if unknown := set(given) - set(known):
            raise ValueError(f"{sorted(unknown)} is unknown; known: {', '.join(known)}.")
    if min(batch, frames, size, steps) < 1:
        raise ValueError("batch, frames, size and steps are at least 1.")
    rates = {policy: _rate(policy, limit_s, say) for policy in policies}
    rows = []
    for model in models:
        for mode in modes:
            common = {
                "bench": "train",
                "model": model,
                "mode": mode,
                "batch": batch,
                "frames": frames,
                "size": size,
                "cpu": machine.cpu(),
                "instructions": list(machine.instructions()),
            }
            specs = [
                common | {"engine": engine, "policy": policy}
                for engine in engines
                for policy in policies
                if not {mode, policy} & _CANNOT.get(engine, set())
            ]
            rows += _alternate(specs, steps, seconds, limit_s, rates, say)
            if json_file:
                files.write_json(json_file, rows)
    return rows


def _alternate(
    specs: list[dict],
    steps: int,
    seconds: float,
    limit_s: float,
    rates: dict,
    say: Callable[[str], object],
) -> list[dict[str, Any]]:
    """The rows of `specs`, whose children take turns."""
    rows, children = [dict(spec) for spec in specs], {}
    turns: dict[int, list[dict]] = {}
    with contextlib.ExitStack() as stack:
        for i, spec in enumerate(specs):
            try:
                child = Child(spec | {"reference": _reference(spec)}, limit_s=limit_s)
            except ChildError as error:
                rows[i]["note"] = str(error)
                continue
            children[i] = stack.enter_context(child)
            turns[i] = []
            rows[i] |= child.facts
        for _ in range(_ROUNDS):
            for i in list(children):
                try:
                    turns[i].append(children[i].turn(steps, seconds))
                except ChildError as error:
                    rows[i]["note"] = str(error)
                    children.pop(i).close()
    gmacs = next((row["gmacs"] for row in rows if "gmacs" in row), None)
    for i, row in enumerate(rows):
        row.pop("gmacs", None)
        if i in children:
            rate = statistics.median(t["steps"] / t["seconds"] for t in turns[i]) * row["batch"]
            row |= {"clips_per_s": rate, "memory_bytes": turns[i][-1]["memory_bytes"]}
            if gmacs and rates[row["policy"]]:
                limit = rates[row["policy"]] / (gmacs * _PASSES[row["mode"]])
                row |= {"limit_clips_per_s": limit, "share": rate / limit}
        said = f"{row['clips_per_s']:.2f} clips/s" if "clips_per_s" in row else row["note"]
        say(f"{row['model']} {row['mode']} {row['engine']} {row['policy']}: {said}")
    return rows


def _reference(spec: dict) -> str | None:
    """The PyTorch networks' file, which lies beside the package in the repository."""
    if spec["engine"] == "torch" and not _REFERENCE.is_file():
        raise ChildError(f"benchmarks/{_REFERENCE.name} is not beside the package")
    return str(_REFERENCE)


def _rate(policy: str, limit_s: float, say: Callable[[str], object]) -> float | None:
    """Billions of multiply-adds a second of a large matrix product; None where it fails."""
    try:
        with Child({"engine": "arithmetic", "policy": policy}, limit_s=limit_s) as child:
            turns = [child.turn(3, 10.0) for _ in range(3)]
            return max(child.facts["gmacs"] * t["steps"] / t["seconds"] for t in turns)
    except ChildError as error:
        say(f"the limit of {policy} could not be measured: {error}")
        return None


def table(rows: Sequence[dict]) -> str:
    """The rows as text, and harlib's clips/s over those of each other engine in the same case."""
    lines = [
        f"{'model':<14} {'mode':<6} {'engine':<12} {'policy':<15} {'clips/s':>8} {'of limit':>9} "
        f"{'GB':>6} {'first':>7}"
    ]
    for row in rows:
        start = f"{row['model']:<14} {row['mode']:<6} {row['engine']:<12} {row['policy']:<15}"
        if "clips_per_s" not in row:
            lines.append(f"{start} {row['note']}")
            continue
        share = f"{row['share']:.0%}" if "share" in row else ""
        lines.append(
            f"{start} {row['clips_per_s']:>8.2f} {share:>9} {row['memory_bytes'] / 1e9:>6.2f} "
            f"{row['first_step_s']:>6.1f}s"
        )
    rate = {
        (r["model"], r["mode"], r["engine"], r["policy"]): r["clips_per_s"]
        for r in rows
        if "clips_per_s" in r
    }
    for (model, mode, engine, policy), own in rate.items():
        for peer in ENGINES[1:]:
            other = "float32" if "mixed_bfloat16" in _CANNOT.get(peer, ()) else policy
            if engine == "harlib" and (model, mode, peer, other) in rate:
                ratio = own / rate[model, mode, peer, other]
                lines.append(f"{model} {mode}: harlib {policy} {ratio:.2f} x {peer} {other}")
    devices = sorted({row["device"] for row in rows if "device" in row})
    return "\n".join([*lines, f"device: {'; '.join(devices)}"])
