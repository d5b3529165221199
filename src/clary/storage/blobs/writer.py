"""Writing one blob: to a temporary file while it streams in, published by a rename when it is whole and on disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path

from clary.storage.blobs.cipher import CHUNK_BYTES, SEALED_BYTES, ChunkCipher
from clary.storage.disk import sync_directory, sync_file

BATCH_CHUNKS = 8
BATCH_BYTES = BATCH_CHUNKS * CHUNK_BYTES
"""What is gathered before a thread is asked to store it: large enough to make the hand-over cheap."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A finished blob: its id and the bytes that were written (not what the disk holds, which may be sealed)."""

    id: str
    size: int


class BlobWriter:
    """Takes a stream; `finish` publishes it, `abort` leaves nothing behind. Use one from one task.

    A thread stores a batch while the next one is gathered. Two batches and a sealed one are all the memory it takes, whatever
    the size of the blob; they are reused, because fresh pages cost more than the cipher. Each of `observe` is called with
    every batch, in order, in a thread, all but the last beside the storing: digests belong there. They must not keep what
    they are given.
    """

    def __init__(
        self,
        blob_id: str,
        temporary: Path,
        final: Path,
        executor: Executor,
        *,
        key: bytes | None,
        observe: Sequence[Callable[[memoryview], None]],
        durable: bool,
    ):
        self._id = blob_id
        self._temporary = temporary
        self._final = final
        self._executor = executor
        self._cipher = ChunkCipher(key) if key is not None else None
        self._observe = observe
        self._durable = durable
        self._file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        self._batch = memoryview(bytearray(BATCH_BYTES))
        self._filled = 0
        self._spare: memoryview | None = None
        self._sealed = memoryview(bytearray(BATCH_CHUNKS * SEALED_BYTES)) if key is not None else None
        self._chunks = 0
        self._size = 0
        self._ended = False
        self._job: Future[None] | None = None

    async def write(self, data: bytes) -> None:
        """Take `data`. Raises the `OSError` of an earlier batch that could not be stored, such as a full disk."""
        rest = memoryview(data)
        while rest:
            if self._filled == BATCH_BYTES:  # and more is coming, so this batch does not end the blob
                await self._store_batch()
            some = rest[: BATCH_BYTES - self._filled]
            self._batch[self._filled : self._filled + len(some)] = some
            self._filled += len(some)
            rest = rest[len(some) :]

    async def end(self) -> None:
        """Store what is left. `observe` has seen everything then, and nothing is published yet; only `finish` may follow."""
        await self._job_done()
        self._hand_over(self._batch[: self._filled], last=True)
        self._filled, self._ended = 0, True
        await self._job_done()

    async def finish(self) -> Blob:
        """Publish the blob; when this returns it is on disk."""
        if not self._ended:
            await self.end()
        self._job = self._executor.submit(self._publish)
        await self._job_done()
        return Blob(self._id, self._size)

    async def abort(self) -> None:
        """Forget the blob. Harmless after `finish` failed or was cancelled: a thread at work is waited for."""
        if self._job is not None:
            await asyncio.gather(asyncio.wrap_future(self._job), return_exceptions=True)
        self._job = self._executor.submit(self._discard)
        await self._job_done()

    async def _store_batch(self) -> None:
        await self._job_done()
        full, self._batch = self._batch, self._spare or memoryview(bytearray(BATCH_BYTES))
        self._spare, self._filled = full, 0
        self._hand_over(full, last=False)

    def _hand_over(self, batch: memoryview, *, last: bool) -> None:
        """Threads observe and store the batch; all but the last observer beside the others where the batch is worth it."""
        apart = self._observe[:-1] if len(batch) == BATCH_BYTES else ()
        others = [self._executor.submit(observe, batch) for observe in apart]
        self._job = self._executor.submit(self._observe_and_store, batch, last, others)

    async def _job_done(self) -> None:
        if self._job is not None:
            await asyncio.wrap_future(self._job)

    def _observe_and_store(self, batch: memoryview, last: bool, others: Sequence[Future[None]]) -> None:
        """`others` run already when this does, because they were submitted before; they are waited for whatever happens."""
        try:
            for observe in self._observe[len(others) :]:
                observe(batch)
            self._store(batch, last)
        finally:
            wait(others)
        for other in others:
            other.result()

    def _store(self, batch: memoryview, last: bool) -> None:
        self._size += len(batch)
        _write_all(self._file, self._seal(batch, last) if self._cipher is not None else batch)

    def _seal(self, batch: memoryview, last: bool) -> memoryview:
        """The batch's chunks, sealed. A blob has at least one chunk, so that an empty one cannot be forged either."""
        assert self._cipher is not None
        assert self._sealed is not None
        length = 0
        for start in range(0, max(len(batch), 1), CHUNK_BYTES):
            chunk = batch[start : start + CHUNK_BYTES]
            sealed = self._sealed[length : length + len(chunk) + SEALED_BYTES - CHUNK_BYTES]
            self._cipher.seal_into(sealed, self._chunks, chunk, last=last and start + CHUNK_BYTES >= len(batch))
            length += len(sealed)
            self._chunks += 1
        return self._sealed[:length]

    def _publish(self) -> None:
        """The rename may come before the sync because nothing refers to the blob yet: one journal commit instead of two."""
        os.rename(self._temporary, self._final)
        if self._durable:
            sync_file(self._file)
            sync_directory(self._final.parent)
        self._close()

    def _discard(self) -> None:
        self._close()
        self._temporary.unlink(missing_ok=True)
        self._final.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _write_all(file: int, data: memoryview) -> None:
    while data:
        data = data[os.write(file, data) :]
