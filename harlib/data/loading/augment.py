"""What is done to a clip's pixels in training: on uint8, the same for every frame of the clip.

A clip is uint8 (frames, height, width, 3), RGB. Functions with an `out` write there and return it,
so that a batch is filled without another copy.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from harlib.data.loading import sampling

CROPS = ("hara", "resized", "random", "center")
MIXES = ("mixup", "cutmix")
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, R G B


def augment(
    clip: np.ndarray,
    rng: np.random.Generator,
    *,
    size: int | Sequence[int],
    crop: str = "hara",
    flip: bool = True,
    color: float = 0.0,
    grey: float = 0.0,
    reverse: float = 0.0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """The training augmentation of one clip.

    Args:
        clip: uint8 (frames, height, width, 3).
        rng: numpy Generator; the result is a pure function of the clip and its state.
        size: int or (height, width) of the result.
        crop: "hara" (centre or corner at one of five scales), "resized" (random area and shape),
            "random" (`size` pixels anywhere, not resized), "center" (the largest box).
        flip: mirror left and right in half of the clips.
        color: strength c of the colour jitter, see `color_jitter`; 0 leaves colours alone.
        grey: share of clips that lose their colours.
        reverse: share of clips that run backwards; not for categories that would become others.
        out: uint8 array of the result's shape, C-contiguous.

    Returns:
        uint8 (frames, size height, size width, 3).
    """
    height, width = clip.shape[1:3]
    if crop == "hara":
        box = sampling.corner_box(height, width, size, rng)
    elif crop == "resized":
        box = sampling.resized_box(height, width, size, rng)
    elif crop == "random":
        box = sampling.random_box(height, width, size, rng)
    elif crop == "center":
        box = sampling.crops(height, width, size, 1)[0]
    else:
        raise ValueError(f"crop must be one of {', '.join(CROPS)}, received {crop!r}")
    if reverse and rng.random() < reverse:
        clip = clip[::-1]
    out = cut(clip, box, size, out)
    if flip and rng.random() < 0.5:
        mirror(out, out)
    if color:
        color_jitter(out, rng, color, out)
    if grey and rng.random() < grey:
        cv2.transform(_tall(out), np.tile(LUMA, (3, 1)).astype(np.float32), dst=_tall(out))
    return out


def cut(
    clip: np.ndarray, box: sampling.Box, size: int | Sequence[int], out: np.ndarray | None = None
) -> np.ndarray:
    """The box of every frame, resized to `size` where it has another size.

    Bilinear; by pixel area where it shrinks to less than half, which bilinear would alias.

    Returns:
        uint8 (frames, size height, size width, 3).
    """
    height, width = sampling.as_size(size)
    shape = (len(clip), height, width, 3)
    if out is None:
        out = np.empty(shape, np.uint8)
    elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
        # OpenCV would silently write elsewhere.
        raise ValueError(
            f"out must be C-contiguous uint8 {shape}, received {out.dtype} {out.shape}"
        )
    region = clip[:, box.top : box.top + box.height, box.left : box.left + box.width]
    if region.shape != (len(clip), box.height, box.width, 3):
        raise ValueError(f"{box} does not lie in a clip of shape {clip.shape}")
    if (box.height, box.width) == (height, width):
        np.copyto(out, region)
        return out
    halved = box.height > 2 * height and box.width > 2 * width
    interpolation = cv2.INTER_AREA if halved else cv2.INTER_LINEAR
    for frame, target in zip(region, out, strict=True):
        cv2.resize(frame, (width, height), dst=target, interpolation=interpolation)
    return out


def mirror(clip: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The clip with left and right exchanged; `out` may be the clip itself."""
    if out is None:
        out = np.empty(clip.shape, np.uint8)
    cv2.flip(_tall(clip), 1, dst=_tall(out))
    return out


def color_jitter(
    clip: np.ndarray, rng: np.random.Generator, strength: float, out: np.ndarray | None = None
) -> np.ndarray:
    """Brightness, contrast and saturation, each times a factor from 1 - strength to 1 + strength.

    Contrast turns about the clip's mean grey, saturation about each pixel's grey. The three are one
    3 x 4 matrix, so the clip is read and written once; values are rounded and clipped to 0..255.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"color must be from 0 to 1, received {strength}")
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    grey = np.tile(LUMA, (3, 1))
    colors = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * grey)
    # A sample of the pixels: the mean of all costs more than the jitter itself.
    mean = clip[::4, ::4, ::4].mean(axis=(0, 1, 2)) @ LUMA
    shift = np.full((3, 1), brightness * (1 - contrast) * mean)
    if out is None:
        out = np.empty(clip.shape, np.uint8)
    cv2.transform(_tall(clip), np.hstack([colors, shift]).astype(np.float32), dst=_tall(out))
    return out


def mix(
    clips: np.ndarray,
    labels: np.ndarray,
    classes: int,
    rng: np.random.Generator,
    *,
    kind: str,
    share: float = 1.0,
    alpha: float | None = None,
    part: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Blend every clip of a batch with the one before it, and their labels in the same proportion.

    The one before the first is the last. The own share of a clip is drawn from Beta(alpha, alpha),
    each clip its own.

    Args:
        clips: uint8 (batch, frames, height, width, 3).
        labels: int (batch,) in 0..classes - 1.
        kind: "mixup" averages the pixels, "cutmix" pastes one box through all frames.
        share: of the batches that are blended; the clips of the others stay as they are.
        alpha: 0.8 for mixup and 1 for cutmix by default.
        part: None, or (first, batch): of a batch of `batch` clips, those from number `first` on
            are blended; `clips` and `labels` begin with the one before it.

    Returns:
        uint8 clips of the same size, float32 labels (batch, classes) whose rows sum to 1.

    Reference:
        Zhang et al., "mixup", ICLR 2018; Yun et al., "CutMix", ICCV 2019, whose code
        (github.com/clovaai/CutMix-PyTorch, cutmix_prob) blends half of CIFAR's batches.
    """
    if kind not in MIXES:
        raise ValueError(f"mix must be one of {', '.join(MIXES)} or None, received {kind!r}")
    one_hot = np.eye(classes, dtype=np.float32)[labels]
    if share < 1 and rng.random() >= share:
        return (clips[1:], one_hot[1:]) if part else (clips, one_hot)
    if alpha is None:
        alpha = 0.8 if kind == "mixup" else 1.0
    height, width = clips.shape[2:4]
    places = np.arange(len(clips))
    partners = np.roll(places, 1)
    if part:
        places, partners = places[1:], places[:-1]
    first, batch = part or (0, len(clips))
    # Drawn for the whole batch, so that a part of it is blended as the whole would be.
    own = rng.beta(alpha, alpha, batch)[first : first + len(places)]
    centers = rng.random((batch, 2))[first : first + len(places)]
    mixed = np.empty((len(places), *clips.shape[1:]), np.uint8)
    for i, (place, partner) in enumerate(zip(places, partners, strict=True)):
        if kind == "mixup":
            a, b, target = _tall(clips[place]), _tall(clips[partner]), _tall(mixed[i])
            cv2.addWeighted(a, own[i], b, 1 - own[i], 0, dst=target)
        else:
            side = (1 - own[i]) ** 0.5
            top, bottom = _span(height, side, centers[i, 0])
            left, right = _span(width, side, centers[i, 1])
            mixed[i] = clips[place]
            mixed[i, :, top:bottom, left:right] = clips[partner, :, top:bottom, left:right]
            own[i] = 1 - (bottom - top) * (right - left) / (height * width)
    weight = own.astype(np.float32)[:, None]
    return mixed, weight * one_hot[places] + (1 - weight) * one_hot[partners]


def _span(length: int, share: float, center: float) -> tuple[int, int]:
    """First and last + 1 of `share` of `length` around `center` (0..1), cut at the border."""
    center, half = center * length, share * length / 2
    return max(0, round(center - half)), min(length, round(center + half))


def _tall(clip: np.ndarray) -> np.ndarray:
    """The clip as one image, frames below each other: one OpenCV call treats all frames."""
    if not clip.flags.c_contiguous:
        raise ValueError(f"the clip must be C-contiguous, received strides {clip.strides}")
    return clip.reshape(-1, clip.shape[2], 3)
