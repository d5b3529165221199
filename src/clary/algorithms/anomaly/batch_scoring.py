"""Scores of many rows by a tree that does not change: node after node instead of row after row.

All rows of a block go down the tree together, sorted by the cuts as by quicksort's pivots, and come up together: a node's box
is read once for all rows that still leave the boxes below it, four rows at a time. Nodes are taken level by level, so that
the next ones are known, and fetched, while one is worked on. The scores are those of `scoring.score_rows`, bit by bit.
"""

from __future__ import annotations

import math

import numpy as np

from clary.algorithms.anomaly.forest import NONE, inlined, inner
from clary.algorithms.anomaly.scoring import seen
from clary.algorithms.anomaly.simd import LANES, outside, outside_4
from clary.algorithms.vectors import prefetch

AHEAD = 6
"""Nodes between the one whose box is fetched and the one that is worked on."""
# Indices are unsigned, which spares the compiler Python's negative ones: a third of the time of `_descend`
_0, _1, _2, _3, _4 = (np.uint64(i) for i in range(5))


@inner
def workspace(capacity, block):
    """Memory for `score_block`: the rows of a block in order, room to change it, a score per row, a few numbers per node."""
    return (
        np.empty(block, np.uint32),
        np.empty(block, np.uint32),
        np.empty(block, np.float64),
        np.empty((2 * capacity, 4), np.int64),
    )


@inner
def score_block(forest, tree, rows, start, stop, scores, work):
    """Add the tree's scores of `rows[start:stop]` to `scores[start:stop]`; `work` is a `workspace` for so many rows."""
    if forest.root[tree] == NONE:
        return
    order, aside, values, plan = work
    steps = _descend(forest, tree, rows, start, stop - start, order, aside, plan)
    _ascend(forest, tree, rows, start, order, values, plan, steps)
    factor = math.log2(forest.mass[tree, forest.root[tree]] + 1.0)
    for i in range(stop - start):
        scores[start + i] += factor * values[i]


@inner
def _descend(forest, tree, rows, start, count, order, aside, plan):
    """Sort the rows by the leaf they reach; returns how many nodes rows reach.

    `order` gets the rows, leaf after leaf. `plan` gets, in columns 0 and 1, those nodes, level by level, and their depths;
    in columns 2 and 3, by node, the range of its rows in `order`.
    """
    column, cut, child = forest.column[tree], forest.cut[tree], forest.child[tree]
    capacity, root = forest.vectors.shape[1] // 3, forest.root[tree]
    values, width = rows.ravel(), np.uint64(rows.shape[1])
    base = np.uint64(start) * width
    for i in range(count):
        order[i] = i
    plan[0, 0], plan[0, 1], plan[root, 2], plan[root, 3] = root, 0, 0, count
    step, steps = 0, 1
    while step < steps:
        node, depth = plan[step, 0], plan[step, 1]
        step += 1
        if node < capacity:
            continue
        first, end = plan[node, 2], plan[node, 3]
        middle = _part(values, base + np.uint64(column[node]), width, cut[node], order, aside, first, end)
        left, right = child[node, 0], child[node, 1]
        plan[left, 2], plan[left, 3], plan[right, 2], plan[right, 3] = first, middle, middle, end
        for below in (left, right):
            if plan[below, 2] < plan[below, 3]:
                plan[steps, 0], plan[steps, 1] = below, depth + 1
                steps += 1
    return steps


@inlined
def _part(values, place, width, cut, order, aside, first, end):
    """Move those of `order[first:end]` whose value, at `place` in their row, is above the cut behind the others.

    Returns where they begin. Rows keep their order; no jump depends on a value.
    """
    left, right = np.uint64(first), _0
    for j in range(np.uint64(first), np.uint64(end)):
        row = order[j]
        above = np.uint64(values[np.uint64(row) * width + place] > cut)
        order[left] = aside[right] = row
        right += above
        left += _1 - above
    for j in range(right):
        order[left + j] = aside[j]
    return np.int64(left)


@inner
def _ascend(forest, tree, rows, start, order, values, plan, steps):
    """Scores without the tree's factor into `values`, from the leaves to the root.

    The range of a node in `order` becomes the rows that leave its box, those of its left child before those of its right.
    """
    capacity, total = forest.vectors.shape[1] // 3, forest.mass[tree, forest.root[tree]]
    vectors, child, mass, side = forest.vectors, forest.child[tree], forest.mass[tree], forest.side[tree]
    first, width = tree * vectors.shape[1], np.uint64(rows.shape[1])
    base = np.uint64(start) * width
    for step in range(steps - 1, -1, -1):
        if step >= AHEAD:
            _fetch(vectors, first, plan[step - AHEAD, 0], capacity)
        node, depth = plan[step, 0], plan[step, 1]
        unseen = 1.0 / (depth + 1)
        if node < capacity:
            point = np.uint64(first + node) * width
            equal = seen(mass[node], total, depth)
            plan[node, 3] = _leave_point(vectors, point, rows, base, order, values, plan[node, 2], plan[node, 3], equal, unseen)
        else:
            box = np.uint64(first + 2 * node - capacity) * width
            left, right = child[node, 0], child[node, 1]
            _close_gap(order, plan[left, 3], plan[right, 2], plan[right, 3])
            end = plan[left, 3] + plan[right, 3] - plan[right, 2]
            plan[node, 3] = _leave_box(vectors, box, side[node], rows, base, order, values, plan[node, 2], end, unseen)


@inlined
def _fetch(vectors, first, node, capacity):
    """Have a node's box fetched into the cache, without waiting for it."""
    width = vectors.shape[2]
    place = (first + (node if node < capacity else 2 * node - capacity)) * width
    for c in range(0, width if node < capacity else 2 * width, LANES):
        prefetch(vectors, place + c)


@inlined
def _close_gap(order, end, start, stop):
    """Move `order[start:stop]` to `end`, which is not behind it."""
    if end < start:
        for j in range(stop - start):
            order[end + j] = order[start + j]


@inlined
def _leave_point(vectors, point, rows, base, order, values, first, end, equal, unseen):
    """Score rows at their leaf; returns where those that differ from it end, which come first in `order[first:end]` then."""
    width, kept = np.uint64(rows.shape[1]), np.uint64(first)
    for j in range(np.uint64(first), np.uint64(end)):
        row = np.uint64(order[j])
        beyond = outside(vectors, point, point, rows, base + row * width, width)
        values[row] = unseen if beyond > 0 else equal
        order[kept] = row
        kept += np.uint64(beyond > 0)
    return np.int64(kept)


@inlined
def _leave_box(vectors, box, sides, rows, base, order, values, first, end, unseen):
    """Raise the scores of rows at an inner node; returns where those that leave its box end, as `_leave_point`."""
    width, kept, j = np.uint64(rows.shape[1]), np.uint64(first), np.uint64(first)
    while j + _3 < np.uint64(end):
        four = np.uint64(order[j]), np.uint64(order[j + _1]), np.uint64(order[j + _2]), np.uint64(order[j + _3])
        places = base + four[0] * width, base + four[1] * width, base + four[2] * width, base + four[3] * width
        beyond = outside_4(vectors, box, box + width, rows, places, width)
        for i in range(4):
            kept = _blend(order, values, four[i], beyond[i], sides, unseen, kept)
        j += _4
    while j < np.uint64(end):
        row = np.uint64(order[j])
        beyond_1 = outside(vectors, box, box + width, rows, base + row * width, width)
        kept = _blend(order, values, row, beyond_1, sides, unseen, kept)
        j += _1
    return np.int64(kept)


@inlined
def _blend(order, values, row, beyond, sides, unseen, kept):
    """A row's score one node up, where it lies `beyond` outside of the box; returns the new end of the rows that leave it."""
    values[row] += np.float64(beyond / (beyond + sides)) * (unseen - values[row])
    order[kept] = row
    return kept + np.uint64(beyond > 0)
