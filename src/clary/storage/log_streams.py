"""Log groups and streams: their rows in the resource store, their events in the journal.

Both the CloudWatch Logs service and the loops that ship the output of jobs and endpoints write through `LogStreams`:

    logs = LogStreams(platform.resources, platform.journal, platform.clock)
    position = int(logs.cursor(scope, group, stream) or 0)            # where to go on after a crash
    events, position = lines_since(position)                          # [(time ms, text), ...]
    await logs.append(scope, group, stream, events, cursor=str(position))
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from clary.core.clock import Clock
from clary.core.identifiers import Scope, arn
from clary.storage.journal import Journal, Record
from clary.storage.resources import Duplicate, Resource, ResourceStore, Transaction

GROUP, STREAM = "log-group", "log-stream"
_JOURNAL_PREFIX = "logs/"
_INGESTION = struct.Struct("<q")
_DAY_MS = 86_400_000


class LogEvent(NamedTuple):
    """One event: its place in the stream, its time and the time it came in (ms since the epoch), its text."""

    offset: int
    timestamp: int
    ingestion_time: int
    message: str


def group_arn(scope: Scope, group: str) -> str:
    return arn("logs", scope, f"log-group:{group}")


def stream_row(group: str, stream: str) -> str:
    """The name of a stream's row. Neither name may contain a colon, so rows of a group share a prefix."""
    return f"{group}:{stream}"


def journal_stream(row: Resource) -> str:
    """The journal's stream that holds the events of a log stream's row.

    The time of creation is part of it: a log stream that is deleted and made again never shows what was there before.
    """
    return f"{_JOURNAL_PREFIX}{row.scope.account}/{row.scope.region}/{row.name}@{row.created!r}"


class LogStreams:
    """Events of all groups and streams."""

    def __init__(self, resources: ResourceStore, journal: Journal, clock: Clock):
        self._resources = resources
        self._journal = journal
        self._clock = clock

    async def append(
        self, scope: Scope, group: str, stream: str, events: Sequence[tuple[int, str]], *, cursor: str | None = None
    ) -> None:
        """Append `(time ms, text)` events, on disk on return; the group and the stream are created when they are missing.

        `cursor` is where the writer's source stands after these events. It is stored atomically with them, so a writer
        that goes on from `cursor(...)` after a crash loses nothing and repeats nothing. A batch is kept in one piece:
        give at most a few MB at a time.
        """
        row = self._resources.get(STREAM, scope, stream_row(group, stream))
        if row is None:
            row = await self._resources.write(lambda tx: self._create(tx, scope, group, stream))
        came_in = _INGESTION.pack(self.now_ms())
        records = [(timestamp, came_in + text.encode("utf-8", "replace")) for timestamp, text in events]
        await self._journal.append(journal_stream(row), records, cursor=cursor)

    def cursor(self, scope: Scope, group: str, stream: str) -> str | None:
        """The cursor of the last `append` that gave one."""
        row = self._resources.get(STREAM, scope, stream_row(group, stream))
        return self._journal.cursor(journal_stream(row)) if row else None

    def read(
        self,
        row: Resource,
        offset: int,
        limit: int,
        *,
        since_ms: int | None = None,
        until_ms: int | None = None,
        limit_bytes: int | None = None,
    ) -> list[LogEvent]:
        """The events of a log stream's row as `Journal.read`, without what the group's retention has ended for."""
        ended_for = self.kept_since_ms(row.scope, group_of(row))
        if ended_for is not None:
            since_ms = max(ended_for, since_ms or 0)
        records = self._journal.read(
            journal_stream(row), offset, limit, since_ms=since_ms, until_ms=until_ms, limit_bytes=limit_bytes
        )
        return [_event(record) for record in records]

    def bounds(self, row: Resource) -> tuple[int, int]:
        """The offsets of the oldest event that is kept and of the next event to come."""
        name = journal_stream(row)
        return self._journal.start(name), self._journal.end(name)

    async def delete(self, rows: Sequence[Resource]) -> None:
        """Remove the events of streams whose rows are gone."""
        await asyncio.gather(*[self._journal.delete(journal_stream(row)) for row in rows])

    def kept_since_ms(self, scope: Scope, group: str) -> int | None:
        """Events older than this have reached the end of the group's own retention; None keeps them for ever."""
        row = self._resources.get(GROUP, scope, group)
        days = row.state.get("retentionInDays") if row else None
        return None if days is None else self.now_ms() - days * _DAY_MS

    async def enforce_retention(self, default_days: float) -> None:
        """Trim every stream to its group's retention; groups without one are kept `default_days` (0: for ever).

        Also removes events whose stream is gone: a crash may have come between the two.
        """
        rows = self._resources.every(STREAM)
        for row in rows:
            since_ms = self.kept_since_ms(row.scope, group_of(row))
            if since_ms is None and default_days:
                since_ms = self.now_ms() - int(default_days * _DAY_MS)
            if since_ms is not None:
                await self._journal.trim(journal_stream(row), since_ms)
        for orphan in set(self._journal.streams(_JOURNAL_PREFIX)) - {
            journal_stream(row) for row in self._resources.every(STREAM)
        }:
            await self._journal.delete(orphan)

    def now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    def _create(self, tx: Transaction, scope: Scope, group: str, stream: str) -> Resource:
        if tx.get(GROUP, scope, group) is None:
            create_group(tx, scope, group, {}, self._clock.now())
        try:
            return create_stream(tx, scope, group, stream, self._clock.now())
        except Duplicate as first:
            return first.existing  # another writer was faster


def create_group(tx: Transaction, scope: Scope, group: str, document: dict[str, Any], now: float, **more: Any) -> None:
    """Insert a group's row. Raises `Duplicate`."""
    tx.insert(GROUP, scope, group, arn=group_arn(scope, group), document=document, created=now, **more)


def create_stream(tx: Transaction, scope: Scope, group: str, stream: str, now: float) -> Resource:
    """Insert a stream's row. Raises `Duplicate`."""
    stream_arn = f"{group_arn(scope, group)}:log-stream:{stream}"
    return tx.insert(STREAM, scope, stream_row(group, stream), arn=stream_arn, document={}, created=now)


def group_of(row: Resource) -> str:
    """The group of a stream's row."""
    return row.name.split(":", 1)[0]


def stream_of(row: Resource) -> str:
    """The name of a stream by its row."""
    return row.name.split(":", 1)[1]


def _event(record: Record) -> LogEvent:
    (ingestion_time,) = _INGESTION.unpack_from(record.payload)
    return LogEvent(record.offset, record.timestamp, ingestion_time, record.payload[_INGESTION.size :].decode())
