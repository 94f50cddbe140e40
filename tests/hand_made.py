"""Scores small enough to work out by hand."""

import numpy as np
import pandas as pd

from harlib.evaluation import Scores

CATEGORIES = ("bow", "clap", "wave")

# Six videos, two views each. Video scores are the means of the views.
#   video  true  view 0            view 1            mean              first  right views
#   a      bow   0.8  0.1  0.1     0.6  0.3  0.1     0.7  0.2  0.1     bow    2 of 2
#   b      bow   0.2  0.7  0.1     0.6  0.3  0.1     0.4  0.5  0.1     clap   1 of 2
#   c      clap  0.1  0.8  0.1     0.2  0.7  0.1     .15  .75  0.1     clap   2 of 2
#   d      clap  0.6  0.3  0.1     0.6  0.3  0.1     0.6  0.3  0.1     bow    0 of 2
#   e      clap  0.1  0.7  0.2     0.3  0.3  0.4     0.2  0.5  0.3     clap   1 of 2
#   f      wave  0.5  0.4  0.1     0.5  0.4  0.1     0.5  0.4  0.1     bow    0 of 2
# video top-1 3 / 6, top-2 5 / 6; clip top-1 6 / 12;
# mean class: video (1/2 + 2/3 + 0) / 3, clip (3/4 + 3/6 + 0) / 3
VIEWS = [
    [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]],
    [[0.2, 0.7, 0.1], [0.6, 0.3, 0.1]],
    [[0.1, 0.8, 0.1], [0.2, 0.7, 0.1]],
    [[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]],
    [[0.1, 0.7, 0.2], [0.3, 0.3, 0.4]],
    [[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]],
]
LABELS = [0, 0, 1, 1, 1, 2]
HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3, 4],
        "loss": [2.0, 1.2, 0.8, 0.5],
        "accuracy": [0.3, 0.6, 0.7, 0.9],
        "val_loss": [1.9, 1.4, 1.2, 1.5],
        "val_accuracy": [0.3, 0.55, 0.7, 0.65],
    }
)
RUNS = pd.DataFrame(
    {
        "run": ["02_frame_cnn", "03_c3d"],
        "video_top1": [0.5, 0.9],
        "low": [0.4, 0.8],
        "high": [0.6, 0.95],
        "clip_top1": [0.45, 0.8],
        "majority": [0.1, 0.1],
        "gmacs": [0.5, 2.0],
        "views": [5, 5],
        "minutes": [2.0, 3.0],
        "parameters": [1e5, 2e6],
    }
)
CLIPS = [np.full((9, 24, 32, 3), 90, np.uint8), np.full((3, 40, 24, 3), 200, np.uint8)]


def six(**changes):
    """The six videos above; `changes` replace fields of Scores."""
    views = np.array(VIEWS)
    fields = {
        "video_id": list("abcdef"),
        "label": LABELS,
        "categories": CATEGORIES,
        "video_scores": views.mean(axis=1),
        "view_scores": views,
        "group": ["g1", "g1", "g2", "g2", "g3", "g3"],
    }
    return Scores(**(fields | changes))


def many(videos=120, classes=12, views=2, seed=0, skill=2.0):
    """Scores of a model that is often right; categories as long and odd as people make them."""
    rng = np.random.default_rng(seed)
    label = np.arange(videos) % classes
    logits = rng.normal(size=(videos, views, classes))
    logits[np.arange(videos), :, label] += skill
    share = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return Scores(
        video_id=[f"v{number:06d}" for number in range(videos)],
        label=label,
        categories=[f"category {number:03d} with a rather long name" for number in range(classes)],
        video_scores=share.mean(axis=1),
        view_scores=share,
        group=[f"g{number // 3}" for number in range(videos)],
    )
