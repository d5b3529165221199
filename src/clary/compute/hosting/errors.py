"""What InvokeEndpoint's callers are told: the errors of the SageMaker runtime API."""

from __future__ import annotations

from clary.core.errors import ServiceError
from clary.core.identifiers import Scope, arn

MAX_QUOTED_BYTES = 4096


class ValidationError(ServiceError):
    code = "ValidationError"
    status = 400


class ModelNotReadyException(ServiceError):
    """Nothing can take the call now; clients try again by themselves (429)."""

    code = "ModelNotReadyException"
    status = 429


class ModelError(ServiceError):
    """The container answered with an error, or not at all; clients do not try again (424)."""

    code = "ModelError"
    status = 424


class WorkerLost(Exception):
    """The worker process ended while it had the call."""


class ModelTimedOut(Exception):
    """The worker had the call for the whole time that a model may take."""


def endpoint_not_found(name: str, scope: Scope) -> ValidationError:
    return ValidationError(f"Endpoint {name} of account {scope.account} not found.")


def model_error(scope: Scope, endpoint: str, stream: str, status: int, body: bytes) -> ModelError:
    """`ModelError` for a container's answer of `status` with `body`; `stream`: the worker's log stream."""
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    kind = "client" if 400 <= status < 500 else "server"
    said = f' with message "{body.decode(errors="replace")}"'
    if len(body) > MAX_QUOTED_BYTES:
        said = " and could not load the entire response body"
    place = f"https://{scope.region}.console.aws.amazon.com/cloudwatch/home?region={scope.region}#logEventViewer:group={group}"
    return ModelError(
        f"Received {kind} error ({status}) from primary{said}. See {place} in account {scope.account} for more information.",
        members={
            "OriginalStatusCode": status,
            "OriginalMessage": body[:MAX_QUOTED_BYTES].decode(errors="replace"),
            "LogStreamArn": arn("logs", scope, f"log-group:{group}:log-stream:{stream}"),
        },
    )
