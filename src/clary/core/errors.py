"""Errors a client can understand.

A handler raises one of these; the gateway turns it into the wire form of the protocol in use. Everything else
that goes wrong is our fault: let it travel, the gateway logs it with the request id and answers `InternalFailure`.

    ServiceError
    ├── ValidationException          400  the usual answer of the JSON services to bad input or a missing SageMaker resource
    ├── ResourceNotFound             400  SageMaker's modelled "no such thing"
    ├── ResourceNotFoundException    400  the same of CloudWatch Logs, ECR, ...
    ├── ResourceInUse                400
    ├── ResourceLimitExceeded        400
    ├── AccessDeniedException        400
    ├── ThrottlingException          400
    ├── NotImplementedByClary        501  `NotImplemented`: the model has it, Clary does not yet
    ├── ServiceUnavailable           503  the machine cannot take it now: clients try again, then report the message
    └── InternalFailure              500

Services with codes of their own (S3, IAM) subclass `ServiceError` beside their operations.
"""

from __future__ import annotations

from typing import Any


class ServiceError(Exception):
    """A mistake the caller can understand.

    `code` and `status` are what the client sees; `members` are further members of the modelled error shape
    (for instance `OriginalStatusCode` of `ModelError`), `headers` further response headers.
    """

    code = "InternalFailure"
    status = 500

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        members: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.status = status or type(self).status
        self.members = members or {}
        self.headers = headers or {}


class InternalFailure(ServiceError):
    """Something of ours broke; the message never carries details of the inside."""


class ServiceUnavailable(ServiceError):
    code = "ServiceUnavailable"
    status = 503


class ValidationException(ServiceError):
    code = "ValidationException"
    status = 400


class ResourceNotFound(ServiceError):
    code = "ResourceNotFound"
    status = 400


class ResourceNotFoundException(ServiceError):
    code = "ResourceNotFoundException"
    status = 400


class ResourceInUse(ServiceError):
    code = "ResourceInUse"
    status = 400


class ResourceLimitExceeded(ServiceError):
    code = "ResourceLimitExceeded"
    status = 400


class AccessDeniedException(ServiceError):
    code = "AccessDeniedException"
    status = 400


class ThrottlingException(ServiceError):
    code = "ThrottlingException"
    status = 400


class NotImplementedByClary(ServiceError):
    """An operation of the service model, or a parameter with an effect, that Clary does not have yet."""

    code = "NotImplemented"
    status = 501


def refuse_unenforced(request: dict[str, Any], *parameters: str) -> None:
    """Refuse by name each dotted `parameters` path that `request` sets to something with an effect.

    For parameters whose silent loss would change security, durability or cost. `False`, empty strings and empty
    containers ask for nothing and pass. Raises `ValidationException`.
    """
    for path in parameters:
        value: Any = request
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if value:
            raise ValidationException(
                f"{path} is not enforced by Clary yet, so a request that sets it is refused; leave it out to go on without it"
            )
