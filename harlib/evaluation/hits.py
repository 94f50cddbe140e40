"""Which videos and which views are right; everything else is counted from this."""

import numpy as np

from harlib.evaluation.scores import ScoreError, Scores


def ranks(
    class_scores: np.ndarray, label: np.ndarray, logs: np.ndarray | None = None
) -> np.ndarray:
    """Position of the true category in the order of the scores, 0 = first: int (..., videos).

    What is equal goes to the lower class index, as in argmax, so that a network with constant
    outputs is not right everywhere.

    Args:
        class_scores: (..., videos, classes).
        label: int (videos,).
        logs: the scores' logarithms, which decide between equal scores (all the 0s of a very sure
            network).

    >>> ranks(np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2]]), np.array([1, 1]))
    array([1, 1])
    """
    index = np.broadcast_to(label[:, None], (*class_scores.shape[:-1], 1))
    earlier = np.arange(class_scores.shape[-1]) < label[:, None]
    ahead = earlier
    for values in (logs, class_scores):
        if values is not None:
            own = np.take_along_axis(values, index, axis=-1)
            ahead = (values > own) | ((values == own) & ahead)
    return ahead.sum(axis=-1)


def right_videos(scores: Scores, k: int = 1) -> np.ndarray:
    """Is the true category among the best k? bool (videos + missing,), missing ones False.

    Raises:
        ScoreError: videos have several labels.
    """
    refuse_several(scores, "top-k accuracy")
    hit = ranks(scores.video_scores, scores.label, video_logs(scores)) < k
    return np.concatenate([hit, np.zeros(len(scores.missing_id), bool)])


def called(scores: Scores) -> np.ndarray:
    """The class that each scored video is called, equals as in `right_videos`: int (videos,).

    Raises:
        ScoreError: videos have several labels.
    """
    refuse_several(scores, "a single class called")
    values, logs = scores.video_scores, video_logs(scores)
    if logs is None:
        return values.argmax(axis=1)
    first = values == values.max(axis=1, keepdims=True)
    return np.where(first, logs, -np.inf).argmax(axis=1)


def refuse_several(scores: Scores, what: str) -> None:
    """Raises ScoreError where videos have several labels, of which there is no `what`."""
    if scores.several:
        raise ScoreError(
            f"{what} is of videos with one label, and these have several: they are measured by "
            "evaluation.multi_label"
        )


def video_logs(scores: Scores) -> np.ndarray | None:
    """Logarithms of the mean over a video's views, float64 (videos, classes); None without need.

    Where every view's softmax is 0 in float32, so is the mean: then these still rank.
    """
    if not scores.view_logs.size:
        return None
    found = np.empty(scores.video_scores.shape)
    for part in _parts(len(found)):
        views = scores.view_logs[part].astype(float)
        there = ~np.isnan(views[..., :1])
        sums = np.logaddexp.reduce(np.where(there, views, -np.inf), axis=1)
        found[part] = sums - np.log(there.sum(axis=1))
    return found


def view_counts(scores: Scores, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """How many of each video's views are right, and how many there are.

    A missing video counts with as many wrong views as the others have on average.

    Returns:
        Two arrays float (videos + missing,): the views that are right within the best k, and all
        views. NaN for every video when the scores hold no views.

    Raises:
        ScoreError: videos have several labels.
    """
    refuse_several(scores, "top-k accuracy")
    videos, lost = len(scores.label), len(scores.missing_id)
    if not scores.view_scores.shape[1]:
        return np.full(videos + lost, np.nan), np.full(videos + lost, np.nan)
    right, views = np.empty(videos), np.empty(videos)
    for part in _parts(videos):
        own = scores.view_scores[part].swapaxes(0, 1)
        logs = scores.view_logs[part].swapaxes(0, 1) if scores.view_logs.size else None
        there = ~np.isnan(own[..., 0])
        hit = ranks(own, scores.label[part], logs) < k
        right[part], views[part] = (hit & there).sum(axis=0), there.sum(axis=0)
    return (
        np.concatenate([right, np.zeros(lost)]),
        np.concatenate([views, np.full(lost, views.mean())]),
    )


def _parts(count: int) -> list[slice]:
    # 256 videos × 10 views × 600 classes in float32 are 6 MB
    return [slice(start, start + 256) for start in range(0, count, 256)]


def all_labels(scores: Scores) -> np.ndarray:
    """The true class of every listed video: int (videos + missing,)."""
    return np.concatenate([scores.label, scores.missing_label])


def all_groups(scores: Scores) -> np.ndarray:
    """The group of every listed video: str (videos + missing,)."""
    return np.concatenate([scores.group, scores.missing_group])
