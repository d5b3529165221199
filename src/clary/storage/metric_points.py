"""Metrics: their names and dimensions as rows of the resource store, their points in the journal.

Both the CloudWatch service and the loops that publish metrics of jobs and endpoints write through `MetricPoints`:

    metrics = MetricPoints(platform.resources, platform.journal, platform.clock)
    await metrics.put(scope, "AWS/SageMaker", [MetricPoint("Invocations", dimensions, time_ms, values=(1.0,), counts=(17,))])

A loop that ships a file of points uses `put_from`, which stores each point once however often a crash makes it read the
file again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from clary.core.clock import Clock
from clary.core.identifiers import Scope
from clary.storage.journal import Journal
from clary.storage.resources import Resource, ResourceStore, Transaction

METRIC = "metric"
_SEPARATOR = "\x1f"
_SOURCES = "metric-sources/"
_TOUCH_SECONDS = 900
_CHUNK = 2000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class StatisticSet:
    """Values that were summed up before they came here."""

    number: float
    total: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """What happened to a metric at `timestamp` (ms): `values[i]` was seen `counts[i]` times, or a statistic set."""

    metric: str
    dimensions: Mapping[str, str]
    timestamp: int
    values: Sequence[float] = ()
    counts: Sequence[float] = ()
    """Empty: every value was seen once."""
    statistics: StatisticSet | None = None
    unit: str = "None"


@dataclass(frozen=True, slots=True)
class MetricName:
    """What tells a metric from all others of an account and region."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...] = field(default=())
    """Sorted by name."""

    @classmethod
    def of(cls, namespace: str, metric: str, dimensions: Mapping[str, str]) -> MetricName:
        return cls(namespace, metric, tuple(sorted(dimensions.items())))

    @property
    def row(self) -> str:
        """The name of the metric's row; rows of a namespace, and of a metric in it, share a prefix."""
        return row_prefix(self.namespace, self.metric) + self._digest

    def journal_stream(self, scope: Scope) -> str:
        return f"metrics/{scope.account}/{scope.region}/{self._digest}"

    @property
    def _digest(self) -> str:
        identity = orjson.dumps([self.namespace, self.metric, self.dimensions])
        return hashlib.sha256(identity).hexdigest()[:40]


def row_prefix(namespace: str, metric: str | None = None) -> str:
    """What the names of the rows of a namespace, or of one metric of it, begin with."""
    return namespace + _SEPARATOR + ("" if metric is None else metric + _SEPARATOR)


def name_of(row: Resource) -> MetricName:
    return MetricName.of(row.document["Namespace"], row.document["MetricName"], row.document["Dimensions"])


class MetricPoints:
    """Points of all metrics."""

    def __init__(self, resources: ResourceStore, journal: Journal, clock: Clock):
        self._resources = resources
        self._journal = journal
        self._clock = clock

    async def put(self, scope: Scope, namespace: str, points: Iterable[MetricPoint]) -> None:
        """Store points, on disk on return; metrics that are new become known to ListMetrics."""
        by_metric: dict[MetricName, list[MetricPoint]] = {}
        for point in points:
            by_metric.setdefault(MetricName.of(namespace, point.metric, point.dimensions), []).append(point)
        await self._touch(scope, by_metric)
        await asyncio.gather(*[self._append(scope, name, of_metric, None) for name, of_metric in by_metric.items()])

    async def put_from(
        self, source: str, scope: Scope, namespace: str, points: Sequence[tuple[int, MetricPoint]], position: int
    ) -> None:
        """Store the points of a source (a file), each with its position there, once each.

        `position` is where reading goes on, and what `position(source)` answers from then on. After a crash in the
        middle the source is read again from the former position; points that are stored already are left out.
        """
        by_metric: dict[MetricName, list[tuple[int, MetricPoint]]] = {}
        for at, point in points:
            by_metric.setdefault(MetricName.of(namespace, point.metric, point.dimensions), []).append((at, point))
        await self._touch(scope, by_metric)
        await asyncio.gather(*[self._append_fresh(source, scope, name, placed) for name, placed in by_metric.items()])
        now_ms = int(self._clock.now() * 1000)
        await self._journal.append(_source_stream(source), [(now_ms, b"")], cursor=str(position))

    def position(self, source: str) -> int:
        """Where to go on reading a source; 0 for a new one."""
        return int(self._journal.cursor(_source_stream(source)) or 0)

    async def read(self, scope: Scope, name: MetricName, since_ms: int, until_ms: int) -> AsyncIterator[MetricPoint]:
        """The points whose time is within `[since_ms, until_ms)`, in the order they came in."""
        stream, offset = name.journal_stream(scope), 0
        while records := self._journal.read(stream, offset, _CHUNK, since_ms=since_ms, until_ms=until_ms - 1):
            for record in records:
                yield _point(name, record.timestamp, record.payload)
            offset = records[-1].offset + 1
            await asyncio.sleep(0)  # a million points must not hold up the other requests

    async def enforce_retention(self, days: float) -> None:
        """Forget points older than `days`, metrics that have none left, and sources not read for as long."""
        since_ms = int(self._clock.now() * 1000 - days * _DAY_MS)
        for row in self._resources.every(METRIC):
            stream = name_of(row).journal_stream(row.scope)
            if await self._is_over(stream, since_ms) and row.modified * 1000 < since_ms:
                await self._remove(row, stream)
        for stream in self._journal.streams(_SOURCES):
            if await self._is_over(stream, since_ms):
                await self._journal.delete(stream)

    async def _remove(self, row: Resource, stream: str) -> None:
        """Remove a metric, unless a point comes in meanwhile: that touches the row first."""

        def work(tx: Transaction) -> None:
            now = tx.get(METRIC, row.scope, row.name)
            if now is not None and now.modified == row.modified:
                tx.delete(now)

        await self._resources.write(work)
        if self._resources.get(METRIC, row.scope, row.name) is None:
            await self._journal.delete(stream)

    async def _is_over(self, stream: str, since_ms: int) -> bool:
        """Whether nothing is left of a stream when what is older than `since_ms` is forgotten."""
        await self._journal.trim(stream, since_ms)
        return self._journal.start(stream) == self._journal.end(stream)

    async def _append(self, scope: Scope, name: MetricName, points: Sequence[MetricPoint], cursor: str | None) -> None:
        records = [(point.timestamp, _payload(point)) for point in points]
        if records:
            await self._journal.append(name.journal_stream(scope), records, cursor=cursor)

    async def _append_fresh(self, source: str, scope: Scope, name: MetricName, placed: list[tuple[int, MetricPoint]]) -> None:
        """Leave out what an earlier reading of the source has stored."""
        stored = self._stored_up_to(source, scope, name)
        fresh = [point for at, point in placed if at > stored]
        await self._append(scope, name, fresh, orjson.dumps([source, placed[-1][0]]).decode())

    def _stored_up_to(self, source: str, scope: Scope, name: MetricName) -> int:
        cursor = self._journal.cursor(name.journal_stream(scope))
        stored_source, position = orjson.loads(cursor) if cursor else ("", -1)
        return position if stored_source == source else -1

    async def _touch(self, scope: Scope, names: Iterable[MetricName]) -> None:
        """Make rows of new metrics, and note now and then on the others that they are alive."""
        now = self._clock.now()
        stale = []
        for name in names:
            row = self._resources.get(METRIC, scope, name.row)
            if row is None or row.modified < now - _TOUCH_SECONDS:
                stale.append(name)
        if stale:
            await self._resources.write(lambda tx: _touch_rows(tx, scope, stale, now))


def _touch_rows(tx: Transaction, scope: Scope, names: list[MetricName], now: float) -> None:
    for name in names:
        _touch_row(tx, scope, name, now)


def _touch_row(tx: Transaction, scope: Scope, name: MetricName, now: float) -> None:
    row = tx.get(METRIC, scope, name.row)
    if row is not None:
        tx.update(row, modified=now)
        return
    document: dict[str, Any] = {"Namespace": name.namespace, "MetricName": name.metric, "Dimensions": dict(name.dimensions)}
    tx.insert(METRIC, scope, name.row, arn="", document=document, created=now)


def _source_stream(source: str) -> str:
    return _SOURCES + source


def _payload(point: MetricPoint) -> bytes:
    """JSON: `u` unit, then `v` values with `c` counts, or `s` the statistic set."""
    encoded: dict[str, Any] = {"u": point.unit}
    if point.statistics is not None:
        total = point.statistics
        encoded["s"] = [total.number, total.total, total.minimum, total.maximum]
    else:
        encoded["v"] = list(point.values)
        if point.counts:
            encoded["c"] = list(point.counts)
    return orjson.dumps(encoded)


def _point(name: MetricName, timestamp: int, payload: bytes) -> MetricPoint:
    encoded = orjson.loads(payload)
    statistics = StatisticSet(*encoded["s"]) if "s" in encoded else None
    values, counts = encoded.get("v", ()), encoded.get("c", ())
    return MetricPoint(name.metric, dict(name.dimensions), timestamp, values, counts, statistics, encoded["u"])
