"""Rows and records: commits and appends per second, look-ups, reading, and whether memory stays flat.

Each line gives wall and CPU time of this process. One server's storage, without HTTP; the last part drives a server.

    python -m benchmarks.storage [--lines 1000000] [--only rows records logs]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import boto3
from benchmarks.s3 import clary_server
from botocore.config import Config

from clary.core.identifiers import Scope
from clary.storage.journal import Journal
from clary.storage.resources import ResourceStore

SCOPE = Scope("000000000000", "us-east-1")
DOCUMENT = {"HyperParameters": {f"parameter-{number}": "value" for number in range(60)}}
LINE = "[17]#011train-rmse:0.10234#011validation-rmse:0.20551 and a few more words, as log lines have them"
BATCH = 8000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    for part in options.only:
        PARTS[part](options.lines)


class Stopwatch:
    """Wall and CPU seconds of a block."""

    def __enter__(self) -> Stopwatch:
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]

    def report(self, what: str, count: int) -> None:
        cpu = f"{self.cpu / count * 1e6:8.1f} us CPU each"
        print(f"{what:<44}{count / self.wall:12,.0f} /s {self.wall / count * 1e6:10.1f} us each {cpu}")


def resident_mb(pid: int | str = "self") -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


def rows(lines: int) -> None:
    for durability in ("full", "fast"):
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(_rows(Path(directory), durability))


async def _rows(directory: Path, durability: str) -> None:
    store = ResourceStore.open(directory / "resources.db", durability=durability)

    def insert(writer: int, number: int) -> Awaitable:
        name = f"job-{writer}-{number}"
        return store.write(lambda tx: tx.insert("job", SCOPE, name, arn=name, document=DOCUMENT, created=number))

    await _write(f"rows: commits, {durability}", insert)
    with Stopwatch() as watch:
        for _ in range(5000):
            store.get("job", SCOPE, "job-1603-50")
    watch.report("rows: get", 5000)
    with Stopwatch() as watch:
        for _ in range(300):
            store.page("job", SCOPE, name_contains="job", limit=10)
    watch.report("rows: page of 10", 300)
    await store.close()


def records(lines: int) -> None:
    for durability in ("full", "fast"):
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(_records(Path(directory), durability, lines))


async def _records(directory: Path, durability: str, lines: int) -> None:
    journal = Journal.open(directory, durability=durability)
    payload = LINE.encode()
    await _write(f"records: appends, {durability}", lambda writer, number: journal.append(f"s{writer}", [(number, payload)]))
    before = resident_mb()
    with Stopwatch() as watch:
        for first in range(0, lines, 1000):
            await journal.append("big", [(first + number, payload) for number in range(1000)])
    watch.report(f"records: lines in batches of 1000, {durability}", lines)
    with Stopwatch() as watch:
        offset = 0
        while read := journal.read("big", offset, 10_000, limit_bytes=1_048_576):
            offset = read[-1].offset + 1
    watch.report("records: lines read", lines)
    with Stopwatch() as watch:
        for number in range(1000):
            journal.read("big", number * lines // 1000, 10)
    watch.report("records: 10 lines somewhere", 1000)
    print(f"memory grew by {resident_mb() - before:.0f} MB over {lines:,} lines")
    await journal.close()


async def _write(what: str, write: Callable[[int, int], Awaitable]) -> None:
    for writers, each in ((1, 400), (16, 100)):

        async def go_on(writer: int, count: int = each) -> None:
            for number in range(count):
                await write(writer, number)

        with Stopwatch() as watch:
            await asyncio.gather(*[go_on(writers * 100 + writer) for writer in range(writers)])
        watch.report(f"{what}, {writers} writers", writers * each)


def logs(lines: int) -> None:
    with tempfile.TemporaryDirectory() as directory, clary_server(Path(directory)) as (port, pid):
        endpoint = f"http://127.0.0.1:{port}"
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        client = boto3.client("logs", endpoint_url=endpoint, config=Config(read_timeout=300), **keys)
        client.create_log_group(logGroupName="bench")
        client.create_log_stream(logGroupName="bench", logStreamName="s")
        before = resident_mb(pid)
        events = [{"timestamp": int(time.time() * 1000), "message": LINE}] * BATCH
        with Stopwatch() as watch:
            for _ in range(lines // BATCH):
                client.put_log_events(logGroupName="bench", logStreamName="s", logEvents=events)
        watch.report("logs: PutLogEvents, lines (client and server)", lines // BATCH * BATCH)
        token, read = {}, 0
        with Stopwatch() as watch:
            for _ in range(20):
                page = client.get_log_events(logGroupName="bench", logStreamName="s", startFromHead=True, **token)
                token, read = {"nextToken": page["nextForwardToken"]}, read + len(page["events"])
        watch.report("logs: GetLogEvents, lines (client and server)", read)
        with Stopwatch() as watch:
            pages = list(client.get_paginator("filter_log_events").paginate(logGroupName="bench", filterPattern="no-such-word"))
        watch.report(f"logs: FilterLogEvents, lines ({len(pages)} pages)", lines)
        print(f"server memory grew by {resident_mb(pid) - before:.0f} MB over {lines:,} lines")


PARTS = {"rows": rows, "records": records, "logs": logs}


if __name__ == "__main__":
    main()
