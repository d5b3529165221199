"""What to do about a training job: a pure function of what is wanted and what is observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clary.compute.runner.observation import Observation
from clary.compute.supervisor.record import cause_of

ATTEMPTS = 2
"""A job whose host was lost runs once more from its beginning, then fails, unless its RetryStrategy says otherwise."""
LOST = (
    "InternalServerError: the supervisor of this job was lost {times} (killed, or the machine went down); create the job again"
)


@dataclass(frozen=True, slots=True)
class Start:
    """Start the supervisor of `host`; harmless when it runs or ran."""

    host: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask the supervisor of `host` to stop; harmless when it was asked before."""

    host: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Begin the next attempt."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Commit the end: a training job status, its secondary status, why, and the exit record that says so, if any."""

    status: str
    secondary: str
    reason: str = ""
    record: Mapping[str, Any] | None = None


Action = Start | Stop | Retry | Finish


def decide(status: str, attempt: int, observations: Mapping[str, Observation], retries: int | None = None) -> list[Action]:
    """The actions for a job in `status` (InProgress or Stopping) whose hosts look like `observations`; none means wait.

    `attempt` is the running one; `retries` is MaximumRetryAttempts of the job's RetryStrategy, which counts for errors of
    ours; without one a lost host costs one more attempt and nothing else does.

    Only exit records of all hosts make a job Completed. When one host does not complete, the others are stopped first, and
    what they then say is heard only when it is no consequence of that.
    """
    running = [host for host, seen in observations.items() if seen.state == "RUNNING"]
    records = [seen.record for seen in observations.values() if seen.record is not None]
    lost = any(seen.state == "LOST" for seen in observations.values())
    if running and (lost or status == "Stopping" or any(record["outcome"] != "Completed" for record in records)):
        return [Stop(host) for host in running]
    cause = cause_of(records)
    ours = lost or (retries is not None and cause is not None and cause["reason"].startswith("InternalServerError"))
    if ours and status != "Stopping" and attempt < (ATTEMPTS if retries is None else 1 + retries):
        return [Retry()]
    if cause:
        return [Finish("Failed", "Failed", cause["reason"], cause)]
    if status == "Stopping":
        return [Finish("Stopped", "Stopped", record=next(iter(records), None))]
    if lost:
        return [Finish("Failed", "Failed", LOST.format(times="twice" if attempt == ATTEMPTS else f"{attempt} times"))]
    if len(records) == len(observations) or any(record["outcome"] != "Completed" for record in records):
        return [_end(records)]
    return [Start(host) for host, seen in observations.items() if seen.state == "ABSENT"]


def _end(records: Sequence[Mapping[str, Any]]) -> Finish:
    """The end of a job that nobody stopped, none of whose hosts was lost or failed by itself."""
    ends = {record["outcome"]: record for record in reversed(records)}
    if "MaxRuntimeExceeded" in ends:
        return Finish("Stopped", "MaxRuntimeExceeded", record=records[0])
    if failed := ends.get("Failed"):
        return Finish("Failed", "Failed", failed["reason"], failed)
    status = "Stopped" if "Stopped" in ends else "Completed"
    return Finish(status, status, record=records[0])
