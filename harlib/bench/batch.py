"""The largest training batch that fits into memory, and its clips/s, by policy and model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from harlib import files
from harlib.bench.child_process import Child, ChildError
from harlib.bench.train import POLICIES
from harlib.text import parse_size

_SHARE = 0.9  # of the free memory, for a try that is given no limit


def run(
    models: Sequence[str] = ("resnext3d_101", "c3d"),
    *,
    policies: Sequence[str] = POLICIES,
    memory: int | None = None,
    most: int = 256,
    frames: int = 16,
    size: int = 112,
    steps: int = 3,
    limit_s: float = 600.0,
    json_file: Path | None = None,
    say: Callable[[str], object] = print,
) -> list[dict[str, Any]]:
    """Rows of the largest batch that trains, one a model and policy.

    Every try is a child process of two steps and more. Batches are doubled from 1 until one does
    not fit, then the gap is halved down to an eighth of the batch.

    Args:
        memory: bytes of main memory that a try may hold; None for nine tenths of what is free. A
            GPU's memory, which this does not count, limits itself.
        most: batch to stop at.

    Returns:
        List of dicts `bench, model, mode, engine, policy, frames, size, batch, clips_per_s,
        memory_bytes, device, limit`; `limit` says what ended the search. `batch` is 0 where not
        even one clip fits.
    """
    if memory is None:
        memory = int(_SHARE * psutil.virtual_memory().available)
        say(f"a try may hold {memory / 1e9:.2f} GB of main memory, {_SHARE:.0%} of what is free")
    rows = []
    for model in models:
        for policy in policies:
            spec = {"model": model, "mode": "train", "engine": "harlib", "policy": policy,
                    "frames": frames, "size": size}  # fmt: skip

            def attempt(batch: int, spec: dict = spec) -> dict[str, Any]:
                with Child(spec | {"batch": batch}, limit_s=limit_s, memory_bytes=memory) as child:
                    turn = child.turn(steps, limit_s)
                    return {
                        "batch": batch,
                        "clips_per_s": batch * turn["steps"] / turn["seconds"],
                        "memory_bytes": turn["memory_bytes"],
                        "device": child.facts["device"],
                    }

            found, limit = _largest(attempt, most, say)
            rows.append({"bench": "batch"} | spec | (found or {"batch": 0}) | {"limit": limit})
            say(line(rows[-1]))
            if json_file:
                files.write_json(json_file, rows)
    return rows


def _largest(
    attempt: Callable[[int], dict], most: int, say: Callable[[str], object]
) -> tuple[dict | None, str]:
    """The last answer of `attempt(batch)` that came, and why larger ones did not."""
    found, fits, fails, limit = None, 0, None, f"stopped at batch {most}"
    while fits < most if fails is None else fails - fits > max(1, fits // 8):
        batch = min(max(1, 2 * fits), most) if fails is None else (fits + fails) // 2
        try:
            found, fits = attempt(batch), batch
        except ChildError as error:
            fails, limit = batch, f"batch {batch} {error}"
            say(f"  {limit}")
        else:
            say(f"  batch {batch} fits: {found['clips_per_s']:.2f} clips/s")
    return found, limit


def line(row: dict[str, Any]) -> str:
    """A row in words."""
    start = f"{row['model']} {row['policy']}: batch {row['batch']}"
    if not row["batch"]:
        return f"{start}; {row['limit']}"
    return (
        f"{start}, {row['clips_per_s']:.2f} clips/s, {row['memory_bytes'] / 1e9:.2f} GB; "
        f"{row['limit']}"
    )


def parse_memory(text: str | None) -> int | None:
    """Bytes of "8GB", "500 MB" or a plain number; None of None.

    Raises:
        ValueError: for anything else.
    """
    if text is None:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise ValueError(f"memory={error}") from None
