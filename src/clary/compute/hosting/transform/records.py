"""From the bytes of an input to the payloads that are sent to the model. Memory stays within a payload and a piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class RecordTooLarge(Exception):
    """One record is larger than a payload may be."""


def whole(pieces: Iterable[bytes], limit_bytes: int) -> Iterator[bytes]:
    """SplitType None: the input as one record. `limit_bytes` 0 means any size."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        _check(len(buffer), limit_bytes)
    yield bytes(buffer)


def lines(pieces: Iterable[bytes], limit_bytes: int) -> Iterator[bytes]:
    """SplitType Line: each line with its line feed; what follows the last one is a record too."""
    rest = b""
    for piece in pieces:
        *complete, rest = (rest + piece).split(b"\n")
        for line in complete:
            _check(len(line) + 1, limit_bytes)
            yield line + b"\n"
        _check(len(rest), limit_bytes)
    if rest:
        yield rest


def pack(records: Iterable[bytes], limit_bytes: int) -> Iterator[bytes]:
    """BatchStrategy MultiRecord: as many records to a payload as fit in `limit_bytes` (0: all of them)."""
    waiting: list[bytes] = []
    size = 0
    for record in records:
        if waiting and limit_bytes and size + len(record) > limit_bytes:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(record)
        size += len(record)
    if waiting:
        yield b"".join(waiting)


def _check(size: int, limit_bytes: int) -> None:
    if limit_bytes and size > limit_bytes:
        raise RecordTooLarge(f"a record is larger than the {limit_bytes // 1024**2} MB that MaxPayloadInMB allows")
