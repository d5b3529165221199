"""The blob store: files named by random ids, fanned out over 256 directories. What a blob means is the caller's business."""

from __future__ import annotations

import asyncio
import os
import secrets
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clary.storage.blobs import reader
from clary.storage.blobs.damage import DamagedBlob
from clary.storage.blobs.writer import BlobWriter
from clary.storage.disk import sync_directory

THREADS = 8
"""Threads that wait for the disk; a slow one must not hold up the rest of the server."""
_FAN_OUT = tuple(f"{number:02x}" for number in range(256))


class Hold:
    """Keeps blobs on disk while they are read, even when they are deleted meanwhile. Ends by `release` or by being dropped."""

    def __init__(self, store: BlobStore, blob_ids: Sequence[str]):
        self.release = weakref.finalize(self, store._release, tuple(blob_ids))
        self.release.atexit = False


class BlobStore:
    """Blobs under the directory `root`, which belongs to one process at a time.

    With durability `full` a finished blob survives a power cut; with `fast` the death of the process.
    Blobs that were written but never claimed (the process died in between) stay until `collect`.
    """

    def __init__(self, root: Path, *, durability: str = "full"):
        self.root = root
        self._incoming = root / "incoming"
        self._durable = durability == "full"
        self._held: Counter[str] = Counter()
        self._doomed: set[str] = set()
        self._keeping = 0
        self._created: set[str] | None = set()
        self._collector: asyncio.Task[Any] | None = None
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")
        _make_directories(root, self._incoming)

    def create(self, key: bytes | None = None, *, observe: Sequence[Callable[[memoryview], None]] = ()) -> BlobWriter:
        """A writer for a new blob, sealed with `key` (32 bytes, never used for another blob) when one is given."""
        blob_id = secrets.token_hex(16)
        if self._created is not None:
            self._created.add(blob_id)
        return BlobWriter(
            blob_id,
            self._incoming / blob_id,
            self._path(blob_id),
            self._executor,
            key=key,
            observe=observe,
            durable=self._durable,
        )

    async def read(self, blob_id: str, start: int, length: int, key: bytes | None = None) -> AsyncIterator[bytes | bytearray]:
        """The bytes `start` to `start + length`, in pieces. Raises `DamagedBlob`."""
        async for piece in self.read_file(self._path(blob_id), start, length, key):
            yield piece

    async def read_file(
        self, path: Path, start: int, length: int, key: bytes | None = None
    ) -> AsyncIterator[bytes | bytearray]:
        """The same of any file."""
        loop = asyncio.get_running_loop()
        try:
            file = await loop.run_in_executor(self._executor, reader.OpenFile, path)
        except FileNotFoundError as error:
            raise DamagedBlob(f"{path.name} is missing") from error
        coming: asyncio.Future[bytes | bytearray] | None = None
        try:
            for read_piece in reader.pieces(file, start, length, key):
                ready = await coming if coming is not None else None
                coming = loop.run_in_executor(self._executor, read_piece)  # while the one before is sent
                if ready is not None:
                    yield ready
            if coming is not None:
                yield await coming
        finally:
            if coming is not None:
                coming.cancel()

    def hold(self, blob_ids: Sequence[str]) -> Hold:
        """Keep blobs readable until the hold is released. Call it where the ids were looked up, before the next await."""
        self._held.update(blob_ids)
        return Hold(self, blob_ids)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Nothing is removed meanwhile, so that a backup finds the bytes of every object; removals follow at the end."""
        self._keeping += 1
        try:
            yield
        finally:
            self._keeping -= 1
            doomed, self._doomed = self._doomed, set()
            self.discard(doomed)

    def _is_kept(self, blob_id: str) -> bool:
        return bool(self._keeping or self._held[blob_id])

    async def delete(self, blob_id: str) -> None:
        """Remove a blob, now or when its last reader is done. A blob that is not there is fine."""
        if self._is_kept(blob_id):
            self._doomed.add(blob_id)
        else:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._unlink, blob_id)

    def discard(self, blob_ids: Iterable[str]) -> None:
        """Remove blobs without waiting for it. If the process dies first, the next one collects them."""
        for blob_id in blob_ids:
            if self._is_kept(blob_id):
                self._doomed.add(blob_id)
            else:
                self._executor.submit(self._unlink, blob_id)

    async def collect(self, live: Callable[[list[str]], Collection[str]]) -> int:
        """Remove what earlier processes left behind: unfinished files, and blobs that `live(ids)` does not name.

        `live` is called on the event loop. Blobs of this process are left alone, which is why only the first call collects.
        Returns how many files went.
        """
        if self._created is None:
            return 0
        self._collector = asyncio.current_task()
        loop = asyncio.get_running_loop()
        removed = await loop.run_in_executor(self._executor, self._remove, self._incoming, self._not_ours(self._incoming))
        for name in _FAN_OUT:
            directory = self.root / name
            left_over = await loop.run_in_executor(self._executor, self._not_ours, directory)
            claimed = set(live(left_over)) if left_over else set()
            garbage = [blob_id for blob_id in left_over if blob_id not in claimed]
            removed += await loop.run_in_executor(self._executor, self._remove, directory, garbage)
        self._created = self._collector = None
        return removed

    def free_bytes(self) -> int:
        """What the disk under the store has left for us."""
        status = os.statvfs(self.root)
        return status.f_bavail * status.f_frsize

    def close(self) -> None:
        """Wait for the threads' work. A collection that goes on is left to the next process."""
        if self._collector is not None:
            self._collector.cancel()
        self._executor.shutdown()

    def _path(self, blob_id: str) -> Path:
        return self.root / blob_id[:2] / blob_id

    def _not_ours(self, directory: Path) -> list[str]:
        ours = self._created or set()
        return [name for name in os.listdir(directory) if name not in ours]

    def _remove(self, directory: Path, names: list[str]) -> int:
        for name in names:
            (directory / name).unlink(missing_ok=True)
        return len(names)

    def _unlink(self, blob_id: str) -> None:
        self._path(blob_id).unlink(missing_ok=True)

    def _release(self, blob_ids: Sequence[str]) -> None:
        self._held.subtract(blob_ids)
        for blob_id in blob_ids:
            if self._held[blob_id] <= 0:
                del self._held[blob_id]
                if blob_id in self._doomed and not self._keeping:
                    self._doomed.discard(blob_id)
                    self._executor.submit(self._unlink, blob_id)


def _make_directories(root: Path, incoming: Path) -> None:
    """All directories at once at the first start, so that a write syncs only the one it renames into."""
    if incoming.is_dir():
        return
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in _FAN_OUT:
        (root / name).mkdir(exist_ok=True)
    incoming.mkdir()
    sync_directory(root)
    sync_directory(root.parent)
