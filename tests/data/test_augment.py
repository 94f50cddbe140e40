import cv2
import numpy as np
import pytest

from harlib.data.loading import augment as augmenting
from harlib.data.loading.augment import augment, color_jitter, cut, mirror, mix
from harlib.data.loading.sampling import Box

pytestmark = pytest.mark.quick


def rng(seed=0):
    return np.random.default_rng(seed)


def noise(frames=3, height=20, width=30):
    return rng(7).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def test_cut_of_matching_size_is_the_pixels_themselves():
    clip = noise()
    assert np.array_equal(cut(clip, Box(3, 5, 8, 9), (8, 9)), clip[:, 3:11, 5:14])


def test_cut_resizes_every_frame_like_opencv():
    clip = noise()
    result = cut(clip, Box(2, 4, 10, 12), (16, 18))
    for frame, one in zip(clip, result, strict=True):
        assert np.array_equal(one, cv2.resize(frame[2:12, 4:16], (18, 16)))


def test_cut_averages_areas_where_it_shrinks_to_less_than_half():
    clip = noise(height=32, width=32)
    result = cut(clip, Box(0, 0, 32, 32), 8)
    means = clip.reshape(3, 8, 4, 8, 4, 3).mean(axis=(2, 4))
    assert np.abs(result - means).max() <= 1


def test_cut_reads_memory_that_must_not_be_written():
    clip = noise()
    clip.flags.writeable = False
    assert cut(clip, Box(0, 0, 20, 20), 10).shape == (3, 10, 10, 3)


def test_cut_writes_into_a_batch():
    batch = np.zeros((2, 3, 10, 10, 3), np.uint8)
    clip = noise()
    assert np.shares_memory(cut(clip, Box(0, 0, 15, 15), 10, out=batch[1]), batch)
    assert np.array_equal(batch[1], cut(clip, Box(0, 0, 15, 15), 10))
    assert not batch[0].any()


def test_cut_refuses_a_box_outside_and_an_unfit_out():
    with pytest.raises(ValueError, match="does not lie"):
        cut(noise(), Box(10, 0, 11, 11), 8)
    with pytest.raises(ValueError, match="out must be"):
        cut(noise(), Box(0, 0, 9, 9), 8, out=np.empty((3, 8, 8, 3), np.float32))
    with pytest.raises(ValueError, match="out must be"):
        cut(noise(), Box(0, 0, 9, 9), 8, out=np.empty((3, 8, 16, 3), np.uint8)[:, :, ::2])


@pytest.mark.parametrize("width", [1, 7, 30, 112])
def test_mirror_exchanges_left_and_right_also_in_place(width):
    clip = noise(width=width)
    expected = clip[:, :, ::-1].copy()
    assert np.array_equal(mirror(clip), expected)
    mirror(clip, clip)
    assert np.array_equal(clip, expected)


def test_color_jitter_is_brightness_contrast_and_saturation():
    clip = rng(1).integers(60, 190, (4, 16, 16, 3), dtype=np.uint8)
    brightness, contrast, saturation = rng(5).uniform(0.7, 1.3, 3)
    pixels = clip.astype(float)
    grey = pixels @ augmenting.LUMA
    mean = clip[::4, ::4, ::4].mean(axis=(0, 1, 2)) @ augmenting.LUMA
    pixels = saturation * pixels + (1 - saturation) * grey[..., None]
    pixels = brightness * (contrast * pixels + (1 - contrast) * mean)
    result = color_jitter(clip, rng(5), 0.3)
    assert np.abs(result - np.clip(pixels, 0, 255)).max() <= 1
    assert np.abs(result.astype(int) - clip).max() > 5


def test_color_jitter_clips_and_refuses_more_than_one():
    bright = np.full((1, 4, 4, 3), 250, np.uint8)
    results = [color_jitter(bright, rng(seed), 1.0) for seed in range(30)]
    assert max(r.max() for r in results) == 255 and min(r.min() for r in results) < 60
    with pytest.raises(ValueError, match="received 1.5"):
        color_jitter(bright, rng(), 1.5)


@pytest.mark.parametrize("crop", augmenting.CROPS)
def test_augment_treats_all_frames_alike_and_repeats_with_the_state(crop):
    still = np.repeat(noise(frames=1), 5, axis=0)
    for seed in range(10):
        result = augment(still, rng(seed), size=(12, 16), crop=crop, color=0.4)
        assert result.shape == (5, 12, 16, 3) and result.dtype == np.uint8
        assert (result == result[0]).all()
        again = augment(still, rng(seed), size=(12, 16), crop=crop, color=0.4)
        assert np.array_equal(result, again)
    assert not np.array_equal(result, augment(still, rng(99), size=(12, 16), crop=crop, color=0.4))


def test_augment_mirrors_half_of_the_clips():
    ramp = np.tile(np.arange(30, dtype=np.uint8)[None, None, :, None], (1, 30, 1, 3))
    random = rng()
    falling = sum(
        bool(clip[0, 0, 0, 0] > clip[0, 0, -1, 0])
        for clip in (augment(ramp, random, size=10) for _ in range(1000))
    )
    assert 420 < falling < 580
    random = rng()
    for _ in range(50):
        clip = augment(ramp, random, size=10, flip=False)
        assert clip[0, 0, 0, 0] < clip[0, 0, -1, 0]


def test_augment_takes_the_colours_of_a_share_of_the_clips():
    colours, random = noise(frames=2), rng()
    wanted = np.rint(colours[..., :3] @ augmenting.LUMA)
    options = {"size": colours.shape[1:3], "crop": "center", "flip": False}
    grey = 0
    for _ in range(1000):
        clip = augment(colours, random, grey=0.3, **options)
        if not np.array_equal(clip, colours):
            grey += 1
            assert np.abs(clip - wanted[..., None]).max() <= 1
    assert 240 < grey < 360


def test_augment_runs_a_share_of_the_clips_backwards():
    clip, random = noise(frames=5), rng()
    options = {"size": clip.shape[1:3], "crop": "center", "flip": False}
    back = 0
    for _ in range(1000):
        result = augment(clip, random, reverse=0.4, **options)
        if not np.array_equal(result, clip):
            back += 1
            assert np.array_equal(result, clip[::-1])
    assert 340 < back < 460


def test_augment_refuses_an_unknown_crop():
    with pytest.raises(ValueError, match="hara, resized, random, center, received 'corner'"):
        augment(noise(), rng(), size=8, crop="corner")


def flat_batch(batch=6):
    """Clip i is 40 * i everywhere and labelled i."""
    values = (np.arange(batch) * 40).astype(np.uint8)
    return np.broadcast_to(values[:, None, None, None, None], (batch, 2, 16, 16, 3)).copy()


@pytest.mark.parametrize("kind", augmenting.MIXES)
def test_mix_blends_pixels_and_labels_in_the_same_share(kind):
    clips, labels = flat_batch(), np.arange(6)
    mixed, soft = mix(clips, labels, 8, rng(3), kind=kind)
    assert mixed.shape == clips.shape and mixed.dtype == np.uint8
    assert soft.shape == (6, 8) and soft.dtype == np.float32
    assert np.allclose(soft.sum(axis=1), 1)
    # the mean brightness follows from the label's shares: 40 * expected label
    brightness = mixed.mean(axis=(1, 2, 3, 4))
    assert np.allclose(brightness, 40 * (soft @ np.arange(8)), atol=0.51)
    assert (soft.max(axis=1) < 0.99).sum() >= 3
    # every frame is treated alike, and the batch that came is not touched
    assert np.array_equal(mixed[:, 0], mixed[:, 1])
    assert np.array_equal(clips, flat_batch())


def test_cutmix_pastes_one_box():
    mixed, soft = mix(flat_batch(), np.arange(6), 6, rng(3), kind="cutmix")
    for i in range(6):
        foreign = mixed[i, 0, :, :, 0] != 40 * i
        rows, columns = np.flatnonzero(foreign.any(1)), np.flatnonzero(foreign.any(0))
        assert foreign.sum() == len(rows) * len(columns)
        assert soft[i, i] == pytest.approx(1 - foreign.mean())


def test_cutmix_takes_the_drawn_share_of_the_area():
    # a large alpha draws a half, always; a box that the border cuts is smaller
    random = rng()
    shares = [
        1 - soft.max(axis=1)
        for soft in (mix(flat_batch(), np.arange(6), 6, random, kind="cutmix", alpha=1e4)[1]
                     for _ in range(30))
    ]  # fmt: skip
    assert 0.4 < np.max(shares) < 0.5 + 0.07  # a box of 11.3 of 16 pixels is rounded


def test_mix_blends_a_share_of_the_batches_and_leaves_the_others_as_they_are():
    clips, labels, random = flat_batch(), np.arange(6), rng(1)
    blended = 0
    for _ in range(400):
        mixed, soft = mix(clips, labels, 6, random, kind="cutmix", share=0.3)
        if (soft.max(axis=1) < 1).any():
            blended += 1
        else:
            assert np.array_equal(mixed, clips) and np.array_equal(soft, np.eye(6))
    assert 90 <= blended <= 150  # 120 expected, standard deviation 9


def test_mix_refuses_an_unknown_kind():
    with pytest.raises(ValueError, match="received 'blend'"):
        mix(flat_batch(), np.arange(6), 6, rng(), kind="blend")
