"""The only thread that changes the database: many `work` functions, each in a savepoint, share one COMMIT, hence one fsync."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

from clary.storage.disk import disk_full
from clary.storage.group_commit import GroupCommit, Outcome
from clary.storage.resources.tables import Connection
from clary.storage.resources.transaction import Transaction

Work = Callable[[Transaction], Any]


class Writer:
    """Owns the write connection."""

    def __init__(self, connection: Connection, wake: Callable[[str], None]):
        self._connection = connection
        self._wake = wake
        self._loop: asyncio.AbstractEventLoop | None = None
        self._group: GroupCommit[Work] = GroupCommit("clary-resource-writer", self._commit)

    async def submit(self, work: Work) -> Any:
        """Run `work` in a savepoint; return its result, or raise its exception, when the batch is on disk."""
        self._loop = asyncio.get_running_loop()
        return await self._group.submit(work)

    async def close(self) -> None:
        await self._group.close()
        self._connection.close()

    def _commit(self, batch: list[Work]) -> list[Outcome]:
        topics: dict[str, None] = {}
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:  # commits, or rolls back what failed
                outcomes = [self._attempt(work, topics) for work in batch]
        except sqlite3.OperationalError as error:
            raise _understandable(error) from error
        for topic in topics:
            self._loop.call_soon_threadsafe(self._wake, topic)  # type: ignore[union-attr]
        return outcomes

    def _attempt(self, work: Work, topics: dict[str, None]) -> Outcome:
        transaction = Transaction(self._connection)
        self._connection.execute("SAVEPOINT work")
        try:
            result = work(transaction)
            self._connection.execute("RELEASE work")
        except Exception as error:
            if not self._connection.in_transaction:
                raise  # a full disk makes SQLite roll back the neighbours' savepoints too
            self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            return Outcome(error=_understandable(error))
        topics.update(dict.fromkeys(transaction.topics))
        return Outcome(result)


def _understandable(error: Exception) -> Exception:
    full = isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error)
    return disk_full() if full else error
