import os
import threading

import numpy as np
import pytest

from harlib.data import memory

pytestmark = pytest.mark.quick
SHAPE = (3, 5, 7)


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture(autouse=True)
def none_waiting():
    memory._dropped.clear()


def test_dropped_memory_is_used_again_for_any_shape_of_about_the_size():
    one = memory.empty(SHAPE)
    assert one.shape == SHAPE and one.dtype == np.uint8
    assert one.flags.c_contiguous and one.flags.writeable
    place = address(one)
    del one
    assert address(memory.empty((100,))) == place  # both need 128 bytes
    assert memory.empty((0, 4)).shape == (0, 4)


@pytest.mark.parametrize(
    "view", [lambda a: a[1:, ::2], lambda a: a.reshape(-1)[3:], lambda a: memoryview(a[2])]
)
def test_memory_that_a_view_still_shows_is_not_given_away(view):
    array = memory.empty(SHAPE)
    array[:] = 1
    kept = view(array)
    del array
    memory.empty(SHAPE)[:] = 2
    assert (np.asarray(kept) == 1).all()


def test_little_memory_waits():
    arrays = [memory.empty(SHAPE) for _ in range(3 * memory.KEPT)]
    arrays.clear()
    (waiting,) = memory._dropped.values()
    assert len(waiting) == memory.KEPT


def test_threads_never_share_memory():
    wrong = []

    def use(number):
        for _ in range(2000):
            array = memory.empty(SHAPE)
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
    memory.empty(SHAPE)[:] = 1  # dropped: both processes take it again
    child = os.fork()
    if not child:
        memory.empty(SHAPE)[:] = 2
        os._exit(0)
    os.waitpid(child, 0)
    assert (memory.empty(SHAPE) == 1).all()
