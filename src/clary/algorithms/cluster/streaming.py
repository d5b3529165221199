"""Web-scale k-means: one pass over mini-batches with more centres than asked for, which shrink to k at the end.

Sculley 2010, "Web-scale k-means clustering", with the extra centres and the final weighted Lloyd of the hosted algorithm.
The state has the size of the centres, whatever the data's, and the states of several hosts merge into one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from clary.algorithms.cluster import on_device
from clary.algorithms.cluster.lloyd import Solution, best_of, lloyd
from clary.algorithms.cluster.nearest import assign
from clary.algorithms.cluster.seeding import Method, first_centers


@dataclass(slots=True)
class Stream:
    """What is known of the rows so far.

    centers : (K, columns) float64
    weights : (K,) float64, rows (or their weight) behind each centre, decayed
    squares : (K,) float64, their squared distances to the mean that the centre is
    seen : weight of all rows, not decayed
    """

    centers: np.ndarray
    weights: np.ndarray
    squares: np.ndarray
    seen: float = 0.0

    @classmethod
    def begin(cls, X: Any, size: int, method: Method, rng: np.random.Generator, weights: np.ndarray | None = None) -> Stream:
        """`size` centres, at most one per row, drawn from the first batch `X`, which `update` still has to be given."""
        size = min(size, X.shape[0])
        return cls(first_centers(X, size, method, rng, weights, greedy=False), np.zeros(size), np.zeros(size))

    def update(
        self, X: Any, weights: np.ndarray | None = None, half_life: float = 0, threads: int = 1, device: str | None = None
    ) -> None:
        """Take in a batch: each centre becomes the mean of its earlier rows and the new ones.

        With `half_life` h > 0 every earlier row counts half after each h further rows. `device` is PyTorch's, for dense rows.
        """
        if device is None or issparse(X):
            found = assign(X, self.centers, weights, threads)
        else:
            found = on_device.Rows(X, weights, device).assign(self.centers)
        batch = found.weights.sum()
        decay = 0.5 ** (batch / half_life) if half_life else 1.0
        means = found.means(otherwise=self.centers)
        apart = np.square(means - self.centers).sum(axis=1)
        within = np.maximum(found.squares - found.weights * apart, 0)
        kept = self.weights * decay
        total = np.maximum(kept + found.weights, np.finfo(float).tiny)
        share = found.weights / total
        self.squares = self.squares * decay + within + kept * share * apart
        self.centers += share[:, None] * (means - self.centers)
        self.weights = kept + found.weights
        self.seen += float(batch)


def merge(streams: Sequence[Stream]) -> Stream:
    """The stream of all rows that `streams` have seen, with the centres of all."""
    return Stream(
        np.concatenate([stream.centers for stream in streams]),
        np.concatenate([stream.weights for stream in streams]),
        np.concatenate([stream.squares for stream in streams]),
        sum(stream.seen for stream in streams),
    )


@dataclass(frozen=True, slots=True)
class Shrinking:
    """How the centres of a stream become k: the best of `trials` weighted Lloyd runs."""

    k: int
    method: Method = "k-means++"
    trials: int = 10
    max_iter: int = 300
    tol: float = 1e-4


def shrink(
    stream: Stream, how: Shrinking, rng: np.random.Generator, report: Callable[[int, float], None] | None = None
) -> tuple[np.ndarray, float]:
    """(`how.k`, columns) float64 centres, and the mean squared distance that they leave.

    Every row counts where the centre that it went to is. `report` is called with number and mean squared distance of each
    trial. Raises `ValueError` when fewer than `how.k` centres have rows.
    """
    some = stream.weights > 0
    if some.sum() < how.k:
        raise ValueError(f"k={how.k} centres need as many different rows; {some.sum()} were found")
    weights = stream.weights[some]
    within, total = stream.squares[some].sum(), weights.sum()
    middle = np.average(stream.centers[some], axis=0, weights=weights)
    points = (stream.centers[some] - middle).astype(np.float32)

    def attempt(trial: int) -> Solution:
        start = first_centers(points, how.k, how.method, rng, weights)
        found = lloyd(points, start, weights=weights, max_iter=how.max_iter, tol=how.tol)
        if report is not None:
            report(trial, float((found.inertia + within) / total))
        return found

    best = best_of(attempt(trial) for trial in range(how.trials))
    return best.centers + middle, float((best.inertia + within) / total)
