"""What training and processing jobs have in common: where they lie, what they log to, how a script of theirs is planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clary.catalog import frameworks
from clary.compute.runner import job_directory
from clary.compute.supervisor.spec import Spec
from clary.compute.toolkit.command import runs_in_process
from clary.compute.toolkit.environments import Environments
from clary.compute.toolkit.plan import Plan, needs_a_fresh_process
from clary.core.config import Config
from clary.storage.resources import Resource

SCRIPT = "clary.compute.toolkit.training:run"
"""The program of every job that runs a user's script."""


class UnknownImage(Exception):
    """The catalog no longer has the image of a job that it had when the job was created."""


def attempt_of(job: Resource) -> int:
    return job.state.get("_attempt", 1)


def retries_of(job: Resource) -> int | None:
    """MaximumRetryAttempts of a training job's RetryStrategy; None when there is none, as for every processing job."""
    return job.document.get("RetryStrategy", {}).get("MaximumRetryAttempts")


def hosts(count: int) -> list[str]:
    """`algo-1` … `algo-N`."""
    return [f"algo-{number + 1}" for number in range(count)]


def log_stream(job: Resource, host: str) -> str:
    """Each attempt has streams of its own; the name follows from the job, so that every server finds the same."""
    return f"{job.name}/{host}-{int(job.created) + attempt_of(job) - 1}"


def directory(config: Config, job: Resource, kind: str, host: str) -> Path:
    """The creation time keeps a deleted job of the same name out of the way."""
    attempt = f"{int(job.created * 1000)}-{attempt_of(job)}"
    return job_directory.of(config.data, job.scope, kind, job.name) / attempt / host


def spec(
    config: Config,
    job: Resource,
    hosts: Sequence[str],
    host: str,
    credentials: Mapping[str, Any],
    program: Mapping[str, Any],
    metrics: tuple[tuple[str, str], ...] = (),
) -> Spec:
    """What the supervisor of `host` is told; `program` holds what `Spec` says of the program, `credentials` are the role's."""
    return Spec(
        name=job.name,
        arn=job.arn,
        account=job.scope.account,
        region=job.scope.region,
        host=host,
        hosts=tuple(hosts),
        **program,
        request=job.document,
        metrics=metrics,
        server_file=str(config.data / "server.json"),
        credentials={name: str(credentials[name]) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")},
        sandbox=config.sandbox,
    )


def script(
    config: Config,
    framework: frameworks.Framework,
    asked: str,
    image: str,
    specification: Mapping[str, Any],
    environment: Mapping[str, str],
) -> tuple[str, dict[str, Any]]:
    """The runtime of a job that runs a user's script, and what the spec says of its program.

    A script runs in a fork of the process that has its framework imported, or in another environment's Python. `specification`
    has the job's ContainerEntrypoint and ContainerArguments, if any.
    """
    root = config.data / "environments"
    choice = Environments(root).choose(framework, asked)
    command = command_of(specification)
    in_process = runs_in_process(command) and not needs_a_fresh_process(environment)
    plan = Plan(
        framework=framework.name,
        image=image,
        asked=asked,
        environments=str(root),
        environment=asdict(choice) if choice else None,
        command=command,
        in_process=in_process,
    )
    runtime = framework.runtime if choice and choice.is_own and in_process else "bare"
    return runtime, {"program": SCRIPT, "image_tag": asked, "script": plan.document()}


def command_of(specification: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What runs instead of an image's own program; nothing when the job does not say."""
    return (*specification.get("ContainerEntrypoint", ()), *specification.get("ContainerArguments", ()))
