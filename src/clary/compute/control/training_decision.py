"""What to do about a training job: a pure function of what is wanted and what is observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clary.compute.runner.process import Observation

LAST_ATTEMPT = 2
"""A job whose host was lost runs once more from its beginning, then fails."""
LOST = (
    "InternalServerError: the supervisor of this training job was lost twice (killed, or the machine went down); "
    "create the job again"
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


def decide(status: str, attempt: int, observations: Mapping[str, Observation]) -> list[Action]:
    """The actions for a job in `status` (InProgress or Stopping) whose hosts look like `observations`; none means wait.

    Only exit records of all hosts make a job Completed.
    """
    running = [host for host, seen in observations.items() if seen.state == "RUNNING"]
    records = {host: seen.record for host, seen in observations.items() if seen.record is not None}
    failed = next((record for record in records.values() if record["outcome"] == "Failed"), None)
    lost = any(seen.state == "LOST" for seen in observations.values())
    if running and (failed or lost or status == "Stopping"):
        return [Stop(host) for host in running]
    if failed:
        return [Finish("Failed", "Failed", failed["reason"], failed)]
    if status == "Stopping" and not running:
        return [Finish("Stopped", "Stopped", record=next(iter(records.values()), None))]
    if lost:
        return [Retry()] if attempt < LAST_ATTEMPT else [Finish("Failed", "Failed", LOST)]
    if len(records) == len(observations):
        return [_finish(next(iter(records.values())))]
    return [Start(host) for host, seen in observations.items() if seen.state == "ABSENT"]


def _finish(record: Mapping[str, Any]) -> Finish:
    """The end that the record of the first host tells, when no host failed."""
    status = "Completed" if record["outcome"] == "Completed" else "Stopped"
    return Finish(status, record["outcome"], record=record)
