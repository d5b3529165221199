"""Request bodies: streamed or read whole, aws-chunked framing taken off, announced lengths and digests verified."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from clary.core.errors import ServiceError
from clary.gateway.auth.chunks import ChunkSignatures
from clary.gateway.auth.signature_v4 import EMPTY_SHA256, UNSIGNED
from clary.gateway.aws_chunked import decode

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_DIGESTS_OF_NOTHING = ("", UNSIGNED, EMPTY_SHA256)
_HEX_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
STALLED_SECONDS = 60
"""A client that has sent nothing for so long, in the middle of its body, is not waited for."""
_SHORT_REST = 1024 * 1024
_PATIENCE_SECONDS = 1
"""Bytes of an unwanted body that are worth reading to keep a connection."""


class StreamedBody:
    """A body as an async iterator of bytes, read once.

    `length` is the decoded length as announced, or None; `trailers` (lower-case names) is complete after the end. A length
    or digest that turns out wrong raises `ServiceError` from the iterator before it ends.
    """

    def __init__(self, receive: Receive, headers: Mapping[str, str]):
        self.trailers: dict[str, str] = {}
        self.signatures: ChunkSignatures | None = None
        """Set before the first read where chunks are signed with a key whose secret is known."""
        self._digest = headers.get("x-amz-content-sha256", "")
        self._chunked = self._digest.startswith("STREAMING-") or "aws-chunked" in headers.get("content-encoding", "")
        self._announced = headers.get("x-amz-decoded-content-length" if self._chunked else "content-length", "")
        self.length = int(self._announced) if self._announced.isascii() and self._announced.isdecimal() else None
        self._receive = receive
        self._waits_for_us = headers.get("expect", "").lower() == "100-continue"
        self._own_digest = bool(_HEX_SHA256.fullmatch(self._digest))
        self._unread = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self._pieces = self._verified(self._received())

    def __aiter__(self) -> StreamedBody:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._pieces.__anext__()

    async def _verified(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        if self._announced and self.length is None:
            message = f"the announced length {self._announced!r} is not a number"
            raise ServiceError(message, code="InvalidArgument", status=400)
        sha256 = hashlib.sha256() if self._own_digest else None
        size = 0
        async for piece in decode(pieces, self.trailers, self.signatures) if self._chunked else pieces:
            size += len(piece)
            if self.length is not None and size > self.length:
                break
            if sha256 is not None:
                sha256.update(piece)
            yield piece
        if self.length is not None and size != self.length:
            raise IncompleteBody(f"the body does not have the {self.length} bytes that were announced")
        if sha256 is not None:
            self.check_sha256(sha256.hexdigest())

    def hand_over_sha256(self) -> bool:
        """Whether a SHA-256 of the body is announced. From now on the caller computes it, off the event loop with other
        digests, and passes it to `check_sha256` at the end. Before the first read only."""
        handed_over, self._own_digest = self._own_digest, False
        return handed_over

    def check_sha256(self, computed: str) -> None:
        """Compare the digest in hexadecimal with the announced one. Raises `ServiceError`."""
        if computed != self._digest.lower():
            raise ServiceError(
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                code="XAmzContentSHA256Mismatch",
                status=400,
                members={"ClientComputedContentSHA256": self._digest, "S3ComputedContentSHA256": computed},
            )

    async def _received(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._next_message()
            if message["type"] == "http.disconnect":
                self._unread = False
                raise IncompleteBody("the client closed the connection before the end of the body")
            more = message.get("more_body", False)
            self._unread = more
            self._waits_for_us = False
            if piece := message.get("body", b""):
                yield piece

    async def _next_message(self) -> MutableMapping[str, Any]:
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                return await self._receive()
        except TimeoutError:
            raise RequestTimeout(
                "Your socket connection to the server was not read from or written to within the timeout period. "
                "Idle connections will be closed."
            ) from None

    async def settle(self) -> bool:
        """Leave nothing on the connection after an answer that did not need the whole body.

        A short rest is read; False when the rest is long or slow, or the client waits for a "100 Continue" that it will not
        get: then the connection cannot carry another request.
        """
        left = _SHORT_REST
        while self._unread and left > 0 and not self._waits_for_us:
            try:
                message = await asyncio.wait_for(self._receive(), _PATIENCE_SECONDS)
            except TimeoutError:
                break
            left -= len(message.get("body", b""))
            self._unread = message["type"] == "http.request" and message.get("more_body", False)
        return not self._unread

    async def whole(self, limit: int) -> bytes:
        """All of it, at most `limit` bytes. Raises `RequestTooLarge`, before reading when the length is announced."""
        if self.length is not None and self.length > limit:
            raise RequestTooLarge(limit)
        if not self._unread and not self._chunked and self._digest in _DIGESTS_OF_NOTHING:
            return b""
        pieces: list[bytes] = []
        size = 0
        async for piece in self._pieces:
            size += len(piece)
            if size > limit:
                raise RequestTooLarge(limit)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class RequestTimeout(ServiceError):
    code = "RequestTimeout"
    status = 400


class IncompleteBody(ServiceError):
    code = "IncompleteBody"
    status = 400


class RequestTooLarge(ServiceError):
    """More bytes than the operation takes."""

    code = "RequestEntityTooLarge"
    status = 413

    def __init__(self, limit: int):
        super().__init__(f"The request body must not be longer than {limit} bytes")
