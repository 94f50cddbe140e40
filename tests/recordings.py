"""Clips of drawn recordings: a camera that turns over a wide picture."""

import cv2
import numpy as np

FRAMES = 20


def scene(seed, width=400):
    """A wide picture to look around in: uint8 (72, width, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, width // 10, 3), np.uint8)
    return cv2.resize(coarse, (width, 72), interpolation=cv2.INTER_CUBIC)


def pan(seed, left=0, step=1):
    """A camera that turns, from `left` pixels on: uint8 (20, 72, 96, 3)."""
    whole = scene(seed)
    return np.stack([whole[:, left + step * n : left + step * n + 96] for n in range(FRAMES)])


def smaller(clip):
    """The clip as another upload has it."""
    return np.stack([cv2.resize(frame, (64, 48)) for frame in clip])


# (split, category, name): frames, compression. Two pairs lie across the split, one does not.
ALIKE = {
    ("train", "a", "clip_0001"): (pan(1), 20),
    ("val", "a", "clip_0002"): (pan(1, left=20), 20),  # the same turn, a moment later
    ("train", "b", "clip_0003"): (pan(2), 20),
    ("val", "b", "clip_0004"): (smaller(pan(2)), 35),
    ("train", "a", "clip_0005"): (pan(5), 20),
    ("train", "a", "clip_0006"): (pan(5, left=20), 20),
}
OTHERS = {
    ("train", "a", "clip_0007"): (pan(7), 20),
    ("train", "b", "clip_0008"): (pan(8), 20),
    ("val", "a", "clip_0009"): (pan(9), 20),
    ("val", "b", "clip_0010"): (pan(10), 20),
}
