"""Log streams."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

import orjson

from clary.core.errors import ResourceNotFoundException
from clary.core.service import Context, Platform, operation
from clary.services.logs.lookup import (
    NO_GROUP,
    NO_STREAM,
    InvalidParameterException,
    ResourceAlreadyExistsException,
    find_group,
    find_stream,
    group_named,
    page,
)
from clary.storage.log_streams import GROUP, STREAM, LogStreams, create_stream, stream_of, stream_row
from clary.storage.resources import Duplicate, Resource, Transaction

_AT_A_TIME = 50


class LogStreamOperations:
    def __init__(self, platform: Platform):
        self._logs = LogStreams(platform.resources, platform.journal, platform.clock)

    @operation("CreateLogStream")
    async def create_log_stream(self, ctx: Context, request: dict) -> dict:
        group, stream = request["logGroupName"], request["logStreamName"]

        def work(tx: Transaction) -> None:
            if tx.get(GROUP, ctx.scope, group) is None:
                raise ResourceNotFoundException(NO_GROUP)
            create_stream(tx, ctx.scope, group, stream, ctx.platform.clock.now())

        try:
            await ctx.platform.resources.write(work)
        except Duplicate:
            raise ResourceAlreadyExistsException("The specified log stream already exists") from None
        return {}

    @operation("DescribeLogStreams")
    async def describe_log_streams(self, ctx: Context, request: dict) -> dict:
        """`nextToken` only where streams remain: SDK v2 repeats the request for ever while it sees one."""
        group = group_named(ctx, request)
        find_group(ctx, group)
        if request.get("orderBy") == "LastEventTime":
            rows, token = await self._page_by_time(ctx, group, request)
        else:
            rows, token = page(
                ctx,
                STREAM,
                name_prefix=stream_row(group, request.get("logStreamNamePrefix", "")),
                descending=request.get("descending", False),
                limit=request.get("limit", 50),
                token=request.get("nextToken"),
            )
        return {"logStreams": [self._described(row) for row in rows]} | ({"nextToken": token} if token else {})

    @operation("DeleteLogStream")
    async def delete_log_stream(self, ctx: Context, request: dict) -> dict:
        row = find_stream(ctx, request["logGroupName"], request["logStreamName"])

        def work(tx: Transaction) -> None:
            if tx.get(STREAM, ctx.scope, row.name) is None:
                raise ResourceNotFoundException(NO_STREAM)
            tx.delete(row)

        await ctx.platform.resources.write(work)
        await self._logs.delete([row])
        return {}

    async def _page_by_time(self, ctx: Context, group: str, request: dict) -> tuple[list[Resource], str | None]:
        """A page in the order of the last events; streams without events come first, by name."""
        if "logStreamNamePrefix" in request:
            raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
        descending, limit = request.get("descending", False), request.get("limit", 50)
        rows, _ = page(ctx, STREAM, name_prefix=stream_row(group, ""), limit=1_000_000)
        placed = []
        for number, row in enumerate(rows):
            placed.append((self._described(row).get("lastEventTimestamp", -1), row.name, row))
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
        placed.sort(key=lambda place: place[:2], reverse=descending)
        if "nextToken" in request:
            after = _read_token(request["nextToken"])
            placed = [place for place in placed if (place[:2] < after if descending else place[:2] > after)]
        first = placed[:limit]
        return [row for _, _, row in first], _token(first[-1][:2]) if len(placed) > limit else None

    def _described(self, row: Resource) -> dict[str, Any]:
        """`storedBytes` is always 0, as the service says since 2019."""
        start, end = self._logs.bounds(row)
        first, last = self._logs.read(row, start, 1), self._logs.read(row, end - 1, 1)
        described = {
            "logStreamName": stream_of(row),
            "creationTime": int(row.created * 1000),
            "arn": row.arn,
            "storedBytes": 0,
            "uploadSequenceToken": f"{end:056d}",
        }
        if first and last:
            described["firstEventTimestamp"] = first[0].timestamp
            described["lastEventTimestamp"] = last[0].timestamp
            described["lastIngestionTime"] = last[0].ingestion_time
        return described


def _token(place: tuple[int, str]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode()


def _read_token(token: str) -> tuple[int, str]:
    try:
        time, name = orjson.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidParameterException("The specified nextToken is invalid.") from error
    if not isinstance(time, int) or not isinstance(name, str):
        raise InvalidParameterException("The specified nextToken is invalid.")
    return time, name
