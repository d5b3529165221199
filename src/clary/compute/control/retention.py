"""Working directories of jobs that nobody needs any more: deleted jobs, and jobs that finished long ago."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

from clary.compute.runner import job_directory
from clary.core.service import Platform

SWEEP_SECONDS = 3600.0
_DAY = 86400


async def sweep_forever(platform: Platform, kind: str, active: tuple[str, ...]) -> None:
    """Remove what `expired` finds, now and every hour."""
    while True:
        for directory in list(expired(platform, kind, active)):
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        await asyncio.sleep(SWEEP_SECONDS)


def expired(platform: Platform, kind: str, active: tuple[str, ...]) -> Iterator[Path]:
    """Directories of jobs of `kind` without a row, or finished (not `active`) longer ago than `job_retention_days`."""
    oldest = platform.clock.now() - platform.config.job_retention_days * _DAY
    for scope, name, directory in job_directory.every(platform.config.data, kind):
        job = platform.resources.get(kind, scope, name)
        if job is None or (job.status not in active and job.modified < oldest):
            yield directory
