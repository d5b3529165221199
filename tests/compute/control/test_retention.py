"""Which working directories of jobs may go."""

from __future__ import annotations

import asyncio
from pathlib import Path

from clary.compute.control.retention import expired
from clary.compute.runner import job_directory
from clary.core.clock import Clock
from clary.core.config import Config
from clary.core.identifiers import Scope
from clary.core.service import Platform
from clary.storage.blobs import BlobStore
from clary.storage.journal import Journal
from clary.storage.resources import ResourceStore, Transaction

SCOPE, KIND, DAY = Scope("000000000000", "us-east-1"), "training-job", 86400


def test_directories_of_deleted_jobs_and_of_jobs_that_ended_long_ago_go(tmp_path: Path) -> None:
    asyncio.run(_check(tmp_path))


async def _check(data: Path) -> None:
    resources, journal = ResourceStore.open(data / "resources.db"), Journal.open(data / "journal")
    config = Config(data=data, job_retention_days=30)

    async def no_call(*_: object, **__: object) -> dict:
        raise AssertionError("retention calls no operation")

    platform = Platform(config, Clock(), resources, BlobStore(data / "blobs"), journal, no_call, lambda topic: None)
    now = platform.clock.now()

    def insert(tx: Transaction) -> None:
        for name, status, age in (("old", "Completed", 31), ("young", "Failed", 29), ("running", "InProgress", 31)):
            tx.insert(KIND, SCOPE, name, arn=name, document={}, created=now - age * DAY, status=status)

    await resources.write(insert)
    for name in ("old", "young", "running", "deleted"):
        job_directory.of(data, SCOPE, KIND, name).mkdir(parents=True)
    assert {directory.name for directory in expired(platform, KIND, ("InProgress", "Stopping"))} == {"old", "deleted"}
    await journal.close()
    await resources.close()
