"""What a tree says of a row, without inserting it.

score : the expected complexity of the tree's description of the row, with the constants of AWS's open-source random cut
    forest. At a node of depth d whose box the row leaves, a cut separates the row with probability
    p = outside / (outside + sides), and score = p / (d + 1) + (1 - p) * score of the child on the row's side. A leaf that
    equals the row scores (1 - m / 2M) / (d + log2(m + 1)), m its mass and M the tree's. Times log2(M + 1).
displacement : the expected collusive displacement (CoDisp of Guha et al., section 3) that the row would have once inserted.
attribution : the score, split by the column of the cuts that separate the row and by the side on which it lies.
"""

from __future__ import annotations

import math

import numpy as np

from clary.algorithms.anomaly.forest import NONE, borrowed
from clary.algorithms.anomaly.simd import outside
from clary.algorithms.anomaly.tree import box, corner_rows


@borrowed
def seen(mass, total, depth):
    """The score of a leaf that equals the row, before the tree's factor."""
    return (1.0 - mass / (2.0 * total)) / (depth + math.log2(mass + 1.0))


@borrowed
def score_rows(forest, tree, rows, start, stop, scores):
    """Add the tree's scores of `rows[start:stop]` to `scores[start:stop]`, row after row, from the leaf up.

    Boxes above one that holds the row hold it too and change nothing. Arrays are taken out of the forest once: within the
    loop that would cost as much as a score.
    """
    capacity, width = forest.vectors.shape[1] // 3, forest.vectors.shape[2]
    vectors, child, column, cut = forest.vectors, forest.child[tree], forest.column[tree], forest.cut[tree]
    parent, side, mass, root = forest.parent[tree], forest.side[tree], forest.mass[tree], forest.root[tree]
    if root == NONE:
        return
    factor = math.log2(mass[root] + 1.0)
    first = tree * forest.vectors.shape[1] * width
    for row in range(start, stop):
        node, depth, x = np.int64(root), 0, row * width
        while node >= capacity:
            node = np.int64(child[node, 1 if rows[row, column[node]] > cut[node] else 0])
            depth += 1
        place = first + node * width
        if outside(vectors, place, place, rows, x, width) == 0:
            scores[row] += factor * seen(mass[node], mass[root], depth)
            continue
        score = 1.0 / (depth + 1)
        while depth > 0:
            node = np.int64(parent[node])
            depth -= 1
            low = first + (2 * node - capacity) * width
            beyond = outside(vectors, low, low + width, rows, x, width)
            if beyond == 0:
                break
            score += np.float64(beyond / (beyond + side[node])) * (1.0 / (depth + 1) - score)
        scores[row] += factor * score


@borrowed
def displacement(forest, tree, rows, row):
    """The tree's expected displacement of a row. 0 for an empty tree.

    Inserted as the sibling of a node of mass m, a row displaces m; each group on its way up that holds it displaces its
    sibling's mass over its own. The row's displacement is the largest of these.
    """
    capacity, width = forest.vectors.shape[1] // 3, forest.vectors.shape[2]
    node = forest.root[tree]
    largest, expected, chance = 0.0, 0.0, 1.0
    while node != NONE:
        low, high = box(forest, tree, node)
        beyond = outside(forest.vectors, low, high, rows, row * width, width)
        if beyond > 0:
            cut_off = np.float64(beyond / (beyond + forest.side[tree, node]))
            expected += chance * cut_off * max(largest, np.float64(forest.mass[tree, node]))
            chance *= 1.0 - cut_off
        if node < capacity:
            return expected + chance * largest
        right = 1 if rows[row, forest.column[tree, node]] > forest.cut[tree, node] else 0
        sibling = forest.child[tree, node, 1 - right]
        node = forest.child[tree, node, right]
        largest = max(largest, forest.mass[tree, sibling] / (forest.mass[tree, node] + 1.0))
    return expected


@borrowed
def attribute(forest, tree, rows, row, low, high, shares, others):
    """Add the tree's score of a row to `low` and `high` (columns,): what comes from values below and above the others'.

    `shares` and `others`, (2, columns) float64 and float32, are memory to work in.
    """
    node = forest.root[tree]
    if node == NONE:
        return
    capacity, width = forest.vectors.shape[1] // 3, forest.vectors.shape[2]
    factor = math.log2(forest.mass[tree, node] + 1.0)
    chance, depth = 1.0, 0
    while True:
        corners = box(forest, tree, node)
        beyond = outside(forest.vectors, corners[0], corners[1], rows, row * width, width)
        if beyond > 0:
            length = np.float64(beyond) + forest.side[tree, node]
            share = factor * chance / (depth + 1) / length
            _add_gaps(forest, tree, node, rows, row, share, low, high)
            chance *= forest.side[tree, node] / length
        elif node < capacity:
            _attribute_equal(forest, tree, node, rows, row, depth, low, high, shares, others)
        if node < capacity:
            return
        node = forest.child[tree, node, 1 if rows[row, forest.column[tree, node]] > forest.cut[tree, node] else 0]
        depth += 1


@borrowed
def _add_gaps(forest, tree, node, rows, row, share, low, high):
    """Add `share` of each column's distance to the node's box to the side on which the row lies."""
    corners = corner_rows(forest, node)
    for c in range(low.size):
        low[c] += share * max(forest.vectors[tree, corners[0], c] - rows[row, c], np.float32(0))
        high[c] += share * max(rows[row, c] - forest.vectors[tree, corners[1], c], np.float32(0))


@borrowed
def _attribute_equal(forest, tree, leaf, rows, row, depth, low, high, shares, others):
    """Attribute the score of a row that equals `leaf`, which no box leaves out: by the boxes of the other points.

    The shares are those that the row would have if its leaf were not there, scaled to the score that it has.
    """
    total = forest.mass[tree, forest.root[tree]]
    score = math.log2(total + 1.0) * seen(forest.mass[tree, leaf], total, depth)
    columns = low.size
    for c in range(columns):
        shares[0, c] = shares[1, c] = 0.0
        others[0, c], others[1, c] = np.inf, -np.inf
    node = leaf
    while forest.parent[tree, node] != NONE:
        parent = forest.parent[tree, node]
        corners = corner_rows(forest, forest.child[tree, parent, 1 if forest.child[tree, parent, 0] == node else 0])
        depth -= 1
        length = 0.0
        for c in range(columns):
            others[0, c] = min(others[0, c], forest.vectors[tree, corners[0], c])
            others[1, c] = max(others[1, c], forest.vectors[tree, corners[1], c])
            length += max(others[1, c], rows[row, c]) - min(others[0, c], rows[row, c])
        _blend(shares, others, rows, row, length, 1.0 / (depth + 1))
        node = parent
    weight = 0.0
    for c in range(columns):
        weight += shares[0, c] + shares[1, c]
    for c in range(columns):
        low[c] += score * shares[0, c] / weight if weight > 0 else score / (2 * columns)
        high[c] += score * shares[1, c] / weight if weight > 0 else score / (2 * columns)


@borrowed
def _blend(shares, others, rows, row, length, unseen):
    """One step up: what separates the row at this node, and the rest as below it."""
    columns = shares.shape[1]
    beyond = 0.0
    for c in range(columns):
        beyond += max(others[0, c] - rows[row, c], rows[row, c] - others[1, c], np.float32(0))
    for c in range(columns):
        gaps = max(others[0, c] - rows[row, c], np.float32(0)), max(rows[row, c] - others[1, c], np.float32(0))
        for side in range(2):
            shares[side, c] = shares[side, c] * (1.0 - beyond / length) + unseen * gaps[side] / length
