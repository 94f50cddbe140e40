import itertools
import pickle
import subprocess
import sys
from collections import Counter

import asked
import cv2
import grain
import numpy as np
import pytest
from fake_store import FakeStore

from harlib.data import ReadError, evaluation_batches, iterate, training_batches
from harlib.data.catalog.catalog import Catalog
from harlib.data.loading import sampling
from harlib.data.loading.batches import shown_clips, steps_per_epoch
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import prepare
from harlib.data.video.files import encode

pytestmark = pytest.mark.quick
LENGTHS = [20, 5, 40, 17, 30, 16, 50]


def training(store=None, **options):
    options = {"batch": 3, "frames": 4, "size": 8, **options}
    clip, augmentation, rest = asked.training(options)
    return training_batches(store or FakeStore(LENGTHS), clip, augmentation, **rest)


def evaluation(store=None, **options):
    options = {"split": "train", "batch": 4, "frames": 4, "size": 8, **options}
    clip, protocol, rest = asked.scoring(options)
    return evaluation_batches(store or FakeStore(LENGTHS), clip, protocol, **rest)


def videos_of(dataset, steps):
    """The rows of the first steps' clips, as their red channel tells."""
    return np.concatenate([dataset[i][0][:, 0, 0, 0, 0] for i in range(steps)])


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# ---------------------------------------------------------------------------------- training


def test_a_training_batch_has_the_promised_shapes_and_kinds():
    clips, labels = training(size=(6, 8))[0]
    assert clips.shape == (3, 4, 6, 8, 3) and clips.dtype == np.uint8
    assert labels.shape == (3,) and labels.dtype == np.int32
    assert np.array_equal(labels, clips[:, 0, 0, 0, 0] % 3)


def test_every_video_comes_once_an_epoch_in_a_new_order():
    # 7 videos in batches of 3: batches straddle the epochs, 7 batches are 3 epochs
    epochs = videos_of(training(), 7).reshape(3, 7)
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 3


def test_neighbouring_seeds_share_no_order():
    store = FakeStore([10] * 30)
    orders = [
        tuple(epoch)
        for seed in range(4)
        for epoch in videos_of(training(store, seed=seed, batch=30), 4).reshape(4, 30).tolist()
    ]
    assert len(set(orders)) == 16


def test_steps_per_epoch_cover_every_video():
    store = FakeStore(LENGTHS)
    assert [steps_per_epoch(store, "train", batch) for batch in (1, 3, 7, 50)] == [7, 3, 1, 1]
    assert set(videos_of(training(), 3)) == set(range(7))


def test_what_is_shown_of_a_video_is_what_training_gets():
    options = dict(color=0.3, mix="cutmix", seed=5)
    row, clips, labels = _shown(video=3, times=3, **options)
    assert row == 3 and clips.shape[:2] == (3, 4) and labels.shape == (3, 3)
    batches = [training(batch=7, **options)[epoch] for epoch in range(3)]  # an epoch each
    for clip, label, (every, theirs) in zip(clips, labels, batches, strict=True):
        place = next(n for n, one in enumerate(every) if np.array_equal(one, clip))
        assert np.array_equal(theirs[place], label) and label[0] > 0  # of category 0


def test_the_video_shown_by_default_is_the_first_and_balance_may_show_it_less_often():
    store = FakeStore([10] * 21, categories=1)
    store.videos.loc[0, "label"] = 1
    store.categories.append("rare")
    row, clips, labels = _shown(store=store, times=2, balanced=True)
    assert row == training(store, batch=1, balanced=True)[0][0][0, 0, 0, 0, 0]
    assert len(clips) == len(labels) == 2
    with pytest.raises(ValueError, match="video 99 is none of the split"):
        _shown(video=99)


def _shown(store=None, video=None, times=2, **options):
    options = {"batch": 7, "frames": 4, "size": 8, **options}
    clip, augmentation, rest = asked.training(options)
    store = store or FakeStore(LENGTHS)
    return shown_clips(store, clip, augmentation, video=video, times=times, **rest)


def test_an_element_is_a_pure_function_of_seed_and_position():
    options = dict(color=0.3, jitter=0.2, seed=5)
    dataset = training(**options)
    forwards = [dataset[i] for i in range(6)]
    backwards = [training(**options)[i] for i in reversed(range(6))][::-1]
    assert all(same(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert not same(forwards[0], training(**{**options, "seed": 6})[0])
    # the same video in another epoch is another clip
    epochs = [training(batch=7, **options)[i] for i in range(2)]
    by_video = [epoch[0][np.argsort(epoch[1])] for epoch in epochs]
    assert not np.array_equal(*by_video)


def test_the_stream_of_clips_does_not_depend_on_the_batch_size():
    small, large = training(batch=2), training(batch=6)
    assert np.array_equal(np.concatenate([small[i][0] for i in range(3)]), large[0][0])


def test_slices_and_grain_itself_give_the_same_elements():
    dataset = training()
    assert isinstance(dataset, grain.MapDataset) and len(dataset) > 1e18
    assert same(dataset[10:][3], dataset[13])
    ahead = iter(dataset[2:5].to_iter_dataset(grain.ReadOptions(2, 4)))
    assert all(same(a, dataset[i]) for i, a in enumerate(ahead, 2))


def test_clips_are_neighbouring_frames_or_one_of_each_segment():
    store = FakeStore([40])
    for i in range(20):
        frames = training(store, batch=1, stride=2)[i][0][0, :, 0, 0, 1]
        assert np.array_equal(np.diff(frames), [2, 2, 2])
        frames = training(store, batch=1, sampling="segments")[i][0][0, :, 0, 0, 1]
        assert np.array_equal(frames // 10, [0, 1, 2, 3])


def test_fps_samples_at_the_wanted_rate():
    frames = training(FakeStore([40]), batch=1, fps=10)[0][0][0, :, 0, 0, 1]
    assert np.array_equal(np.diff(frames), [3, 3, 3])  # the fake's videos have 30 a second


def test_crop_and_flip_reach_the_pixels():
    centre = training(FakeStore([9] * 7, width=16), size=16, crop="center", flip=False)
    assert (centre[0][0][..., 2] == np.arange(16)).all()
    flipped = training(FakeStore([9] * 7, width=16), size=16, crop="center", flip=True)
    first = [clip[0, 0, 0, 2] for i in range(40) for clip in flipped[i][0]]
    assert set(first) == {0, 15} and 40 < first.count(15) < 80


def test_shuffled_labels_are_one_permutation_for_all_epochs():
    store = FakeStore([9] * 30)
    given = {}
    dataset = training(store, batch=10, shuffle_labels=True)
    for i in range(9):
        clips, labels = dataset[i]
        for row, label in zip(clips[:, 0, 0, 0, 0].tolist(), labels.tolist(), strict=True):
            assert given.setdefault(row, label) == label
    assert Counter(given.values()) == {0: 10, 1: 10, 2: 10}
    kept = sum(label == row % 3 for row, label in given.items())
    assert kept < 20  # a third by chance


def test_balanced_epochs_show_every_category_equally_often():
    store = FakeStore([9] * 12)
    store.videos["label"] = [0] * 9 + [1] * 3
    dataset = training(store, batch=12, balanced=True)
    for i in range(3):
        assert Counter(dataset[i][1].tolist()) == {0: 6, 1: 6}
    assert set(videos_of(dataset, 10)) == set(range(12))


def test_mix_gives_soft_labels_that_follow_position():
    dataset = training(mix="mixup")
    clips, labels = dataset[4]
    assert labels.shape == (3, 3) and labels.dtype == np.float32
    assert np.allclose(labels.sum(axis=1), 1) and (labels.max(axis=1) < 1).any()
    assert same(dataset[4], training(mix="mixup")[4])


def test_a_share_of_the_batches_is_mixed():
    labels = [training(mix="cutmix", mix_share=0.5)[i][1] for i in range(60)]
    assert 15 <= sum((rows.max(axis=1) < 1).any() for rows in labels) <= 45


@pytest.mark.parametrize(
    "options",
    [{}, dict(mix="mixup"), dict(mix="cutmix"), dict(mix="cutmix", mix_share=0.5)],
    ids=str,
)
def test_parts_of_a_batch_are_the_whole(options):
    options = dict(batch=6, color=0.2, **options)
    whole = training(**options)
    parts = [training(part=(number, 3), **options) for number in range(3)]
    for i in range(6):
        clips, labels = zip(*(part[i] for part in parts), strict=True)
        assert [len(c) for c in clips] == [2, 2, 2]
        assert same((np.concatenate(clips), np.concatenate(labels)), whole[i])


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(batch=0), "batch must be an integer of 1 or more, received 0"),
        (dict(batch=2.5), "received 2.5"),
        (dict(seed=-1), "seed must be 0 or more, received -1"),
        (dict(crop="corner"), "crop must be one of hara"),
        (dict(sampling="dense"), "sampling must be one of clip, segments, received 'dense'"),
        (dict(mix="blend"), "received 'blend'"),
        (
            dict(mix="mixup", mix_share=0),
            "mix_share must be above 0, .* received 0 with mix='mixup'",
        ),
        (dict(mix="mixup", mix_share=1.1), "received 1.1"),
        (dict(mix_share=0.5), "1 without a mix, received 0.5 with mix=''"),
        (dict(mix="mixup", batch=1), "blends two clips of a batch, received batch=1"),
        (dict(batch=3, part=(0, 2)), "part 0 of 2: a batch of 3 clips"),
        (dict(batch=4, part=(2, 2)), "part 2 of 2"),
        (dict(split="val"), "no video of split 'val'; its splits: train"),
    ],
)
def test_wrong_options_are_refused_before_training(options, message):
    with pytest.raises(ValueError, match=message):
        training(**options)


# -------------------------------------------------------------------------------- evaluation


@pytest.mark.parametrize("clips, crops", [(1, 1), (3, 1), (2, 3), (1, 5)])
def test_evaluation_gives_every_view_once(clips, crops):
    dataset = evaluation(clips=clips, crops=crops)
    elements = list(iterate(dataset))
    assert len(elements) == len(dataset) == -(-7 * clips * crops // 4)
    video = np.concatenate([e["video"] for e in elements])
    view = np.concatenate([e["view"] for e in elements])
    assert list(zip(video, view, strict=True)) == list(
        itertools.product(range(7), range(clips * crops))
    )
    pixels = np.concatenate([e["clips"] for e in elements])
    assert pixels.shape == (7 * clips * crops, 4, 8, 8, 3)
    assert np.array_equal(pixels[:, 0, 0, 0, 0], video)
    assert np.array_equal(np.concatenate([e["label"] for e in elements]), video % 3)
    assert {e[name].dtype for e in elements for name in ("video", "view", "label")} == {
        np.dtype(np.int32)
    }


def test_views_are_the_clips_and_crops_of_sampling():
    store = FakeStore([30], height=8, width=14)
    element = evaluation(store, batch=6, clips=2, crops=3)[0]
    starts = element["clips"][:, 0, 0, 0, 1].tolist()
    lefts = element["clips"][:, 0, 0, 0, 2].tolist()
    assert starts == [0, 0, 0, 26, 26, 26]
    assert lefts == [0, 3, 6, 0, 3, 6]


def test_windows_give_long_videos_more_views():
    dataset = evaluation(clips="windows", crops=1)
    elements = [dataset[i] for i in range(len(dataset))]
    counts = Counter(np.concatenate([e["video"] for e in elements]).tolist())
    assert counts == {row: -(-length // 4) for row, length in enumerate(LENGTHS)}
    last = elements[-1]["clips"][-1, :, 0, 0, 1]
    assert last.tolist() == sampling.windows(50, 4)[-1].tolist() == [48, 49, 48, 49]


def test_evaluation_samples_segments():
    element = evaluation(FakeStore([40]), sampling="segments", clips=2)[0]
    frames = element["clips"][:, :, 0, 0, 1]
    assert frames.tolist() == [[2, 12, 22, 32], [7, 17, 27, 37]]


def test_the_crops_of_a_clip_are_read_once():
    store = FakeStore(LENGTHS)
    dataset = evaluation(store, batch=8, clips=2, crops=3)
    assert dataset[0]["video"].tolist() == [0] * 6 + [1] * 2
    assert store.reads == [0, 0, 1]


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(clips=0), "clips must be an integer of 1 or more, received 0"),
        (dict(crops=2), "crops must be 1, 3 or 5, received 2"),
        (dict(clips="windows", sampling="segments"), 'needs sampling="clip"'),
        (dict(split="test"), "no video of split 'test'"),
    ],
)
def test_wrong_evaluation_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        evaluation(**options)


# ------------------------------------------------------------------------------- both, reading


@pytest.mark.parametrize("threads", [0, 1, 2, 8])
@pytest.mark.parametrize("start, stop", [(0, 9), (5, 9), (4, 4)])
def test_threads_and_resuming_do_not_change_the_order(threads, start, stop):
    dataset = training(color=0.2)
    read = list(iterate(dataset, start=start, stop=stop, threads=threads))
    assert len(read) == stop - start
    assert all(same(element, dataset[i]) for i, element in enumerate(read, start))


def test_an_unreadable_video_is_named():
    store = FakeStore(LENGTHS, broken=[4])
    message = r"video 'video_4' \(train, category 1, row 4\) .* OSError: 12 bytes missing"
    with pytest.raises(ReadError, match=message):
        list(iterate(training(store), stop=3))
    with pytest.raises(ReadError, match=message):
        list(iterate(evaluation(store), threads=0))


def test_a_dataset_survives_pickling_after_use():
    dataset = training()
    first = dataset[0]
    assert same(pickle.loads(pickle.dumps(dataset[0:9]))[0], first)


def test_readers_keep_opencv_to_one_thread():
    cv2.setNumThreads(4)
    evaluation()[0]
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize("codec", ["raw", "jpeg", "h264"])
def test_a_prepared_store_becomes_batches(tmp_path, codec):
    ramp = np.linspace(0, 255, 40).astype(np.uint8)[None, None, :, None]
    for number, name in enumerate(("bow", "wave", "bow", "wave")):
        frames = np.broadcast_to(ramp // (1 + number % 2), (12 + number, 32, 40, 3)).copy()
        path = tmp_path / "videos" / ("train" if number < 2 else "val") / name / f"{number}.mp4"
        path.parent.mkdir(parents=True)
        encode(path, frames, 25)
    catalog = Catalog.from_folder(tmp_path / "videos")
    prepare(catalog, tmp_path / "store", codec=codec, size=32, workers=1, progress=False)
    store = ClipStore(tmp_path / "store")

    centred = training(store, batch=2, size=24, crop="random", flip=False)
    element = evaluation(store, split="val", size=32, clips=2)[0]
    assert element["label"].tolist() == [0, 0, 1, 1]
    numbers = sampling.uniform_clips(14, 4, 1, 2)[1]
    whole = store.read(element["video"][1], numbers)
    assert np.array_equal(element["clips"][1], whole[:, :, 4:36])
    for clips, labels in iterate(centred, stop=4):
        # wave is half as bright as bow, and the ramp rises in every cut
        assert (np.diff(clips.mean(axis=(1, 2, 4)), axis=1) > 0).all()
        assert (clips[..., -1, :].mean(axis=(1, 2, 3)) > 130).tolist() == (labels == 0).tolist()


def test_negative_readers_are_refused():
    with pytest.raises(ValueError, match="workers must be 0 or more, received -1"):
        iterate(training(), workers=-1)


def test_without_jax_grain_does_not_complain():
    """The base installation has no JAX; Grain's warning would head every notebook."""
    code = "import sys; sys.modules['jax'] = None\nimport harlib.data.loading.batches"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "profiler" not in done.stdout + done.stderr
