"""Memory for clips and batches that is used again once they are dropped.

Fresh memory of megabytes costs the kernel more time than filling it with raw clips, above all
when several threads ask for it at once.
"""

import collections
import math
import mmap
import weakref

import numpy as np

KEPT = 16  # dropped buffers of a size that wait to be used again
_dropped = collections.defaultdict(lambda: collections.deque(maxlen=KEPT))  # size -> buffers


def empty(shape):
    """As `np.empty(shape, np.uint8)`; its memory is used again when no view of it is left."""
    bits = max(math.prod(shape) - 1, 0).bit_length()  # so videos of nearly one size share
    try:
        buffer = _dropped[bits].pop()
    except IndexError:
        # no array: views of the array then keep the array itself, whose end is waited for
        # private, or a forked process would write into the same
        buffer = mmap.mmap(-1, 1 << bits, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    array = np.ndarray(shape, np.uint8, buffer)
    weakref.finalize(array, _dropped[bits].append, buffer).atexit = False
    return array
