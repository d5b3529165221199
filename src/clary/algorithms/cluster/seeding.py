"""First centres: rows of the data, drawn uniformly or by k-means++."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from scipy.sparse import issparse

Method = Literal["random", "k-means++"]
MOST_ROWS_PER_CENTER = 400
FEWEST_ROWS = 20_000


def first_centers(
    X: Any,
    k: int,
    method: Method,
    rng: np.random.Generator,
    weights: np.ndarray | None = None,
    greedy: bool = True,
) -> np.ndarray:
    """(k, columns) float64: `k` different rows of `X`, dense or CSR, of which rows with weight 0 come last.

    `random` draws rows by weight, `k-means++` by weight and squared distance to the nearest centre drawn before (Arthur and
    Vassilvitskii 2007); `greedy` draws 2 + ln k candidates each time and keeps the best. Of many rows a sample is seen.
    """
    X, weights = _sample(X, k, rng, np.ones(X.shape[0]) if weights is None else np.asarray(weights, np.float64))
    chosen = _by_distance(X, k, weights, rng, greedy) if method == "k-means++" else _by_weight(k, weights, rng)
    return _dense(X[chosen]).astype(np.float64)


def _sample(X: Any, k: int, rng: np.random.Generator, weights: np.ndarray) -> tuple[Any, np.ndarray]:
    most = max(FEWEST_ROWS, MOST_ROWS_PER_CENTER * k)
    if X.shape[0] <= most:
        return X, weights
    rows = np.sort(rng.choice(X.shape[0], most, replace=False))
    return X[rows], weights[rows]


def _by_weight(k: int, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`k` different places (Efraimidis and Spirakis 2006: the smallest of exponential variates over the weights)."""
    with np.errstate(divide="ignore"):
        keys = rng.exponential(size=len(weights)) / weights
    return np.argpartition(keys, k - 1)[:k]


def _by_distance(X: Any, k: int, weights: np.ndarray, rng: np.random.Generator, greedy: bool) -> np.ndarray:
    candidates = 2 + int(math.log(k)) if greedy else 1
    space = _Space(X)
    chosen = np.empty(k, np.int64)
    chosen[0] = _by_weight(1, weights, rng)[0]
    nearest = space.squared(chosen[:1])[0]
    for number in range(1, k):
        potential = np.cumsum(nearest * weights)
        if potential[-1] <= 0:  # fewer different rows than centres: any further row will do
            chosen[number:] = np.setdiff1d(np.arange(X.shape[0]), chosen[:number])[: k - number]
            break
        drawn = np.searchsorted(potential, rng.random(candidates) * potential[-1], side="right")
        drawn = np.minimum(drawn, len(nearest) - 1)
        closer = np.minimum(nearest, space.squared(drawn))
        best = int((closer @ weights).argmin()) if candidates > 1 else 0
        chosen[number], nearest = drawn[best], closer[best]
    return chosen


class _Space:
    """Squared distances between rows, in the type of `X`; dense rows relative to their mean."""

    def __init__(self, X: Any):
        self._rows = X if issparse(X) else X - X.mean(axis=0, dtype=np.float64).astype(X.dtype)
        squares = X.multiply(X).sum(axis=1) if issparse(X) else np.einsum("ij,ij->i", self._rows, self._rows)
        self._squares = np.asarray(squares).ravel()

    def squared(self, places: np.ndarray) -> np.ndarray:
        """(places, rows): squared distances of the rows at `places` to all rows; exactly 0 to themselves."""
        points = self._rows[places]
        across = _dense(points @ self._rows.T)
        found = np.maximum(self._squares[places, None] - 2 * across + self._squares, 0)
        found[np.arange(len(places)), places] = 0
        return found


def _dense(rows: Any) -> np.ndarray:
    return rows.toarray() if issparse(rows) else np.asarray(rows)
