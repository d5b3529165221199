"""The candidate models that are trained side by side in one pass: neighbours of the settings that were asked for.

The hosted algorithm's own 32 values are not published. This grid spans what its logs show: learning rates from 0.005 to 0.1,
weight decay and L1 from none to 0.01, and a tail of heavy regularisation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Auto = Literal["auto"]
AUTO: Auto = "auto"
NUM_MODELS = 32
"""What `num_models=auto` means."""

_RATES = (0.03, 0.1, 0.01, 0.005)
_DECAYS = (0.0, 1e-4, 1e-3, 1e-2)
_L1 = (0.0, 1e-4, 1e-3, 1e-2)
_HEAVY = (0.1, 1.0)
_NEIGHBOURS = (1.0, 0.3, 3.0, 0.1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model's own settings: learning rate, L1, weight decay (L2), and the weight of positive rows."""

    learning_rate: float
    l1: float
    wd: float
    positive: float = 1.0


def grid(
    models: int,
    *,
    learning_rate: float | Auto = AUTO,
    l1: float | Auto = AUTO,
    wd: float | Auto = AUTO,
    positive: Sequence[float] = (1.0,),
) -> list[Candidate]:
    """`models` candidates; the first has the given numbers, or the first choice of what is left to us.

    The others vary what is `auto` over the grid and what is given over close values (a given zero stays zero). `positive`
    are the weights of positive rows to try. Fewer come back when there are not so many different ones.
    """
    rates = _around(learning_rate, _RATES)
    decays, lassos = _around(wd, _DECAYS), _around(l1, _L1)
    choices = itertools.product(enumerate(positive), enumerate(decays), enumerate(lassos), enumerate(rates))
    ranked = sorted(choices, key=_distance)
    near = [Candidate(rate[1], lasso[1], decay[1], weight[1]) for weight, decay, lasso, rate in ranked]
    heavy = [Candidate(rates[0], lassos[0], decay, positive[0]) for decay in _HEAVY] if wd == AUTO else []
    if models < NUM_MODELS:
        return near[:models]
    return [*near[: models - len(heavy)], *heavy]


def _around(given: float | Auto, ours: Sequence[float]) -> list[float]:
    """The values to try, the most wanted first."""
    if given == AUTO:
        return list(ours)
    return [given * factor for factor in _NEIGHBOURS] if given else [given]


def _distance(choice: tuple[tuple[int, float], ...]) -> tuple[int, tuple[int, ...]]:
    """How far a combination is from the first choices: combinations near to them come first."""
    ranks = tuple(rank for rank, _ in choice)
    return sum(ranks), ranks
