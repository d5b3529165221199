"""The aws-chunked content encoding: `SIZE[;chunk-signature=...]CRLF data CRLF ... 0[;...]CRLF trailers CRLF`.

Data is passed on as it arrives; where chunks are signed, a chunk's signature is checked at its end, so a reader must not
trust what it has before the iterator ends without an error.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator

from clary.core.errors import ServiceError
from clary.gateway.auth.chunks import ChunkSignatures

LONGEST_LINE = 8192
_SIZE = re.compile(r"[0-9a-fA-F]{1,16}")


class MalformedChunk(ServiceError):
    code = "InvalidChunkSizeError"
    status = 400


async def decode(
    pieces: AsyncIterator[bytes], trailers: dict[str, str], signatures: ChunkSignatures | None
) -> AsyncIterator[bytes]:
    """The decoded data; fills `trailers` (lower-case names). Raises MalformedChunk, IncompleteBody or SignatureDoesNotMatch."""
    reader = _Reader(pieces)
    while True:
        size, signature = _chunk_header(await reader.line())
        sha256 = hashlib.sha256() if signatures is not None else None
        async for data in reader.exactly(size):
            if sha256 is not None:
                sha256.update(data)
            yield data
        if signatures is not None and sha256 is not None:
            signatures.check_chunk(sha256.hexdigest(), signature)
        if size == 0:
            break
        if await reader.line() != b"":
            raise MalformedChunk("a chunk of the aws-chunked body is longer than its announced size")
    await _read_trailers(reader, trailers, signatures)


def _chunk_header(line: bytes) -> tuple[int, str]:
    size, _, extension = line.decode("latin-1").partition(";")
    if not _SIZE.fullmatch(size):
        raise MalformedChunk(f"the aws-chunked body has {size[:32]!r} where a chunk size in hexadecimal belongs")
    return int(size, 16), extension.strip().removeprefix("chunk-signature=")


async def _read_trailers(reader: _Reader, trailers: dict[str, str], signatures: ChunkSignatures | None) -> None:
    """Trailer lines until an empty one or the end; the signature comes last and is not a trailer itself."""
    while (line := await reader.line(or_end=True)) != b"":
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or len(trailers) > 100:
            raise MalformedChunk("a trailer of the aws-chunked body must be 'name:value'")
        trailers[name.strip().lower()] = value.strip()
    signature = trailers.pop("x-amz-trailer-signature", "")
    if signatures is not None and trailers:
        signatures.check_trailers(trailers.items(), signature)


class _Reader:
    """Lines and counted bytes out of pieces of any size."""

    def __init__(self, pieces: AsyncIterator[bytes]):
        self._pieces = pieces
        self._buffer = b""

    async def line(self, *, or_end: bool = False) -> bytes:
        """Up to CRLF, without it. At the end of input: an empty line with `or_end`, else MalformedChunk."""
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > LONGEST_LINE:
                raise MalformedChunk("a line of the aws-chunked body is too long")
            more = await anext(self._pieces, b"")
            if not more:
                if or_end:
                    rest, self._buffer = self._buffer, b""
                    return rest
                raise MalformedChunk("the aws-chunked body ends before its last chunk")
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    async def exactly(self, size: int) -> AsyncIterator[bytes]:
        while size:
            if not self._buffer:
                self._buffer = await anext(self._pieces, b"")
                if not self._buffer:
                    raise MalformedChunk("the aws-chunked body ends within a chunk")
            data, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(data)
            yield data
