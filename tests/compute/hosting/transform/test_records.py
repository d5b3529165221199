from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.compute.hosting.transform.records import RecordTooLarge, lines, pack, whole

text = st.binary(max_size=60).map(lambda data: data.replace(b"a", b"\n"))


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    cut, start = [], 0
    for size in sizes:
        cut.append(data[start : start + size])
        start += size
    return [*cut, data[start:]]


@given(text, st.lists(st.integers(0, 10), max_size=8))
def test_lines_are_those_of_the_whole_input_however_it_comes(data, sizes):
    expected = [line + b"\n" for line in data.split(b"\n")[:-1]] + [data.rsplit(b"\n", 1)[-1]]
    assert list(lines(pieces(data, sizes), 0)) == [line for line in expected if line]


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=20), st.integers(9, 30))
def test_packing_keeps_order_and_bytes_and_fills_payloads(records, limit):
    payloads = list(pack(records, limit))
    assert b"".join(payloads) == b"".join(records)
    assert all(0 < len(payload) <= limit for payload in payloads)
    assert all(len(a) + 1 > limit - 9 for a in payloads[:-1])


def test_a_record_over_the_limit_is_an_error_before_it_is_whole_in_memory():
    def endless():
        while True:
            yield b"x" * 1000

    with pytest.raises(RecordTooLarge):
        list(lines(endless(), 10_000))
    with pytest.raises(RecordTooLarge):
        list(whole(endless(), 10_000))


def test_an_empty_input_is_one_empty_record_whole_and_no_lines():
    assert list(whole([], 10)) == [b""]
    assert list(lines([], 10)) == []
    assert list(pack([], 10)) == []
