import os
import threading

import numpy as np
import pytest

from harlib.data import buffers

pytestmark = pytest.mark.quick
SHAPE = (3, 5, 7)


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture(autouse=True)
def none_waiting():
    buffers._dropped.clear()


def test_dropped_memory_is_used_again_for_any_shape_of_about_the_size():
    one = buffers.empty(SHAPE)
    assert one.shape == SHAPE and one.dtype == np.uint8
    assert one.flags.c_contiguous and one.flags.writeable
    place = address(one)
    del one
    assert address(buffers.empty((100,))) == place  # both need 128 bytes
    assert buffers.empty((0, 4)).shape == (0, 4)


@pytest.mark.parametrize(
    "view", [lambda a: a[1:, ::2], lambda a: a.reshape(-1)[3:], lambda a: memoryview(a[2])]
)
def test_memory_that_a_view_still_shows_is_not_given_away(view):
    array = buffers.empty(SHAPE)
    array[:] = 1
    kept = view(array)
    del array
    buffers.empty(SHAPE)[:] = 2
    assert (np.asarray(kept) == 1).all()


def test_little_memory_waits():
    arrays = [buffers.empty(SHAPE) for _ in range(3 * buffers.KEPT)]
    arrays.clear()
    (waiting,) = buffers._dropped.values()
    assert len(waiting) == buffers.KEPT


def test_threads_never_share_memory():
    wrong = []

    def use(number):
        for _ in range(2000):
            array = buffers.empty(SHAPE)
            array[:] = number
            if (array != number).any():
                wrong.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_forked_process_has_memory_of_its_own():
    buffers.empty(SHAPE)[:] = 1  # dropped: both processes take it again
    child = os.fork()
    if not child:
        buffers.empty(SHAPE)[:] = 2
        os._exit(0)
    os.waitpid(child, 0)
    assert (buffers.empty(SHAPE) == 1).all()


@pytest.mark.parametrize("system", ["linux", "another"])
def test_shared_memory_is_a_file_without_a_name(monkeypatch, system):
    if system == "another":
        monkeypatch.delattr(os, "memfd_create")
    alone = buffers.empty(SHAPE)
    for name, value in {"_sharing": False, "_shared": {}}.items():
        monkeypatch.setattr(buffers, name, value)
    buffers.share()
    try:
        array = buffers.empty(SHAPE)
        array[:] = 7
        file, begin = buffers.place(array[1:])
        assert begin == array[0].size and buffers.place(alone) is None
        assert os.pread(file, 3, begin) == b"\7\7\7" and os.fstat(file).st_nlink == 0
        os.pwrite(file, b"\1", begin)
        assert array[1, 0, 0] == 1
    finally:
        os.close(file)
        buffers._dropped.clear()


def test_all_shared_memory_waits(monkeypatch):
    for name, value in {"_sharing": False, "_shared": {}}.items():
        monkeypatch.setattr(buffers, name, value)
    buffers.share()
    try:
        arrays = [buffers.empty(SHAPE) for _ in range(3 * buffers.KEPT)]
        arrays.clear()
        assert len(buffers._shared) == len(buffers._dropped[7]) == 3 * buffers.KEPT
    finally:
        for file in buffers._shared:
            os.close(file)
        buffers._dropped.clear()
