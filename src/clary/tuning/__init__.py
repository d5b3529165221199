"""Hyperparameter tuning as a plain library: a search space, trials, and strategies that propose the next configuration.

    from clary.tuning import Bayesian, Continuous, Integer, Space, Trial

    space = Space((Continuous("eta", 1e-3, 1.0), Integer("max_depth", 1, 10)))
    values = Bayesian(seed=0, minimize=True).suggest(space, trials, index=len(trials))

A strategy is a pure function of its arguments: no state, no global random numbers. Spaces, trials and stopping rules are pure
Python; strategies need numpy and scipy (`pip install clary[tuning]`) and are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.tuning.space import Categorical, Continuous, Integer, Parameter, Scale, Space, Values
from clary.tuning.stopping import median_rule, successive_halving
from clary.tuning.trial import Trial

if TYPE_CHECKING:
    from clary.tuning.bayesian import Bayesian
    from clary.tuning.hyperband import Hyperband
    from clary.tuning.samplers import Grid, Random, Sobol

__all__ = [
    "Bayesian",
    "Categorical",
    "Continuous",
    "Grid",
    "Hyperband",
    "Integer",
    "Parameter",
    "Random",
    "Scale",
    "Sobol",
    "Space",
    "Trial",
    "Values",
    "median_rule",
    "successive_halving",
]

_HOMES = {
    "Bayesian": "clary.tuning.bayesian",
    "Grid": "clary.tuning.samplers",
    "Hyperband": "clary.tuning.hyperband",
    "Random": "clary.tuning.samplers",
    "Sobol": "clary.tuning.samplers",
}


def __getattr__(name: str) -> Any:
    """Import a strategy, and numpy with it, when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
