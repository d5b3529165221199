"""The only thread that changes the database: many `work` functions, each in a savepoint, share one COMMIT, hence one fsync."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from clary.storage.disk import disk_full
from clary.storage.group_commit import GroupCommit, Outcome
from clary.storage.resources.prepared import driver
from clary.storage.resources.transaction import Transaction

Work = Callable[[Transaction], Any]


class Writer:
    """Owns the write connection. Transactions and savepoints are said to the driver: with SQLAlchemy they cost more than
    the statements between them."""

    def __init__(self, connection: Connection, wake: Callable[[str], None]):
        self._connection = connection
        self._driver = driver(connection)
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
            self._driver.execute("BEGIN IMMEDIATE")
            with self._driver:  # commits, or rolls back what failed
                outcomes = [self._attempt(work, topics) for work in batch]
        except (OperationalError, sqlite3.OperationalError) as error:
            raise _understandable(error) from error
        for topic in topics:
            self._loop.call_soon_threadsafe(self._wake, topic)  # type: ignore[union-attr]
        return outcomes

    def _attempt(self, work: Work, topics: dict[str, None]) -> Outcome:
        transaction = Transaction(self._connection)
        self._driver.execute("SAVEPOINT work")
        try:
            result = work(transaction)
            self._driver.execute("RELEASE work")
        except Exception as error:
            if not self._driver.in_transaction:
                raise  # a full disk makes SQLite roll back the neighbours' savepoints too
            self._driver.execute("ROLLBACK TO work")
            self._driver.execute("RELEASE work")
            return Outcome(error=_understandable(error))
        topics.update(dict.fromkeys(transaction.topics))
        return Outcome(result)


def _understandable(error: Exception) -> Exception:
    cause = error.orig if isinstance(error, OperationalError) else error
    full = isinstance(cause, sqlite3.OperationalError) and "disk is full" in str(cause)
    return disk_full() if full else error
