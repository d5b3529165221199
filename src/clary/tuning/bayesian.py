"""Bayesian optimization: a Gaussian process over the trials, and the configuration of highest log expected improvement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clary.tuning.encoding import Encoding
from clary.tuning.gaussian_process import Layout, Posterior, Priors, fit
from clary.tuning.kernel import Features
from clary.tuning.objectives import standardized
from clary.tuning.samplers import Sobol
from clary.tuning.search import Search
from clary.tuning.space import Space, Values
from clary.tuning.trial import Trial, by_index


@dataclass(frozen=True, slots=True)
class Bayesian:
    """initial : trials that are drawn from a Sobol sequence before the model is asked; None: 3 + half the number of parameters,
    at most 10. Trials of parent jobs count. warp : bend inputs (Kumaraswamy). fantasies : imagined outcomes of running trials.
    candidates : configurations that are compared before the best are improved."""

    seed: int
    minimize: bool = True
    initial: int | None = None
    warp: bool = True
    fantasies: int = 8
    candidates: int = 400

    def suggest(
        self, space: Space, trials: Sequence[Trial], index: int, prior: Sequence[Trial] = (), transfer: bool = False
    ) -> Values | None:
        encoding = Encoding(space)
        trials = [trial for trial in by_index(trials) if trial.index != index and space.holds(trial.values)]
        prior = [trial for trial in prior if space.holds(trial.values)]
        ended = [trial for trial in [*prior, *trials] if trial.outcome is not None]
        enough = min(10, 3 + len(space.parameters) // 2) if self.initial is None else self.initial
        if len(ended) < 2 or index + len(prior) < enough:
            return Sobol(self.seed).suggest(space, trials, index)
        ended += [trial for trial in [*prior, *trials] if trial.failed]
        running = [trial for trial in trials if trial.state == "running"]
        rng = np.random.default_rng([self.seed, index])
        return encoding.from_unit(self._search(encoding, ended, running, rng).run(rng, self.candidates))

    def _search(self, encoding: Encoding, ended: list[Trial], running: list[Trial], rng: np.random.Generator) -> Search:
        rows = encoding.to_unit([trial.values for trial in ended])
        y = standardized(self._costs(ended))
        layout = Layout(Features.of(encoding), self.warp, Priors())
        theta = fit(layout, rows, y)
        posterior = Posterior(layout, theta, rows, y)
        good = rows[np.argsort(posterior.at_points, kind="stable")[:3]]
        if running:
            ahead = encoding.to_unit([trial.values for trial in running])
            posterior = self._imagined(posterior, layout, theta, rows, y, ahead, rng)
            rows = np.vstack([rows, ahead])
        best = np.atleast_1d(posterior.at_points.min(axis=0))
        return Search(encoding, posterior, best, rows, good)

    def _imagined(
        self,
        posterior: Posterior,
        layout: Layout,
        theta: np.ndarray,
        rows: np.ndarray,
        y: np.ndarray,
        ahead: np.ndarray,
        rng: np.random.Generator,
    ) -> Posterior:
        """The posterior given also outcomes of the running trials, drawn from what is known of them (Snoek et al. 2012)."""
        mean, covariance = posterior.joint(ahead)
        values, vectors = np.linalg.eigh(covariance)
        roots = vectors * np.sqrt(np.maximum(values, 0))
        drawn = mean[:, None] + roots @ rng.standard_normal((len(ahead), self.fantasies))
        known = np.repeat(y[:, None], self.fantasies, axis=1)
        return Posterior(layout, theta, np.vstack([rows, ahead]), np.vstack([known, drawn]))

    def _costs(self, ended: list[Trial]) -> np.ndarray:
        """What is minimized; a failed trial costs as much as the worst that has ended."""
        sign = 1.0 if self.minimize else -1.0
        costs = np.array([np.nan if trial.outcome is None else sign * trial.outcome for trial in ended])
        return np.where(np.isnan(costs), np.nanmax(costs), costs)
