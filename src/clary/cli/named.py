"""The thing that a name on the command line means: a job of some kind or an endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clary.cli.errors import CommandError


@dataclass(frozen=True, slots=True)
class Kind:
    """How the API calls one kind of thing."""

    words: str
    member: str
    operation: str
    log_group: str
    log_prefix: str
    over: tuple[str, ...]
    """Statuses in which nothing more happens by itself."""
    failed: tuple[str, ...] = ("Failed",)


JOB_OVER = ("Completed", "Failed", "Stopped")
TUNING_JOB = Kind("tuning job", "HyperParameterTuningJob", "describe_hyper_parameter_tuning_job", "", "", JOB_OVER)
"""It prints nothing itself; its training jobs do."""
KINDS = (
    Kind("training job", "TrainingJob", "describe_training_job", "/aws/sagemaker/TrainingJobs", "{name}/", JOB_OVER),
    Kind("processing job", "ProcessingJob", "describe_processing_job", "/aws/sagemaker/ProcessingJobs", "{name}/", JOB_OVER),
    Kind("transform job", "TransformJob", "describe_transform_job", "/aws/sagemaker/TransformJobs", "{name}/", JOB_OVER),
    TUNING_JOB,
    Kind("endpoint", "Endpoint", "describe_endpoint", "/aws/sagemaker/Endpoints/{name}", "", ("Failed", "Deleting")),
)


@dataclass(frozen=True, slots=True)
class Named:
    """One thing, as it was described just now."""

    name: str
    kind: Kind
    description: dict[str, Any]

    @property
    def status(self) -> str:
        return self.description[f"{self.kind.member}Status"]

    @property
    def arn(self) -> str:
        return self.description[f"{self.kind.member}Arn"]

    @property
    def is_over(self) -> bool:
        return self.status in self.kind.over

    @property
    def failed(self) -> bool:
        return self.status in self.kind.failed

    @property
    def log_group(self) -> str:
        return self.kind.log_group.format(name=self.name)

    @property
    def log_prefix(self) -> str:
        return self.kind.log_prefix.format(name=self.name)


def describe(sagemaker: Any, name: str, kinds: tuple[Kind, ...] = KINDS) -> Named:
    """Look `name` up, in the order of `kinds`. Raises `CommandError` when nothing has it."""
    for kind in kinds:
        try:
            description = getattr(sagemaker, kind.operation)(**{f"{kind.member}Name": name})
        except sagemaker.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 400 and not is_denied(error):
                continue
            raise
        return Named(name, kind, description)
    *others, last = (kind.words for kind in kinds)
    words = f"{', '.join(others)} or {last}" if others else last
    raise CommandError(f"no {words} is called {name!r} in this region and account")


def is_denied(error: Any) -> bool:
    return error.response["Error"]["Code"] in (
        "AccessDenied",
        "AccessDeniedException",
        "InvalidSignatureException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
    )
