"""A Gaussian process over configurations: MAP hyperparameters by analytic gradients, and its posterior."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri
from scipy.optimize import minimize

from clary.tuning.kernel import Features, matern, squared_distances, warp
from clary.tuning.objectives import Objectives

JITTER = 1e-11
OFFSET = 1.0
"""Variance of the unknown constant that is added to the process (objectives come standardized)."""


@dataclass(frozen=True)
class Priors:
    """Mean and standard deviation of normal priors: on logarithms of lengths, signal and noise variance and of the objectives'
    `knee`, in quartile ranges; on logarithms of a warp's exponents (mean 0); on the logit of the likeness of two sources."""

    length: tuple[float, float] = (-0.5, 1.0)
    signal: tuple[float, float] = (0.0, 1.0)
    noise: tuple[float, float] = (-10.0, 4.0)
    noise_range: tuple[float, float] = (float(np.log(1e-9)), 0.0)
    bend: float = 0.5
    knee: tuple[float, float] = (3.0, 2.0)
    likeness: tuple[float, float] = (1.5, 1.0)


@dataclass(frozen=True)
class Layout:
    """Where hyperparameters lie in one vector: log lengths (columns), log signal variance, log noise variance; log a and log b
    of every numeric column when inputs are `warped`; log knee when objectives are `bent`; logit likeness and log gain when
    there are `related` sources."""

    features: Features
    warped: bool = False
    bent: bool = False
    related: bool = False
    priors: Priors = Priors()

    @cached_property
    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of all hyperparameters."""
        d, p = self.features.columns, self.priors
        pairs = [p.length] * d + [p.signal, p.noise]
        pairs += [(0.0, p.bend)] * (2 * len(self.features.numeric) * self.warped)
        pairs += [p.knee] * self.bent + [p.likeness, (0.0, 1.0)] * self.related
        means, deviations = np.array(pairs).T
        return means, deviations

    @property
    def size(self) -> int:
        return len(self.prior[0])

    @property
    def bounds(self) -> list[tuple[float, float]]:
        bounds = [(m - 5 * s, m + 5 * s) for m, s in zip(*self.prior, strict=True)]
        bounds[self.features.columns + 1] = self.priors.noise_range
        return bounds

    @property
    def exponents(self) -> slice:
        """Of the warps: log a, then log b."""
        start = self.features.columns + 2
        return slice(start, start + 2 * len(self.features.numeric) * self.warped)

    @property
    def knee(self) -> int:
        return self.exponents.stop

    def bends(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """a and b of the warps."""
        both = np.exp(theta[self.exponents])
        return both[: len(both) // 2], both[len(both) // 2 :]

    def weights(self, theta: np.ndarray) -> np.ndarray:
        """(features,): squared inverse lengths."""
        return (np.exp(-2 * theta[: self.features.columns]))[self.features.column] * self.features.half

    def likeness(self, theta: np.ndarray) -> tuple[float, float]:
        """Correlation of two sources, in (0, 1), and the gain of related ones."""
        if not self.related:
            return 1.0, 1.0
        return 1 / (1 + float(np.exp(-theta[-2]))), float(np.exp(theta[-1]))


@dataclass(frozen=True)
class Observations:
    """rows : (n, columns). costs : (n,), of any scale. sources : (n,) int, 0 for this job; others are related ones, whose shape
    is believed and whose level and scale are not."""

    rows: np.ndarray
    costs: np.ndarray
    sources: np.ndarray

    def part(self, chosen: np.ndarray) -> Observations:
        return Observations(self.rows[chosen], self.costs[chosen], self.sources[chosen])


class Density:
    """The posterior density of hyperparameters, given observations."""

    def __init__(self, layout: Layout, observed: Observations) -> None:
        self.layout = layout
        self.E = layout.features.spread(observed.rows)
        self.numbers = layout.features.numbers
        self.objectives = Objectives(observed.costs, observed.sources)
        self.related = observed.sources != 0
        self.alike = observed.sources[:, None] == observed.sources
        self.gains = self.related[:, None] * 1.0 + self.related

    def negative_logarithm(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """And its gradient. Infinite where the covariance is not positive definite in floating point."""
        layout, d = self.layout, self.layout.features.columns
        z, z_by_knee, cost, cost_by_knee = self.objectives.bent_at(theta[layout.knee] if layout.bent else None)
        F, slopes = self._warped(theta)
        weights = layout.weights(theta)
        scaled = F * np.sqrt(weights)
        signal, noise = np.exp(theta[d : d + 2])
        k, by_r2 = matern(squared_distances(scaled, scaled))
        mix = self._mix(theta)
        if mix is not None:
            k *= mix
            by_r2 *= mix
        K = signal * k
        K += OFFSET if mix is None else OFFSET * self.alike
        K.flat[:: len(z) + 1] += noise + JITTER
        L, info = dpotrf(K, lower=1, clean=1, overwrite_a=1)
        if info:
            return np.inf, np.zeros_like(theta)
        half, _ = dtrtri(L, lower=1)
        inverse = half.T @ half
        alpha = inverse @ z
        means, deviations = layout.prior
        away = (theta - means) / deviations
        value = 0.5 * (z @ alpha) + np.log(np.diagonal(L)).sum() + 0.5 * (away @ away) + cost
        gradient = away / deviations
        G = 0.5 * (inverse - alpha[:, None] * alpha)  # of the value by K
        M = G * by_r2
        M *= signal
        pulls = F * M.sum(axis=1)[:, None] - M @ F
        gradient[:d] -= 4 * np.bincount(layout.features.column, weights * (F * pulls).sum(axis=0), d)
        Gk = G * k
        gradient[d] += signal * Gk.sum()
        gradient[d + 1] += noise * G.flat[:: len(z) + 1].sum()
        if slopes:
            pull = 4 * weights[self.numbers] * pulls[:, self.numbers]
            gradient[layout.exponents] += np.concatenate([(pull * slope).sum(axis=0) for slope in slopes])
        if layout.bent:
            gradient[layout.knee] += alpha @ z_by_knee + cost_by_knee
        if layout.related:
            likeness, _ = layout.likeness(theta)
            gradient[-2] += signal * (Gk * ~self.alike).sum() * (1 - likeness)
            gradient[-1] += signal * (Gk * self.gains).sum()
        return float(value), gradient

    def _warped(self, theta: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
        if not self.layout.warped:
            return self.E, None
        F = self.E.copy()
        F[:, self.numbers], _, by_a, by_b = warp(self.E[:, self.numbers], *self.layout.bends(theta))
        return F, (by_a, by_b)

    def _mix(self, theta: np.ndarray) -> np.ndarray | None:
        """(n, n): by what the covariance of two rows is less for being of other sources, or more for a gain."""
        if not self.layout.related:
            return None
        likeness, gain = self.layout.likeness(theta)
        return np.where(self.alike, 1.0, likeness) * gain**self.gains


def fit(layout: Layout, observed: Observations, iterations: int = 60) -> np.ndarray:
    """MAP hyperparameters, by L-BFGS from the prior's mean."""
    start = layout.prior[0]
    found = minimize(
        Density(layout, observed).negative_logarithm,
        start,
        method="L-BFGS-B",
        jac=True,
        bounds=layout.bounds,
        options={"maxiter": iterations, "ftol": 1e-7, "gtol": 1e-4},
    )
    return found.x if np.isfinite(found.fun) else start


class Posterior:
    """The process of this job (source 0) given observations, with hyperparameters fixed.

    y : (n,) or (n, m) standardized objectives; m versions of them (fantasies) have a mean each and share one variance.
    """

    def __init__(self, layout: Layout, theta: np.ndarray, rows: np.ndarray, sources: np.ndarray, y: np.ndarray) -> None:
        self.layout, self.theta = layout, theta
        self._roots = np.sqrt(layout.weights(theta))
        self._numbers = layout.features.numbers
        self.signal, self.noise = np.exp(theta[layout.features.columns :][:2])
        self.points = self._scaled(rows)[0]
        likeness, gain = layout.likeness(theta)
        self._mix = np.where(sources == 0, 1.0, likeness * gain)
        self._offsets = np.where(sources == 0, OFFSET, 0.0)
        K = self.signal * matern(squared_distances(self.points, self.points))[0]
        if layout.related:
            K *= np.where(sources[:, None] == sources, 1.0, likeness) * gain ** ((sources != 0)[:, None] * 1.0 + (sources != 0))
        K += OFFSET * (sources[:, None] == sources)
        self.half = dtrtri(self._factor(K), lower=1)[0]  # inverse of the Cholesky factor
        self.alpha = self.half.T @ (self.half @ y)
        self.at_points = y - (self.noise + JITTER) * self.alpha
        """Posterior means at the rows, of the source of each."""
        mine = self.at_points[sources == 0] if (sources == 0).any() else self.at_points
        self.best = np.atleast_1d(mine.min(axis=0))
        """(m,) the least of them in this job."""

    def _factor(self, K: np.ndarray) -> np.ndarray:
        """The Cholesky factor of K and noise; more noise where that is not positive definite in floating point."""
        for extra in (JITTER, 1e-6, 1e-3):
            noisy = K.copy()
            noisy.flat[:: len(K) + 1] += self.noise + extra
            L, info = dpotrf(noisy, lower=1, clean=1, overwrite_a=1)
            if not info:
                break
        return L

    def _cross(self, scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, points) covariances of rows of this job with the observations, and their derivative by the squared distance."""
        k, by_r2 = matern(squared_distances(scaled, self.points))
        mix = self.signal * self._mix
        return k * mix + self._offsets, by_r2 * mix

    def _scaled(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, features) weighted features and their slope by the row's number (1 for categories)."""
        F = self.layout.features.spread(rows)
        slope = np.ones_like(F)
        if self.layout.warped:
            F[:, self._numbers], slope[:, self._numbers], _, _ = warp(F[:, self._numbers], *self.layout.bends(self.theta))
        return F * self._roots, slope

    def at(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means (n,) or (n, m), and variances (n,) of the noiseless process."""
        cross, _ = self._cross(self._scaled(rows)[0])
        V = cross @ self.half.T
        return cross @ self.alpha, np.maximum(self.signal + OFFSET - np.einsum("ij,ij->i", V, V), 1e-14)

    def joint(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means, and the (n, n) covariance of the noiseless process."""
        U = self._scaled(rows)[0]
        cross, _ = self._cross(U)
        V = cross @ self.half.T
        return cross @ self.alpha, self.signal * matern(squared_distances(U, U))[0] + OFFSET - V @ V.T

    def slopes(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Means (n, m), variances (n,), and their derivatives by the numbers of each row: (n, m, numbers) and (n, numbers)."""
        U, bend = self._scaled(rows)
        cross, by_r2 = self._cross(U)
        V = cross @ self.half.T
        mean = cross @ self.alpha
        variance = np.maximum(self.signal + OFFSET - np.einsum("ij,ij->i", V, V), 1e-14)
        q = self._numbers
        by_r2 *= 2
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
