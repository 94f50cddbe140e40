"""What a run's network is, as it stands beside the run's name wherever a number does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.text import count


def named(run: str, metrics: Mapping[str, Any]) -> str:
    """``04_resnext101 (resnext3d_26, width 0.25, residual frames, 16 × 48 × 48)``."""
    return f"{run} ({network(metrics)})"


def network(metrics: Mapping[str, Any]) -> str:
    """The network of a run's metrics.json (as `read` gives it), its width and its input.

    Width and pixels are left out where a run of an earlier version does not tell them.
    """
    model, how = metrics["model"], metrics["protocol"]
    # a frame CNN's name holds its backbone in brackets
    parts = [model["name"].replace(" (", " ").rstrip(")")]
    if model.get("width") is not None:
        parts.append(f"width {model['width']:g}")
    if model.get("pixels"):
        parts.append("residual frames" if model["pixels"] == "residual" else "RGB frames")
    if "size" in how:
        size = how["size"] if isinstance(how["size"], (list, tuple)) else [how["size"]] * 2
        parts.append(" × ".join(map(str, (how["frames"], *size))))
    return ", ".join(parts)


def read(run_dir: str | Path) -> dict[str, Any]:
    """A run's metrics.json.

    Where it does not tell the network's width and pixels, as earlier versions did not, the run's
    parameters do.
    """
    run_dir = Path(run_dir)
    metrics = read_json(RunFolder(run_dir).metrics, "model")
    if "width" not in metrics["model"]:
        metrics["model"] |= options(RunFolder(run_dir).read_params())
    return metrics


def options(params: Mapping[str, Any]) -> dict[str, Any]:
    """`width` and `pixels` of a run's parameters, where they say something of its network."""
    found = {}
    # a backbone of keras.applications has one width
    if "width" in params and params.get("backbone", "small") in ("small", "efficientnet_lite0"):
        found["width"] = params["width"]
    if "model" in params:
        found["pixels"] = params.get("pixels", "rgb")
    return found


def clip(protocol: Mapping[str, Any]) -> str:
    """The frames of a clip, as "16 frames × stride 1", or "13 frames at 5 per second"."""
    frames = count(protocol["frames"], "frame")
    if protocol.get("clip_fps"):
        return f"{frames} at {protocol['clip_fps']:g} per second"
    return f"{frames} × stride {protocol['stride']}"
