"""From trials to a fitted Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clary.tuning.encoding import Encoding
from clary.tuning.gaussian_process import Layout, Observations, Posterior, fit
from clary.tuning.kernel import Features
from clary.tuning.objectives import Objectives
from clary.tuning.trial import Trial

ENOUGH = 200
"""Hyperparameters are learned from at most so many observations; the posterior knows all of them."""


@dataclass(frozen=True)
class Surrogate:
    """Observations, the hyperparameters that suit them, and standardized objectives y (n,)."""

    observed: Observations
    layout: Layout
    theta: np.ndarray
    y: np.ndarray

    @classmethod
    def of(
        cls, encoding: Encoding, trials: Sequence[Trial], sources: Sequence[int], minimize: bool, warped: bool, bent: bool
    ) -> Surrogate:
        """trials : ended ones, at least one with an outcome. sources : 0 for each trial of this job or one like it."""
        marks = np.array(sources, dtype=int)
        observed = Observations(encoding.to_unit([trial.values for trial in trials]), costs_of(trials, marks, minimize), marks)
        layout = Layout(Features.of(encoding), warped, bent, bool(marks.any()))
        theta = fit(layout, observed.part(_telling(observed)))
        y, *_ = Objectives(observed.costs, marks).bent_at(theta[layout.knee] if bent else None)
        return cls(observed, layout, theta, y)

    def posterior(self) -> Posterior:
        return Posterior(self.layout, self.theta, self.observed.rows, self.observed.sources, self.y)

    def imagined(self, posterior: Posterior, ahead: np.ndarray, n: int, rng: np.random.Generator) -> Posterior:
        """The posterior given also n joint draws of what the rows `ahead` may come to (Snoek et al. 2012)."""
        mean, covariance = posterior.joint(ahead)
        values, vectors = np.linalg.eigh(covariance)
        roots = vectors * np.sqrt(np.maximum(values, 0))
        drawn = mean[:, None] + roots @ rng.standard_normal((len(ahead), n))
        rows = np.vstack([self.observed.rows, ahead])
        sources = np.concatenate([self.observed.sources, np.zeros(len(ahead), dtype=int)])
        return Posterior(self.layout, self.theta, rows, sources, np.vstack([np.repeat(self.y[:, None], n, axis=1), drawn]))


def costs_of(trials: Sequence[Trial], sources: np.ndarray, minimize: bool) -> np.ndarray:
    """(n,) what is minimized; a failed trial costs as much as the worst of its source that has an outcome."""
    sign = 1.0 if minimize else -1.0
    costs = np.array([np.nan if trial.outcome is None else sign * trial.outcome for trial in trials])
    for source in np.unique(sources):
        group = sources == source
        costs[group] = np.where(np.isnan(costs[group]), np.nanmax(costs[group]), costs[group])
    return costs


def _telling(observed: Observations) -> np.ndarray:
    """Which observations hyperparameters are learned from: all, or the best half and others evenly over the history."""
    n = len(observed.costs)
    if n <= ENOUGH:
        return np.arange(n)
    order = np.lexsort((observed.costs, observed.sources))
    rest = np.sort(order[ENOUGH // 2 :])
    evenly = rest[np.linspace(0, len(rest) - 1, ENOUGH - ENOUGH // 2).astype(int)]
    return np.sort(np.concatenate([order[: ENOUGH // 2], evenly]))
