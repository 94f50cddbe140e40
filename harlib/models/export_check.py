"""Does an exported file compute what its network does? Told from rounding, however sure it is.

Probabilities cannot tell: of a network whose logits reach 10,000, float32's rounding moves them by
0.01 and with them the probability of two close classes by as much, while a wrong kernel hides
behind a probability of 1. So logits are compared, as a share of the largest.
"""

from collections.abc import Sequence

import keras
import numpy as np

from harlib.models import fold_batch_norm, log_scores

# Share of the largest logit by which an exported file may differ. Rounding alone moves those of a
# ResNeXt-101 by about 1e-6, a wrong kernel by more than 1e-2.
TOLERANCE = 1e-4
# Of a network that is worse conditioned than that: this multiple of what its own rounding does ...
_ROUNDINGS = 32
# ... as long as that is rounding: a network that moves by a hundredth more could hide anything.
_MOST = 0.01

Answer = tuple[np.ndarray, np.ndarray | None]  # scores (clips, classes) and logits


def check(
    got: Answer,
    names: Sequence[str],
    model: keras.Model,
    clips: np.ndarray,
    categories: Sequence[str],
) -> float:
    """The largest difference of a file's logits to the network's, as a share of the largest.

    Args:
        got: the file's (scores, logits or None) of `clips`. names: its categories.

    Raises:
        ValueError: it names other categories, gives another shape or dtype, or computes something
            else.
    """
    scores, logits = got
    asked = log_scores.with_logits(model)
    wanted = _logits(asked or model, clips)
    if list(names) != categories:
        raise ValueError(f"the exported file names the categories {names}, not {categories}.")
    shape = (len(clips), len(categories))
    if scores.shape != shape or scores.dtype != np.float32:
        raise ValueError(f"the exported file gives {scores.dtype} {scores.shape}, not {shape}.")
    logits = scores if asked is None else logits
    difference = _apart(logits, wanted)
    if not difference <= TOLERANCE:
        rounding = _rounding(asked or model, clips, wanted)
        if not (rounding <= _MOST and difference <= _ROUNDINGS * rounding):
            raise ValueError(
                f"the exported file's logits differ from the network's by {difference:.2g} of the "
                f"largest, where rounding explains {max(rounding, 1e-7):.1g}; it was removed."
            )
    if asked is not None and logits is not None:
        _check_scores(scores, logits)
    return difference


def probe(model: keras.Model) -> np.ndarray:
    """Two clips of noise for the network."""
    return np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:]), "uint8")


def _check_scores(scores: np.ndarray, logits: np.ndarray) -> None:
    """That the file's scores are the softmax of its own logits, by frame averaged."""
    exact = logits.astype(float)
    exact = np.exp(exact - exact.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    exact = exact.reshape(len(scores), -1, scores.shape[1]).mean(axis=1)
    difference = np.abs(scores - exact).max()
    # two runs of one file may round differently, and large logits carry that into the softmax
    allowed = max(TOLERANCE, 1e-6 * np.abs(logits).max())
    if not difference <= allowed:
        raise ValueError(
            f"the exported file's scores are not the softmax of its logits: they differ by "
            f"{difference:.2g}; it was removed."
        )


def _logits(model: keras.Model, clips: np.ndarray) -> np.ndarray:
    output = model.predict_on_batch(clips)
    return np.asarray(output[1] if isinstance(output, (list, tuple)) else output)


def _apart(got: np.ndarray | None, wanted: np.ndarray) -> float:
    if got is None or got.shape != wanted.shape:
        return np.inf
    return float(np.abs(got - wanted).max() / max(1, np.abs(wanted).max()))


def _rounding(model: keras.Model, clips: np.ndarray, wanted: np.ndarray) -> float:
    """How far the logits move when every weight moves within float32's last digit."""
    rng, moved = np.random.default_rng(0), []
    for _ in range(3):
        twin = fold_batch_norm.copy(model)
        for weight in twin.weights:
            value = keras.ops.convert_to_numpy(weight)
            if value.dtype == np.float32:
                noise = rng.uniform(-1, 1, value.shape) * np.finfo(np.float32).eps
                weight.assign((value * (1 + noise)).astype(np.float32))
        moved.append(_apart(_logits(twin, clips), wanted))
    return max(moved)
