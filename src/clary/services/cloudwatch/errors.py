"""The errors of this service, by the codes that its clients see."""

from __future__ import annotations

from clary.core.errors import ServiceError


class InvalidParameterValue(ServiceError):
    code = "InvalidParameterValue"
    status = 400


class InvalidParameterCombination(ServiceError):
    code = "InvalidParameterCombination"
    status = 400


class MissingParameter(ServiceError):
    code = "MissingParameter"
    status = 400


class InvalidNextToken(ServiceError):
    code = "InvalidNextToken"
    status = 400


class ValidationError(ServiceError):
    code = "ValidationError"
    status = 400
