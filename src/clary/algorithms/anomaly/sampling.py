"""Which points a tree keeps: a uniform sample of the stream whose older points fade (time decay).

Row i of a stream has weight exp(decay * i), and a sample of `capacity` rows is drawn by weight without replacement: each row
draws E ~ Exp(1) and the rows of the smallest keys log(E) - decay * i stay (Efraimidis and Spirakis, Weighted random sampling
with a reservoir, 2006; the keys are those of AWS's open-source random cut forest). With decay 0 it is a plain reservoir.
The next row that will enter is drawn at once ("exponential jumps", algorithm A-ExpJ there), so rows in between cost nothing.
"""

from __future__ import annotations

import math

import numpy as np

from clary.algorithms.anomaly.forest import borrowed
from clary.algorithms.anomaly.tree import insert, remove, uniform

_NEVER = 2.0**62


@borrowed
def exponential(forest, tree):
    """A draw from Exp(1), above 0."""
    return -math.log(1.0 - uniform(forest, tree)) + 1e-300


@borrowed
def learn(forest, tree, rows, row, index, decay):
    """Take `rows[row]`, the stream's row number `index`, into the sample and the tree; the largest key leaves a full one."""
    if forest.filled[tree] == forest.key.shape[1]:
        # E given that it is below the bound that lets the row in
        bound = math.exp(forest.key[tree, 0] + decay * index)
        draw = -math.log1p(uniform(forest, tree) * math.expm1(-bound)) + 1e-300
        remove(forest, tree, forest.member[tree, 0])
        drop(forest, tree, 0)
    else:
        draw = exponential(forest, tree)
    push(forest, tree, math.log(draw) - decay * index, insert(forest, tree, rows, row))
    schedule(forest, tree, index + 1, decay)


@borrowed
def schedule(forest, tree, index, decay):
    """Draw the first row from number `index` on that the sample takes in."""
    forest.due[tree] = index
    if forest.filled[tree] < forest.key.shape[1]:
        return
    # Row j enters when its E is below exp(key + decay * j): a hazard, so the first to enter is where their sum passes Exp(1)
    hazard = math.exp(forest.key[tree, 0] + decay * index)
    target = exponential(forest, tree)
    rows = _NEVER
    if decay > 0:
        rows = math.log1p(target * math.expm1(decay) / hazard) / decay if hazard > 0 else _NEVER
    elif hazard > 0:
        rows = target / hazard
    forest.due[tree] += np.int64(min(max(math.ceil(rows) - 1.0, 0.0), _NEVER))


@borrowed
def push(forest, tree, key, leaf):
    """Add an entry to the heap, whose top is the largest key."""
    i = forest.filled[tree]
    forest.filled[tree] += 1
    forest.key[tree, i], forest.member[tree, i] = key, leaf
    while i > 0 and forest.key[tree, (i - 1) // 2] < forest.key[tree, i]:
        _swap(forest, tree, i, (i - 1) // 2)
        i = (i - 1) // 2


@borrowed
def drop(forest, tree, i):
    """Take entry `i` out of the heap."""
    last = forest.filled[tree] - 1
    forest.filled[tree] = last
    key, leaf = forest.key[tree, last], forest.member[tree, last]
    if i == last:
        return
    forest.key[tree, i], forest.member[tree, i] = key, leaf
    while i > 0 and forest.key[tree, (i - 1) // 2] < forest.key[tree, i]:
        _swap(forest, tree, i, (i - 1) // 2)
        i = (i - 1) // 2
    while 2 * i + 1 < last:
        larger = 2 * i + 1
        if larger + 1 < last and forest.key[tree, larger + 1] > forest.key[tree, larger]:
            larger += 1
        if forest.key[tree, larger] <= forest.key[tree, i]:
            return
        _swap(forest, tree, i, larger)
        i = larger


@borrowed
def _swap(forest, tree, i, j):
    forest.key[tree, i], forest.key[tree, j] = forest.key[tree, j], forest.key[tree, i]
    forest.member[tree, i], forest.member[tree, j] = forest.member[tree, j], forest.member[tree, i]
