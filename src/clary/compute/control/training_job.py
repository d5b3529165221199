"""A training job as the control loop sees it: where its directories are, what its supervisors are told, how it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clary.catalog import algorithms, frameworks, training_status
from clary.compute.control import jobs
from clary.compute.control.training_decision import Finish
from clary.compute.supervisor.record import ExitRecord
from clary.compute.supervisor.spec import Spec
from clary.core.config import Config
from clary.storage.resources import Resource

KIND, WORDS = "training-job", "training job"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
METRIC_NAMESPACE = "/aws/sagemaker/TrainingJobs"
SUPERVISOR = "clary.compute.supervisor.main:run"


def hosts_of(job: Resource) -> list[str]:
    return jobs.hosts(job.document["ResourceConfig"]["InstanceCount"])


def max_runtime(job: Resource) -> int:
    return job.document["StoppingCondition"]["MaxRuntimeInSeconds"]


def spec(config: Config, job: Resource, host: str, credentials: Mapping[str, Any]) -> tuple[str, Spec]:
    """The runtime to start the supervisor of `host` in, and what to tell it. Raises `jobs.UnknownImage`."""
    runtime, program = _program(config, job)
    definitions = job.document["AlgorithmSpecification"]["MetricDefinitions"]
    metrics = tuple((metric["Name"], metric["Regex"]) for metric in definitions)
    return runtime, jobs.spec(config, job, hosts_of(job), host, credentials, program, metrics)


def _program(config: Config, job: Resource) -> tuple[str, dict[str, Any]]:
    """The runtime, and what the spec says of the program. Raises `jobs.UnknownImage`."""
    specification = job.document["AlgorithmSpecification"]
    image = specification["TrainingImage"]
    if framework := frameworks.for_training(job.document):
        return jobs.script(config, *framework, image, specification, job.document.get("Environment", {}))
    if found := algorithms.find(image):
        algorithm, tag = found
        return algorithm.runtime, {"program": algorithm.train, "image_tag": tag}
    raise jobs.UnknownImage(image)


def while_waiting(state: dict[str, Any], now: float) -> dict[str, Any]:
    return training_status.enter(state, "Pending", now)


def after_statuses(state: dict[str, Any], entries: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, Any]:
    """`state` after what the supervisor of the first host recorded in `status.jsonl` (offset after the line, line).

    A job that is being stopped keeps saying so.
    """
    for _, entry in entries:
        if state["SecondaryStatus"] != "Stopping":
            state = training_status.enter(state, entry["s"], entry["t"] / 1000)
        if entry["s"] == "Downloading":
            state = state | {"TrainingStartTime": entry["t"] / 1000}
    return state | {"_status_offset": entries[-1][0]}


def after_loss(state: dict[str, Any], attempt: int, now: float) -> dict[str, Any]:
    """`state` at the beginning of the attempt after `attempt`, whose host was lost."""
    return training_status.enter(state, "Restarting", now) | {"_attempt": attempt + 1, "_status_offset": 0}


def after_end(state: dict[str, Any], end: Finish, now: float) -> dict[str, Any]:
    """`state` of a finished job: last transition, times, metrics, artifacts and reason."""
    record = ExitRecord.parse(dict(end.record)) if end.record else ExitRecord(ended=now)
    message = f"{training_status.MESSAGES['Failed']}: {end.reason}" if end.reason else ""
    state = training_status.enter(state, end.secondary, now, message)
    state = training_status.close(state, now) | {"TrainingEndTime": record.ended}
    if record.started:
        seconds = max(1, round(record.ended - record.started))
        state |= {"TrainingStartTime": record.started, "TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    if record.metrics:
        state |= {"FinalMetricDataList": _final_metrics(record)}
    if record.artifact:
        state |= {"ModelArtifacts": {"S3ModelArtifacts": record.artifact}}
    if end.reason:
        state |= {"FailureReason": end.reason}
    return state


def _final_metrics(record: ExitRecord) -> list[dict[str, Any]]:
    return [{"MetricName": name, "Value": value, "Timestamp": t / 1000} for name, (value, t) in record.metrics.items()]
