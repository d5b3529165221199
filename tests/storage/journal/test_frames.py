"""The bytes of the journal's files: what is written is read, and damage is never taken for data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.storage.journal import frames as frames_module
from clary.storage.journal.frames import decode_block, encode_blocks, encode_records, frame, frames, records_of

RECORDS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=40)), max_size=8)


@given(first=st.integers(0, 2**62), records=RECORDS, cursor=st.none() | st.text(), block_bytes=st.integers(1, 200))
def test_blocks_hold_the_records_and_the_cursor_of_an_append(first, records, cursor, block_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames_module, "BLOCK_BYTES", block_bytes)
        bodies = encode_blocks(first, encode_records(records), cursor)
    blocks = [decode_block(body) for body in bodies]
    read = [list(records_of(body, block)) for body, block in zip(bodies, blocks, strict=True)]
    assert [(record.timestamp, record.payload) for part in read for record in part] == records
    assert [record.offset for part in read for record in part] == list(range(first, first + len(records)))
    assert [block.cursor for block in blocks] == [None] * (len(blocks) - 1) + [cursor]
    for block, part in zip(blocks, read, strict=True):
        times = [record.timestamp for record in part] or [0]
        assert (block.oldest, block.newest, block.end) == (min(times), max(times), block.first + len(part))
        assert len(part) <= 1 or sum(12 + len(record.payload) for record in part) <= block_bytes


@given(bodies=st.lists(st.binary(min_size=1, max_size=30), max_size=6), data=st.data())
def test_a_torn_file_yields_the_frames_before_the_tear(bodies, data):
    whole = b"".join(map(frame, bodies))
    cut = data.draw(st.integers(0, len(whole)))
    read = [bytes(body) for _, _, body in frames(whole[:cut])]
    assert read == bodies[: len(read)]
    assert cut < len(whole) or read == bodies


@given(bodies=st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6), data=st.data())
def test_a_flipped_bit_ends_the_file_there(bodies, data):
    whole = bytearray(b"".join(map(frame, bodies)))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= 1 << data.draw(st.integers(0, 7))
    read = [bytes(body) for _, _, body in frames(bytes(whole))]
    assert read == bodies[: len(read)]
    assert len(read) < len(bodies)
