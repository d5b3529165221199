"""Hyperband's proposals: what the reports of the trials so far promise, where enough of them have come far enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clary.tuning.bayesian import Bayesian
from clary.tuning.samplers import Random
from clary.tuning.space import Space, Values
from clary.tuning.stopping import rungs
from clary.tuning.trial import Trial, by_index


@dataclass(frozen=True, slots=True)
class Hyperband:
    """Configurations many of which `stopping.successive_halving` stops early (Li et al. 2018; asynchronous, Li et al. 2020).

    The first ones are random. Then `Bayesian` chooses, told what trials reported at the highest rung that more of them have
    reached than there are parameters, plus one (Falkner et al. 2018; Klein et al. 2020): with random ones throughout the work
    until random search's best was reached was about twice as much. Resources are counted in reports: a trial's curve after r
    units of work has r values. Trials of parent jobs count as whole ones.
    """

    seed: int
    minimize: bool
    min_resource: int
    max_resource: int
    eta: int = 3

    def suggest(
        self, space: Space, trials: Sequence[Trial], index: int, prior: Sequence[Trial] = (), transfer: bool = False
    ) -> Values | None:
        trials = [trial for trial in by_index(trials) if trial.index != index]
        prior = [trial for trial in prior if space.holds(trial.values)]
        for rung in [self.max_resource, *reversed(rungs(0, self.min_resource, self.max_resource, self.eta))]:
            whole = prior if rung == self.max_resource else []
            if sum(len(trial.curve) >= rung for trial in trials) + len(whole) > len(space.parameters) + 1:
                told = [at_rung for trial in trials if (at_rung := _at(trial, rung))]
                return Bayesian(self.seed, self.minimize).suggest(space, told, index, whole, transfer)
        return Random(self.seed, self.minimize).suggest(space, trials, index)


def _at(trial: Trial, rung: int) -> Trial | None:
    """The trial as if it had ended at a rung; as it is while it runs, or if it failed; None if it ended before."""
    if len(trial.curve) >= rung:
        return Trial(trial.index, trial.values, trial.curve[rung - 1], "finished")
    return trial if trial.state in ("running", "failed") else None
