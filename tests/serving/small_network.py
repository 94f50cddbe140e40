"""A predictor of NumPy for the tests of `har serve`: no framework is loaded, no network is needed.

Its worker is another process, which imports this file by its name.
"""

import os
import signal
import time

import numpy as np

from harlib.data import ClipSpec, Settings
from harlib.evaluation import Confidence
from harlib.inference import Predictor
from harlib.inference.views import Cut

CATEGORIES = ("bright", "dark", "<b>odd</b> name")


class Model:
    """Names a clip by its mean. One all white crashes it, one all black keeps it for a minute."""

    def predict_on_batch(self, clips):
        mean = clips.reshape(len(clips), -1).mean(axis=1) / 255
        if mean.min() > 0.98:
            os.kill(os.getpid(), signal.SIGSEGV)
        if mean.max() < 0.02:
            time.sleep(60)
        scores = np.stack([mean, 1 - mean, np.full_like(mean, 0.1)], axis=1)
        return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def load():
    return Predictor(
        name="mine/small",
        model=Model(),
        categories=CATEGORIES,
        settings=Settings("raw", 32, 10.0),
        cut=Cut(ClipSpec(frames=8, size=24)),
        clips=2,
        confidence=Confidence(1.0, 0.6, videos=40, turned_away=0.05, accuracy=0.9),
    )


def fail():
    from harlib import HarlibError

    raise HarlibError("runs/mine is no trained run")
