"""Frames as they come become the same clips as scoring takes of a store."""

import numpy as np
import pytest

from harlib.data import CODECS, ClipSpec, Settings
from harlib.data.loading import sampling
from harlib.inference import views
from harlib.inference.views import Cut

pytestmark = pytest.mark.quick


def numbered(length, taken=None):
    """Frames that show their own number; `taken` is told each number when it is asked for."""
    for number in range(length):
        if taken is not None:
            taken.append(number)
        yield np.full((4, 6, 3), number % 256, np.uint8)


def numbers(view):
    return view.crops[0, :, 0, 0, 0].tolist()


@pytest.mark.parametrize("stride", [1, 2, 0.5, 1.6])
@pytest.mark.parametrize("length", [1, 3, 7, 8, 9, 16, 31, 100])
def test_windows_are_those_of_scoring(length, stride):
    how = Cut(ClipSpec(frames=8, stride=stride, size=4))
    found = list(views.windows(numbered(length), 10.0, how))
    wanted = sampling.windows(length, 8, stride)
    assert [numbers(view) for view in found] == wanted.tolist()
    assert [view.start_s for view in found] == pytest.approx(wanted[:, 0] / 10)
    # a frame of the last window stands for those up to the next one
    assert length / 10 - 1e-9 <= found[-1].end_s < (length + stride) / 10


@pytest.mark.parametrize("count", [1, 2, 4, 10])
@pytest.mark.parametrize("length", [1, 3, 8, 9, 31, 100])
def test_equally_spaced_clips_are_those_of_scoring(length, count):
    how = Cut(ClipSpec(frames=8, stride=2, size=4))
    found = list(views.spread(numbered(length), length, 10.0, how, count))
    wanted = sampling.uniform_clips(length, 8, 2, count)
    assert [numbers(view) for view in found] == wanted.tolist()
    assert all(0 <= view.start_s < view.end_s <= length / 10 + 1e-9 for view in found)


def test_a_rate_of_the_clip_sets_the_stride():
    how = Cut(ClipSpec(frames=4, size=4, fps=5.0))
    (view, *_) = views.windows(numbered(40), 12.5, how)
    assert numbers(view) == [0, 2, 5, 7]


@pytest.mark.parametrize(
    ("every_s", "starts"),
    [(0.4, [0, 4, 8, 12, 16]), (0.45, [0, 4, 9, 14, 18]), (1.5, [0, 15]), (9, [0])],
)
def test_windows_every_so_often_end_with_the_first_that_reaches_the_end(every_s, starts):
    how = Cut(ClipSpec(frames=8, size=4))
    found = list(views.windows(numbered(23), 10.0, how, every_s))
    assert [numbers(view)[0] for view in found] == starts
    looped = [s for s in starts if s + 8 > 23]
    whole = [list(range(s, s + 8)) for s in starts if s not in looped]
    ends = [[s + i % (23 - s) for i in range(8)] for s in looped]
    assert [numbers(view) for view in found] == whole + ends


def test_of_a_short_video_every_so_often_is_one_looped_window():
    how = Cut(ClipSpec(frames=8, size=4))
    (only,) = views.windows(numbered(3), 10.0, how, 0.1)
    assert numbers(only) == [0, 1, 2, 0, 1, 2, 0, 1]


def test_frames_are_read_no_further_than_a_window_needs():
    taken: list[int] = []
    how = Cut(ClipSpec(frames=8, stride=2, size=4))
    stream = views.windows(numbered(10_000, taken), 10.0, how)
    for window in range(50):
        next(stream)
        assert taken[-1] == 16 * window + 14


def test_crops_are_those_of_scoring():
    how = Cut(ClipSpec(frames=2, size=4), crops=3)
    frames = [np.arange(4 * 12 * 3, dtype=np.uint8).reshape(4, 12, 3)] * 2
    (view,) = views.windows(iter(frames), 10.0, how)
    boxes = sampling.crops(4, 12, 4, 3)
    assert view.crops.shape == (3, 2, 4, 4, 3)
    for crop, box in zip(view.crops, boxes, strict=True):
        assert np.array_equal(crop[0], frames[0][:, box.left : box.left + 4])


@pytest.mark.parametrize("codec", ["raw", "jpeg", "h264"])
@pytest.mark.parametrize("length", [1, 15, 16, 17, 40])
def test_frames_become_what_the_store_gives_back(codec, length, moving_square):
    frames = moving_square(frames=length)
    chunks = list(CODECS[codec].encode(iter(frames), 80))
    offsets = np.cumsum([0, *map(len, chunks)])
    payload = np.frombuffer(b"".join(chunks), np.uint8)
    stored = CODECS[codec].decode(payload, offsets, np.arange(length), *frames.shape[1:3])
    found = np.stack(list(views.as_stored(iter(frames), Settings(codec, 48, None, 80))))
    assert np.array_equal(found, stored)
