"""Where the acquisition is highest: many candidates first, then ascent of the numbers and exchange of the discrete values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from clary.tuning.acquisition import log_expected_improvement, with_slope
from clary.tuning.encoding import Encoding
from clary.tuning.gaussian_process import Posterior

ENUMERABLE = 2000
"""A space of at most so many configurations is looked through completely."""
ASCENTS = 6
SWEEPS = 3
ROUGHLY = {"maxiter": 30, "ftol": 1e-5, "gtol": 1e-3}
"""When an ascent ends: that is of a logarithm, of which a thousandth more or less is no matter."""


@dataclass(frozen=True)
class Search:
    """encoding : of the space. posterior : what is known. seen : (n, columns), tried already. good : (k, columns), the best of
    them, near which candidates are drawn too."""

    encoding: Encoding
    posterior: Posterior
    seen: np.ndarray
    good: np.ndarray

    def run(self, rng: np.random.Generator, candidates: int) -> np.ndarray:
        """(columns,) the row to try next; one that was tried already only if the space has no other."""
        size = self.encoding.space.size
        if size is not None and size <= ENUMERABLE:
            return self._first_new(*self._ranked(self.encoding.every()))
        rows, values = self._ranked(self._candidates(rng, candidates))
        rows, values = self._ranked(np.vstack([self._climb(rows[:ASCENTS]), rows[: 50 * ASCENTS]]))
        return self._first_new(rows, values)

    def _candidates(self, rng: np.random.Generator, n: int) -> np.ndarray:
        d = self.encoding.numeric.size
        wide = self.encoding.snap(rng.random((n, d)))
        near = self.good[rng.integers(len(self.good), size=n // 2)]
        reach = 10.0 ** rng.uniform(-4, -0.5, size=(len(near), 1))
        moved = np.where(self.encoding.numeric, np.clip(near + reach * rng.standard_normal(near.shape), 0, 1), near)
        jump = rng.random(near.shape) < np.where(self.encoding.continuous, 0.0, 1 / d)
        moved = self.encoding.round(np.where(jump, self.encoding.snap(rng.random(near.shape)), moved))
        return np.vstack([wide, moved])

    def _ranked(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = log_expected_improvement(self.posterior, rows)
        order = np.argsort(-values, kind="stable")
        return rows[order], values[order]

    def _first_new(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        for row in rows:
            if not (np.abs(self.seen - row).max(axis=1) < 1e-9).any():
                return row
        return rows[0]

    def _climb(self, rows: np.ndarray) -> np.ndarray:
        """Local maxima: ascent along the continuous columns and the best exchange of one discrete value, in turns."""
        rows = self._ascend(rows)
        if self.encoding.continuous.all():
            return rows
        for _ in range(SWEEPS):
            better = np.vstack([self._ranked(np.vstack([row[None], self._exchanges(row)]))[0][0] for row in rows])
            if (better == rows).all():
                break
            rows = self._ascend(better)
        return rows

    def _ascend(self, rows: np.ndarray) -> np.ndarray:
        """All rows at once, by L-BFGS on the sum of their acquisitions: fewer and larger steps of linear algebra."""
        free = np.flatnonzero(self.encoding.continuous)
        if not len(free):
            return rows
        among_numbers = np.cumsum(self.encoding.numeric)[free] - 1

        def placed(x: np.ndarray) -> np.ndarray:
            moved = rows.copy()
            moved[:, free] = x.reshape(len(rows), -1)
            return moved

        def cost(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = with_slope(self.posterior, placed(x))
            return -float(value.sum()), -slope[:, among_numbers].ravel()

        start = rows[:, free].ravel()
        found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(start), options=ROUGHLY)
        return placed(np.clip(found.x, 0, 1))

    def _exchanges(self, row: np.ndarray) -> np.ndarray:
        """Rows that differ from this one in one discrete column: in another category, or an integer a step or more away."""
        rows = []
        for i, count in enumerate(self.encoding.categories):
            if self.encoding.continuous[i]:
                continue
            steps = np.arange(count) if count else np.clip(row[i] + _STEPS, 0, 1)
            others = np.repeat(row[None], len(steps), axis=0)
            others[:, i] = steps
            rows.append(others)
        return self.encoding.round(np.vstack(rows))


_STEPS = np.concatenate([sign * np.array([0.001, 0.003, 0.01, 0.03, 0.1, 0.3]) for sign in (-1, 1)])
