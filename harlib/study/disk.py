"""What the runs of a study will take on the disk, from what `trial` has measured."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harlib.study.params.notebooks import Common, DataPrep
from harlib.study.params.trained import FrameCNN, Trained
from harlib.text import size
from harlib.training import resources


def needed(
    p: Common, videos: int, stills: int, drawn: Mapping[str, float], networks: list[Any]
) -> float | None:
    """Bytes that a run will take at most; None where they are not known before it runs.

    Args:
        videos: that it draws and prepares.
        stills: images that it draws, or is trained on.
        drawn: of `trial`, bytes of a video and of a still.
        networks: of `trial`, bytes of each training's weights and of its optimiser's state.
    """
    if isinstance(p, DataPrep):
        if (p.store_dir / "store.json").is_file():
            return 0.0  # a complete store is kept
        if p.source != "demo":
            return None
        return videos * (drawn["drawn_b"] + drawn["store_b"]) + stills * drawn["drawn_still_b"]
    if not isinstance(p, Trained):
        return 0.0  # tables and figures
    trainings = 2 if isinstance(p, FrameCNN) and stills else 1
    return trainings * sum(
        resources.needed((one["weights_b"], one["optimizer_b"]), p.checkpoints_kept)
        for one in networks
    )


def told(parts: Mapping[str, float | None], place: Path) -> str:
    """One line: what is to come, of which runs, and what is free where `place` lies or will."""
    while not place.exists():
        place = place.parent
    known = {name: value for name, value in parts.items() if value}
    unknown = [name for name, value in parts.items() if value is None]
    each = ", ".join(f"{name} {size(value)}" for name, value in known.items())
    return (
        f"Disk: up to {size(sum(known.values()))} more{f' ({each})' if each else ''}"
        + (f", without {', '.join(unknown)}, which is not known" if unknown else "")
        + f"; {size(shutil.disk_usage(place).free)} free"
    )
