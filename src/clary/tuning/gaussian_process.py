"""A Gaussian process over configurations: MAP hyperparameters by analytic gradients, and its posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dtrtri
from scipy.optimize import minimize

from clary.tuning.kernel import Features, matern, squared_distances, warp

JITTER = 1e-10
OFFSET = 1.0
"""Variance of the unknown constant that is added to the process (objectives come standardized)."""


@dataclass(frozen=True)
class Priors:
    """Mean and standard deviation of normal priors on logarithms, and bounds of the noise."""

    length: tuple[float, float] = (0.0, 1.0)
    signal: tuple[float, float] = (0.0, 1.0)
    noise: tuple[float, float] = (-8.0, 3.0)
    noise_range: tuple[float, float] = (float(np.log(1e-7)), 0.0)
    bend: float = 0.5


@dataclass(frozen=True)
class Layout:
    """Where hyperparameters lie in one vector: log lengths (columns), log signal variance, log noise variance, then log a and
    log b of every numeric column when inputs are warped."""

    features: Features
    warped: bool
    priors: Priors

    @property
    def size(self) -> int:
        return self.features.columns + 2 + (2 * len(self.features.numeric) if self.warped else 0)

    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of all hyperparameters."""
        d, p = self.features.columns, self.priors
        bends = self.size - d - 2
        mean = np.concatenate([np.full(d, p.length[0]), [p.signal[0], p.noise[0]], np.zeros(bends)])
        return mean, np.concatenate([np.full(d, p.length[1]), [p.signal[1], p.noise[1]], np.full(bends, p.bend)])

    def bounds(self) -> list[tuple[float, float]]:
        mean, deviation = self.prior()
        bounds = [(m - 5 * s, m + 5 * s) for m, s in zip(mean, deviation, strict=True)]
        bounds[self.features.columns + 1] = self.priors.noise_range
        return bounds

    def bends(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """a and b of the warps."""
        both = np.exp(theta[self.features.columns + 2 :])
        return both[: len(both) // 2], both[len(both) // 2 :]

    def weights(self, theta: np.ndarray) -> np.ndarray:
        """(features,): squared inverse lengths."""
        return (np.exp(-2 * theta[: self.features.columns]))[self.features.column] * self.features.half


def negative_posterior(theta: np.ndarray, layout: Layout, E: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Negative log density of hyperparameters given (n,) standardized objectives y at spread features E, and its gradient.

    Infinite where the covariance is not positive definite in floating point.
    """
    d = layout.features.columns
    spots = _numbers(layout)
    F, slopes = E, None
    if layout.warped:
        warped, _, by_a, by_b = warp(E[:, spots], *layout.bends(theta))
        F = E.copy()
        F[:, spots], slopes = warped, (by_a, by_b)
    weights = layout.weights(theta)
    scaled = F * np.sqrt(weights)
    signal, noise = np.exp(theta[d]), np.exp(theta[d + 1])
    k, by_r2 = matern(squared_distances(scaled, scaled))
    K = signal * k + OFFSET
    K.flat[:: len(y) + 1] += noise + JITTER
    L, info = dpotrf(K, lower=1, clean=0, overwrite_a=1)
    mean, deviation = layout.prior()
    if info:
        return np.inf, np.zeros_like(theta)
    inverse, _ = dpotri(L, lower=1)
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    alpha = inverse @ y
    z = (theta - mean) / deviation
    value = 0.5 * (y @ alpha) + np.log(np.diagonal(L)).sum() + 0.5 * (z @ z)
    G = 0.5 * (inverse - alpha[:, None] * alpha)  # of the value by K
    gradient = z / deviation
    M = G * by_r2
    M *= signal
    rows = M.sum(axis=1)
    MF = M @ F
    pulls = F * rows[:, None] - MF
    by_weight = 2 * weights * np.einsum("ij,ij->j", F, pulls)
    gradient[:d] -= 2 * np.bincount(layout.features.column, by_weight, d)
    gradient[d] += signal * np.einsum("ij,ij->", G, k)
    gradient[d + 1] += noise * np.trace(G)
    if slopes:
        pull = 4 * weights[spots] * pulls[:, spots]
        q = len(layout.features.numeric)
        gradient[d + 2 : d + 2 + q] += np.einsum("ij,ij->j", pull, slopes[0])
        gradient[d + 2 + q :] += np.einsum("ij,ij->j", pull, slopes[1])
    return float(value), gradient


def _numbers(layout: Layout) -> np.ndarray:
    """The features that are numbers, in the order of their columns."""
    return np.flatnonzero(layout.features.half == 1.0)


def fit(layout: Layout, rows: np.ndarray, y: np.ndarray, start: np.ndarray | None = None, iterations: int = 60) -> np.ndarray:
    """MAP hyperparameters for (n, columns) rows and (n,) standardized objectives, by L-BFGS from the prior's mean."""
    E = layout.features.spread(rows)
    start = layout.prior()[0] if start is None else start
    found = minimize(
        negative_posterior,
        start,
        (layout, E, y),
        "L-BFGS-B",
        True,
        bounds=layout.bounds(),
        options={"maxiter": iterations, "ftol": 1e-7, "gtol": 1e-4},
    )
    return found.x if np.isfinite(found.fun) else start


class Posterior:
    """The process given rows and objectives, with hyperparameters fixed.

    y may be (n,) or (n, m): m versions of the objectives (fantasies), of which each has its own mean and all have one variance.
    """

    def __init__(self, layout: Layout, theta: np.ndarray, rows: np.ndarray, y: np.ndarray) -> None:
        self.layout, self.theta = layout, theta
        self._weights = layout.weights(theta)
        self._roots = np.sqrt(self._weights)
        self._numbers = _numbers(layout)
        d = layout.features.columns
        self.signal, self.noise = float(np.exp(theta[d])), float(np.exp(theta[d + 1]))
        self.points = self._scaled(rows)[0]
        k, _ = matern(squared_distances(self.points, self.points))
        K = self.signal * k + OFFSET
        K.flat[:: len(rows) + 1] += self.noise + JITTER
        L, info = dpotrf(K, lower=1, clean=1)
        if info:
            K.flat[:: len(rows) + 1] += 1e-6
            L, info = dpotrf(K, lower=1, clean=1)
        self.half = dtrtri(L, lower=1)[0]  # inverse of L
        self.alpha = self.half.T @ (self.half @ y)
        self.at_points = y - (self.noise + JITTER) * self.alpha
        """Posterior means at the rows."""

    def _scaled(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, features) weighted features and their slope by the row's number (1 for categories)."""
        F = self.layout.features.spread(rows)
        slope = np.ones_like(F)
        if self.layout.warped:
            F[:, self._numbers], slope[:, self._numbers], _, _ = warp(F[:, self._numbers], *self.layout.bends(self.theta))
        return F * self._roots, slope

    def at(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means (n,) or (n, m), and variances (n,) of the noiseless process."""
        k, _ = matern(squared_distances(self._scaled(rows)[0], self.points))
        cross = self.signal * k + OFFSET
        V = cross @ self.half.T
        return cross @ self.alpha, np.maximum(self.signal + OFFSET - np.einsum("ij,ij->i", V, V), 1e-14)

    def joint(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means, and the (n, n) covariance of the noiseless process."""
        U = self._scaled(rows)[0]
        cross = self.signal * matern(squared_distances(U, self.points))[0] + OFFSET
        V = cross @ self.half.T
        return cross @ self.alpha, self.signal * matern(squared_distances(U, U))[0] + OFFSET - V @ V.T

    def slopes(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Means (n, m), variances (n,), and their derivatives by the numbers of each row: (n, m, numbers) and (n, numbers)."""
        U, bend = self._scaled(rows)
        k, by_r2 = matern(squared_distances(U, self.points))
        cross = self.signal * k + OFFSET
        V = cross @ self.half.T
        mean = cross @ self.alpha
        variance = np.maximum(self.signal + OFFSET - np.einsum("ij,ij->i", V, V), 1e-14)
        q = self._numbers
        by_r2 *= 2 * self.signal
        Uq, Pq = U[:, q], self.points[:, q]
        factor = bend[:, q] * self._roots[q]
        alpha = self.alpha if self.alpha.ndim == 2 else self.alpha[:, None]
        by_mean = np.empty((len(rows), alpha.shape[1], len(q)))
        for j in range(alpha.shape[1]):
            B = by_r2 * alpha[:, j]
            by_mean[:, j] = (B.sum(axis=1)[:, None] * Uq - B @ Pq) * factor
        B = by_r2 * (V @ self.half)
        by_variance = -2 * (B.sum(axis=1)[:, None] * Uq - B @ Pq) * factor
        return (mean if mean.ndim == 2 else mean[:, None]), variance, by_mean, by_variance
