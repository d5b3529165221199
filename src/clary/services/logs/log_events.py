"""Putting events into a stream and reading them back."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from clary.core.service import Context, Platform, operation
from clary.services.logs.lookup import InvalidParameterException, find_stream, group_named
from clary.storage.log_streams import LogEvent, LogStreams
from clary.storage.resources import Resource

BATCH_BYTES = 1_048_576
"""Of a batch: the messages in UTF-8 and 26 bytes for each."""
PAGE_BYTES = 1_048_576
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_TOKEN = re.compile(r"([fb])/(\d{1,56})")
_CHUNK = 1000


class LogEvents:
    def __init__(self, platform: Platform):
        self._logs = LogStreams(platform.resources, platform.journal, platform.clock)

    @operation("PutLogEvents")
    async def put_log_events(self, ctx: Context, request: dict) -> dict:
        group, stream, events = request["logGroupName"], request["logStreamName"], request["logEvents"]
        row = find_stream(ctx, group, stream)
        _check_batch(events)
        first, end, rejected = self._acceptable(ctx, group, [event["timestamp"] for event in events])
        if first < end:
            accepted = [(event["timestamp"], event["message"]) for event in events[first:end]]
            await self._logs.append(ctx.scope, group, stream, accepted)
        answer: dict[str, Any] = {"nextSequenceToken": f"{self._logs.bounds(row)[1]:056d}"}
        return answer | ({"rejectedLogEventsInfo": rejected} if rejected else {})

    @operation("GetLogEvents")
    def get_log_events(self, ctx: Context, request: dict) -> dict:
        """Events in the order they came in. At either end a page is empty and its token is the one that was sent."""
        row = find_stream(ctx, group_named(ctx, request), request["logStreamName"])
        forward, position = self._position(row, request)
        window = {"since_ms": request.get("startTime"), "until_ms": _before(request.get("endTime"))}
        limit = request.get("limit", 10_000)
        if forward:
            events = self._logs.read(row, position, limit, limit_bytes=PAGE_BYTES, **window)
        else:
            events = self._read_backward(row, position, limit, window)
        return {
            "events": [_described(event) for event in events],
            "nextForwardToken": _token("f", events[-1].offset + 1 if events else position),
            "nextBackwardToken": _token("b", events[0].offset if events else position),
        }

    def _acceptable(self, ctx: Context, group: str, times: list[int]) -> tuple[int, int, dict[str, int]]:
        """Which of the events are neither too old nor too new, as a slice, and what to say about the others."""
        now = self._logs.now_ms()
        kept_since = self._logs.kept_since_ms(ctx.scope, group) or 0
        too_old = sum(time < now - 14 * _DAY_MS for time in times)
        expired = sum(time < kept_since for time in times)
        too_new = sum(time > now + 2 * _HOUR_MS for time in times)
        rejected = {}
        if too_old:
            rejected["tooOldLogEventEndIndex"] = too_old
        if expired:
            rejected["expiredLogEventEndIndex"] = expired
        if too_new:
            rejected["tooNewLogEventStartIndex"] = len(times) - too_new
        return max(too_old, expired), len(times) - too_new, rejected

    def _position(self, row: Resource, request: dict) -> tuple[bool, int]:
        """Whether to read forward, and from (or, backward, up to) which offset."""
        if "nextToken" in request:
            found = _TOKEN.fullmatch(request["nextToken"])
            if found is None:
                raise InvalidParameterException("The specified nextToken is invalid.")
            return found[1] == "f", int(found[2])
        start, end = self._logs.bounds(row)
        forward = request.get("startFromHead", False)
        return forward, start if forward else end

    def _read_backward(self, row: Resource, position: int, limit: int, window: dict) -> list[LogEvent]:
        """The last events before `position`, as many as a page takes, in forward order."""
        start, end = self._logs.bounds(row)
        found: list[LogEvent] = []
        room, high = PAGE_BYTES, min(position, end)
        while high > start and len(found) < limit and room > 0:
            low = max(start, high - _CHUNK)
            for event in reversed(self._read_between(row, low, high, window)):
                if len(found) == limit or room <= 0:
                    break
                found.append(event)
                room -= len(event.message)
            high = low
        return found[::-1]

    def _read_between(self, row: Resource, low: int, high: int, window: dict) -> list[LogEvent]:
        return [event for event in self._logs.read(row, low, high - low, **window) if event.offset < high]


def _check_batch(events: list[dict]) -> None:
    """Raise InvalidParameterException for a batch that is too large, too long a time, or not in order."""
    size = sum(len(event["message"].encode("utf-8", "replace")) + 26 for event in events)
    if size > BATCH_BYTES:
        raise InvalidParameterException(f"Upload too large: {size} bytes exceeds limit of {BATCH_BYTES}")
    times = [event["timestamp"] for event in events]
    if any(later < earlier for earlier, later in pairwise(times)):
        raise InvalidParameterException("Log events in a single PutLogEvents request must be in chronological order.")
    if times[-1] - times[0] > _DAY_MS:
        raise InvalidParameterException(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )


def _before(end_time: int | None) -> int | None:
    """GetLogEvents leaves out events at `endTime` itself."""
    return None if end_time is None else end_time - 1


def _token(direction: str, offset: int) -> str:
    return f"{direction}/{offset:056d}"


def _described(event: LogEvent) -> dict[str, Any]:
    return {"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingestion_time}
