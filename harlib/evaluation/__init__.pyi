from . import calibration, comparison, gradcam, hits, intervals, metrics, naming, predict, scoring
from .scores import ScoreError, Scores
from .scoring import score

__all__ = [
    "ScoreError",
    "Scores",
    "calibration",
    "comparison",
    "gradcam",
    "hits",
    "intervals",
    "metrics",
    "naming",
    "predict",
    "score",
    "scoring",
]
