"""What a clip must be for a trained network, told by the files of its run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harlib import MissingFile
from harlib.data.loading import sampling
from harlib.files import read_json
from harlib.run_folder import RunFolder


def clip_input(run_dir: str | Path) -> dict[str, Any]:
    """How a run's network was shown its clips when it was scored, in JSON types.

    Returns:
        `frames`, `stride` (frames at `fps` from one to the next), `fps` (None: as recorded),
        `stretch` ([height, width] to which frames are brought first; None: the aspect is kept),
        `short_side` (pixels to which the short side is brought; None with `stretch`), `crop`
        ([height, width], from the middle) and `crop_scale` (its share of the largest that fits).
        `fps` and `stretch` are left out where the run does not tell them and its clip store is
        gone. `views` are `clips`, `crops` and `crop_scale` of the scoring; `store` says what its
        clips were cut from (`fps`, `size`, `codec`, `quality`), `clip_fps` at which rate (None: by
        stride), each None where the run does not tell it.
    Raises:
        FileNotFoundError: the run has no metrics.json.
    """
    run_dir = Path(run_dir)
    file = RunFolder(run_dir).metrics
    if not file.is_file():
        raise MissingFile(f"{file} is not there: har evaluate first.")
    how = read_json(file, "protocol")["protocol"]
    crop, scale = sampling.as_size(how["size"]), how.get("crop_scale") or 1.0
    stored = how.get("stored")
    if not stored or "codec" not in stored:  # an earlier version told less, or nothing
        there = _stored(run_dir)
        stored = there if not stored or there and stored.items() <= there.items() else stored
    found = {"frames": how["frames"], "stride": how["stride"], "crop": list(crop),
             "crop_scale": scale, "clip_fps": how.get("clip_fps"), "store": stored,
             "views": {key: how[key] for key in ("clips", "crops", "crop_scale") if key in how},
             }  # fmt: skip
    if how.get("clip_fps"):  # the clip has a rate of its own, whatever the store's
        found["stride"] = 1
        stored = stored and stored | {"fps": how["clip_fps"]}
    if stored is None:
        return found | {"short_side": round(min(crop) / scale)}
    stretch = stored["size"] if isinstance(stored["size"], list) else None
    short_side = None if stretch else round(min(crop) / scale)
    return found | {"fps": stored["fps"], "stretch": stretch, "short_side": short_side}


def said(about: Mapping[str, Any]) -> str:
    """`clip_input` in a sentence."""
    rate = "a rate that is not known any more"
    if "fps" in about:
        rate = "the video's own rate" if about["fps"] is None else f"{about['fps']:g} per second"
    every = "" if about["stride"] == 1 else f", every {about['stride']}th of them"
    size = " × ".join(map(str, about["crop"]))
    scaled = f"short side brought to {about['short_side']} pixels"
    if about.get("stretch"):
        scaled = f"brought to {' × '.join(map(str, about['stretch']))} pixels"
    return (
        f"{about['frames']} frame{'s' * (about['frames'] != 1)} at {rate}{every}; {scaled}, "
        f"then the middle {size} pixels"
    )


def stored(store_dir: str | Path) -> dict[str, Any] | None:
    """`{"fps", "size", "codec", "quality"}` of a clip store; None when it is gone."""
    file = Path(store_dir) / "store.json"
    if not file.is_file():
        return None
    settings = read_json(file, "settings")["settings"]
    return {key: settings[key] for key in ("fps", "size", "codec", "quality")}


def _stored(run_dir: Path) -> dict[str, Any] | None:
    """Of a run of an earlier version, whose metrics.json does not tell: from its clip store."""
    file = RunFolder(run_dir).params
    if not file.is_file():
        return None
    named = RunFolder(run_dir).read_params().get("store") or ""
    root, study = run_dir.resolve().parents[2], run_dir.resolve().parent.name
    return stored(root / named if named else root / "data" / study / "store")
