"""The loop that frees the disk of logs and metrics whose time is over."""

from __future__ import annotations

import asyncio

from clary.compute.control.record_retention import RecordRetentionLoop
from clary.core.clock import Clock
from clary.core.config import Config
from clary.core.identifiers import Scope
from clary.core.service import Platform
from clary.storage.journal import Journal
from clary.storage.log_streams import LogStreams
from clary.storage.metric_points import MetricPoint, MetricPoints
from clary.storage.resources import ResourceStore

SCOPE = Scope("000000000000", "us-east-1")


def test_a_woken_loop_trims_logs_and_metrics_by_the_clock(tmp_path):
    async def run():
        resources, journal = ResourceStore.open(tmp_path / "clary.db"), Journal.open(tmp_path / "journal")
        config = Config(data=tmp_path, log_retention_days=7)
        platform = Platform(config, Clock(), resources, None, journal, None, lambda topic: None)  # type: ignore[arg-type]
        logs, metrics = (kind(resources, journal, platform.clock) for kind in (LogStreams, MetricPoints))
        now_ms = int(platform.clock.now() * 1000)
        await logs.append(SCOPE, "group", "stream", [(now_ms, "line")])
        await metrics.put(SCOPE, "Space", [MetricPoint("m", {}, now_ms, values=[1.0])])
        platform.clock.advance(500 * 86400)

        loop = RecordRetentionLoop(platform)
        task = asyncio.create_task(loop.run())
        loop.woken.set()
        while journal.streams("metrics/"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        (row,) = resources.every("log-stream")
        assert logs.bounds(row) == (1, 1)
        await resources.close()
        await journal.close()

    asyncio.run(asyncio.wait_for(run(), 30))
