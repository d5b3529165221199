"""Bayesian optimization: a Gaussian process over the trials, and the configuration of highest log expected improvement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clary.tuning.encoding import Encoding
from clary.tuning.one_thread import one_thread
from clary.tuning.samplers import Sobol
from clary.tuning.search import Search
from clary.tuning.space import Space, Values
from clary.tuning.surrogate import Surrogate
from clary.tuning.trial import Trial, by_index


@dataclass(frozen=True, slots=True)
class Bayesian:
    """initial : trials that are drawn from a Sobol sequence before the model is asked; None: 3 + half the number of parameters,
    at most 10. Trials of parent jobs count. warp : bend inputs (Kumaraswamy). bend : bend objectives (log(1 + cost / knee)).
    fantasies : imagined outcomes of running trials. candidates : configurations that are compared before the best are improved.

    A failed trial counts as one as bad as the worst so far. Trials whose values lie outside the space are left out.
    """

    seed: int
    minimize: bool = True
    initial: int | None = None
    warp: bool = True
    bend: bool = True
    fantasies: int = 8
    candidates: int = 400

    def suggest(
        self, space: Space, trials: Sequence[Trial], index: int, prior: Sequence[Trial] = (), transfer: bool = False
    ) -> Values | None:
        history = History.of(space, [trial for trial in trials if trial.index != index], prior, transfer)
        first = min(10, 3 + len(space.parameters) // 2) if self.initial is None else self.initial
        if history.outcomes < 2 or index + history.parents < first:
            return Sobol(self.seed).suggest(space, trials, index)
        with one_thread():
            return self._modelled(Encoding(space), history, index)

    def _modelled(self, encoding: Encoding, history: History, index: int) -> Values:
        rng = np.random.default_rng([self.seed, index])
        surrogate = Surrogate.of(encoding, history.ended, history.sources, self.minimize, self.warp, self.bend)
        posterior = surrogate.posterior()
        rows = surrogate.observed.rows
        good = rows[np.argsort(posterior.at_points, kind="stable")[:3]]
        if not any(source == 0 for source in history.sources) and not history.running:
            return encoding.from_unit(good[0])
        if history.running:
            ahead = encoding.to_unit([trial.values for trial in history.running])
            posterior = surrogate.imagined(posterior, ahead, self.fantasies, rng)
            rows = np.vstack([rows, ahead])
        search = Search(encoding, posterior, rows, good)
        return encoding.from_unit(search.run(rng, self.candidates))


@dataclass(frozen=True, slots=True)
class History:
    """What a suggestion stands on. ended : trials with an outcome, then failed ones. sources : of each ended trial 0 when it
    counts as one of this job, else the number of its related job. running : trials of this job. parents : how many trials of
    parent jobs have an outcome."""

    ended: list[Trial]
    sources: list[int]
    running: list[Trial]
    parents: int

    @classmethod
    def of(cls, space: Space, trials: Sequence[Trial], prior: Sequence[Trial], transfer: bool) -> History:
        mine = [trial for trial in by_index(trials) if space.holds(trial.values)]
        parents = sorted((trial for trial in prior if space.holds(trial.values)), key=_identity)
        names = sorted({trial.source for trial in parents})
        marked = [(trial, 1 + names.index(trial.source) if transfer else 0) for trial in parents] + [
            (trial, 0) for trial in mine
        ]
        told = {source for trial, source in marked if trial.outcome is not None}
        ended = [pair for pair in marked if pair[0].outcome is not None]
        ended += [pair for pair in marked if pair[0].failed and pair[1] in told]
        running = [trial for trial in mine if trial.state == "running"]
        outcomes = sum(trial.outcome is not None for trial in parents)
        return cls([trial for trial, _ in ended], [source for _, source in ended], running, outcomes)

    @property
    def outcomes(self) -> int:
        return sum(trial.outcome is not None for trial in self.ended)


def _identity(trial: Trial) -> tuple[str, int, str]:
    """Parents' trials may share an index: an order that does not depend on the one in which they come."""
    return trial.source, trial.index, repr(sorted(trial.values.items()))
