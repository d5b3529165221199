"""The compiled entry points of the forest: over rows and trees, without the interpreter's lock.

numba keeps what it compiled as long as this file does not change: touch it after a change in a module that it calls.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from clary.algorithms.anomaly.batch_scoring import score_block, workspace
from clary.algorithms.anomaly.forest import FOREST, NONE, ROWS, inner, kernel
from clary.algorithms.anomaly.sampling import drop, exponential, learn, push, schedule
from clary.algorithms.anomaly.scoring import attribute, displacement, score_rows
from clary.algorithms.anomaly.tree import enclose_path, insert, leaf_of, remove, uniform

BLOCK_BYTES = 768 << 10
"""Rows that are taken through one tree before the next: they stay in a second-level cache of 1 MiB."""
FEW = 64
"""Fewer rows than this are scored row by row; planning a block costs more."""

_INT, _FLOAT, _FLOATS = types.int64, types.float64, types.float64[::1]


@inner
def _block(rows):
    return max(1, min(rows.shape[0], BLOCK_BYTES // (4 * rows.shape[1])))


@kernel(FOREST, ROWS, _FLOATS)
def score(forest, rows, scores):
    """Add the sum of all trees' scores of each row to `scores`."""
    block = _block(rows)
    work = workspace(forest.vectors.shape[1] // 3, block)
    for start in range(0, rows.shape[0], block):
        stop = min(start + block, rows.shape[0])
        for tree in range(forest.root.size):
            if stop - start < FEW:
                score_rows(forest, tree, rows, start, stop, scores)
            else:
                score_block(forest, tree, rows, start, stop, scores, work)


@kernel(FOREST, _INT, _INT, ROWS, _INT, _FLOAT, _FLOATS)
def stream(forest, first, last, rows, index, decay, scores):
    """Take the rows of a stream, the first of which has number `index`, into trees `first` to `last` - 1, one by one.

    Each row's scores before it was learned are added to `scores`.
    """
    block = _block(rows)
    for start in range(0, rows.shape[0], block):
        stop = min(start + block, rows.shape[0])
        for tree in range(first, last):
            row = start
            while row < stop:
                due = forest.due[tree] - index
                end = min(due + 1, stop)
                score_rows(forest, tree, rows, row, end, scores)
                if due < stop:
                    learn(forest, tree, rows, due, index + due, decay)
                row = end


@kernel(FOREST, _INT, _INT, ROWS, types.int64[:, ::1], _INT, _FLOAT)
def plant(forest, first, last, rows, parts, seen, decay):
    """Grow trees `first` to `last` - 1 over their `parts` (trees, points) of the rows: a sample of a stream of `seen` rows."""
    count = parts.shape[1]
    for tree in range(first, last):
        # The keys that a reservoir holds: the smallest of `seen` draws from Exp(1), in ascending order (Renyi),
        # given to its points from one at random on, as several trees may share a part
        draw, shift = 0.0, np.int64(uniform(forest, tree) * count)
        for i in range(count):
            row = parts[tree, (i + shift) % count]
            draw += exponential(forest, tree) / (seen - i)
            push(forest, tree, math.log(draw) - decay * seen, insert(forest, tree, rows, row))
        schedule(forest, tree, seen, decay)


@kernel(FOREST, _INT, _INT, ROWS, _INT, _FLOAT, returns=types.int64)
def forget(forest, first, last, rows, index, decay):
    """Remove one point equal to each row from trees `first` to `last` - 1 that hold one; returns how many were removed."""
    removed = 0
    for tree in range(first, last):
        for row in range(rows.shape[0]):
            if forest.root[tree] == NONE:
                break
            leaf = leaf_of(forest, tree, rows, row)
            if not np.array_equal(forest.vectors[tree, leaf], rows[row]):
                continue
            entry = 0
            while forest.member[tree, entry] != leaf:
                entry += 1
            drop(forest, tree, entry)
            remove(forest, tree, leaf)
            schedule(forest, tree, index, decay)
            removed += 1
    return removed


@kernel(FOREST)
def restore_boxes(forest):
    """Make the boxes of all nodes from the trees' points."""
    capacity = forest.vectors.shape[1] // 3
    for tree in range(forest.root.size):
        for node in range(capacity):
            forest.vectors[tree, capacity + 2 * node] = np.inf
            forest.vectors[tree, capacity + 2 * node + 1] = -np.inf
        for i in range(forest.filled[tree]):
            enclose_path(forest, tree, forest.member[tree, i])


@kernel(FOREST, ROWS, _FLOATS)
def displace(forest, rows, displacements):
    """Add the sum of all trees' expected displacements of each row to `displacements`."""
    for row in range(rows.shape[0]):
        for tree in range(forest.root.size):
            displacements[row] += displacement(forest, tree, rows, row)


@kernel(FOREST, ROWS, types.float64[:, ::1], types.float64[:, ::1])
def explain(forest, rows, low, high):
    """Add all trees' scores of each row to `low` and `high` (rows, columns), by column and side."""
    shares, others = np.empty((2, low.shape[1])), np.empty((2, low.shape[1]), np.float32)
    for row in range(rows.shape[0]):
        for tree in range(forest.root.size):
            attribute(forest, tree, rows, row, low[row], high[row], shares, others)
