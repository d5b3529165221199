"""The bytes of the journal's files. Every file is a sequence of frames, so that a torn end is found by its checksum.

    frame   u32 length of the body, u32 CRC-32 of the body, body
    body    u8 kind, then
      BLOCK  u64 first offset, u32 number of records, i64 oldest ms, i64 newest ms, i32 length of the cursor (-1: none),
             cursor, records: i64 timestamp ms, u32 length, payload
      STATE  JSON: stream, base, start, cursor
      INDEX  i64 position, first offset, oldest ms, newest ms of each run, u32 length of the frame: how a sealed file ends

An append is one block, or several of about `BLOCK_BYTES` of which the last has the cursor. All numbers are little-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import orjson

BLOCK, STATE, INDEX = 1, 2, 3
BLOCK_BYTES = 32 * 1024
"""A reader reads and checks whole blocks, so they are kept short."""

_FRAME = struct.Struct("<II")
_BLOCK = struct.Struct("<BQIqqi")
_RECORD = struct.Struct("<qI")
_RUN = struct.Struct("<qqqq")
_LENGTH = struct.Struct("<I")


class Record(NamedTuple):
    """One record: its place in the stream (0, 1, 2, ...), its time in ms since the epoch, its bytes."""

    offset: int
    timestamp: int
    payload: bytes


class Records(NamedTuple):
    """Records as bytes, with what a block says of them."""

    data: bytes
    number: int
    oldest: int
    newest: int


class Block(NamedTuple):
    """What stands before the records of a block. `cursor` None means that the append set none."""

    first: int
    number: int
    oldest: int
    newest: int
    cursor: str | None
    records_at: int

    @property
    def end(self) -> int:
        return self.first + self.number


@dataclass(slots=True)
class State:
    """What a segment file says of its stream: the offset of the segment's first record, where the stream begins, the cursor."""

    stream: str
    base: int
    start: int
    cursor: str | None


@dataclass(slots=True)
class Run:
    """Consecutive blocks that are read together: where they begin, and the span of their offsets and times."""

    position: int
    first: int
    oldest: int
    newest: int


def frame(body: bytes) -> bytes:
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def frames(data: bytes) -> Iterator[tuple[int, int, memoryview]]:
    """`(position, end, body)` of each frame, up to the end or the first frame that is torn or damaged."""
    view, position = memoryview(data), 0
    while position + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, position)
        end = position + _FRAME.size + length
        body = view[position + _FRAME.size : end]
        if length == 0 or len(body) < length or zlib.crc32(body) != checksum:
            return
        yield position, end, body
        position = end


def encode_records(records: Sequence[tuple[int, bytes]]) -> list[Records]:
    """The records, for a block each; at least one. Raises `struct.error` for a time that does not fit 64 bits."""
    encoded = [_RECORD.pack(timestamp, len(payload)) + payload for timestamp, payload in records]
    begins, size = [0], 0
    for number, data in enumerate(encoded):
        if size + len(data) > BLOCK_BYTES and number > begins[-1]:
            begins.append(number)
            size = 0
        size += len(data)
    parts = []
    for begin, end in pairwise([*begins, len(encoded)]):
        times = [timestamp for timestamp, _ in records[begin:end]] or [0]
        parts.append(Records(b"".join(encoded[begin:end]), end - begin, min(times), max(times)))
    return parts


def encode_blocks(first: int, parts: Sequence[Records], cursor: str | None) -> list[bytes]:
    """The bodies of an append's blocks, of which the first record has the offset `first`."""
    bodies = []
    for number, records in enumerate(parts, 1):
        bodies.append(encode_block(first, records, cursor if number == len(parts) else None))
        first += records.number
    return bodies


def encode_block(first: int, records: Records, cursor: str | None) -> bytes:
    """A block's body. Without records it only carries the cursor."""
    encoded = b"" if cursor is None else cursor.encode()
    length = -1 if cursor is None else len(encoded)
    head = _BLOCK.pack(BLOCK, first, records.number, records.oldest, records.newest, length)
    return head + encoded + records.data


def decode_block(body: bytes | memoryview) -> Block:
    _, first, number, oldest, newest, cursor_length = _BLOCK.unpack_from(body)
    if cursor_length < 0:
        return Block(first, number, oldest, newest, None, _BLOCK.size)
    records_at = _BLOCK.size + cursor_length
    return Block(first, number, oldest, newest, str(body[_BLOCK.size : records_at], "utf-8"), records_at)


def records_of(body: bytes | memoryview, block: Block, offset: int = 0) -> Iterator[Record]:
    """The records of a block from `offset` on."""
    position = block.records_at
    for number in range(block.first, block.end):
        timestamp, length = _RECORD.unpack_from(body, position)
        position += _RECORD.size
        if number >= offset:
            yield Record(number, timestamp, bytes(body[position : position + length]))
        position += length


def encode_state(state: State) -> bytes:
    values = {"stream": state.stream, "base": state.base, "start": state.start, "cursor": state.cursor}
    return bytes([STATE]) + orjson.dumps(values)


def decode_state(body: bytes | memoryview) -> State:
    return State(**orjson.loads(body[1:]))


def encode_index(runs: Sequence[Run]) -> bytes:
    packed = b"".join(_RUN.pack(run.position, run.first, run.oldest, run.newest) for run in runs)
    return bytes([INDEX]) + packed + _LENGTH.pack(_FRAME.size + 1 + len(packed) + _LENGTH.size)


def index_length(tail: bytes) -> int:
    """The length of the index frame that a file with these last bytes ends with, if it ends with one."""
    return _LENGTH.unpack(tail[-_LENGTH.size :])[0] if len(tail) >= _LENGTH.size else 0


def decode_index(data: bytes) -> list[Run] | None:
    """The runs of an index frame; None when `data` is not one."""
    bodies = [body for _, _, body in frames(data)]
    if len(bodies) != 1 or bodies[0][0] != INDEX:
        return None
    return [Run(*fields) for fields in _RUN.iter_unpack(bodies[0][1 : -_LENGTH.size])]
