"""The frames between the server and a worker process: both ends, both directions, one Unix stream socket.

    bytes   field (numbers are little endian)
    0-3     size: how many bytes follow this field
    4-7     id: the call that is asked or answered; 0 in notices
    8-9     code: CALL, PING, PARAMETERS from the server; an HTTP status in answers; HELLO ... DRAINING in notices
    10-13   size of the header block
    14-     header block: a JSON object of strings, or nothing; then the body

The worker sends HELLO (headers: token) as soon as it has connected, then READY or FAILED (body: the cause). From then on it
answers CALL, PING and PARAMETERS in any order. DRAINING asks the server to send nothing more and to hang up when all calls
in flight are answered. Hanging up is how either end says goodbye.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import orjson

CALL, PING, PARAMETERS = 1, 2, 3
HELLO, READY, FAILED, DRAINING = 10, 11, 12, 13
MAX_FRAME_BYTES = 256 * 1024 * 1024
_PREFIX = struct.Struct("<IIHI")
_AFTER_SIZE = _PREFIX.size - 4


class FrameError(Exception):
    """The other end does not speak this protocol; the connection is of no further use."""


class Frame(NamedTuple):
    id: int
    code: int
    headers: dict[str, str]
    body: bytes


def encode(id: int, code: int, headers: dict[str, str], body: bytes = b"") -> bytes:
    """One frame as bytes."""
    block = orjson.dumps(headers) if headers else b""
    return _PREFIX.pack(_AFTER_SIZE + len(block) + len(body), id, code, len(block)) + block + body


class FrameReader:
    """Cuts a byte stream, in whatever pieces it comes, into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[Frame]:
        """The frames that `data` completes. Raises `FrameError` when the stream is not one of frames."""
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        start, available = 0, len(buffer)
        while available - start >= _PREFIX.size:
            size, id, code, block_size = _PREFIX.unpack_from(buffer, start)
            if not _AFTER_SIZE + block_size <= size <= MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {size} bytes with a header block of {block_size}")
            end = start + 4 + size
            if end > available:
                break
            body_start = start + _PREFIX.size + block_size
            frames.append(Frame(id, code, _headers(buffer[start + _PREFIX.size : body_start]), bytes(buffer[body_start:end])))
            start = end
        if start:
            del buffer[:start]
        return frames


def _headers(block: bytearray) -> dict[str, str]:
    if not block:
        return {}
    try:
        headers = orjson.loads(block)
    except ValueError as error:
        raise FrameError("a header block that is not JSON") from error
    if not isinstance(headers, dict):
        raise FrameError("a header block that is not a JSON object")
    return headers
