"""What to do about a tuning job: a pure function of its limits and of what its trials have come to."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from clary.tuning.trial import Trial

HOPELESS = 5
"""So many trials without a value of the objective, and none with one, end a tuning job, as on the service."""
_CONVERGENCE_TRIALS, _CONVERGENCE_PER_PARAMETER, _CONVERGENCE_SHARE = 20, 4, 0.01
END_REASONS = {
    "failed": "No training job succeeded after {count} attempts. Please take a look at the training job failures to get more "
    "details.",
    "silent": "ClientError: No objective metrics found after running {count} training jobs. Please ensure that the custom "
    "algorithm is emitting the objective metric as defined by the regular expression provided.",
}

StopRule = Callable[[Trial, Sequence[Trial]], bool]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a tuning job ends. `deadline` is a time in seconds since the epoch; None is no limit."""

    trials: int | None
    parallel: int
    minimize: bool
    parameters: int = 1
    """How many hyperparameters are searched, of the definition with the most."""
    deadline: float | None = None
    target: float | None = None
    not_improving: int | None = None
    ends_on_convergence: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A trial and the status of its training job."""

    index: int
    status: str
    trial: Trial
    definition: int = 0

    @property
    def runs(self) -> bool:
        return self.status in ("InProgress", "Stopping")

    @property
    def value(self) -> float | None:
        """What an ended trial has to be compared by."""
        return None if self.runs or self.status == "Failed" else self.trial.objective


@dataclass(frozen=True, slots=True)
class Launch:
    """Start the trial `index`."""

    index: int


@dataclass(frozen=True, slots=True)
class StopTrial:
    """Stop the training job of trial `index`; harmless when it was stopped before."""

    index: int


@dataclass(frozen=True, slots=True)
class End:
    """Start no more trials, stop those that run, and finish in this status when they have ended."""

    status: Literal["Completed", "Failed", "Stopped"]
    reason: str = ""

    def document(self) -> dict[str, str]:
        return {"status": self.status, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Finish:
    """Commit the end."""

    end: End


Action = Launch | StopTrial | End | Finish


def decide(
    trials: Sequence[Seen], launched: int, limits: Limits, now: float, *, end: End | None, exhausted: bool, stops: StopRule
) -> list[Action]:
    """The actions for a tuning job that has `launched` trials, seen as `trials`; none means wait.

    end : the end that was decided on before, or asked for; it is not decided anew, whatever the last trials bring
    exhausted : there is nothing left to try
    stops : whether a running trial is to be stopped early, given the other trials of its definition
    """
    running = [seen for seen in trials if seen.runs]
    if end is not None:
        stops_all: list[Action] = [StopTrial(seen.index) for seen in running if seen.status != "Stopping"]
        return stops_all if running else [Finish(end)]
    whole = exhausted or (limits.trials is not None and launched >= limits.trials)
    if decided := _end(trials, limits, now, last=whole and not running):
        return [decided]
    early: list[Action] = [
        StopTrial(seen.index) for seen in running if seen.status == "InProgress" and _stops(seen, trials, stops)
    ]
    if early or whole:
        return early if early or running else [End("Completed")]
    return [Launch(launched)] if len(running) < limits.parallel else []


def _stops(seen: Seen, trials: Sequence[Seen], stops: StopRule) -> bool:
    return stops(seen.trial, [other.trial for other in trials if other is not seen and other.definition == seen.definition])


def _end(trials: Sequence[Seen], limits: Limits, now: float, *, last: bool) -> End | None:
    """The end that is due; `last` says that all trials there will be have ended."""
    ended = [seen for seen in trials if not seen.runs]
    values = [seen.value for seen in ended if seen.value is not None]
    late = limits.deadline is not None and now >= limits.deadline
    if not values:
        return _hopeless(ended, last) or (End("Completed") if late else None)
    best = min(values) if limits.minimize else max(values)
    reached = limits.target is not None and (best <= limits.target if limits.minimize else best >= limits.target)
    stuck = limits.not_improving is not None and not_improving(trials, limits.minimize) >= limits.not_improving
    if reached or late or stuck or (limits.ends_on_convergence and converged(trials, limits)):
        return End("Completed")
    return None


def _hopeless(ended: Sequence[Seen], last: bool) -> End | None:
    """The end of a tuning job none of whose trials has a value."""
    if not ended or (len(ended) < HOPELESS and not last):
        return None
    kind = "failed" if all(seen.status == "Failed" for seen in ended) else "silent"
    return End("Failed", END_REASONS[kind].format(count=len(ended)))


def not_improving(trials: Sequence[Seen], minimize: bool) -> int:
    """How many trials with a value came after the best one: NumberOfTrainingJobsObjectiveNotImproving."""
    values = [seen.value if minimize else -seen.value for seen in trials if seen.value is not None]
    return len(values) - 1 - values.index(min(values)) if values else 0


def converged(trials: Sequence[Seen], limits: Limits) -> bool:
    """Whether the last trials, four per hyperparameter and at least 20, improved the best value by less than 1 % of the
    spread (between the quartiles) of all values. The service's own rule is not published."""
    values = [seen.value if limits.minimize else -seen.value for seen in trials if seen.value is not None]
    window = max(_CONVERGENCE_TRIALS, _CONVERGENCE_PER_PARAMETER * limits.parameters)
    if len(values) <= window:
        return False
    low, _, high = statistics.quantiles(values, n=4)
    return min(values[:-window]) - min(values) <= _CONVERGENCE_SHARE * (high - low)


@dataclass(slots=True)
class Progress:
    """What Describe says of a tuning job's completion, kept from one look to the next."""

    converged_at: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Progress:
        return cls(details.get("ConvergenceDetectedTime"), dict(details))

    def after(self, trials: Sequence[Seen], limits: Limits, now: float) -> dict[str, Any]:
        """TuningJobCompletionDetails; the time of convergence is that of the first look that found it."""
        if self.converged_at is None and converged(trials, limits):
            self.converged_at = now
        self.details = {"NumberOfTrainingJobsObjectiveNotImproving": not_improving(trials, limits.minimize)}
        if self.converged_at is not None:
            self.details["ConvergenceDetectedTime"] = self.converged_at
        return self.details
