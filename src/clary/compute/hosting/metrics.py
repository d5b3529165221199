"""Invocation metrics on their way to CloudWatch, once a minute."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from clary.compute.hosting.data_plane import DataPlane
from clary.compute.hosting.endpoint import RunningEndpoint
from clary.core.errors import ServiceError
from clary.core.service import Platform

log = logging.getLogger(__name__)
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
    for endpoint in (*plane.in_service(), *plane.take_retired()):
        if data := _data(endpoint, platform.clock.now() - 1):
            try:
                request = {"Namespace": NAMESPACE, "MetricData": data}
                await platform.call("cloudwatch", "PutMetricData", request, scope=endpoint.scope)
            except ServiceError as error:
                log.error("invocation metrics of endpoint %s are lost: %s", endpoint.name, error)


def _data(endpoint: RunningEndpoint, timestamp: float) -> list[dict[str, Any]]:
    data = []
    for variant in endpoint.variants.values():
        dimensions = [{"Name": "EndpointName", "Value": endpoint.name}, {"Name": "VariantName", "Value": variant.name}]
        same = {"Dimensions": dimensions, "Timestamp": timestamp}
        data += [datum | same for datum in variant.counters.take(len(variant.instances))]
    return data
