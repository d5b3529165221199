"""A backup during writes holds everything that was acknowledged before it began, in rows and in records."""

from __future__ import annotations

import asyncio
import itertools

from clary.core.config import Config
from clary.core.identifiers import Scope
from clary.gateway.backup import backup
from clary.gateway.server import open_platform
from clary.storage.journal import streams
from clary.storage.log_streams import LogStreams

SCOPE = Scope("000000000000", "us-east-1")


def test_a_backup_under_load(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "SEGMENT_BYTES", 2000)
    written: dict[str, int] = {}

    async def write_forever(platform, name):
        logs = LogStreams(platform.resources, platform.journal, platform.clock)
        for number in itertools.count():
            await logs.append(SCOPE, "group", name, [(number, f"{name} {number}")], cursor=str(number))
            await platform.resources.write(
                lambda tx, n=number: tx.insert("kind", SCOPE, f"{name}-{n}", arn="", document={}, created=n)
            )
            written[name] = number

    async def save():
        async with open_platform(Config(data=tmp_path / "data")) as platform:
            writers = [asyncio.create_task(write_forever(platform, f"s{n}")) for n in range(6)]
            while len(written) < 6 or min(written.values()) < 60:  # noqa: ASYNC110
                await asyncio.sleep(0)
            before = dict(written)
            await backup(platform, tmp_path / "copy")
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
            return before

    async def check(before):
        async with open_platform(Config(data=tmp_path / "copy")) as platform:
            logs = LogStreams(platform.resources, platform.journal, platform.clock)
            for name, last in before.items():
                assert platform.resources.get("kind", SCOPE, f"{name}-{last}")
                events = logs.read(platform.resources.get("log-stream", SCOPE, f"group:{name}"), 0, 1_000_000)
                assert [event.offset for event in events] == list(range(len(events)))
                assert len(events) > last
                assert logs.cursor(SCOPE, "group", name) == str(len(events) - 1)

    asyncio.run(check(asyncio.run(asyncio.wait_for(save(), 60))))
