"""Group commit: one thread writes, and everything that waits shares one COMMIT, hence one fsync."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from clary.core.errors import InternalFailure
from clary.storage.resources.transaction import Transaction

_LARGEST_BATCH = 256
_DISK_FULL = "the disk that holds the server's data directory is full; free some space and repeat the request"


@dataclass(slots=True)
class _Job:
    work: Callable[[Transaction], Any]
    future: asyncio.Future[Any]


@dataclass(slots=True)
class _Outcome:
    result: Any = None
    error: Exception | None = None


class Writer:
    """The only thread that changes the database."""

    def __init__(self, connection: Connection, wake: Callable[[str], None]):
        self._connection = connection
        self._wake = wake
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="clary-resource-writer", daemon=True)
        self._thread.start()

    async def submit(self, work: Callable[[Transaction], Any]) -> Any:
        """Run `work` in a savepoint; return its result, or raise its exception, when the batch is on disk."""
        future = asyncio.get_running_loop().create_future()
        self._queue.put(_Job(work, future))
        return await future

    async def close(self) -> None:
        """Commit what was submitted, then end the thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._next_batch()
            if batch:
                self._deliver(batch, *self._commit(batch))

    def _next_batch(self) -> tuple[list[_Job], bool]:
        """What waits now (at least one job, unless closing) and whether this is the end."""
        batch: list[_Job] = []
        try:
            while len(batch) < _LARGEST_BATCH:
                job = self._queue.get(block=not batch)
                if job is None:
                    return batch, True
                batch.append(job)
        except Empty:
            pass
        return batch, False

    def _commit(self, batch: list[_Job]) -> tuple[list[_Outcome], list[str]]:
        """The outcome of each job and the topics to wake. When the commit itself fails, so does every job."""
        topics: list[str] = []
        try:
            with self._connection.begin():
                outcomes = [self._attempt(job.work, topics) for job in batch]
        except Exception as error:
            return [_Outcome(error=_understandable(error))] * len(batch), []
        return outcomes, topics

    def _attempt(self, work: Callable[[Transaction], Any], topics: list[str]) -> _Outcome:
        transaction = Transaction(self._connection)
        try:
            with self._connection.begin_nested():
                result = work(transaction)
        except Exception as error:
            if not self._transaction_is_open():
                raise  # a full disk makes SQLite roll back the neighbours' savepoints too
            return _Outcome(error=_understandable(error))
        topics.extend(transaction.topics)
        return _Outcome(result)

    def _transaction_is_open(self) -> bool:
        driver: sqlite3.Connection = self._connection.connection.dbapi_connection  # type: ignore[assignment]
        return driver.in_transaction

    def _deliver(self, batch: list[_Job], outcomes: list[_Outcome], topics: list[str]) -> None:
        def resume() -> None:
            for job, outcome in zip(batch, outcomes, strict=True):
                if job.future.done():
                    continue  # the caller was cancelled; the commit stands
                if outcome.error is not None:
                    job.future.set_exception(outcome.error)
                else:
                    job.future.set_result(outcome.result)
            for topic in dict.fromkeys(topics):
                self._wake(topic)

        batch[0].future.get_loop().call_soon_threadsafe(resume)


def _understandable(error: Exception) -> Exception:
    full = isinstance(error, OperationalError) and "disk is full" in str(error.orig)
    return InternalFailure(_DISK_FULL) if full else error
