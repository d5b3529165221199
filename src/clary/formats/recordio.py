"""RecordIO framing: uint32 magic 0xCED7230A, uint32 length, payload, zero padding to four bytes; little endian.

A payload that contains the magic may be cut into several frames; the upper three bits of the length word then say
which part a frame is (1 first, 2 middle, 3 last), and the magic that was taken out goes back between the parts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from clary.formats.errors import FormatError

MAGIC = 0xCED7230A
HEADER_BYTES = 8
_MAGIC_BYTES = struct.pack("<I", MAGIC)
_HEADER = struct.Struct("<II")
_LENGTH_MASK = (1 << 29) - 1
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


def write(payloads: Iterable[bytes]) -> bytes:
    """The frames of `payloads`, one each."""
    return b"".join(
        _HEADER.pack(MAGIC, len(payload)) + payload + bytes(-len(payload) % 4)  #
        for payload in payloads
    )


def record_at(data: bytes, start: int, source: str = "", offset: int = 0) -> tuple[bytes, int] | None:
    """The payload of the record at `start` and where its last frame ends; None when `data` ends before it does.

    `offset` is the place of `data` in its source, for messages. Raises `FormatError` with the byte where no frame begins.
    """
    parts: list[bytes] = []
    at = start
    while len(data) - at >= HEADER_BYTES:
        magic, word = _HEADER.unpack_from(data, at)
        if magic != MAGIC:
            raise FormatError(
                f"{source}, byte {offset + at}: no RecordIO record begins here "
                f"(magic 0x{magic:08X} where 0x{MAGIC:08X} is expected); is the content type right?"
            )
        part, length = word >> 29, word & _LENGTH_MASK
        if part > _LAST or (part in (_WHOLE, _FIRST)) == bool(parts):
            raise FormatError(f"{source}, byte {offset + at}: a part of a RecordIO record is missing")
        end = at + HEADER_BYTES + length + -length % 4
        if end > len(data):
            return None
        parts.append(data[at + HEADER_BYTES : at + HEADER_BYTES + length])
        if part in (_WHOLE, _LAST):
            return _MAGIC_BYTES.join(parts), end
        at = end
    return None


def payloads(data: bytes, source: str = "") -> Iterator[bytes]:
    """The payload of each record in `data`. Raises `FormatError` with the byte of the mistake."""
    start = 0
    while start < len(data):
        record = record_at(data, start, source)
        if record is None:
            raise cut_off(source, start)
        payload, start = record
        yield payload


def cut_off(source: str, at: int) -> FormatError:
    """The error for data that end inside the record at byte `at`."""
    return FormatError(f"{source}, byte {at}: the last RecordIO record is cut off")
