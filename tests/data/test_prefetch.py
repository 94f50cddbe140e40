import grain
import numpy as np
import psutil
import pytest
from fake_store import FakeStore
from reading_left import nothing_left  # noqa: F401 (used by every test)
from stores import make

from harlib.data import (
    Augmentation,
    ClipSpec,
    Protocol,
    ReadError,
    evaluation_batches,
    iterate,
    training_batches,
)
from harlib.data.loading.batches import steps_per_epoch
from harlib.data.store.clip_store import ClipStore

LENGTHS = [20, 5, 40, 17, 30, 16, 50]


def training(**options):
    return training_batches(FakeStore(LENGTHS, **options), ClipSpec(4, size=8), batch=3)


@pytest.mark.parametrize("workers, start, stop", [(1, 0, 5), (2, 7, 20), (3, 0, 2)])
def test_workers_and_resuming_do_not_change_the_order(workers, start, stop):
    dataset = training()
    read = list(iterate(dataset, start=start, stop=stop, workers=workers))
    assert len(read) == stop - start
    for i, (clips, labels) in enumerate(read, start):
        assert np.array_equal(clips, dataset[i][0]) and np.array_equal(labels, dataset[i][1])
        assert clips.flags.writeable


@pytest.mark.parametrize("prefetch", [1, 5, 700])
def test_what_is_read_ahead_does_not_change_the_order(prefetch):
    dataset = evaluation_batches(
        FakeStore(LENGTHS * 90), ClipSpec(size=8), Protocol("train"), batch=1
    )
    for i, element in enumerate(iterate(dataset, workers=2, prefetch=prefetch)):
        assert all(np.array_equal(element[name], dataset[i][name]) for name in element)
    assert i == 629


def thrice(number):
    return number % 3 == 0


@pytest.mark.parametrize("readers", [{"threads": 2}, {"workers": 2}])
def test_what_a_filter_leaves_out_does_not_come(readers):
    dataset = grain.MapDataset.range(10).filter(thrice)
    assert list(iterate(dataset, **readers)) == [0, 3, 6, 9]


def test_an_error_in_a_worker_names_the_video_and_stops_the_workers():
    with pytest.raises(ReadError, match="video 'video_4' .* OSError: 12 bytes missing"):
        list(iterate(training(broken=[4]), stop=30, workers=2))


def tree_memory():
    """Resident bytes of this process and its children, shared memory counted once."""
    here = psutil.Process()
    infos = [process.memory_info() for process in (here, *here.children())]
    return sum(info.rss - info.shared for info in infos) + max(info.shared for info in infos)


@pytest.mark.soak
@pytest.mark.parametrize("readers", [{"workers": 2}, {"threads": 2}])
@pytest.mark.parametrize("codec", ["raw", "jpeg", "h264"])
def test_fifty_epochs_keep_their_memory(write_videos, tmp_path, codec, readers):
    make(write_videos(count=60), tmp_path, codec=codec, size=128)
    store = ClipStore(tmp_path)
    steps = steps_per_epoch(store, "train", 20)
    dataset = training_batches(store, ClipSpec(), Augmentation(color=0.2), batch=20)
    resident = []
    for i, _ in enumerate(iterate(dataset, stop=60 * steps, **readers)):
        if i >= 10 * steps:  # after ten epochs everything is imported, mapped and cached
            resident.append(tree_memory())
    tenth = len(resident) // 10
    assert len(resident) == 50 * steps
    assert np.median(resident[-tenth:]) < 1.02 * np.median(resident[:tenth])
