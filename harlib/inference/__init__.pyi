from . import asking, camera, live, overlay, preview, timeline, writers
from .predictor import NONE_OF_THESE, Prediction, Predictor
from .sources import load

__all__ = [
    "NONE_OF_THESE",
    "Prediction",
    "Predictor",
    "asking",
    "camera",
    "live",
    "load",
    "overlay",
    "preview",
    "timeline",
    "writers",
]
