"""From a job's files to where clients read: log lines to CloudWatch Logs, metric points to CloudWatch, each exactly once.

The offset in the file is saved with the records (`cursor`), so that a server killed in between loses and doubles nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from clary.compute.control import tail
from clary.compute.runner import job_directory
from clary.core.identifiers import Scope
from clary.core.service import Platform
from clary.storage.resources import Resource


class LogSink(Protocol):
    """`platform.extensions["logs"]`."""

    def cursor(self, scope: Scope, group: str, stream: str) -> str | None:
        """What the last `append` to this stream saved."""

    async def append(self, scope: Scope, group: str, stream: str, lines: list[tuple[int, str]], *, cursor: str) -> None:
        """Append `(milliseconds since the epoch, text)` and save `cursor` with them; makes group and stream when needed."""


Point = tuple[str, int, float]
"""Metric name, milliseconds since the epoch, value."""


class MetricSink(Protocol):
    """`platform.extensions["metrics"]`."""

    def cursor(self, scope: Scope, source: str) -> str | None:
        """What the last `append` from this source saved."""

    async def append(
        self, scope: Scope, namespace: str, dimensions: dict[str, str], points: list[Point], *, source: str, cursor: str
    ) -> None:
        """Append points and save `cursor` with them."""


class Shipper:
    """Ships the files of one job's hosts."""

    def __init__(self, platform: Platform, group: str, namespace: str):
        self._logs: LogSink = platform.extensions["logs"]
        self._metrics: MetricSink = platform.extensions["metrics"]
        self._group = group
        self._namespace = namespace

    async def ship(self, job: Resource, directory: Path, stream: str) -> None:
        """Ship everything that is complete in the log and metric files of `directory` and was not shipped yet."""
        await self._ship_log(job.scope, directory / job_directory.LOG, stream)
        await self._ship_metrics(job, directory / job_directory.METRICS, stream)

    async def _ship_log(self, scope: Scope, path: Path, stream: str) -> None:
        offset = int(self._logs.cursor(scope, self._group, stream) or 0)
        entries, after = tail.read(path, offset)
        while entries:
            lines = [(entry["t"], entry["m"]) for entry in entries]
            await self._logs.append(scope, self._group, stream, lines, cursor=str(after))
            entries, after = tail.read(path, after)

    async def _ship_metrics(self, job: Resource, path: Path, stream: str) -> None:
        source = f"{self._group}/{stream}"
        offset = int(self._metrics.cursor(job.scope, source) or 0)
        entries, after = tail.read(path, offset)
        while entries:
            points = [(entry["n"], entry["t"], entry["v"]) for entry in entries]
            dimensions = {"TrainingJobName": job.name}
            await self._metrics.append(job.scope, self._namespace, dimensions, points, source=source, cursor=str(after))
            entries, after = tail.read(path, after)
