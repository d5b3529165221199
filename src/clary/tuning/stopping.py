"""Which running trials are not worth finishing. Pure Python: these run in the server, after every report."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from statistics import median

from clary.tuning.trial import Trial

LEAST = 3
"""Trials that must have ended and reported as often before the median rule stops any."""
GRACE = 1 / 3
"""Share of a finished trial's reports that the median rule lets every trial make: what learns in small steps looks bad at first
and may end best. XGBoost on abalone: from the first report on, twice the work was saved and half the best trials lost."""


def median_rule(trial: Trial, others: Sequence[Trial], minimize: bool) -> bool:
    """Whether `trial` is worse than the median of the running averages, up to the same report, of the trials that have finished
    or were stopped (TrainingJobEarlyStoppingType Auto; Golovin et al. 2017, section 3.2.1).

    Compared is its last report that at least `LEAST` of them have made too: reports may come faster than anybody looks, and a
    trial that has passed them all must not be safe for that. Never stops before `LEAST` such trials have reported, nor before
    `GRACE` of the reports that the median of the finished ones made. A NaN is worse than anything.
    """
    ended = [o for o in others if o.index != trial.index and o.state in ("finished", "stopped") and o.curve]
    if not trial.curve or len(ended) < LEAST:
        return False
    common = sorted((len(other.curve) for other in ended), reverse=True)[LEAST - 1]
    reports = min(len(trial.curve), common)
    whole = [len(other.curve) for other in ended if other.state == "finished"]
    if not whole or reports < GRACE * median(whole):
        return False
    averages = [sum(_cost(v, minimize) for v in o.curve[:reports]) / reports for o in ended if len(o.curve) >= reports]
    return _cost(trial.curve[reports - 1], minimize) > median(averages)


def successive_halving(
    trial: Trial, others: Sequence[Trial], *, minimize: bool, min_resource: int, max_resource: int, eta: int = 3
) -> bool:
    """Whether `trial` is to stop: its curve has `max_resource` reports, or at the highest rung that it has reached it is not
    among the best 1/eta of the trials of its bracket that have reached that rung (at least one stays).

    Asynchronous successive halving by stopping (Li et al. 2020): nobody waits for a rung to fill, and who is on a rung is
    judged again as others arrive. Brackets (Li et al. 2018) begin at different rungs; which one a trial is in follows from its
    index (`bracket`). What counts at a rung is the report made there, whatever its trial does now. Ties stay. NaN is worse
    than anything.
    """
    mine = bracket(trial.index, min_resource, max_resource, eta)
    if len(trial.curve) >= max_resource:
        return True
    reached = [rung for rung in rungs(mine, min_resource, max_resource, eta) if rung <= len(trial.curve)]
    if not reached:
        return False
    rung = reached[-1]
    rivals = [
        _cost(other.curve[rung - 1], minimize)
        for other in others
        if other.index != trial.index
        and len(other.curve) >= rung
        and bracket(other.index, min_resource, max_resource, eta) == mine
    ]
    cost = _cost(trial.curve[rung - 1], minimize)
    better = sum(rival < cost for rival in rivals)
    return cost == math.inf or better >= max(1, (len(rivals) + 1) // eta)


def rungs(bracket: int, min_resource: int, max_resource: int, eta: int) -> list[int]:
    """Reports after which the trials of a bracket are judged, fewest first: `max_resource` over powers of eta, not below
    `min_resource`; bracket b leaves the lowest b out, so its trials get eta^b times the resource before they are judged."""
    steps = range(deepest(min_resource, max_resource, eta) - bracket, 0, -1)
    return [max(min_resource, round(max_resource / eta**step)) for step in steps]


@functools.cache
def bracket(index: int, min_resource: int, max_resource: int, eta: int) -> int:
    """The bracket of the trial with this index.

    Hyperband gives its bracket with s rungs (s_max + 1) / (s + 1) eta^s trials. They are dealt one by one, to the bracket that
    lags most behind its share, so that every stretch of indices has the mixture.
    """
    depth = deepest(min_resource, max_resource, eta)
    sizes = [math.ceil((depth + 1) / (s + 1) * eta**s) for s in range(depth, -1, -1)]
    dealt = [0] * len(sizes)
    for _ in range(index % sum(sizes) + 1):
        chosen = min(range(len(sizes)), key=lambda b: ((dealt[b] + 1) / sizes[b], b))
        dealt[chosen] += 1
    return chosen


def deepest(min_resource: int, max_resource: int, eta: int) -> int:
    """s_max: how often the resource can be multiplied by eta from `min_resource` on without passing `max_resource`.

    Raises ValueError unless 1 <= min_resource <= max_resource and eta >= 2.
    """
    if not (1 <= min_resource <= max_resource and eta >= 2):
        raise ValueError(
            f"Hyperband needs 1 <= min_resource <= max_resource and eta >= 2, not {min_resource}, {max_resource}, {eta}"
        )
    depth = 0
    while min_resource * eta ** (depth + 1) <= max_resource:
        depth += 1
    return depth


def _cost(value: float, minimize: bool) -> float:
    """Less is better; NaN is infinitely bad."""
    if math.isnan(value):
        return math.inf
    return value if minimize else -value
