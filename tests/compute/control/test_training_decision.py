"""The decision about a training job, as a table: what is wanted, what is observed, what is done."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from clary.compute.control.training_decision import LOST, Action, Finish, Retry, Start, Stop, decide
from clary.compute.runner.process import Observation

ABSENT, RUNNING, GONE = Observation("ABSENT"), Observation("RUNNING"), Observation("LOST")


def left(outcome: str, reason: str = "") -> Observation:
    return Observation("EXITED", {"outcome": outcome, "reason": reason})


COMPLETED, STOPPED, LATE = left("Completed"), left("Stopped"), left("MaxRuntimeExceeded")
FAILED = left("Failed", "AlgorithmError: no")


def finish(status: str, secondary: str, seen: Observation | None, reason: str = "") -> Finish:
    return Finish(status, secondary, reason, seen.record if seen else None)


ONE_HOST: list[tuple[str, int, Observation, list[Action]]] = [
    # a job that was just created, or whose server was killed between create and start
    ("InProgress", 1, ABSENT, [Start("algo-1")]),
    # adopted, or simply going on
    ("InProgress", 1, RUNNING, []),
    # the server was killed between exit record and commit, or not: it makes no difference
    ("InProgress", 1, COMPLETED, [finish("Completed", "Completed", COMPLETED)]),
    ("InProgress", 1, FAILED, [finish("Failed", "Failed", FAILED, "AlgorithmError: no")]),
    ("InProgress", 1, LATE, [finish("Stopped", "MaxRuntimeExceeded", LATE)]),
    ("InProgress", 1, STOPPED, [finish("Stopped", "Stopped", STOPPED)]),
    # the supervisor was killed, or the machine went down
    ("InProgress", 1, GONE, [Retry()]),
    ("InProgress", 2, ABSENT, [Start("algo-1")]),
    ("InProgress", 2, GONE, [finish("Failed", "Failed", None, LOST)]),
    # a stop was asked for
    ("Stopping", 1, ABSENT, [finish("Stopped", "Stopped", None)]),
    ("Stopping", 1, RUNNING, [Stop("algo-1")]),
    ("Stopping", 1, STOPPED, [finish("Stopped", "Stopped", STOPPED)]),
    ("Stopping", 1, COMPLETED, [finish("Stopped", "Stopped", COMPLETED)]),
    ("Stopping", 1, FAILED, [finish("Failed", "Failed", FAILED, "AlgorithmError: no")]),
    ("Stopping", 1, GONE, [finish("Stopped", "Stopped", None)]),
]


@pytest.mark.parametrize(("status", "attempt", "seen", "actions"), ONE_HOST)
def test_one_host(status: str, attempt: int, seen: Observation, actions: list[Action]) -> None:
    assert decide(status, attempt, {"algo-1": seen}) == actions


TWO_HOSTS: list[tuple[str, Observation, Observation, list[Action]]] = [
    ("InProgress", ABSENT, ABSENT, [Start("algo-1"), Start("algo-2")]),
    ("InProgress", RUNNING, ABSENT, [Start("algo-2")]),
    ("InProgress", COMPLETED, RUNNING, []),
    ("InProgress", COMPLETED, COMPLETED, [finish("Completed", "Completed", COMPLETED)]),
    ("InProgress", RUNNING, FAILED, [Stop("algo-1")]),
    ("InProgress", STOPPED, FAILED, [finish("Failed", "Failed", FAILED, "AlgorithmError: no")]),
    ("InProgress", GONE, RUNNING, [Stop("algo-2")]),
    ("InProgress", GONE, STOPPED, [Retry()]),
    ("Stopping", RUNNING, ABSENT, [Stop("algo-1")]),
]


@pytest.mark.parametrize(("status", "first", "second", "actions"), TWO_HOSTS)
def test_two_hosts(status: str, first: Observation, second: Observation, actions: list[Action]) -> None:
    assert decide(status, 1, {"algo-1": first, "algo-2": second}) == actions


def test_nothing_but_exit_records_of_all_hosts_makes_a_job_completed() -> None:
    everything = [ABSENT, RUNNING, GONE, COMPLETED, STOPPED, LATE, FAILED]
    for first, second in itertools.product(everything, repeat=2):
        for status in ("InProgress", "Stopping"):
            actions: list[Any] = decide(status, 1, {"algo-1": first, "algo-2": second})
            if any(isinstance(action, Finish) and action.status == "Completed" for action in actions):
                assert first.state == second.state == "EXITED"
