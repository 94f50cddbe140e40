"""Where a network looked: the clip that speaks most for a label, as a small animated picture."""

from __future__ import annotations

import io
import os

import numpy as np
from PIL import Image

from harlib import HarlibError
from harlib.data import VideoReader, probe
from harlib.evaluation import gradcam
from harlib.inference.predictor import Prediction, Predictor
from harlib.inference.views import as_stored

_SIDE = 224  # pixels of the picture's short side, at least
_STEP_MS = 60, 250  # how long a frame is shown
_MOVES_S = 5.0  # what moves for longer must have a button that stops it (WCAG 2.2.2)


def clip(predictor: Predictor, video: str | os.PathLike, said: Prediction) -> np.ndarray:
    """The window that speaks most for the most probable category: uint8 (frames, h, w, 3).

    Raises:
        VideoError: it cannot be read again.
    """
    how, settings = predictor.cut.clip, predictor.settings
    rate = settings.fps or probe(video).fps
    offsets = (np.arange(how.frames) * how.stride_at(rate)).astype(np.int64)
    with VideoReader(
        video,
        size=settings.size,
        fps=settings.fps,
        start_s=float(said.start_s[telling(said)]),
        max_frames=int(offsets[-1]) + 1,
    ) as reader:
        frames = list(as_stored(reader, settings))
    inside = int(np.searchsorted(offsets, len(frames)))
    looped = offsets[np.arange(how.frames) % inside]
    crops = predictor.cut.view([frames[o] for o in looped], 0, len(frames), rate).crops
    return crops[len(crops) // 2]


def telling(said: Prediction) -> int:
    """The number of the window that speaks most for the most probable category."""
    return int(said.windows[:, said.probabilities.argmax()].argmax())


def picture(predictor: Predictor, video: str | os.PathLike, said: Prediction) -> bytes:
    """That clip with the places marked that speak for the category (3D Grad-CAM), a WebP file.

    It moves for 5 seconds at most.

    Raises:
        VideoError: the video cannot be read again.
        HarlibError: a network of single frames, or an export, of which no gradient can be taken.
    """
    model = predictor.model
    if not hasattr(model, "_flatten_layers"):
        raise HarlibError("where an exported network looked cannot be shown: serve the run itself")
    shown = clip(predictor, video, said)
    heat = gradcam.gradcam(model, shown, label=int(said.probabilities.argmax()))
    if not heat.max() > 0:
        raise HarlibError("no place of this video speaks for the category")
    how = predictor.cut.clip
    rate = predictor.settings.fps or probe(video).fps
    step = int(np.clip(1000 * how.stride_at(rate) / rate, *_STEP_MS))
    return _animated(gradcam.overlay(shown, heat), step)


def _animated(frames: np.ndarray, step_ms: int) -> bytes:
    grow = max(1, -(-_SIDE // min(frames.shape[1:3])))
    size = grow * frames.shape[2], grow * frames.shape[1]
    images = [Image.fromarray(one).resize(size, Image.Resampling.BICUBIC) for one in frames]
    file = io.BytesIO()
    loops = max(1, int(1000 * _MOVES_S / (step_ms * len(images))))
    images[0].save(
        file, "WEBP", save_all=True, append_images=images[1:], duration=step_ms, loop=loops,
        quality=75, method=2,
    )  # fmt: skip
    return file.getvalue()
