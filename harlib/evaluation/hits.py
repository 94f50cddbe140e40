"""Which videos and which views are right; everything else is counted from this."""

import numpy as np


def ranks(class_scores, label):
    """Position of the true category in the order of the scores, 0 = first: int (..., videos).

    class_scores: (..., videos, classes). label: (videos,). Ties go to the lower class index, as
    in argmax, so that a network with constant outputs is not right everywhere.
    """
    index = np.broadcast_to(label[:, None], (*class_scores.shape[:-1], 1))
    own = np.take_along_axis(class_scores, index, axis=-1)
    earlier = np.arange(class_scores.shape[-1]) < label[:, None]
    ahead = (class_scores > own) | ((class_scores == own) & earlier)
    return ahead.sum(axis=-1)


def right_videos(scores, k=1):
    """Is the true category among the best k? bool (videos + missing,), missing ones False."""
    hit = ranks(scores.video_scores, scores.label) < k
    return np.concatenate([hit, np.zeros(len(scores.missing_id), bool)])


def right_views(scores, k=1):
    """Share of a video's views that are right: float (videos + missing,), missing ones 0.

    NaN for every video when the scores hold no views.
    """
    shares = np.full(len(scores.label), np.nan)
    # 256 videos × 10 views × 600 classes in float32 are 6 MB
    for start in range(0, len(shares) if scores.view_scores.shape[1] else 0, 256):
        part = slice(start, start + 256)
        views = scores.view_scores[part].astype(np.float32).swapaxes(0, 1)
        hit = (ranks(views, scores.label[part]) < k).astype(float)
        shares[part] = np.nanmean(np.where(np.isnan(views[..., 0]), np.nan, hit), axis=0)
    lost = np.nan if np.isnan(shares).all() else 0.0
    return np.concatenate([shares, np.full(len(scores.missing_id), lost)])


def all_labels(scores):
    """int (videos + missing,): the true class of every listed video."""
    return np.concatenate([scores.label, scores.missing_label])


def all_groups(scores):
    """str (videos + missing,): the group of every listed video."""
    return np.concatenate([scores.group, scores.missing_group])
