from . import (
    calibration,
    comparison,
    confidence,
    features,
    folds,
    gradcam,
    hits,
    intervals,
    metrics,
    naming,
    predict,
    resume,
    scoring,
    segments,
)
from .confidence import Confidence
from .scores import ScoreError, Scores
from .scoring import score

__all__ = [
    "Confidence",
    "ScoreError",
    "Scores",
    "calibration",
    "comparison",
    "confidence",
    "features",
    "folds",
    "gradcam",
    "hits",
    "intervals",
    "metrics",
    "naming",
    "predict",
    "resume",
    "score",
    "scoring",
    "segments",
]
