"""Widgets to look into a study's data in JupyterLab."""

import io

import ipywidgets as widgets
import numpy as np
from PIL import Image

from harlib.data.store import ClipStore


def browse(store: ClipStore, *, split: str = "train", height: int = 224) -> widgets.VBox:
    """A control that plays the store's videos: choose a category, then step through its videos."""
    category = widgets.Dropdown(options=list(store.categories), description="category")
    number = widgets.BoundedIntText(value=1, min=1, max=1, description="video")
    player = widgets.Image(format="gif", height=height)
    about = widgets.Label()

    def choices() -> np.ndarray:
        rows = store.rows(split)
        return rows[store.videos["category"].to_numpy()[rows] == category.value]

    def show(change=None) -> None:
        rows = choices()
        number.max = max(len(rows), 1)
        if not len(rows):
            player.value, about.value = b"", f"no {split} video of this category"
            return
        index = int(rows[min(number.value, len(rows)) - 1])
        row = store.videos.iloc[index]
        player.value = animation(store, index)
        about.value = (
            f"{number.value} of {len(rows)}: {row['video_id']}, {row['frames']} frames, "
            f"{row['width']} × {row['height']} pixels, {row['fps']:.3g} frames per second"
        )

    category.observe(show, "value")
    number.observe(show, "value")
    show()
    return widgets.VBox([widgets.HBox([category, number]), about, player])


def animation(store: ClipStore, index: int, *, frames: int = 48) -> bytes:
    """A video's first frames as an endless GIF that plays at the stored speed."""
    row = store.videos.iloc[index]
    clip = store.read(index, np.arange(min(int(row["frames"]), frames)))
    first, *rest = [Image.fromarray(frame) for frame in clip]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=1000 / row["fps"], loop=0)
    return buffer.getvalue()
