"""How long log events and metric points are kept: trims the journal by the clock."""

from __future__ import annotations

import asyncio
import contextlib

from clary.core.service import Platform
from clary.storage.log_streams import LogStreams
from clary.storage.metric_points import MetricPoints

FIRST_SECONDS = 60.0
EVERY_SECONDS = 3600.0


class RecordRetentionLoop:
    """Frees the disk. Readers never see an event whose group's retention has ended, however long ago the last round was."""

    def __init__(self, platform: Platform):
        self.woken = asyncio.Event()
        self._config = platform.config
        self._logs = LogStreams(platform.resources, platform.journal, platform.clock)
        self._metrics = MetricPoints(platform.resources, platform.journal, platform.clock)

    async def run(self) -> None:
        """A first round when the server has settled, then every hour, or when woken."""
        pause = FIRST_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.woken.wait(), pause)
            self.woken.clear()
            await self.enforce()
            pause = EVERY_SECONDS

    async def enforce(self) -> None:
        """One round."""
        await self._logs.enforce_retention(self._config.log_retention_days)
        await self._metrics.enforce_retention(self._config.metric_retention_days)
