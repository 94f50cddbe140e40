from collections import Counter

import numpy as np
import pytest

from harlib.data.loading import sampling

pytestmark = pytest.mark.quick


def rng(seed=0):
    return np.random.default_rng(seed)


def test_balanced_order_with_one_category_is_a_permutation():
    order = sampling.balanced_order((50,), rng())
    assert sorted(order) == list(range(50))
    assert list(order) != list(range(50))


def test_balanced_order_gives_every_category_its_share_of_places():
    counts = (2, 30, 7)
    order = sampling.balanced_order(counts, rng())
    category = np.repeat([0, 1, 2], counts)[order]
    assert Counter(category.tolist()) == {0: 13, 1: 13, 2: 13}
    # within a category the videos come equally often: 13 places for 2, 30 and 7 videos
    for number, most in enumerate((7, 1, 2)):
        assert max(Counter(order[category == number].tolist()).values()) == most
    # no category waits for the others
    assert len(set(category[:10].tolist())) == 3


def test_random_clip_starts_everywhere_equally_often():
    random = rng()
    starts = Counter()
    for _ in range(5000):
        numbers = sampling.random_clip(20, 4, 3, random)
        assert np.array_equal(np.diff(numbers), [3, 3, 3])
        starts[int(numbers[0])] += 1
    assert sorted(starts) == list(range(11))  # 20 frames - span 10, and the last start counts
    assert min(starts.values()) > 350 and max(starts.values()) < 560  # 455 each, 5 sigma = 103


@pytest.mark.parametrize(
    "length, frames, stride, expected",
    [
        (5, 8, 1, [0, 1, 2, 3, 4, 0, 1, 2]),
        (5, 4, 2, [0, 2, 4, 1]),
        (1, 3, 1, [0, 0, 0]),
        (4, 4, 1, [0, 1, 2, 3]),
    ],
)
def test_a_short_video_is_looped_from_its_start(length, frames, stride, expected):
    assert sampling.random_clip(length, frames, stride, rng()).tolist() == expected
    assert sampling.uniform_clips(length, frames, stride, 2).tolist() == [expected, expected]


def test_a_fractional_stride_resamples_the_rate():
    # 30 frames a second shown at 25: 6 stored frames for 5 shown ones
    numbers = sampling.uniform_clips(60, 50, 30 / 25, 1)[0]
    assert numbers.tolist() == [i * 6 // 5 for i in range(50)]
    assert sampling.uniform_clips(4, 8, 0.5, 1)[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_jitter_varies_the_stride_within_its_range():
    random = rng()
    spans = [np.ptp(sampling.random_clip(1000, 101, 2, random, jitter=0.5)) for _ in range(300)]
    assert min(spans) >= 133 and max(spans) <= 300  # 100 * 2 / 1.5 and 100 * 2 * 1.5
    assert min(spans) < 145 and max(spans) > 280
    assert 180 < np.median(spans) < 220


def test_uniform_clips_reach_both_ends_and_a_single_one_is_the_middle():
    assert sampling.uniform_clips(26, 6, 1, 3)[:, 0].tolist() == [0, 10, 20]
    assert sampling.uniform_clips(26, 6, 1, 1).tolist() == [[10, 11, 12, 13, 14, 15]]
    assert sampling.uniform_clips(26, 6, 2, 2)[:, -1].tolist() == [10, 25]


def test_windows_cover_every_frame_once_and_the_last_loops_its_own():
    windows = sampling.windows(10, 4)
    assert windows.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 8, 9]]
    assert sampling.windows(8, 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert sampling.windows(3, 4).tolist() == [[0, 1, 2, 0]]
    assert sampling.windows(12, 3, 2).tolist() == [[0, 2, 4], [6, 8, 10]]


def test_segments_take_one_frame_from_each_part():
    random = rng()
    seen = [set() for _ in range(4)]
    for _ in range(400):
        for part, number in enumerate(sampling.random_segments(20, 4, random)):
            seen[part].add(int(number))
    assert seen == [set(range(5 * i, 5 * i + 5)) for i in range(4)]
    assert sampling.uniform_segments(20, 4).tolist() == [[2, 7, 12, 17]]
    assert sampling.uniform_segments(20, 4, 5).T.tolist() == [
        list(range(5 * i, 5 * i + 5)) for i in range(4)
    ]
    assert sampling.uniform_segments(2, 4).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    "call",
    [
        lambda: sampling.random_clip(0, 4, 1, rng()),
        lambda: sampling.random_clip(9, 0, 1, rng()),
        lambda: sampling.random_clip(9, 4, 0, rng()),
        lambda: sampling.random_clip(9, 4, float("nan"), rng()),
        lambda: sampling.random_clip(9, 4, 1, rng(), jitter=-1),
        lambda: sampling.uniform_clips(9, 4, 1, 0),
        lambda: sampling.random_segments(0, 4, rng()),
        lambda: sampling.crops(9, 9, 4, 2),
        lambda: sampling.crops(9, 9, 4, 1, scale=1.1),
        lambda: sampling.as_size(0),
    ],
)
def test_impossible_values_are_refused_with_what_came(call):
    with pytest.raises(ValueError, match="received"):
        call()


def test_one_crop_is_the_largest_box_in_the_middle():
    assert sampling.crops(128, 171, 112) == [(0, 21, 128, 128)]
    assert sampling.crops(128, 171, 112, scale=0.875) == [(8, 29, 112, 112)]
    assert sampling.crops(128, 171, (64, 128)) == [(21, 0, 86, 171)]


def test_three_crops_lie_along_the_side_with_room():
    wide = sampling.crops(128, 171, 112, 3)
    assert wide == [(0, 0, 128, 128), (0, 21, 128, 128), (0, 43, 128, 128)]
    tall = sampling.crops(171, 128, 112, 3)
    assert tall == [(0, 0, 128, 128), (21, 0, 128, 128), (43, 0, 128, 128)]


def test_five_crops_are_the_centre_and_four_different_corners():
    five = sampling.crops(128, 128, 112, 5)
    assert five == [
        (8, 8, 112, 112), (0, 0, 112, 112), (0, 16, 112, 112), (16, 0, 112, 112),
        (16, 16, 112, 112),
    ]  # fmt: skip


def test_corner_box_draws_all_scales_and_places_equally_often():
    random = rng()
    boxes = Counter(sampling.corner_box(128, 171, 112, random) for _ in range(5000))
    # five scales of the short side: 128 / 2 ** (i / 4)
    assert sorted({box.height for box in boxes}) == [64, 76, 91, 108, 128]
    assert all(box.height == box.width for box in boxes)
    # at scale 1 top and bottom coincide: 3 places there, 5 at each of the other four scales
    assert len(boxes) == 3 + 4 * 5
    smaller = [n for box, n in boxes.items() if box.height < 128]
    assert min(smaller) > 130 and max(smaller) < 270  # 200 each, 5 sigma = 70


@pytest.mark.parametrize("draw", [sampling.corner_box, sampling.resized_box, sampling.random_box])
@pytest.mark.parametrize("frame", [(128, 171), (40, 30), (7, 200)])
def test_random_boxes_lie_in_the_frame(draw, frame):
    random = rng()
    for _ in range(300):
        box = draw(*frame, (24, 32), random)
        assert min(box) >= 0 and box.height >= 1 and box.width >= 1
        assert box.top + box.height <= frame[0] and box.left + box.width <= frame[1]


def test_random_box_keeps_the_pixels_and_reaches_every_border():
    random = rng()
    boxes = [sampling.random_box(128, 171, 112, random) for _ in range(2000)]
    assert {(box.height, box.width) for box in boxes} == {(112, 112)}
    assert {box.top for box in boxes} == set(range(17))
    assert {box.left for box in boxes} == set(range(60))


def test_resized_box_covers_its_range_of_area_and_shape():
    random = rng()
    boxes = [sampling.resized_box(200, 200, 50, random) for _ in range(2000)]
    area = np.array([box.height * box.width / 40000 for box in boxes])
    shape = np.array([box.width / box.height for box in boxes])
    assert 0.24 < area.min() < 0.27 and area.max() > 0.9
    assert 0.74 < shape.min() < 0.78 and 1.28 < shape.max() < 1.35
    assert abs(np.log(shape).mean()) < 0.02
