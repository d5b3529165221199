"""From a job's files to where clients read: log lines to CloudWatch Logs, points to CloudWatch, each exactly once.

The offset in the file is saved with the records (`cursor`), so that a server killed in between loses and doubles nothing.
"""

from __future__ import annotations

from pathlib import Path

from clary.compute.control import tail
from clary.compute.runner import job_directory
from clary.core.identifiers import Scope
from clary.core.service import Platform
from clary.storage.log_streams import LogStreams
from clary.storage.metric_points import MetricPoint, MetricPoints
from clary.storage.resources import Resource


class Shipper:
    """Ships the files of one job's hosts."""

    def __init__(self, platform: Platform, group: str, namespace: str):
        self._logs = LogStreams(platform.resources, platform.journal, platform.clock)
        self._metrics = MetricPoints(platform.resources, platform.journal, platform.clock)
        self._group = group
        self._namespace = namespace

    async def ship(self, job: Resource, directory: Path, stream: str) -> None:
        """Ship everything that is complete in the log and metric files of `directory` and was not shipped yet."""
        await self._ship_log(job.scope, directory / job_directory.LOG, stream)
        await self._ship_metrics(job, directory / job_directory.METRICS, stream)

    async def _ship_log(self, scope: Scope, path: Path, stream: str) -> None:
        offset = int(self._logs.cursor(scope, self._group, stream) or 0)
        while entries := tail.read(path, offset):
            offset = entries[-1][0]
            lines = [(entry["t"], entry["m"]) for _, entry in entries]
            await self._logs.append(scope, self._group, stream, lines, cursor=str(offset))

    async def _ship_metrics(self, job: Resource, path: Path, stream: str) -> None:
        source = f"{job.scope.account}/{job.scope.region}{self._group}/{stream}"
        dimensions = {"TrainingJobName": job.name}
        offset = self._metrics.position(source)
        while entries := tail.read(path, offset):
            offset = entries[-1][0]
            points = [(end, MetricPoint(entry["n"], dimensions, entry["t"], (entry["v"],))) for end, entry in entries]
            await self._metrics.put_from(source, job.scope, self._namespace, points, offset)
