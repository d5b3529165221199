"""Group commit: one thread does the writing, and everything that waits shares one trip to the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")

_LARGEST_BATCH = 256


@dataclass(slots=True)
class Outcome:
    """What became of a job: a result, or the exception its caller gets."""

    result: Any = None
    error: Exception | None = None


class GroupCommit(Generic[Job]):
    """Hands batches of submitted jobs to `commit` on a thread of its own.

    `commit(jobs)` returns an outcome per job, in order, when all of them are on disk; an exception of `commit` itself
    reaches every caller of the batch.
    """

    def __init__(self, name: str, commit: Callable[[list[Job]], list[Outcome]]):
        self._commit = commit
        self._queue: SimpleQueue[tuple[Job, asyncio.Future[Any]] | None] = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def submit(self, job: Job) -> Any:
        """The job's result, or its exception, once its batch is on disk. Cancelling the caller does not undo the job."""
        if self._closed:
            raise RuntimeError("the store is closed")
        future = asyncio.get_running_loop().create_future()
        self._queue.put((job, future))
        return await future

    async def close(self) -> None:
        """Commit what was submitted, then end the thread."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._next_batch()
            if batch:
                self._finish(batch)

    def _next_batch(self) -> tuple[list[tuple[Job, asyncio.Future[Any]]], bool]:
        """What waits now (at least one job, unless closing) and whether this is the end."""
        batch: list[tuple[Job, asyncio.Future[Any]]] = []
        try:
            while len(batch) < _LARGEST_BATCH:
                item = self._queue.get(block=not batch)
                if item is None:
                    return batch, True
                batch.append(item)
        except Empty:
            pass
        return batch, False

    def _finish(self, batch: list[tuple[Job, asyncio.Future[Any]]]) -> None:
        try:
            outcomes = self._commit([job for job, _ in batch])
        except Exception as error:
            outcomes = [Outcome(error=error)] * len(batch)

        def resume() -> None:
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue  # the caller was cancelled; the commit stands
                if outcome.error is not None:
                    future.set_exception(outcome.error)
                else:
                    future.set_result(outcome.result)

        batch[0][1].get_loop().call_soon_threadsafe(resume)
