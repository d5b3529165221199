"""The bytes of objects: from a request's body into the store, and back out as ranges.

Small bodies are sealed into the object's row, so that one group commit puts them on disk. Others become a blob, hashed and
sealed by a thread while the next bytes arrive; nothing holds a whole object in memory.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from clary.core.service import Platform
from clary.services.s3.checksums import FULL_OBJECT, Digests, Expected
from clary.services.s3.encryption import Encryption, Keys, Wrapper
from clary.services.s3.errors import S3Error, disk_full
from clary.services.s3.index import ObjectIndex, Piece, StoredObject
from clary.services.s3.ranges import Span
from clary.storage.blobs import BlobWriter, ChunkCipher, DamagedBlob, Hold

INLINE_BYTES = 16 * 1024
"""Up to this size content lives in the object's row."""
LARGEST_PUT_BYTES = 5 * 1024**3
"""S3's limit for one PutObject, UploadPart or CopyObject."""
_RESERVE_BYTES = 16 * 1024**2
"""What an upload leaves free on the disk, so that the database can still commit, and things can be deleted."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Received:
    """Content that is stored but not yet part of the index: a blob, or sealed bytes for the row."""

    size: int
    md5: str
    algorithm: str
    checksum: str
    data_key: bytes
    blob: str = ""
    data: bytes | None = None

    def object(self, described: StoredObject) -> tuple[StoredObject, list[Piece]]:
        """The rows of an object with this content; `described` has everything else."""
        checksum = {"algorithm": self.algorithm, "value": self.checksum, "type": FULL_OBJECT}
        stored = replace(described, size=self.size, etag=self.md5, about=described.about | {"checksum": checksum})
        if self.data is not None:
            return replace(stored, data_key=self.data_key, data=self.data), []
        return replace(stored, holder=new_holder()), [self.piece(1, stored.modified)]

    def piece(self, number: int, modified: int) -> Piece:
        return Piece(number, self.blob, self.size, self.data_key, modified, self.md5, self.checksum)


class Contents:
    """Stores and reads content; knows blobs and keys, not requests."""

    def __init__(self, platform: Platform):
        self._blobs = platform.blobs
        self._index = ObjectIndex(platform.resources)
        self._keys = Keys(platform.resources)

    @asynccontextmanager
    async def received(
        self,
        body: Any,
        account: str,
        encryption: Encryption,
        *,
        algorithm: str,
        expected: Expected | None = None,
        inline: bool = True,
    ) -> AsyncIterator[Received]:
        """Store `body` (bytes, an asynchronous iterator of bytes, or None) and verify it.

        `algorithm` names the checksum to keep. The blob is on disk when the block runs; if the block fails, it goes.
        Raises S3 errors for what the client did wrong and ServiceUnavailable when the disk is full.
        """
        wrapper = await self._keys.wrapper(account, encryption)
        self._require_space(getattr(body, "length", None))
        proof = _Proof(body, expected or Expected(), algorithm)
        try:
            received = await self._receive(body, wrapper, proof, inline)
        except OSError as error:
            if error.errno in _FULL:
                raise disk_full(self._blobs.root) from error
            raise
        try:
            yield received
        except Exception:  # not a cancellation: the commit may still happen, and then the blob is needed
            if received.blob:
                self._blobs.discard([received.blob])
            raise

    async def _receive(self, body: Any, wrapper: Wrapper, proof: _Proof, inline: bool) -> Received:
        data_key, wrapped = wrapper.new_data_key()
        digests = proof.digests
        stream = _chunks(body)
        head = await _head(stream) if inline else b""
        if inline and len(head) <= INLINE_BYTES:
            digests.update(head)
            proof.check()
            sealed = ChunkCipher(data_key).seal_all(head)
            return Received(len(head), digests.md5.hex(), proof.algorithm, proof.checksum, wrapped, data=sealed)
        writer = self._blobs.create(data_key, observe=digests.parts)
        try:
            await _pour(writer, head, stream)
            proof.check()
            blob = await writer.finish()
        except BaseException:
            await writer.abort()
            raise
        return Received(blob.size, digests.md5.hex(), proof.algorithm, proof.checksum, wrapped, blob=blob.id)

    def _require_space(self, length: int | None) -> None:
        """Refuse before the body travels what cannot fit. Raises EntityTooLarge or ServiceUnavailable."""
        if length is None:
            return
        if length > LARGEST_PUT_BYTES:
            raise too_large(length)
        reserve = _RESERVE_BYTES if length > INLINE_BYTES else _RESERVE_BYTES // 2
        if length + reserve > self._blobs.free_bytes():
            raise disk_full(self._blobs.root)

    def pieces(self, stored: StoredObject) -> list[Piece]:
        """The pieces of an object, none for one whose content is in its row."""
        return self._index.pieces(stored.holder) if stored.holder else []

    async def open(
        self, stored: StoredObject, account: str, encryption: Encryption, span: Span
    ) -> bytes | AsyncIterator[bytes | bytearray]:
        """The bytes of a span. What was looked up stays readable even when the object is replaced while it is read."""
        if stored.data is not None:
            wrapper = await self._keys.wrapper(account, encryption)
            content = ChunkCipher(wrapper.unwrap(stored.data_key or b"")).open_all(stored.data)
            return content[span.start : span.start + span.length]
        pieces = self.pieces(stored)
        hold = self._blobs.hold([piece.blob for piece in pieces])
        wrapper = await self._keys.wrapper(account, encryption)
        if not pieces and stored.size:
            raise DamagedBlob(f"the index has no pieces for {stored.bucket}/{stored.key}")
        return self._read(pieces, wrapper, span, hold)

    async def _read(
        self, pieces: Sequence[Piece], wrapper: Wrapper, span: Span, hold: Hold
    ) -> AsyncIterator[bytes | bytearray]:
        try:
            position, end = 0, span.start + span.length
            for piece in pieces:
                start, stop = max(span.start, position), min(end, position + piece.size)
                if start < stop:
                    key = wrapper.unwrap(piece.data_key)
                    async for chunk in self._blobs.read(piece.blob, start - position, stop - start, key):
                        yield chunk
                position += piece.size
        finally:
            hold.release()

    def discard(self, blob_ids: Sequence[str]) -> None:
        """Delete blobs that no row refers to any more, without waiting."""
        self._blobs.discard(blob_ids)


class _Proof:
    """What is computed over a body, and compared at its end with what the client said: each digest once."""

    def __init__(self, body: Any, expected: Expected, algorithm: str):
        """`algorithm` names the checksum to keep."""
        self.algorithm = algorithm
        self._body = body
        self._expected = expected
        self._is_signed = hasattr(body, "hand_over_sha256") and body.hand_over_sha256()
        names = {algorithm, expected.algorithm or algorithm} | ({"SHA256"} if self._is_signed else set())
        self.digests = Digests(*names)

    @property
    def checksum(self) -> str:
        return self.digests.value(self.algorithm)

    def check(self) -> None:
        """Raises BadDigest and its like, when all bytes have been seen."""
        if self._is_signed:
            self._body.check_sha256(self.digests.hex("SHA256"))
        self._expected.check(self.digests, getattr(self._body, "trailers", {}))


def new_holder() -> str:
    """A fresh id for the pieces of an object, or for an upload."""
    return secrets.token_hex(16)


def too_large(size: int) -> S3Error:
    message = "Your proposed upload exceeds the maximum allowed size"
    return S3Error(400, "EntityTooLarge", message, ProposedSize=size, MaxSizeAllowed=LARGEST_PUT_BYTES)


def _chunks(body: Any) -> AsyncIterator[bytes]:
    return aiter(body) if isinstance(body, AsyncIterable) else _at_once(body)


async def _at_once(body: Any) -> AsyncIterator[bytes]:
    if body:
        yield bytes(body)


async def _head(stream: AsyncIterator[bytes]) -> bytes:
    """The start of a stream: all of it when it is small enough for a row, otherwise a little more than that."""
    gathered, size = [], 0
    async for chunk in stream:
        gathered.append(chunk)
        size += len(chunk)
        if size > INLINE_BYTES:
            break
    return gathered[0] if len(gathered) == 1 else b"".join(gathered)


async def _pour(writer: BlobWriter, head: bytes, stream: AsyncIterator[bytes]) -> None:
    """Everything into the writer, and through its `observe`. Raises EntityTooLarge."""
    size = len(head)
    if head:
        await writer.write(head)
    async for chunk in stream:
        size += len(chunk)
        if size > LARGEST_PUT_BYTES:
            raise too_large(size)
        await writer.write(chunk)
    await writer.end()
