"""Predictions of boosted trees from flat node arrays, in the library's own order of operations.

XGBoost adds the leaves of a row in float32, tree after tree, and then transforms the sum with the C library's `expf`; so does
this, operation for operation, which is why the answers agree to the last bit.
"""

from __future__ import annotations

import math

import numba
import numpy as np

NODE = np.dtype([("child", np.int32), ("feature", np.int32), ("threshold", np.float32), ("missing", np.int32)])
"""A node: its left child (the right one follows it), the column it asks, the value that sends a row to the right, and the child
of rows that lack the column. A leaf has `feature` -1 and its value in `threshold`."""

IDENTITY, SIGMOID, EXPONENTIAL, SIGN, PROBABILITIES, CLASS = range(6)
"""What becomes of the sums: nothing, a probability, a positive number, 0 or 1, classes' probabilities, the likeliest class."""

_ONE, _SMALLEST_SUM, _LARGEST_EXPONENT = np.float32(1), np.float32(1e-16), np.float32(88.7)


@numba.njit("float32(float32)", cache=True, nogil=True)
def _probability(margin):
    power = -margin
    if power > _LARGEST_EXPONENT:
        power = _LARGEST_EXPONENT
    return _ONE / (np.float32(math.exp(power)) + _ONE + _SMALLEST_SUM)


@numba.njit("void(float32[::1])", cache=True, nogil=True)
def _to_probabilities(margins):
    largest = margins[0]
    for margin in margins[1:]:
        largest = max(largest, margin)
    total = 0.0
    for group in range(len(margins)):
        margins[group] = np.float32(math.exp(margins[group] - largest))
        total += margins[group]
    for group in range(len(margins)):
        margins[group] /= np.float32(total)


@numba.njit("void(float32[::1], int64)", cache=True, nogil=True)
def _transform(margins, form):
    if form == PROBABILITIES:
        _to_probabilities(margins)
    elif form == CLASS:
        margins[0] = np.float32(margins.argmax())
    elif form == SIGMOID:
        margins[0] = _probability(margins[0])
    elif form == EXPONENTIAL:
        margins[0] = np.float32(math.exp(margins[0]))
    elif form == SIGN:
        margins[0] = np.float32(1.0 if margins[0] > 0 else 0.0)


_NODES = numba.from_dtype(NODE)[::1]


@numba.njit(
    numba.void(numba.float32[:, ::1], _NODES, numba.int32[:, ::1], numba.int64, numba.float32[:, ::1]), cache=True, nogil=True
)
def add_trees(rows, nodes, trees, form, predictions):
    """Add the leaves that `rows` (rows, columns) reach to `predictions` (rows, groups) and transform each row's sums.

    `trees` (trees, 2) are the root of each tree in `nodes` and the group that it adds to. NaN is a missing value.
    """
    for row in range(len(rows)):
        features, sums = rows[row], predictions[row]
        for tree in range(len(trees)):
            node = nodes[trees[tree, 0]]
            while node.feature >= 0:
                value = features[node.feature]
                lacking = value != value
                node = nodes[node.missing if lacking else node.child + (not value < node.threshold)]
            sums[trees[tree, 1]] += node.threshold
        _transform(sums, form)
