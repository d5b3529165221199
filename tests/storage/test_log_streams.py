"""Appending log events directly, as the loops of jobs and endpoints do."""

from __future__ import annotations

import asyncio

from clary.core.clock import Clock
from clary.core.identifiers import Scope
from clary.storage.journal import Journal
from clary.storage.log_streams import LogStreams
from clary.storage.resources import ResourceStore

SCOPE = Scope("000000000000", "us-east-1")
GROUP, STREAM = "/aws/sagemaker/TrainingJobs", "job/algo-1-1700000000"


def with_logs(tmp_path, body):
    async def run():
        resources, journal, clock = ResourceStore.open(tmp_path / "clary.db"), Journal.open(tmp_path / "journal"), Clock()
        try:
            await body(LogStreams(resources, journal, clock), resources, clock)
        finally:
            await resources.close()
            await journal.close()

    asyncio.run(run())


def row(resources):
    return resources.get("log-stream", SCOPE, f"{GROUP}:{STREAM}")


def test_the_first_append_creates_group_and_stream_once(tmp_path):
    async def body(logs, resources, clock):
        appends = [logs.append(SCOPE, GROUP, STREAM, [(n, f"line {n} é")]) for n in range(5)]
        await asyncio.gather(*appends)
        assert [row.name for row in resources.every("log-group")] == [GROUP]
        assert [row.name for row in resources.every("log-stream")] == [f"{GROUP}:{STREAM}"]
        assert [event.message for event in logs.read(row(resources), 0, 10)] == [f"line {n} é" for n in range(5)]

    with_logs(tmp_path, body)


def test_a_cursor_says_where_to_go_on(tmp_path):
    async def write(logs, resources, clock):
        assert logs.cursor(SCOPE, GROUP, STREAM) is None
        await logs.append(SCOPE, GROUP, STREAM, [(1, "a")], cursor="120")

    async def read(logs, resources, clock):
        assert logs.cursor(SCOPE, GROUP, STREAM) == "120"
        assert logs.cursor(Scope("111111111111", "us-east-1"), GROUP, STREAM) is None

    with_logs(tmp_path, write)
    with_logs(tmp_path, read)


def test_retention_forgets_by_the_clock_at_once_and_frees_the_disk_when_enforced(tmp_path):
    async def body(logs, resources, clock):
        await logs.append(SCOPE, GROUP, STREAM, [(logs.now_ms(), "old")])
        await resources.write(
            lambda tx: tx.update(tx.get("log-group", SCOPE, GROUP), state={"retentionInDays": 1}, modified=clock.now())
        )
        clock.advance(2 * 86400)
        await logs.append(SCOPE, GROUP, STREAM, [(logs.now_ms(), "new")])
        assert [event.message for event in logs.read(row(resources), 0, 10)] == ["new"]
        assert logs.bounds(row(resources)) == (0, 2)
        await logs.enforce_retention(default_days=0)
        assert logs.bounds(row(resources)) == (1, 2)

    with_logs(tmp_path, body)


def test_the_default_retention_is_for_groups_without_their_own(tmp_path):
    async def body(logs, resources, clock):
        await logs.append(SCOPE, GROUP, STREAM, [(logs.now_ms(), "old")])
        clock.advance(2 * 86400)
        await logs.enforce_retention(default_days=0)
        assert logs.bounds(row(resources)) == (0, 1)
        await logs.enforce_retention(default_days=1)
        assert logs.bounds(row(resources)) == (1, 1)

    with_logs(tmp_path, body)


def test_a_stream_made_again_shows_nothing_of_the_former_one(tmp_path):
    async def body(logs, resources, clock):
        await logs.append(SCOPE, GROUP, STREAM, [(1, "former")], cursor="9")
        former = row(resources)
        await resources.write(lambda tx: tx.delete(former))
        await logs.append(SCOPE, GROUP, STREAM, [(2, "new")])
        assert [event.message for event in logs.read(row(resources), 0, 10)] == ["new"]
        assert logs.cursor(SCOPE, GROUP, STREAM) is None
        assert logs.bounds(former) == (0, 1)
        await logs.enforce_retention(default_days=0)
        assert logs.bounds(former) == (0, 0)

    with_logs(tmp_path, body)
