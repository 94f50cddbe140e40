"""A real, tiny clip store."""

import numpy as np
import pandas as pd

from harlib.data.catalog.catalog import Catalog
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import prepare
from harlib.data.video.files import encode


def bright_and_dark(root):
    """Nine videos of two categories, dark and bright; one of them is no video: catalog, store."""
    rows = []
    for number in range(9):
        category = ("bright", "dark")[number % 2]
        path = root / f"v{number}.mp4"
        level = 200 if category == "bright" else 40
        clip = np.full((6 + number, 32, 48, 3), level + number, np.uint8)
        if number == 8:
            path.write_bytes(b"no video")
        else:
            encode(path, clip, 10.0)
        rows.append((f"v{number}", str(path), category, "val", f"g{number}", np.nan, np.nan))
    columns = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]
    catalog = Catalog(pd.DataFrame(rows, columns=columns), "tiny")
    prepare(catalog, root / "store", codec="raw", size=32, workers=1, progress=False)
    return catalog, ClipStore(root / "store")
