"""Reading ranges of a blob's file, sealed or plain."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

from clary.storage.blobs.cipher import CHUNK_BYTES, SEALED_BYTES, ChunkCipher
from clary.storage.blobs.damage import DamagedBlob

PIECE_BYTES = 8 * CHUNK_BYTES
"""What one call into a thread reads."""


def pieces(file: int, start: int, length: int, key: bytes | None) -> Iterator[Callable[[], bytes]]:
    """Blocking functions that read `length` bytes from `start`, one piece each. They raise `DamagedBlob`."""
    cipher = ChunkCipher(key) if key is not None else None
    end = start + length
    while start < end:
        stop = min(end, start - start % PIECE_BYTES + PIECE_BYTES)
        yield partial(_plain, file, start, stop) if cipher is None else partial(_sealed, cipher, file, start, stop)
        start = stop


def _plain(file: int, start: int, stop: int) -> bytes:
    return _read(file, start, stop - start)


def _sealed(cipher: ChunkCipher, file: int, start: int, stop: int) -> bytes:
    """The plain bytes `start` to `stop`; opens the chunks they lie in."""
    first, end = start // CHUNK_BYTES, -(-stop // CHUNK_BYTES)
    file_bytes = os.fstat(file).st_size
    sealed_end = min(end * SEALED_BYTES, file_bytes)
    sealed = memoryview(_read(file, first * SEALED_BYTES, sealed_end - first * SEALED_BYTES))
    opened = [
        cipher.open(first + index, sealed[at : at + SEALED_BYTES], last=(first + index + 1) * SEALED_BYTES >= file_bytes)
        for index, at in enumerate(range(0, len(sealed), SEALED_BYTES))
    ]
    plain = b"".join(opened)
    wanted = plain[start - first * CHUNK_BYTES : stop - first * CHUNK_BYTES]
    if len(wanted) != stop - start:
        raise DamagedBlob("the file is shorter than the blob")
    return wanted


def _read(file: int, start: int, length: int) -> bytes:
    """Exactly `length` bytes; a signal or a network file system may return fewer at a time."""
    parts = []
    while length > 0:
        part = os.pread(file, length, start)
        if not part:
            raise DamagedBlob("the file is shorter than the blob")
        parts.append(part)
        start, length = start + len(part), length - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
