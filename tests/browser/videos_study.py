"""A study of two scored runs and the clip store that they were scored on, written by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from harlib.data.catalog.catalog import Catalog
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import prepare
from harlib.data.video.files import encode
from harlib.evaluation import Scores, metrics

CATEGORIES = ("bowing", "clapping", "waving <b>")
RUNS = ("03_c3d", "04_resnext101")
SWAPPED = "v04"  # labelled "clapping", and both runs take it for "waving <b>"
_COLUMNS = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]


def write(root: Path, videos: int = 24) -> Path:
    """Returns the folder of the runs; the last video cannot be read."""
    store = _store(root, videos)
    for seed, name in enumerate(RUNS):
        write_run(root / "runs" / "mine" / name, scores(seed, videos - 1), store.hash)
    return root / "runs" / "mine"


def _store(root: Path, videos: int) -> ClipStore:
    rows = []
    (root / "source").mkdir(parents=True)
    for number in range(videos):
        path = root / "source" / f"v{number:02d}.mp4"
        if number == videos - 1:
            path.write_bytes(b"no video")
        else:
            clip = np.full((20 + number, 32, 48, 3), 8 * number, np.uint8)
            clip[:, 8:24, 8:24] = np.arange(20 + number, dtype=np.uint8)[:, None, None, None] * 5
            encode(path, clip, 10.0)
        category = CATEGORIES[number % 3]
        rows.append((path.stem, str(path), category, "test", f"g{number // 4}", np.nan, np.nan))
    catalog = Catalog(pd.DataFrame(rows, columns=_COLUMNS), "mine")
    place = root / "data" / "mine" / "store"
    prepare(catalog, place, codec="raw", size=32, workers=1, progress=False)
    return ClipStore(place)


def scores(seed: int, videos: int) -> Scores:
    """Of a sure network that is wrong about every seventh video, and about `SWAPPED`."""
    rng = np.random.default_rng(seed)
    label = np.arange(videos) % 3
    leads = np.where(np.arange(videos) % 7 == seed + 2, (label + 1) % 3, label)
    leads[4] = 2
    logits = rng.normal(size=(videos, 4, 3))
    logits[np.arange(videos), :, leads] += 3.0
    logits[4, :, 2] += 4.0
    share = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return Scores(
        video_id=[f"v{number:02d}" for number in range(videos)],
        label=label,
        categories=CATEGORIES,
        video_scores=share.mean(axis=1),
        view_scores=share,
        group=[f"g{number // 4}" for number in range(videos)],
        missing_id=[f"v{videos:02d}"],
        missing_label=[videos % 3],
        missing_group=[f"g{videos // 4}"],
    )


def write_run(folder: Path, own: Scores, store_hash: str) -> None:
    """A complete run with these scores; no notebook."""
    own.save(folder)
    protocol = {"split": "test", "clips": 4, "crops": 1, "frames": 8, "stride": 1, "size": 32}
    network = {"name": folder.name[3:], "parameters": 1000, "gmacs": 0.1}
    metrics.write(folder, own, protocol, network, 1.0)
    params = {
        "study": folder.parent.name,
        "run": folder.name,
        "recipe": "modern",
        "epochs": 1,
        "train_split": "train",
        "batch": 8,
        "seed": 0,
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    state = {"status": "complete", "minutes": 1.0, "store_hash": store_hash,
             "store": "data/mine/store"}  # fmt: skip
    (folder / "run.json").write_text(json.dumps(state))
    environment = {"versions": {"harlib": "0.1.0", "keras": "3.15.1"}, "backend": "tensorflow",
                   "cpu": "a processor", "cores": 2, "accelerators": [], "commit": ""}  # fmt: skip
    (folder / "environment.json").write_text(json.dumps(environment))
