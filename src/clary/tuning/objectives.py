"""Objectives as a Gaussian process likes them: less is better, centred, of unit spread, the bad ones drawn together."""

from __future__ import annotations

import math

import numpy as np

REACH = 20.0
"""Quartile ranges above the best from which on costs are drawn in logarithmically before anything else."""
FEW = 4
"""A source with fewer costs borrows its spread from the other sources."""


class Objectives:
    """(n,) costs of one or more sources, each shifted to its best and scaled by its quartile range.

    `bent_at` maps them by log(1 + cost / knee): a small knee tells good costs apart and draws bad ones together, a large one
    leaves them as they are (a warped Gaussian process, Snelson et al. 2004, with one parameter, which is learned).
    """

    def __init__(self, costs: np.ndarray, sources: np.ndarray) -> None:
        self.groups = [np.flatnonzero(sources == source) for source in np.unique(sources)]
        self.lenders = [group for group in self.groups if len(group) >= FEW]
        self.costs = np.empty_like(costs)
        for group in self.groups:
            lent = [spread_of(costs[lender]) for lender in self._lenders(group)]
            self.costs[group] = above_best(costs[group], float(np.mean(lent)))

    def bent_at(self, log_knee: float | None) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Standardized objectives and their derivative by the log knee; minus the log of the map's slopes, and its derivative.

        log_knee None: costs are only standardized.
        """
        if log_knee is None:
            u, v, minus_slopes, by_knee = self.costs, np.zeros_like(self.costs), 0.0, 0.0
        else:
            knee = np.exp(log_knee)
            u = np.log1p(self.costs / knee)
            v = -self.costs / (knee + self.costs)
            minus_slopes, by_knee = float(np.log(knee + self.costs).sum()), float((knee / (knee + self.costs)).sum())
        z, z_by_knee = np.zeros_like(u), np.zeros_like(u)
        for group in self.groups:
            deviation, change = np.mean([_deviation(u[lender], v[lender]) for lender in self._lenders(group)], axis=0)
            if not deviation > 1e-9:
                continue
            n = len(u[group])
            z[group] = (u[group] - u[group].sum() / n) / deviation
            z_by_knee[group] = (v[group] - v[group].sum() / n - z[group] * change) / deviation
            minus_slopes += n * math.log(deviation)
            by_knee += n * float(change / deviation)
        return z, z_by_knee, minus_slopes, by_knee

    def _lenders(self, group: np.ndarray) -> list[np.ndarray]:
        """The sources whose spread scales a source: itself, unless it has few costs and others have more."""
        return [group] if len(group) >= FEW or not self.lenders else self.lenders


def _deviation(u: np.ndarray, v: np.ndarray) -> tuple[float, float]:
    """Standard deviation of u, and its derivative when v is that of u."""
    apart = u - u.sum() / len(u)
    deviation = math.sqrt(apart @ apart / len(u))
    return deviation, float(apart @ v) / (len(u) * max(deviation, 1e-12))


def spread_of(costs: np.ndarray) -> float:
    """The quartile range, or what else says how far costs lie apart; 0 when they are all alike but for rounding."""
    low, high = np.percentile(costs, [25, 75])
    apart = [high / 2 - low / 2, float(np.abs(costs / 2 - np.median(costs) / 2).mean())]
    least = 1e-12 * np.abs(costs).max()
    return next((2 * spread for spread in apart if spread > least), 0.0)


def above_best(costs: np.ndarray, spread: float) -> np.ndarray:
    """(n,) costs less the least of them, in units of `spread`, drawn in where they are hugely bad. Zeros when spread is 0."""
    if not spread > 0:
        return np.zeros_like(costs)
    scaled = np.minimum(costs / spread - costs.min() / spread, 1e100)
    return np.where(scaled > REACH, REACH + np.log1p(np.maximum(scaled - REACH, 0)), scaled)
