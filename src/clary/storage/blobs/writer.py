"""Writing one blob: to a temporary file while it streams in, published by a rename when it is whole and on disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

from clary.storage.blobs.cipher import CHUNK_BYTES, ChunkCipher
from clary.storage.blobs.disk import sync_directory, sync_file

BATCH_BYTES = 512 * 1024
"""What is gathered before a thread is asked to store it: large enough to make the hand-over cheap."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A finished blob: its id and the bytes that were written (not what the disk holds, which may be sealed)."""

    id: str
    size: int


class BlobWriter:
    """Takes a stream; `finish` publishes it, `abort` leaves nothing behind. Use one from one task.

    A batch is stored by a thread while the next one is gathered, so at most two batches are in memory. `observe` is
    called in that thread with every batch, in order, before it is stored: digests belong there.
    """

    def __init__(
        self,
        blob_id: str,
        temporary: Path,
        final: Path,
        executor: Executor,
        *,
        key: bytes | None,
        observe: Callable[[bytes], None] | None,
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
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._held_back = b""
        self._chunks = 0
        self._size = 0
        self._job: Future[None] | None = None

    async def write(self, data: bytes) -> None:
        """Take `data`. Raises the `OSError` of an earlier batch that could not be stored, such as a full disk."""
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= BATCH_BYTES:
            await self._job_done()
            self._job = self._executor.submit(self._store, self._take())

    async def flush(self) -> None:
        """Store what is gathered, so that `observe` has seen everything written so far."""
        await self._job_done()
        self._job = self._executor.submit(self._store, self._take())
        await self._job_done()

    async def finish(self) -> Blob:
        """Publish the blob; when this returns it is on disk."""
        if self._gathered:
            await self.flush()
        await self._job_done()
        self._job = self._executor.submit(self._publish)
        await self._job_done()
        return Blob(self._id, self._size)

    async def abort(self) -> None:
        """Forget the blob. Harmless after `finish` failed or was cancelled: a thread at work is waited for."""
        if self._job is not None:
            await asyncio.gather(asyncio.wrap_future(self._job), return_exceptions=True)
        self._job = self._executor.submit(self._discard)
        await self._job_done()

    async def _job_done(self) -> None:
        if self._job is not None:
            await asyncio.wrap_future(self._job)

    def _take(self) -> bytes:
        batch = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
        self._gathered, self._gathered_bytes = [], 0
        return batch

    def _store(self, batch: bytes) -> None:
        if self._observe is not None:
            self._observe(batch)
        self._size += len(batch)
        _write_all(self._file, batch if self._cipher is None else self._seal(self._cipher, batch))

    def _seal(self, cipher: ChunkCipher, batch: bytes) -> bytes:
        """All whole chunks but the last: only `_publish` knows which chunk ends the blob."""
        data = memoryview(self._held_back + batch if self._held_back else batch)
        sealed, start = [], 0
        while len(data) - start > CHUNK_BYTES:
            sealed.append(cipher.seal(self._chunks, data[start : start + CHUNK_BYTES], last=False))
            self._chunks += 1
            start += CHUNK_BYTES
        self._held_back = bytes(data[start:])
        return b"".join(sealed)

    def _publish(self) -> None:
        """The rename may come before the sync because nothing refers to the blob yet: one journal commit instead of two."""
        if self._cipher is not None:
            _write_all(self._file, self._cipher.seal(self._chunks, self._held_back, last=True))
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


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
