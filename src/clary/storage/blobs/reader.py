"""Reading ranges of a blob's file, sealed or plain."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from clary.storage.blobs.cipher import CHUNK_BYTES, SEALED_BYTES, TAG_BYTES, ChunkCipher
from clary.storage.blobs.damage import DamagedBlob

PIECE_CHUNKS = 8
PIECE_BYTES = PIECE_CHUNKS * CHUNK_BYTES
"""What one call into a thread reads."""


class OpenFile:
    """A file descriptor that closes when nothing uses it any more: a thread may still read when its reader was cancelled."""

    def __init__(self, path: Path):
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


def pieces(file: OpenFile, start: int, length: int, key: bytes | None) -> Iterator[Callable[[], bytes | bytearray]]:
    """Blocking functions that read `length` bytes from `start`, one piece each, to be called in order.

    They raise `DamagedBlob`.
    """
    read = partial(_read_plain, file) if key is None else _SealedFile(file, key).read
    end = start + length
    while start < end:
        stop = min(end, start - start % PIECE_BYTES + PIECE_BYTES)
        yield partial(read, start, stop)
        start = stop


def _read_plain(file: OpenFile, start: int, stop: int) -> bytearray:
    content = bytearray(stop - start)
    _fill(file, memoryview(content), start)
    return content


class _SealedFile:
    """Opens the chunks that a range lies in. The buffer of what is on disk is reused from piece to piece."""

    def __init__(self, file: OpenFile, key: bytes):
        self._file = file
        self._cipher = ChunkCipher(key)
        self._sealed = memoryview(bytearray(PIECE_CHUNKS * SEALED_BYTES))
        self._file_bytes = os.fstat(file.descriptor).st_size

    def read(self, start: int, stop: int) -> bytearray:
        first, end = start // CHUNK_BYTES, -(-stop // CHUNK_BYTES)
        length = min(end * SEALED_BYTES, self._file_bytes) - first * SEALED_BYTES
        if length < TAG_BYTES:
            raise DamagedBlob("the file is shorter than the blob")
        sealed = self._sealed[:length]
        _fill(self._file, sealed, first * SEALED_BYTES)
        content = self._open(sealed, first)
        if len(content) < stop - first * CHUNK_BYTES:
            raise DamagedBlob("the file is shorter than the blob")
        del content[stop - first * CHUNK_BYTES :]
        del content[: start - first * CHUNK_BYTES]
        return content

    def _open(self, sealed: memoryview, first: int) -> bytearray:
        chunks = -(-len(sealed) // SEALED_BYTES)
        if len(sealed) - (chunks - 1) * SEALED_BYTES < TAG_BYTES:
            raise DamagedBlob("the file ends within a tag")
        content = bytearray(len(sealed) - chunks * TAG_BYTES)
        with memoryview(content) as opened:
            for index in range(chunks):
                part = sealed[index * SEALED_BYTES : (index + 1) * SEALED_BYTES]
                target = opened[index * CHUNK_BYTES : index * CHUNK_BYTES + len(part) - TAG_BYTES]
                last = (first + index + 1) * SEALED_BYTES >= self._file_bytes
                self._cipher.open_into(target, first + index, part, last=last)
                target.release()
        return content


def _fill(file: OpenFile, buffer: memoryview, start: int) -> None:
    """Exactly as much as the buffer holds; a signal or a network file system may return less at a time."""
    while buffer:
        read = os.preadv(file.descriptor, [buffer], start)
        if not read:
            raise DamagedBlob("the file is shorter than the blob")
        start, buffer = start + read, buffer[read:]
