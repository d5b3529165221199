"""A training job as the control loop sees it: where its directories are, what its supervisors are told, how it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clary.catalog import algorithms, frameworks, training_status
from clary.compute.control.training_decision import Finish
from clary.compute.runner import job_directory
from clary.compute.supervisor.record import ExitRecord
from clary.compute.supervisor.spec import Spec
from clary.compute.toolkit.environments import Environments
from clary.compute.toolkit.plan import Plan, needs_a_fresh_process
from clary.core.config import Config
from clary.storage.resources import Resource

KIND = "training-job"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
METRIC_NAMESPACE = "/aws/sagemaker/TrainingJobs"
SCRIPT = "clary.compute.toolkit.training:run"
"""The program of every job that runs a user's script."""


class UnknownImage(Exception):
    """The catalog no longer has the image of a job that it had when the job was created."""


def attempt_of(job: Resource) -> int:
    return job.state.get("_attempt", 1)


def retries_of(job: Resource) -> int | None:
    return job.document.get("RetryStrategy", {}).get("MaximumRetryAttempts")


def hosts_of(job: Resource) -> list[str]:
    """`algo-1` … `algo-N`."""
    return [f"algo-{number + 1}" for number in range(job.document["ResourceConfig"]["InstanceCount"])]


def log_stream(job: Resource, host: str) -> str:
    """Each attempt has streams of its own; the name follows from the job, so that every server finds the same."""
    return f"{job.name}/{host}-{int(job.created) + attempt_of(job) - 1}"


def directory(config: Config, job: Resource, host: str) -> Path:
    """The creation time keeps a deleted job of the same name out of the way."""
    attempt = f"{int(job.created * 1000)}-{attempt_of(job)}"
    return job_directory.of(config.data, job.scope, KIND, job.name) / attempt / host


def spec(config: Config, job: Resource, host: str, credentials: Mapping[str, Any]) -> tuple[str, Spec]:
    """The runtime to start the supervisor of `host` in, and what to tell it. Raises `UnknownImage`."""
    specification = job.document["AlgorithmSpecification"]
    runtime, program = _program(config, job)
    metrics = tuple((metric["Name"], metric["Regex"]) for metric in specification["MetricDefinitions"])
    keys = {name: str(credentials[name]) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
    return runtime, Spec(
        name=job.name,
        arn=job.arn,
        account=job.scope.account,
        region=job.scope.region,
        host=host,
        hosts=tuple(hosts_of(job)),
        **program,
        request=job.document,
        metrics=metrics,
        server_file=str(config.data / "server.json"),
        credentials=keys,
    )


def _program(config: Config, job: Resource) -> tuple[str, dict[str, Any]]:
    """The runtime, and what the spec says of the program. Raises `UnknownImage`."""
    image = job.document["AlgorithmSpecification"]["TrainingImage"]
    if framework := frameworks.for_training(job.document):
        return _script(config, job, *framework)
    if found := algorithms.find(image):
        algorithm, tag = found
        return algorithm.runtime, {"program": algorithm.train, "image_tag": tag}
    raise UnknownImage(image)


def _script(config: Config, job: Resource, framework: frameworks.Framework, asked: str) -> tuple[str, dict[str, Any]]:
    """A script runs in a fork of the process that has its framework imported, or in another environment's Python."""
    specification = job.document["AlgorithmSpecification"]
    root = config.data / "environments"
    choice = Environments(root).choose(framework, asked)
    command = (*specification.get("ContainerEntrypoint", ()), *specification.get("ContainerArguments", ()))
    in_process = not command and not needs_a_fresh_process(job.document.get("Environment", {}))
    plan = Plan(
        framework=framework.name,
        image=specification["TrainingImage"],
        asked=asked,
        environments=str(root),
        environment=asdict(choice) if choice else None,
        command=command,
        in_process=in_process,
    )
    runtime = framework.runtime if choice and choice.is_own and in_process else "bare"
    return runtime, {"program": SCRIPT, "image_tag": asked, "script": plan.document()}


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
