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
    multi_label,
    naming,
    predict,
    ranking,
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
    "multi_label",
    "naming",
    "predict",
    "ranking",
    "resume",
    "score",
    "scoring",
    "segments",
]
