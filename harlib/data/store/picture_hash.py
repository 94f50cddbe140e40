"""64 bits that say what a picture looks like, and which of many are nearly the same."""

from itertools import combinations

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

_SIDE = 32  # pixels that are looked at
_BLOCKS = 8  # a hash's bytes
_FLAT = 6.0  # grey levels of spread below which a picture shows nothing: black, a title's ground
_MOST = 8  # pictures of one bucket that each is compared with


def hashes(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(each picture's hash, uint64 (frames,); whether it shows anything, bool (frames,)).

    The signs of the 8 × 8 lowest frequencies around their median: what re-encoding, scaling and a
    change of brightness leave as it was. A mirrored or cropped picture has another one.

    Args:
        frames: uint8 (frames, height, width, 3).

    Reference:
        Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010 (pHash).
    """
    found = np.zeros(len(frames), np.uint64)
    shows = np.zeros(len(frames), bool)
    for number, frame in enumerate(frames):
        grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        low = cv2.dct(small)[:8, :8].ravel()
        found[number] = np.packbits(low > np.median(low)).view(np.uint64)[0]
        shows[number] = small.std() >= _FLAT
    return found, shows


def alike(values: np.ndarray, radius: int) -> np.ndarray:
    """Numbers of the pieces that hashes make, int (hashes,): chains of nearly the same ones.

    Two are so when they differ in at most `radius` bits. At least 8 - radius of their bytes are
    equal then, so it is enough to compare those that share a choice of so many. Each is compared
    with the next 8 of these in the order of the values: time grows with the number of hashes,
    however alike they are. Where more are, chains of others join what was not compared.

    Args:
        values: uint64 (hashes,), sorted and without repetitions.
        radius: 0 to 6.

    Reference:
        Manku, Jain, Das Sarma, Detecting Near-Duplicates for Web Crawling, WWW 2007 (section 3);
        Norouzi, Punjani, Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012.
    """
    piece = np.arange(len(values))
    for kept in combinations(range(_BLOCKS), _BLOCKS - radius):
        keys = values & np.uint64(sum(0xFF << 8 * block for block in kept))
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        rows, found = np.arange(len(keys)), []
        for step in range(1, _MOST + 1):
            rows = rows[rows < len(keys) - step]
            rows = rows[keys[rows] == keys[rows + step]]
            if not len(rows):
                break
            one, two = order[rows], order[rows + step]
            apart = piece[one] != piece[two]
            one, two = one[apart], two[apart]
            close = np.bitwise_count(values[one] ^ values[two]) <= radius
            found.append((piece[one[close]], piece[two[close]]))
        if any(len(one) for one, _ in found):
            one, two = map(np.concatenate, zip(*found, strict=True))
            piece = joined(one, two, len(values))[piece]
    return piece


def joined(one: np.ndarray, two: np.ndarray, size: int) -> np.ndarray:
    """The number of each thing's piece, int (size,): `one` and `two` are the ends of links."""
    links = sparse.coo_array((np.ones(len(one), bool), (one, two)), (size, size))
    return csgraph.connected_components(links, directed=False)[1]
