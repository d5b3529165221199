"""A sliding window of points and which of them are close: a bit per pair, kept up to date as points come and go."""

from __future__ import annotations

import numpy as np
from numba import njit, types

_POINTS, _LINKS = types.float64[:, ::1], types.uint64[:, ::1]
_1, _63 = np.uint64(1), np.uint64(63)


@njit(types.void(_POINTS, _LINKS, types.int64, types.int64, types.float64), cache=True, nogil=True)
def link(points, links, filled, place, radius):
    """Renew row and column `place` of `links` (window, words): bit j of row i says that points i and j are within `radius`.

    `points` is (window, columns), of which the first `filled` are set. Every point is linked to itself.
    """
    word, bit = place >> 6, _1 << (np.uint64(place) & _63)
    links[place] = 0
    for j in range(filled):
        distance = 0.0
        for c in range(points.shape[1]):
            distance += (points[place, c] - points[j, c]) ** 2
        if distance <= radius * radius:
            links[place, j >> 6] |= _1 << (np.uint64(j) & _63)
            links[j, word] |= bit
        else:
            links[j, word] &= ~bit


@njit(types.int64(_LINKS, types.int64, types.int64[::1]), cache=True, nogil=True)
def components(links, filled, labels):
    """Number the groups of points that are connected by links into `labels[:filled]`; returns how many there are."""
    words = links.shape[1]
    waiting = np.empty(filled, np.int64)
    unseen = np.zeros(words, np.uint64)
    for i in range(filled):
        unseen[i >> 6] |= _1 << (np.uint64(i) & _63)
    groups = 0
    for first in range(filled):
        if not (unseen[first >> 6] >> (np.uint64(first) & _63)) & _1:
            continue
        unseen[first >> 6] &= ~(_1 << (np.uint64(first) & _63))
        waiting[0] = first
        count = 1
        while count > 0:
            count -= 1
            point = waiting[count]
            labels[point] = groups
            for word in range(words):
                new = links[point, word] & unseen[word]
                unseen[word] &= ~new
                place = word << 6
                while new:
                    if new & _1:
                        waiting[count] = place
                        count += 1
                    new >>= _1
                    place += 1
        groups += 1
    return groups
