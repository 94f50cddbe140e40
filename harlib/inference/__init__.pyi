from . import (
    asking,
    camera,
    evidence,
    live,
    overlay,
    preview,
    segment_pages,
    segments,
    timeline,
    writers,
)
from .predictor import NONE_OF_THESE, Prediction, Predictor
from .sources import load

__all__ = [
    "NONE_OF_THESE",
    "Prediction",
    "Predictor",
    "asking",
    "camera",
    "evidence",
    "live",
    "load",
    "overlay",
    "preview",
    "segment_pages",
    "segments",
    "timeline",
    "writers",
]
