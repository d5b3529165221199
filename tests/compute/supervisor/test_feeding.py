"""What Pipe mode does to the bytes of an object."""

from __future__ import annotations

import gzip
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.compute.supervisor.failures import JobError
from clary.compute.supervisor.feeding import RECORD_IO_MAGIC, gunzip, wrap_record


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.lists(st.binary(), min_size=1), st.integers(1, 64))
def test_gzip_members_are_decompressed_however_the_bytes_arrive(members: list[bytes], size: int) -> None:
    data = b"".join(gzip.compress(member) for member in members)
    assert b"".join(gunzip(cut(data, size), "u")) == b"".join(members)


def test_bytes_that_are_not_gzip_name_the_object() -> None:
    with pytest.raises(JobError, match="s3://b/k is not gzip"):
        list(gunzip([b"1,2,3\n"], "s3://b/k"))


def test_a_gzip_stream_that_ends_too_early_is_an_error() -> None:
    with pytest.raises(JobError, match="middle"):
        list(gunzip([gzip.compress(b"x" * 1000)[:-9]], "s3://b/k"))


@given(st.binary())
def test_a_record_has_magic_length_payload_and_padding(data: bytes) -> None:
    record = b"".join(wrap_record(iter([data]), len(data), "u"))
    magic, length = struct.unpack_from("<II", record)
    assert (magic, length) == (RECORD_IO_MAGIC, len(data))
    assert record[8 : 8 + length] == data
    assert len(record) % 4 == 0
    assert len(record) - 8 - length < 4
    assert not any(record[8 + length :])
