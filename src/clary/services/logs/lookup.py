"""Finding groups and streams, and the errors of this service."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ResourceNotFoundException, ServiceError, ValidationException
from clary.core.service import Context
from clary.storage.log_streams import GROUP, STREAM, stream_row
from clary.storage.resources import Resource

NO_GROUP = "The specified log group does not exist."
NO_STREAM = "The specified log stream does not exist."


class InvalidParameterException(ServiceError):
    code = "InvalidParameterException"
    status = 400


class ResourceAlreadyExistsException(ServiceError):
    code = "ResourceAlreadyExistsException"
    status = 400


def group_named(ctx: Context, request: dict[str, Any]) -> str:
    """The group a request means: `logGroupName`, or `logGroupIdentifier`, which may be an ARN."""
    names = [request[member] for member in ("logGroupName", "logGroupIdentifier") if member in request]
    if len(names) != 1:
        raise InvalidParameterException("Exactly one of logGroupName and logGroupIdentifier must be given")
    return group_of_identifier(ctx, names[0])


def group_of_identifier(ctx: Context, identifier: str) -> str:
    """The name in `arn:aws:logs:REGION:ACCOUNT:log-group:NAME[:*]`; a name is left as it is.

    Raises ResourceNotFoundException for an ARN of another account or region.
    """
    parts = identifier.split(":")
    if len(parts) < 7:
        return identifier
    if (parts[4], parts[3]) != (ctx.account, ctx.region):
        raise ResourceNotFoundException(NO_GROUP)
    return parts[6]


def find_group(ctx: Context, group: str) -> Resource:
    """Raises ResourceNotFoundException."""
    row = ctx.platform.resources.get(GROUP, ctx.scope, group)
    if row is None:
        raise ResourceNotFoundException(NO_GROUP)
    return row


def find_stream(ctx: Context, group: str, stream: str) -> Resource:
    """Raises ResourceNotFoundException for a missing group or stream."""
    find_group(ctx, group)
    row = ctx.platform.resources.get(STREAM, ctx.scope, stream_row(group, stream))
    if row is None:
        raise ResourceNotFoundException(NO_STREAM)
    return row


def page(ctx: Context, kind: str, **options: Any) -> tuple[list[Resource], str | None]:
    """`ResourceStore.page` in the caller's account and region, sorted by name, with this service's error for a bad token."""
    try:
        return ctx.platform.resources.page(kind, ctx.scope, sort_by="Name", **options)
    except ValidationException as error:
        raise InvalidParameterException("The specified nextToken is invalid.") from error
