"""The bytes of the journal's files: what is written is read, and damage is never taken for data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clary.storage.journal.frames import decode_block, encode_block, encode_records, frame, frames, records_of

RECORDS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=40)), max_size=8)


@given(first=st.integers(0, 2**64 - 100), records=RECORDS, cursor=st.none() | st.text())
def test_a_block_holds_its_records_and_cursor(first, records, cursor):
    body = encode_block(first, encode_records(records), cursor)
    block = decode_block(body)
    read = list(records_of(body, block))
    assert [(record.timestamp, record.payload) for record in read] == records
    assert [record.offset for record in read] == list(range(first, first + len(records)))
    assert (block.cursor, block.end) == (cursor, first + len(records))
    if records:
        assert (block.oldest, block.newest) == (min(records)[0], max(records)[0])


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
