"""The decision about a tuning job, as tables: what its trials have come to, what is done."""

from __future__ import annotations

from typing import Any

import pytest

from clary.compute.control.tuning_decision import (
    Action,
    End,
    Finish,
    Launch,
    Limits,
    Progress,
    Seen,
    StopTrial,
    converged,
    decide,
    not_improving,
)
from clary.tuning.trial import Trial

FAILED = "No training job succeeded after {} attempts. Please take a look at the training job failures to get more details."
SILENT = "ClientError: No objective metrics found after running {} training jobs. Please ensure"


def seen(*trials: str | float, definition: int = 0) -> list[Seen]:
    """A trial a word: `run`, `stopping`, `failed`, `silent` (completed without a value), or the value of a completed one."""
    status = {"run": "InProgress", "stopping": "Stopping", "failed": "Failed", "silent": "Completed"}
    found = []
    for index, told in enumerate(trials):
        value = None if isinstance(told, str) else float(told)
        trial = Trial(index, {}, value, "finished" if value is not None else "running", ())
        found.append(Seen(index, status.get(str(told), "Completed"), trial, definition))
    return found


def actions(trials: list[Seen], limits: Limits, **more: Any) -> list[Action]:
    settings = {"end": None, "exhausted": False, "stops": lambda trial, others: False} | more
    launched = settings.pop("launched", len(trials))
    return decide(trials, launched, limits, settings.pop("now", 0.0), **settings)


FEW = Limits(trials=3, parallel=2, minimize=True)
MANY = Limits(trials=100, parallel=2, minimize=True)
STOPPED = End("Stopped")

TABLE: list[tuple[list[Seen], Limits, dict[str, Any], list[Action]]] = [
    # trials are started one at a time, so that each is chosen knowing of those before it
    (seen(), FEW, {}, [Launch(0)]),
    (seen("run"), FEW, {}, [Launch(1)]),
    (seen("run", "run"), FEW, {}, []),
    (seen(1, "run"), FEW, {}, [Launch(2)]),
    (seen(1, "stopping"), FEW, {}, [Launch(2)]),
    (seen(1, 2, "run"), FEW, {}, []),
    (seen(1, 2, 3), FEW, {}, [End("Completed")]),
    (seen(1, 2), FEW, {"exhausted": True}, [End("Completed")]),
    (seen(1, "run"), FEW, {"exhausted": True}, []),
    # an end that was decided on stands
    (seen(1, 2, 3), FEW, {"end": End("Completed")}, [Finish(End("Completed"))]),
    (seen(1, "run", "stopping"), FEW, {"end": STOPPED}, [StopTrial(1)]),
    (seen(1, "stopping"), FEW, {"end": STOPPED}, []),
    (seen(), FEW, {"end": STOPPED}, [Finish(STOPPED)]),
    # criteria
    (seen(3, 0.5, "run"), Limits(9, 2, True, target=0.5), {}, [End("Completed")]),
    (seen(3, 0.5, "run"), Limits(9, 2, False, target=3.0), {}, [End("Completed")]),
    (seen(3, 0.6, "run"), Limits(9, 2, True, target=0.5), {}, [Launch(3)]),
    (seen(1, 2, 3, 4), Limits(9, 2, True, not_improving=3), {}, [End("Completed")]),
    (seen(1, 2, 3, 0), Limits(9, 2, True, not_improving=3), {}, [Launch(4)]),
    (seen(1, "failed", 3, 4), Limits(9, 2, True, not_improving=3), {}, [Launch(4)]),
    (seen(1, "run"), Limits(9, 2, True, deadline=60.0), {"now": 60.0}, [End("Completed")]),
    (seen(1, "run"), Limits(9, 2, True, deadline=60.0), {"now": 59.0}, [Launch(2)]),
    (seen("run", "run"), Limits(9, 2, True, deadline=60.0), {"now": 60.0}, [End("Completed")]),
    # nothing but failures
    (seen("failed", "failed", "failed", "failed"), MANY, {}, [Launch(4)]),
    (seen(*["failed"] * 5), MANY, {}, [End("Failed", FAILED.format(5))]),
    (seen(*["failed"] * 5, "run"), MANY, {}, [End("Failed", FAILED.format(5))]),
    (seen(1, *["failed"] * 9), MANY, {}, [Launch(10)]),
    (seen("failed", "failed", "run"), FEW, {}, []),
    (seen("failed", "failed", "failed"), FEW, {}, [End("Failed", FAILED.format(3))]),
    (seen("failed", "failed"), MANY, {"exhausted": True}, [End("Failed", FAILED.format(2))]),
    (seen("failed", "run"), MANY, {"exhausted": True}, []),
]


@pytest.mark.parametrize(("trials", "limits", "more", "expected"), TABLE)
def test_the_decision(trials, limits, more, expected):
    assert actions(trials, limits, **more) == expected


def test_trials_without_the_metric_are_told_apart_from_failed_ones():
    (end,) = actions(seen(*["silent"] * 4, "failed"), MANY)
    assert end.status == "Failed"
    assert end.reason.startswith(SILENT.format(5))


def test_a_trial_is_stopped_early_against_those_of_its_own_definition():
    asked: list[tuple[int, list[int]]] = []

    def stops(trial, others):
        asked.append((trial.index, [other.index for other in others]))
        return trial.index == 1

    other = Seen(9, "Completed", Trial(9, {}, 1.0, "finished", ()), definition=1)
    assert actions([*seen(1, "run", "stopping"), other], MANY, stops=stops) == [StopTrial(1)]
    assert asked == [(1, [0, 2])], "one that is being stopped is not asked about again"


def test_how_long_nothing_improved():
    assert not_improving(seen(), True) == 0
    assert not_improving(seen(2, 1, "run", 1, 3, "failed"), True) == 2
    assert not_improving(seen(2, 1, 3), False) == 0


def test_convergence_takes_twenty_trials_that_improve_nothing():
    limits = Limits(trials=100, parallel=1, minimize=True, ends_on_convergence=True)
    spread = [float(value) for value in range(10, 2, -1)]
    assert not converged(seen(*spread, *[3.0] * 19), limits), "the eighth was better than the seventh"
    assert converged(seen(*spread, *[3.0] * 20), limits)
    assert not converged(seen(*spread, *[3.0] * 19, 2.0), limits)
    assert actions(seen(*spread, *[3.0] * 20), limits) == [End("Completed")]
    many = Limits(trials=100, parallel=1, minimize=True, parameters=6)
    assert not converged(seen(*spread, *[3.0] * 20), many), "six hyperparameters take 24"


def test_the_time_of_convergence_is_when_it_was_first_seen():
    trials = seen(*[float(value) for value in range(10, 2, -1)], *[3.0] * 20)
    progress = Progress.of({})
    assert progress.after(trials[:8], MANY, 1.0) == {"NumberOfTrainingJobsObjectiveNotImproving": 0}
    details = {"NumberOfTrainingJobsObjectiveNotImproving": 20, "ConvergenceDetectedTime": 2.0}
    assert progress.after(trials, MANY, 2.0) == details
    assert Progress.of(details).after(trials, MANY, 3.0) == details
