"""The decision about a training job, as a table: what is wanted, what is observed, what is done."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from clary.compute.control.training_decision import LOST, Action, Finish, Retry, Start, Stop, decide
from clary.compute.runner.observation import Observation
from clary.compute.supervisor.record import ExitRecord, Outcome

ABSENT, RUNNING, GONE = Observation("ABSENT"), Observation("RUNNING"), Observation("LOST")


def left(outcome: Outcome, reason: str = "", failure: str = "", ended: float = 1.0) -> Observation:
    record = ExitRecord(outcome, reason, failure={"type": failure} if failure else {}, training_ended=ended)
    return Observation("EXITED", record.document())


COMPLETED, STOPPED, LATE = left("Completed"), left("Stopped"), left("MaxRuntimeExceeded")
FAILED = left("Failed", "AlgorithmError: no")
OURS = left("Failed", "InternalServerError: OSError: no space left")
FAILED_FIRST = left("Failed", "ClientError: column 3 is text", ended=0.5)
BEREFT = left("Failed", "AlgorithmError: host algo-2 was lost", failure="PeerLost", ended=0.1)


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
    ("InProgress", 2, GONE, [finish("Failed", "Failed", None, LOST.format(times="twice"))]),
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


TWO_HOSTS: list[tuple[str, int, Observation, Observation, list[Action]]] = [
    ("InProgress", 1, ABSENT, ABSENT, [Start("algo-1"), Start("algo-2")]),
    ("InProgress", 1, RUNNING, ABSENT, [Start("algo-2")]),
    ("InProgress", 1, RUNNING, COMPLETED, []),
    ("InProgress", 1, COMPLETED, COMPLETED, [finish("Completed", "Completed", COMPLETED)]),
    # one host fails: the others are stopped, then its reason is the job's
    ("InProgress", 1, RUNNING, FAILED, [Stop("algo-1")]),
    ("InProgress", 1, FAILED, RUNNING, [Stop("algo-2")]),
    ("InProgress", 1, STOPPED, FAILED, [finish("Failed", "Failed", FAILED, "AlgorithmError: no")]),
    ("InProgress", 1, FAILED, ABSENT, [finish("Failed", "Failed", FAILED, "AlgorithmError: no")]),
    ("InProgress", 1, FAILED, FAILED_FIRST, [finish("Failed", "Failed", FAILED_FIRST, "ClientError: column 3 is text")]),
    # a host that only lost another one is not the cause
    ("InProgress", 1, BEREFT, RUNNING, [Stop("algo-2")]),
    ("InProgress", 1, BEREFT, FAILED, [finish("Failed", "Failed", FAILED, "AlgorithmError: no")]),
    ("InProgress", 1, BEREFT, STOPPED, [finish("Failed", "Failed", BEREFT, "AlgorithmError: host algo-2 was lost")]),
    ("InProgress", 1, BEREFT, COMPLETED, [finish("Failed", "Failed", BEREFT, "AlgorithmError: host algo-2 was lost")]),
    ("InProgress", 1, BEREFT, LATE, [finish("Stopped", "MaxRuntimeExceeded", BEREFT)]),
    ("Stopping", 1, BEREFT, STOPPED, [finish("Stopped", "Stopped", BEREFT)]),
    # one supervisor is lost: whatever the others then say, there is another attempt
    ("InProgress", 1, GONE, RUNNING, [Stop("algo-2")]),
    ("InProgress", 1, GONE, STOPPED, [Retry()]),
    ("InProgress", 1, GONE, BEREFT, [Retry()]),
    ("InProgress", 1, GONE, FAILED, [Retry()]),
    ("InProgress", 2, GONE, BEREFT, [finish("Failed", "Failed", None, LOST.format(times="twice"))]),
    ("InProgress", 2, GONE, FAILED, [finish("Failed", "Failed", FAILED, "AlgorithmError: no")]),
    # the deadline of one host is the deadline of all
    ("InProgress", 1, RUNNING, LATE, [Stop("algo-1")]),
    ("InProgress", 1, STOPPED, LATE, [finish("Stopped", "MaxRuntimeExceeded", STOPPED)]),
    ("Stopping", 1, RUNNING, ABSENT, [Stop("algo-1")]),
    ("Stopping", 1, STOPPED, ABSENT, [finish("Stopped", "Stopped", STOPPED)]),
    ("Stopping", 1, COMPLETED, GONE, [finish("Stopped", "Stopped", COMPLETED)]),
]


@pytest.mark.parametrize(("status", "attempt", "first", "second", "actions"), TWO_HOSTS)
def test_two_hosts(status: str, attempt: int, first: Observation, second: Observation, actions: list[Action]) -> None:
    assert decide(status, attempt, {"algo-1": first, "algo-2": second}) == actions


def test_everything_that_can_be_seen_has_an_answer() -> None:
    """No job waits for ever: unless a host runs, something is done, and whatever runs is never taken for finished."""
    everything = [ABSENT, RUNNING, GONE, COMPLETED, STOPPED, LATE, FAILED, BEREFT]
    for seen in itertools.product(everything, repeat=3):
        observed = {f"algo-{number + 1}": one for number, one in enumerate(seen)}
        for status, attempt in itertools.product(("InProgress", "Stopping"), (1, 2)):
            actions = decide(status, attempt, observed)
            running = any(one.state == "RUNNING" for one in seen)
            assert actions or running
            assert not running or all(isinstance(action, Start | Stop) for action in actions)


def test_nothing_but_exit_records_of_all_hosts_makes_a_job_completed() -> None:
    everything = [ABSENT, RUNNING, GONE, COMPLETED, STOPPED, LATE, FAILED]
    for first, second in itertools.product(everything, repeat=2):
        for status in ("InProgress", "Stopping"):
            actions: list[Any] = decide(status, 1, {"algo-1": first, "algo-2": second})
            if any(isinstance(action, Finish) and action.status == "Completed" for action in actions):
                assert first.state == second.state == "EXITED"


RETRIED: list[tuple[int, Observation, list[Action]]] = [
    (1, GONE, [Retry()]),
    (3, GONE, [Retry()]),
    (4, GONE, [finish("Failed", "Failed", None, LOST.format(times="4 times"))]),
    (1, OURS, [Retry()]),
    (4, OURS, [finish("Failed", "Failed", OURS, "InternalServerError: OSError: no space left")]),
    (1, FAILED, [finish("Failed", "Failed", FAILED, "AlgorithmError: no")]),
    (1, COMPLETED, [finish("Completed", "Completed", COMPLETED)]),
]


@pytest.mark.parametrize(("attempt", "seen", "actions"), RETRIED)
def test_a_retry_strategy_repeats_what_was_no_fault_of_the_job(attempt: int, seen: Observation, actions: list[Action]) -> None:
    assert decide("InProgress", attempt, {"algo-1": seen}, retries=3) == actions


def test_without_a_retry_strategy_only_a_lost_host_is_repeated() -> None:
    assert decide("InProgress", 1, {"algo-1": OURS}) == [
        finish("Failed", "Failed", OURS, "InternalServerError: OSError: no space left")
    ]
