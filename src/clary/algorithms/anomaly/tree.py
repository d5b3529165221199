"""Insert and remove points of one random cut tree (Guha et al., Robust Random Cut Forest, ICML 2016, algorithms 1 and 2).

The tree over S after `insert(p)` is distributed as one that was cut over S and p at once, and after `remove(p)` as one cut
without p (theorems 3 and 4 there), so a forest is grown by inserting and needs no other construction.
"""

from __future__ import annotations

import numpy as np

from clary.algorithms.anomaly.forest import NONE, borrowed
from clary.algorithms.anomaly.simd import enclose, outside, unite

LEAF, INNER = 0, 1


@borrowed
def uniform(forest, tree):
    """A random number in [0, 1) from the tree's own generator (SplitMix64)."""
    forest.random[tree] += np.uint64(0x9E3779B97F4A7C15)
    z = forest.random[tree]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.float64((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


@borrowed
def corner_rows(forest, node):
    """The rows of `forest.vectors[tree]` that hold the corners (low, high) of a node's bounding box."""
    capacity = forest.vectors.shape[1] // 3
    low = np.int64(node) if node < capacity else 2 * node - capacity
    return low, low if node < capacity else low + 1


@borrowed
def box(forest, tree, node):
    """Where these corners begin in the memory of `forest.vectors`, for `simd`."""
    _, rows, width = forest.vectors.shape
    low, high = corner_rows(forest, node)
    return (tree * rows + low) * width, (tree * rows + high) * width


@borrowed
def insert(forest, tree, rows, row):
    """Add `rows[row]` to the tree; returns its leaf, which may be that of an equal point.

    At each node from the root, a cut of the box that also holds the point is drawn. If it separates the point from the box,
    it becomes a new node there; else the point follows the node's own cut.
    """
    width = forest.vectors.shape[2]
    capacity = forest.vectors.shape[1] // 3
    x = row * width
    node = forest.root[tree]
    distance = 0.0
    while node != NONE:
        low, high = box(forest, tree, node)
        beyond = outside(forest.vectors, low, high, rows, x, width)
        if node < capacity and beyond == 0:
            forest.mass[tree, node] += 1
            return node
        distance = uniform(forest, tree) * (np.float64(beyond) + np.float64(forest.side[tree, node]))
        if node < capacity or distance < beyond:
            break
        forest.side[tree, node] = enclose(forest.vectors, low, high, rows, x, width)
        forest.mass[tree, node] += 1
        node = forest.child[tree, node, 1 if rows[row, forest.column[tree, node]] > forest.cut[tree, node] else 0]
    leaf = _new_leaf(forest, tree, rows, row)
    if node == NONE:
        forest.root[tree] = leaf
        forest.parent[tree, leaf] = NONE
    else:
        _separate(forest, tree, node, leaf, rows, row, distance)
    return leaf


@borrowed
def remove(forest, tree, leaf):
    """Take one point of `leaf` out of the tree; the leaf's parent goes with the leaf's last point."""
    forest.mass[tree, leaf] -= 1
    node = forest.parent[tree, leaf]
    while node != NONE:
        forest.mass[tree, node] -= 1
        node = forest.parent[tree, node]
    if forest.mass[tree, leaf] > 0:
        return
    _give(forest, tree, LEAF, leaf)
    parent = forest.parent[tree, leaf]
    if parent == NONE:
        forest.root[tree] = NONE
        return
    above = forest.parent[tree, parent]
    sibling = forest.child[tree, parent, 1 if forest.child[tree, parent, 0] == leaf else 0]
    _put(forest, tree, above, parent, sibling)
    _give(forest, tree, INNER, parent)
    while above != NONE:
        _fit_box(forest, tree, above)
        above = forest.parent[tree, above]


@borrowed
def leaf_of(forest, tree, rows, row):
    """The leaf that the cuts lead a row to. The tree must not be empty."""
    capacity = forest.vectors.shape[1] // 3
    node = forest.root[tree]
    while node >= capacity:
        node = forest.child[tree, node, 1 if rows[row, forest.column[tree, node]] > forest.cut[tree, node] else 0]
    return node


@borrowed
def enclose_path(forest, tree, leaf):
    """Let the boxes of all nodes above a leaf hold its point."""
    width = forest.vectors.shape[2]
    point, _ = box(forest, tree, leaf)
    node = forest.parent[tree, leaf]
    while node != NONE:
        low, high = box(forest, tree, node)
        forest.side[tree, node] = enclose(forest.vectors, low, high, forest.vectors, point, width)
        node = forest.parent[tree, node]


@borrowed
def _new_leaf(forest, tree, rows, row):
    leaf = _take(forest, tree, LEAF)
    for c in range(rows.shape[1]):
        forest.vectors[tree, leaf, c] = rows[row, c]
    forest.mass[tree, leaf] = 1
    return leaf


@borrowed
def _separate(forest, tree, node, leaf, rows, row, distance):
    """Put a new inner node in the place of `node`, with `node` and `leaf` as its children."""
    column, cut = _cut_at(forest, tree, node, rows, row, distance)
    inner = _take(forest, tree, INNER)
    forest.column[tree, inner] = column
    forest.cut[tree, inner] = cut
    _put(forest, tree, forest.parent[tree, node], node, inner)
    right = 1 if rows[row, column] > cut else 0
    forest.child[tree, inner, right] = leaf
    forest.child[tree, inner, 1 - right] = node
    forest.parent[tree, leaf] = inner
    forest.parent[tree, node] = inner
    forest.mass[tree, inner] = forest.mass[tree, node] + 1
    _fit_box(forest, tree, inner)


@borrowed
def _cut_at(forest, tree, node, rows, row, distance):
    """Column and value of the cut that lies `distance` along the gaps between a row and a node's box, column after column.

    For a uniform `distance` the column is drawn in proportion to its gap and the value uniformly within it. Values are kept
    below the upper end of the gap, which must be on the right of the cut, against rounding.
    """
    low, high = corner_rows(forest, node)
    column, cut = 0, np.float32(0)
    for c in range(rows.shape[1]):
        x, below, above = rows[row, c], forest.vectors[tree, low, c], forest.vectors[tree, high, c]
        start, end = (x, below) if x < below else (above, x)
        gap = np.float64(end) - np.float64(start)
        if gap > 0:
            column = c
            cut = min(np.float32(start + min(distance, gap)), np.nextafter(end, np.float32(-np.inf)))
            if distance < gap:
                break
            distance -= gap
    return column, cut


@borrowed
def _fit_box(forest, tree, node):
    """Make a node's box the union of its children's."""
    left, right = forest.child[tree, node, 0], forest.child[tree, node, 1]
    places = box(forest, tree, node), box(forest, tree, left), box(forest, tree, right)
    forest.side[tree, node] = unite(forest.vectors, places[0], places[1], places[2], forest.vectors.shape[2])


@borrowed
def _put(forest, tree, parent, old, new):
    """Make `new` the child of `parent` (NONE: the root) that `old` was."""
    forest.parent[tree, new] = parent
    if parent == NONE:
        forest.root[tree] = new
    else:
        forest.child[tree, parent, 0 if forest.child[tree, parent, 0] == old else 1] = new


@borrowed
def _take(forest, tree, kind):
    forest.used[tree, kind] += 1
    return forest.free[tree, kind, forest.used[tree, kind] - 1]


@borrowed
def _give(forest, tree, kind, node):
    forest.used[tree, kind] -= 1
    forest.free[tree, kind, forest.used[tree, kind]] = node
