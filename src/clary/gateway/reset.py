"""`POST /_clary/reset`: everything that clients made is gone, the server goes on. Only with `--allow-reset`.

The root key and the key of session tokens stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from clary.compute.runner import lock
from clary.core.service import Platform
from clary.gateway.auth.keys import SERVER_SECRET
from clary.gateway.control_loops import ControlLoops
from clary.services.iam.rows import ACCESS_KEY, NOWHERE
from clary.storage.resources import Transaction, table_names

STOP_SECONDS = 5
"""How long a job gets to end by itself."""
LOOKS_PER_SECOND = 50
_KEPT_TABLES = ("format", "resources")


class Reset:
    """Stops what runs, removes rows, records and bytes, and starts the control loops anew."""

    def __init__(self, platform: Platform, loops: ControlLoops, forget: Callable[[], None]):
        self._platform = platform
        self._loops = loops
        self._forget = forget
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        async with self._one_at_a_time:
            await self._loops.stop()
            await self._end_jobs()
            await self._platform.resources.write(_delete_rows)
            for stream in self._platform.journal.streams():
                await self._platform.journal.delete(stream)
            blobs = await asyncio.to_thread(_remove_files, self._platform.config.data)
            self._platform.blobs.discard(blobs)
            self._forget()
            self._loops.start(self._platform)

    async def _end_jobs(self) -> None:
        """Supervisors are asked to stop, then made to; what they run ends with them."""
        for pid in _supervisors(self._platform.config.data):
            _signal(pid, signal.SIGTERM)
        for _ in range(STOP_SECONDS * LOOKS_PER_SECOND):
            if not any(_supervisors(self._platform.config.data)):
                return
            await asyncio.sleep(1 / LOOKS_PER_SECOND)
        for pid in _supervisors(self._platform.config.data):
            for one in (*_children(pid), pid):
                _signal(one, signal.SIGKILL)


def _supervisors(data: Path) -> Iterator[int]:
    for file in (data / "jobs").glob(f"*/*/*/*/*/*/{lock.NAME}"):
        if (pid := lock.holder(file.parent)) is not None:
            yield pid


def _children(pid: int) -> list[int]:
    """Direct children, where the kernel lists them (Linux)."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listing.read_text().split()] if listing.exists() else []


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(pid, number)


def _delete_rows(transaction: Transaction) -> None:
    """Every table, also those of services that this process has not imported."""
    root = transaction.get(SERVER_SECRET, NOWHERE, "root")
    for table in table_names(transaction.connection):
        if table not in _KEPT_TABLES:
            transaction.connection.execute(f'DELETE FROM "{table}"')
    kept = {"secret": SERVER_SECRET, "key": ACCESS_KEY, "root": root.document["AccessKeyId"] if root else ""}
    statement = "DELETE FROM resources WHERE kind != :secret AND NOT (kind = :key AND name = :root)"
    transaction.connection.execute(statement, kept)


def _remove_files(data: Path) -> list[str]:
    """Working directories; returns the ids of the blobs, which their store removes."""
    for name in ("jobs", "endpoints"):
        shutil.rmtree(data / name, ignore_errors=True)
        (data / name).mkdir()
    return [file.name for file in (data / "blobs").glob("[0-9a-f][0-9a-f]/*")]
