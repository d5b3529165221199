"""Lloyd's iterations: assign every row to its nearest centre, move every centre to the mean of its rows, again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from clary.algorithms.cluster.nearest import Assignment, assign, distances

Assigner = Callable[[np.ndarray], Assignment]
"""Assigns the rows to centres (k, columns)."""
Progress = Callable[[int, float], None]
"""Called after each iteration with its number, from 1, and the mean squared distance before it."""


_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Solution:
    """centers : (k, columns) float64
    labels : (rows,) int32, their rows
    inertia : weighted sum of squared distances
    iterations : how often the centres moved
    """

    centers: np.ndarray
    labels: np.ndarray
    inertia: float
    iterations: int


def lloyd(
    X: Any,
    centers: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    max_iter: int = 300,
    tol: float = 1e-4,
    threads: int = 1,
    elsewhere: Assigner | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Iterate from `centers` (k, columns) until no row moves, the inertia falls by no more than its share `tol`, or
    `max_iter` iterations were made. A centre that loses all its rows goes to the row farthest from its centre.
    `elsewhere` assigns the same rows and weights in place of `nearest.assign`, on a GPU for example."""

    def assigned(centers: np.ndarray, before: Assignment | None) -> Assignment:
        return elsewhere(centers) if elsewhere else assign(X, centers, weights, threads, before)

    total = float(X.shape[0] if weights is None else weights.sum())
    centers = np.array(centers, np.float64)
    found = assigned(centers, None)
    iterations = 0
    while iterations < max_iter:
        iterations += 1
        centers = _moved(X, centers, found, weights)
        before, inertia = found, found.squares.sum()
        # sums of the rows that moved are exact for unit weights only
        found = assigned(centers, before if weights is None else None)
        if progress is not None:
            progress(iterations, float(inertia) / total)
        settled = found.moved == 0 if weights is None else np.array_equal(found.labels, before.labels)
        if settled or (tol > 0 and inertia - found.squares.sum() <= tol * inertia):
            break
    return Solution(centers, found.labels, float(found.squares.sum()), iterations)


def best_of(solutions: Iterable[Solution]) -> Solution:
    """The solution of the lowest inertia; the first of those that differ by no more than rounding."""
    return functools.reduce(lambda best, other: other if other.inertia < (1 - _ROUNDING) * best.inertia else best, solutions)


def _moved(X: Any, centers: np.ndarray, found: Assignment, weights: np.ndarray | None) -> np.ndarray:
    means = found.means(otherwise=centers)
    empty = np.flatnonzero(found.weights == 0)
    if len(empty):
        apart = distances(X, centers, found.labels)
        far = np.argsort(apart if weights is None else apart * (weights > 0))[::-1][: len(empty)]
        far = far[apart[far] > 0]
        means[empty[: len(far)]] = X[far].toarray() if issparse(X) else X[far]
    return means
