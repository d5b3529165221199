"""Invocation metrics on their way to CloudWatch, once a minute."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from clary.compute.hosting.data_plane import DataPlane
from clary.compute.hosting.endpoint import RunningEndpoint
from clary.core.errors import ServiceError
from clary.core.service import Platform
from clary.storage.metric_points import MetricPoint, MetricPoints

logger = logging.getLogger(__name__)
NAMESPACE = "AWS/SageMaker"
PERIOD_SECONDS = 60.0


async def report(platform: Platform, plane: DataPlane) -> None:
    """Report at the end of every minute, and once more when cancelled."""
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(PERIOD_SECONDS - platform.clock.now() % PERIOD_SECONDS)
            await report_now(platform, plane)
    await report_now(platform, plane)


async def report_now(platform: Platform, plane: DataPlane) -> None:
    """Report what was counted since the last time, under the minute that is ending."""
    metrics = MetricPoints(platform.resources, platform.journal, platform.clock)
    timestamp = int(platform.clock.now() * 1000) - 1000
    for endpoint in (*plane.in_service(), *plane.take_retired()):
        if points := _points(endpoint, timestamp):
            try:
                await metrics.put(endpoint.scope, NAMESPACE, points)
            except (OSError, ServiceError) as error:
                logger.warning("the invocation metrics of a minute of endpoint %s are lost: %s", endpoint.name, error)


def _points(endpoint: RunningEndpoint, timestamp: int) -> list[MetricPoint]:
    points = []
    for variant in endpoint.variants.values():
        dimensions = {"EndpointName": endpoint.name, "VariantName": variant.name}
        points += variant.counters.take(dimensions, timestamp, variant.instance_count)
    return points
