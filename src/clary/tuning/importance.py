"""How much each parameter matters for the objective, for reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from clary.tuning.encoding import Encoding
from clary.tuning.one_thread import one_thread
from clary.tuning.space import Space
from clary.tuning.surrogate import Surrogate
from clary.tuning.trial import Trial, by_index

LEAST = 4
"""Trials with an outcome before anything is said."""
DRAWS = 1024


def importance(space: Space, trials: Sequence[Trial], minimize: bool, seed: int) -> dict[str, float]:
    """Share of each parameter, by name, in the order of the space; shares add up to 1.

    Total Sobol indices (the part of the objective's variance over the space, uniform on each parameter's scale, in which the
    parameter has a hand, alone or with others) of the mean of the Gaussian process fitted to the trials, by Jansen's estimator
    (Saltelli et al. 2010, table 2), divided by their sum. Failed trials are left out here: what they would have come to is not
    known. Empty when fewer than 4 trials have an outcome or all outcomes are alike.
    """
    ended = [trial for trial in by_index(trials) if trial.outcome is not None and space.holds(trial.values)]
    if len(ended) < LEAST or len({trial.outcome for trial in ended}) == 1:
        return {}
    encoding = Encoding(space)
    with one_thread():
        surrogate = Surrogate.of(encoding, ended, [0] * len(ended), minimize, warped=True, bent=False)
        posterior = surrogate.posterior()
        total = total_indices(encoding, lambda rows: posterior.at(rows)[0], np.random.default_rng(seed))
    shares = total / total.sum() if total.sum() > 0 else np.full(len(total), 1 / len(total))
    return {p.name: float(share) for p, share in zip(space.parameters, shares, strict=True)}


def total_indices(encoding: Encoding, function: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """(columns,), not divided by the variance: half the mean square of the change when one column alone is drawn anew."""
    d = len(encoding.space.parameters)
    rows, others = (encoding.snap(rng.random((DRAWS, d))) for _ in range(2))
    values = function(rows)
    total = np.empty(d)
    for i in range(d):
        changed = rows.copy()
        changed[:, i] = others[:, i]
        total[i] = 0.5 * ((function(changed) - values) ** 2).mean()
    return total
