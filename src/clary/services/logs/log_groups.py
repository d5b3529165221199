"""Log groups and how long they keep their events."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ResourceNotFoundException, refuse_unenforced
from clary.core.service import Context, Platform, operation
from clary.services.declared import check_tags
from clary.services.logs.lookup import (
    NO_GROUP,
    InvalidParameterException,
    ResourceAlreadyExistsException,
    find_group,
    group_of_identifier,
    page,
)
from clary.storage.log_streams import GROUP, STREAM, LogStreams, create_group, stream_row
from clary.storage.resources import Duplicate, Resource, Transaction

RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


class LogGroups:
    def __init__(self, platform: Platform):
        self._logs = LogStreams(platform.resources, platform.journal, platform.clock)

    @operation("CreateLogGroup")
    async def create_log_group(self, ctx: Context, request: dict) -> dict:
        refuse_unenforced(request, "kmsKeyId", "deletionProtectionEnabled")
        cheaper = request.get("logGroupClass", "STANDARD") != "STANDARD"  # and can less: every group is a STANDARD one here
        refuse_unenforced({"logGroupClass": cheaper}, "logGroupClass")
        group, tags = request["logGroupName"], request.get("tags", {})
        check_tags(tags, InvalidParameterException)
        document = {member: value for member, value in request.items() if member != "tags"}
        now = ctx.platform.clock.now()
        try:
            await ctx.platform.resources.write(lambda tx: create_group(tx, ctx.scope, group, document, now, tags=tags))
        except Duplicate:
            raise ResourceAlreadyExistsException("The specified log group already exists") from None
        return {}

    @operation("DescribeLogGroups")
    def describe_log_groups(self, ctx: Context, request: dict) -> dict:
        if "logGroupIdentifiers" in request:
            names = [group_of_identifier(ctx, identifier) for identifier in request["logGroupIdentifiers"]]
            found = [ctx.platform.resources.get(GROUP, ctx.scope, name) for name in names]
            return {"logGroups": [_described(row) for row in found if row is not None]}
        if "logGroupNamePrefix" in request and "logGroupNamePattern" in request:
            raise InvalidParameterException(
                "Log group name prefix and log group name pattern are mutually exclusive parameters."
            )
        rows, token = _page_of_groups(ctx, request, default_limit=50)
        return {"logGroups": [_described(row) for row in rows]} | ({"nextToken": token} if token else {})

    @operation("ListLogGroups")
    def list_log_groups(self, ctx: Context, request: dict) -> dict:
        for member in ("dataSources", "fieldIndexNames", "logGroupTags", "logGroupNamePattern"):
            if request.get(member):
                raise InvalidParameterException(f"{member} is not supported by Clary yet; leave it out to list all log groups")
        rows, token = _page_of_groups(ctx, request, default_limit=1000)
        groups = [{"logGroupName": row.name, "logGroupArn": row.arn, "logGroupClass": _class_of(row)} for row in rows]
        return {"logGroups": groups} | ({"nextToken": token} if token else {})

    @operation("DeleteLogGroup")
    async def delete_log_group(self, ctx: Context, request: dict) -> dict:
        group = request["logGroupName"]

        def work(tx: Transaction) -> list[Resource]:
            row = tx.get(GROUP, ctx.scope, group)
            if row is None:
                raise ResourceNotFoundException(NO_GROUP)
            streams = tx.named(STREAM, ctx.scope, stream_row(group, ""))
            for each in (row, *streams):
                tx.delete(each)
            return streams

        await self._logs.delete(await ctx.platform.resources.write(work))
        return {}

    @operation("PutRetentionPolicy")
    async def put_retention_policy(self, ctx: Context, request: dict) -> dict:
        days = request["retentionInDays"]
        if days not in RETENTION_DAYS:
            allowed = ", ".join(map(str, RETENTION_DAYS))
            raise InvalidParameterException(f"retentionInDays must be one of {allowed}; got {days}")
        await _set_state(ctx, request["logGroupName"], {"retentionInDays": days})
        return {}

    @operation("DeleteRetentionPolicy")
    async def delete_retention_policy(self, ctx: Context, request: dict) -> dict:
        await _set_state(ctx, request["logGroupName"], {})
        return {}


async def _set_state(ctx: Context, group: str, state: dict[str, Any]) -> None:
    row = find_group(ctx, group)
    await ctx.platform.resources.write(lambda tx: tx.update(row, state=state, modified=ctx.platform.clock.now()))


def _page_of_groups(ctx: Context, request: dict, default_limit: int) -> tuple[list[Resource], str | None]:
    """A page in the order of the names, less the groups that a pattern or class leaves out."""
    pattern = request.get("logGroupNamePattern", "")
    rows, token = page(
        ctx,
        GROUP,
        name_prefix=request.get("logGroupNamePrefix"),
        name_contains=pattern or None,
        descending=False,
        limit=request.get("limit", default_limit),
        token=request.get("nextToken"),
    )
    wanted = request.get("logGroupClass")
    return [row for row in rows if pattern in row.name and wanted in (None, _class_of(row))], token


def _class_of(row: Resource) -> str:
    return row.document.get("logGroupClass", "STANDARD")


def _described(row: Resource) -> dict[str, Any]:
    return {
        "logGroupName": row.name,
        "creationTime": int(row.created * 1000),
        "arn": f"{row.arn}:*",
        "logGroupArn": row.arn,
        "logGroupClass": _class_of(row),
        "metricFilterCount": 0,
    } | row.state
