"""A processing job as the control loop sees it: its hosts, what their supervisors are told, how it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clary.catalog import frameworks
from clary.compute.control import jobs
from clary.compute.control.training_decision import Finish
from clary.compute.supervisor.record import ExitRecord
from clary.compute.supervisor.spec import Spec
from clary.core.config import Config
from clary.storage.resources import Resource

KIND, WORDS = "processing-job", "processing job"
LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
METRIC_NAMESPACE = "/aws/sagemaker/ProcessingJobs"
SUPERVISOR = "clary.compute.supervisor.processing:run"


def hosts_of(job: Resource) -> list[str]:
    return jobs.hosts(job.document["ProcessingResources"]["ClusterConfig"]["InstanceCount"])


def max_runtime(job: Resource) -> int:
    return job.document["StoppingCondition"]["MaxRuntimeInSeconds"]


def spec(config: Config, job: Resource, host: str, credentials: Mapping[str, Any]) -> tuple[str, Spec]:
    """The runtime to start the supervisor of `host` in, and what to tell it. Raises `jobs.UnknownImage`."""
    specification = job.document["AppSpecification"]
    image = specification["ImageUri"]
    found = frameworks.find(image)
    if found is None:
        raise jobs.UnknownImage(image)
    runtime, program = jobs.script(config, *found, image, specification, job.document.get("Environment", {}))
    return runtime, jobs.spec(config, job, hosts_of(job), host, credentials, program)


def while_waiting(state: dict[str, Any], now: float) -> dict[str, Any]:
    """Processing jobs have no status of their own for it."""
    return state


def after_statuses(state: dict[str, Any], entries: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, Any]:
    """`state` with the time when the first host began."""
    for _, entry in entries:
        if entry["s"] == "Downloading":
            state = state | {"ProcessingStartTime": entry["t"] / 1000}
    return state | {"_status_offset": entries[-1][0]}


def after_loss(state: dict[str, Any], attempt: int, now: float) -> dict[str, Any]:
    """`state` at the beginning of the attempt after `attempt`, whose host was lost."""
    return state | {"_attempt": attempt + 1, "_status_offset": 0}


def after_end(state: dict[str, Any], end: Finish, now: float) -> dict[str, Any]:
    """`state` of a finished job: times, what its program left to be said, reason."""
    record = ExitRecord.parse(dict(end.record)) if end.record else ExitRecord(ended=now)
    started = {"ProcessingStartTime": record.started} if record.started else {}
    message = {"ExitMessage": record.message} if record.message else {}
    reason = {"FailureReason": end.reason} if end.reason else {}
    return state | started | message | reason | {"ProcessingEndTime": record.ended}
