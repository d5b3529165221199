"""As much of the protobuf wire format as the `aialgs.data.Record` message needs: varints, tags, lengths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clary.formats.errors import FormatError

_CONTINUED = bytes(range(0x80, 0x100))

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where it ends."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise FormatError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """`(field number, wire type, start, end)` of each field in `data[start:end]`; a varint's span is its bytes."""
    at = start
    while at < end:
        tag, at = varint(data, at)
        wire_type = tag & 7
        if wire_type == LENGTH_DELIMITED:
            length, at = varint(data, at)
            stop = at + length
        elif wire_type == VARINT:
            stop = varint(data, at)[1]
        elif wire_type in (FIXED32, FIXED64):
            stop = at + (4 if wire_type == FIXED32 else 8)
        else:
            raise FormatError(f"wire type {wire_type} is unknown")
        if stop > end:
            raise FormatError("a field is cut off")
        yield tag >> 3, wire_type, at, stop
        at = stop


def varints(data: bytes) -> np.ndarray:
    """A packed list of numbers, (numbers,) uint64."""
    encoded = np.frombuffer(data, dtype=np.uint8)
    last = encoded < 0x80
    if not len(encoded):
        return np.empty(0, dtype=np.uint64)
    if not last[-1]:
        raise FormatError("a number is cut off")
    starts = np.concatenate(([0], np.flatnonzero(last)[:-1] + 1))
    place = np.arange(len(encoded)) - np.repeat(starts, np.diff(np.append(starts, len(encoded))))
    if place.max() > 9:
        raise FormatError("a number is longer than 64 bits")
    shifted = (encoded & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.add.reduceat(shifted, starts)


def count_varints(data: bytes) -> int:
    """How many numbers a packed list holds: the bytes that end one. Raises `FormatError` when the last is cut off."""
    if data and data[-1] >= 0x80:
        raise FormatError("a number is cut off")
    return len(data.translate(None, _CONTINUED))


def last_varint(data: bytes) -> int:
    """The last number of a packed list, 0 of an empty one."""
    value = at = 0
    while at < len(data):
        value, at = varint(data, at)
    return value


def encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return encode_varint(number << 3 | LENGTH_DELIMITED) + encode_varint(len(payload)) + payload
