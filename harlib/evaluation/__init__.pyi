from . import (
    calibration,
    comparison,
    features,
    gradcam,
    hits,
    intervals,
    metrics,
    naming,
    predict,
    resume,
    scoring,
)
from .scores import ScoreError, Scores
from .scoring import score

__all__ = [
    "ScoreError",
    "Scores",
    "calibration",
    "comparison",
    "features",
    "gradcam",
    "hits",
    "intervals",
    "metrics",
    "naming",
    "predict",
    "resume",
    "score",
    "scoring",
]
