"""FilterLogEvents: the matching events of many streams, merged by time, in pages.

The streams are merged by (time, stream, offset), where an event that came in late counts at the time of the latest event
before it in its stream. So each stream is in order, and a token that names the last event that was looked at says where
every stream goes on, however many there are.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import heapq
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from clary.core.service import Context, Platform, operation
from clary.languages.filter_patterns import FilterPatternError, Matcher, compile_pattern
from clary.services.logs.lookup import InvalidParameterException, find_group, find_stream, group_named, page
from clary.storage.log_streams import STREAM, LogEvent, LogStreams, stream_of, stream_row
from clary.storage.resources import Resource

PAGE_BYTES = 1_048_576
_LOOKED_AT = 50_000
"""A page ends after looking at so many events, found or not, so that a request stays short."""
_CHUNK, _CHUNK_BYTES = 100, 65_536
_EVENTS_AT_A_TIME, _STREAMS_AT_A_TIME = 500, 20
"""After so many, other requests get their turn."""


class Place(NamedTuple):
    """Where an event stands in the merged order."""

    time: int
    stream: str
    offset: int


Items = Iterator[tuple[Place, LogEvent]]


class Filtering:
    def __init__(self, platform: Platform):
        self._logs = LogStreams(platform.resources, platform.journal, platform.clock)

    @operation("FilterLogEvents")
    async def filter_log_events(self, ctx: Context, request: dict) -> dict:
        """`nextToken` where the page ended before all was looked at; such a page may be empty. Ends are inclusive."""
        rows = _streams(ctx, request)
        matches = _matcher(request.get("filterPattern", ""))
        after = _read_token(request["nextToken"]) if "nextToken" in request else None
        streams = [stream async for stream in _begun(self._events(row, request, after) for row in rows)]
        merged = heapq.merge(*streams, key=lambda item: item[0])
        return await _page(merged, matches, request.get("limit", 10_000))

    def _events(self, row: Resource, request: dict, after: Place | None) -> Items:
        """The events of a stream within the requested time and after a place, in order."""
        since, until = request.get("startTime", 0), request.get("endTime")
        latest = max(since, after.time) if after else since
        # Every event before the first that is as late as the token's counts as earlier than the token.
        first = self._logs.read(row, 0, 1, since_ms=latest, until_ms=until)
        if not first:
            return
        offset, latest, chunk = first[0].offset, since, first
        while chunk:
            chunk = self._logs.read(row, offset, _CHUNK, since_ms=since, until_ms=until, limit_bytes=_CHUNK_BYTES)
            for event in chunk:
                latest = max(latest, event.timestamp)
                place = Place(latest, stream_of(row), event.offset)
                if after is None or place > after:
                    yield place, event
            offset = chunk[-1].offset + 1 if chunk else offset


async def _begun(streams: Iterable[Items]) -> AsyncIterator[Items]:
    """The streams that hold something; each is at its first item, so that merging them starts without a delay."""
    for number, stream in enumerate(streams):
        first = next(stream, None)
        if first is not None:
            yield itertools.chain([first], stream)
        if number % _STREAMS_AT_A_TIME == 0:
            await asyncio.sleep(0)


async def _page(merged: Items, matches: Matcher, limit: int) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    room = PAGE_BYTES
    for number, (place, event) in enumerate(merged, 1):
        if matches(event.message):
            found.append(_described(place, event))
            room -= len(event.message)
        if len(found) == limit or room <= 0 or number == _LOOKED_AT:
            more = next(merged, None) is not None
            return {"events": found, "searchedLogStreams": []} | ({"nextToken": _token(place)} if more else {})
        if number % _EVENTS_AT_A_TIME == 0:
            await asyncio.sleep(0)
    return {"events": found, "searchedLogStreams": []}


def _streams(ctx: Context, request: dict) -> list[Resource]:
    """The rows of the streams to look into."""
    group = group_named(ctx, request)
    find_group(ctx, group)
    if "logStreamNames" in request:
        if "logStreamNamePrefix" in request:
            raise InvalidParameterException("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
        return [find_stream(ctx, group, name) for name in dict.fromkeys(request["logStreamNames"])]
    prefix = stream_row(group, request.get("logStreamNamePrefix", ""))
    rows, _ = page(ctx, STREAM, name_prefix=prefix, limit=1_000_000)
    return rows


def _matcher(pattern: str) -> Matcher:
    try:
        return compile_pattern(pattern)
    except FilterPatternError as error:
        raise InvalidParameterException(str(error)) from error


def _described(place: Place, event: LogEvent) -> dict[str, Any]:
    stream_digits = int.from_bytes(hashlib.sha256(place.stream.encode()).digest()[:8], "big")
    return {
        "logStreamName": place.stream,
        "timestamp": event.timestamp,
        "message": event.message,
        "ingestionTime": event.ingestion_time,
        "eventId": f"{event.timestamp:014d}{stream_digits:020d}{event.offset:022d}",
    }


def _token(place: Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([*place])).decode()


def _read_token(token: str) -> Place:
    try:
        place = Place(*orjson.loads(base64.b64decode(token, altchars=b"-_", validate=True)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidParameterException("The specified nextToken is invalid.") from error
    if not (isinstance(place.time, int) and isinstance(place.stream, str) and isinstance(place.offset, int)):
        raise InvalidParameterException("The specified nextToken is invalid.")
    return place
