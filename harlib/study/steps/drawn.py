"""What a run's training sees of a video: its clips as they are drawn, by the run's own settings."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from harlib import figures
from harlib.data import ClipStore
from harlib.data.catalog import names
from harlib.study.params.trained import Trained
from harlib.study.steps import inputs
from harlib.study.wording import tables
from harlib.text import percent

if TYPE_CHECKING:
    from harlib.training import Recipe

_DRAWS, _FRAMES = 4, 8


def show_clips(p: Trained, plan: Recipe | None, store: ClipStore) -> tables.Sentence:
    """Shows a video and its clips as the training draws them the first times; says of what run.

    plan: None where the run takes no steps, so that nothing is drawn.
    """
    if plan is None:
        return tables.Sentence(
            "This run takes no training steps: it sees each clip as it is scored, from the middle "
            "of the picture, and nothing is drawn by chance."
        )
    times = _DRAWS if p.frames > 1 else _FRAMES
    row, clips, labels = inputs.shown_clips(p, plan, store, times)
    video = store.videos.iloc[row]
    places = np.unique(np.linspace(0, video["frames"] - 1, _FRAMES).round().astype(int))
    own = [_label(store, label, int(video["label"])) for label in labels]
    titles = ["as stored", *(f"draw {n}\n{said}" for n, said in enumerate(own, 1))]
    settings = "\n".join(textwrap.wrap(tables.unbroken(said(p, plan)), 78))
    figures.show(figures.training_clips(store.read(row, places), clips, titles, settings=settings))
    residual = getattr(p, "pixels", "rgb") == "residual"
    return tables.Sentence(
        f"Video {names.printable(video['video_id'])} ({video['category']}) as run {p.run} is shown "
        f"it the first {len(clips)} times (seed {p.seed}), before the network scales the pixels' "
        f"values{' and takes what changes from frame to frame (pixels: residual)' * residual}. Is "
        "the action still there in each of them?"
    )


def said(p: Trained, plan: Recipe) -> str:
    """The run's augmentation in a line, by the names of its parameters."""
    size = (p.size, p.size) if isinstance(p.size, int) else p.size
    rate = f"fps {p.clip_fps:g}" if p.clip_fps else f"stride {p.stride}"
    parts = [
        f"crop: {p.crop} to {size[0]} × {size[1]} pixels",
        f"{p.frames} frames, {rate}" if p.frames > 1 else "1 frame",
        f"flip: {'half of the clips' if p.flip else 'none'}",
    ]
    parts += [f"color: ± {percent(p.color, 0)}"] if p.color else []
    parts += [f"{key}: {percent(value, 0)} of the clips"
              for key in ("grey", "reverse") if (value := getattr(p, key))]  # fmt: skip
    parts += [f"jitter: speed × or ÷ up to {1 + p.jitter:g}"] if p.jitter else []
    if plan.mix:
        parts.append(f"mix: {plan.mix} in {percent(p.mix_share, 0)} of the batches")
    return "; ".join(parts)


def _label(store: ClipStore, label: np.ndarray, own: int) -> str:
    """A clip's label where it is not its video's alone: blended with another's, or shuffled."""
    shares = [(int(label), 1.0)] if np.ndim(label) == 0 else list(enumerate(label))
    shares.sort(key=lambda one: -one[1])
    if shares[0][1] > 0.995:
        return "" if shares[0][0] == own else f"called {store.categories[shares[0][0]]}"
    return "\n".join(
        f"{percent(share, 0)} {store.categories[place]}" for place, share in shares[:2] if share
    )
