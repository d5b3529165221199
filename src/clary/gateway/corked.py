"""uvicorn's HTTP protocol over a transport that sends what one turn of the event loop writes in one piece.

uvicorn writes head and body of a response one after the other: two system calls and often two packets, where one of each
will do. With many small answers this is a tenth of the server's time.

It also takes heads of any size; here a head that does not end is refused.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SEND_AT_ONCE_BYTES = 64 * 1024
"""So much is not held back: flow control must see it."""
LONGEST_HEAD_BYTES = 128 * 1024
"""So much may come without the end of a head (or of a trailer) in it before the connection is closed."""


class CorkedProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=CorkedProtocol)`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._unfinished_bytes = 0
        super().connection_made(CorkedTransport(transport, self.loop))  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        self._unfinished_bytes += len(data)
        super().data_received(data)
        if self._unfinished_bytes > LONGEST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The request's head is longer than {LONGEST_HEAD_BYTES} bytes.")

    def on_headers_complete(self) -> None:
        self._unfinished_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished_bytes = 0
        super().on_message_complete()


class CorkedTransport:
    """`transport`, with writes held back until the event loop has run what is ready."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop):
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._held_bytes = 0

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= SEND_AT_ONCE_BYTES:
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
