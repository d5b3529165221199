"""Scores of many rows by a tree that does not change: node after node instead of row after row.

All rows of a block go down the tree together, are sorted by the leaf they reach, and come up together: a node's box is read
once for all rows that still leave the boxes below it. The scores are those of `scoring.score_rows`, bit by bit.
"""

from __future__ import annotations

import math

import numpy as np

from clary.algorithms.anomaly.forest import NONE, inner
from clary.algorithms.anomaly.scoring import seen
from clary.algorithms.anomaly.simd import outside

# Indices are unsigned, which spares the compiler Python's negative ones: a third of the time of `_descend`
_1 = np.uint64(1)


@inner
def workspace(capacity, block):
    """Memory for `score_block`: per row of a block its node, its place in the order and its score; per node a few numbers."""
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
    nodes, order, values, plan = work
    count = stop - start
    _descend(forest, tree, rows, start, count, nodes, order)
    steps = _plan(forest, tree, plan)
    _sort_by_leaf(plan, steps, forest.vectors.shape[1] // 3, count, nodes, order)
    _ascend(forest, tree, rows, start, order, values, plan, steps)
    factor = math.log2(forest.mass[tree, forest.root[tree]] + 1.0)
    for i in range(count):
        scores[start + i] += factor * values[i]


@inner
def _descend(forest, tree, rows, start, count, nodes, order):
    """The leaf of each row in `nodes`: all rows take one step at a time, which hides the latency of a single row's walk."""
    column, cut, child = forest.column[tree], forest.cut[tree], forest.child[tree].ravel()
    flat, width, base = rows.ravel(), np.uint64(rows.shape[1]), np.uint64(start)
    capacity, root = np.uint64(forest.vectors.shape[1] // 3), forest.root[tree]
    for i in range(count):
        order[i] = i
        nodes[i] = root
    walking = np.uint64(count if root >= capacity else 0)
    while walking > 0:
        left = np.uint64(0)
        for j in range(walking):
            row = np.uint64(order[j])
            node = np.uint64(nodes[row])
            right = np.uint64(flat[(base + row) * width + np.uint64(column[node])] > cut[node])
            node = np.uint64(child[(node << _1) + right])
            nodes[row] = node
            order[left] = row
            left += np.uint64(node >= capacity)
        walking = left


@inner
def _plan(forest, tree, plan):
    """Fill columns 0 and 1 of `plan` with the nodes in preorder and their depths; returns how many there are.

    Column 1 is first used as the stack of the walk, from its end.
    """
    capacity = forest.vectors.shape[1] // 3
    child, root = forest.child[tree], forest.root[tree]
    stack, depths = plan[:, 2], plan[:, 3]
    stack[0], depths[0] = root, 0
    waiting, steps = 1, 0
    while waiting > 0:
        waiting -= 1
        node, depth = stack[waiting], depths[waiting]
        plan[steps, 0], plan[steps, 1] = node, depth
        steps += 1
        if node >= capacity:
            stack[waiting], depths[waiting] = child[node, 1], depth + 1
            stack[waiting + 1], depths[waiting + 1] = child[node, 0], depth + 1
            waiting += 2
    return steps


@inner
def _sort_by_leaf(plan, steps, capacity, count, nodes, order):
    """Order the rows by the place of their leaf in the preorder; columns 2 and 3 of `plan` get each leaf's range, by node."""
    plan[:, 2:] = 0
    for i in range(count):
        plan[nodes[i], 3] += 1
    end = 0
    for step in range(steps):
        node = plan[step, 0]
        if node < capacity:
            plan[node, 2] = end
            end += plan[node, 3]
            plan[node, 3] = plan[node, 2]
    for i in range(count):
        order[plan[nodes[i], 3]] = i
        plan[nodes[i], 3] += 1


@inner
def _ascend(forest, tree, rows, start, order, values, plan, steps):
    """Scores without the tree's factor into `values`, from the leaves to the root.

    The range of a node in `order` becomes the rows that leave its box, those of its left child before those of its right.
    """
    capacity, total = forest.vectors.shape[1] // 3, forest.mass[tree, forest.root[tree]]
    vectors, child, mass, side = forest.vectors, forest.child[tree], forest.mass[tree], forest.side[tree]
    width, base, first = np.uint64(rows.shape[1]), np.uint64(start), tree * vectors.shape[1]
    for step in range(steps - 1, -1, -1):
        node, depth = plan[step, 0], plan[step, 1]
        unseen = 1.0 / (depth + 1)
        if node < capacity:
            point = np.uint64(first + node) * width
            equal = seen(mass[node], total, depth)
            kept = np.uint64(plan[node, 2])
            for j in range(np.uint64(plan[node, 2]), np.uint64(plan[node, 3])):
                row = np.uint64(order[j])
                beyond = outside(vectors, point, point, rows, (base + row) * width, width)
                values[row] = unseen if beyond > 0 else equal
                order[kept] = row
                kept += np.uint64(beyond > 0)
            plan[node, 3] = np.int64(kept)
            continue
        low = np.uint64(first + 2 * node - capacity) * width
        sides = side[node]
        plan[node, 2] = plan[child[node, 0], 2]
        kept = np.uint64(plan[node, 2])
        for which in range(2):
            below = child[node, which]
            for j in range(np.uint64(plan[below, 2]), np.uint64(plan[below, 3])):
                row = np.uint64(order[j])
                beyond = outside(vectors, low, low + width, rows, (base + row) * width, width)
                values[row] += np.float64(beyond / (beyond + sides)) * (unseen - values[row])
                order[kept] = row
                kept += np.uint64(beyond > 0)
        plan[node, 3] = np.int64(kept)
