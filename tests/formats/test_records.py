"""RecordIO-protobuf: bytes written by the AWS SDK, round trips, and errors that name the byte."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.sparse import csr_matrix, issparse
from scipy.sparse import random as random_sparse

from clary.formats import channel, protobuf, recordio, records
from clary.formats.errors import FormatError

GOLDEN = Path(__file__).parent / "golden"
"""Written by sagemaker 2.257.7: `write_numpy_to_dense_tensor`, `write_spmatrix_to_sparse_tensor`."""
TABLES = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7), elements=st.floats(width=32))


def golden(name):
    return (GOLDEN / f"{name}.pbr").read_bytes()


def read(data, block_bytes=records.BLOCK_BYTES):
    return channel.join(list(records.read(io.BytesIO(data), "f.pbr", block_bytes=block_bytes)))


@pytest.mark.parametrize(
    ("name", "features", "labels"),
    [
        ("dense", [[1.5, 2, 3], [4, 5, 6]], [1, 0]),
        ("dense64", [[1, 2, 3], [4, 5, 6]], [1, 7]),
        ("int32", [[1, -2, 300], [4, 5, 6]], [1, 0]),
        ("sparse", [[1, 0, 3], [0, 0, 0], [0, 200, 0]], [1, 0, 1]),
    ],
)
def test_what_the_sdk_wrote_is_read(name, features, labels):
    batch = read(golden(name))
    dense = batch.features.toarray() if issparse(batch.features) else batch.features
    assert dense.tolist() == features
    assert batch.labels.tolist() == labels
    assert batch.features.dtype == np.float32


def test_records_without_a_label_are_read():
    assert read(golden("nolabel")).labels is None


@pytest.mark.parametrize("name", ["dense", "sparse", "nolabel"])
def test_we_write_the_bytes_that_the_sdk_writes(name):
    batch = read(golden(name))
    assert records.write(batch.features, batch.labels) == golden(name)


@given(TABLES, st.booleans(), st.integers(1, 200))
def test_dense_rows_survive_the_round_trip_in_blocks_of_any_size(table, labelled, block_bytes):
    labels = np.arange(len(table), dtype=np.float32) if labelled else None
    batch = read(records.write(table, labels), block_bytes)
    np.testing.assert_array_equal(batch.features, table)
    assert batch.labels is None if labels is None else batch.labels.tolist() == labels.tolist()


@given(st.integers(1, 40), st.integers(1, 300), st.integers(0, 1 << 16), st.integers(1, 500))
def test_sparse_rows_survive_the_round_trip_in_blocks_of_any_size(rows, columns, seed, block_bytes):
    matrix = random_sparse(rows, columns, density=0.1, format="csr", dtype=np.float32, random_state=seed)
    batch = read(records.write(matrix), block_bytes)
    assert batch.features.shape == matrix.shape
    assert (batch.features != matrix).nnz == 0


def test_rows_that_break_the_pattern_of_their_neighbours_are_read_too():
    rows = [np.full((1, 3), number, dtype=np.float32) for number in range(100)]
    named = protobuf.encode_field(3, b"row fifty")  # the uid makes this frame longer than the others
    frames = [
        recordio.write([next(recordio.payloads(records.write(row))) + (named if number == 50 else b"")])
        for number, row in enumerate(rows)
    ]
    np.testing.assert_array_equal(read(b"".join(frames)).features, np.concatenate(rows))


def test_a_record_in_several_frames_is_put_together():
    payload = next(recordio.payloads(golden("dense")))
    parts = [(1, payload[:12]), (2, b""), (3, payload[16:])]
    magic = struct.pack("<I", recordio.MAGIC)
    cut = payload[:12] + magic + magic + payload[16:]
    data = b"".join(
        magic + struct.pack("<I", part << 29 | len(piece)) + piece + bytes(-len(piece) % 4) for part, piece in parts
    )
    assert list(recordio.payloads(data)) == [cut]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"1,2,3\n4,5,6\n", "f.pbr, byte 0: no RecordIO record begins here (magic 0x2C322C31"),
        (golden("dense")[:-4], "f.pbr, byte 56: the last RecordIO record is cut off"),
        (golden("dense") + b"\x0a#", "f.pbr, byte 112: the last RecordIO record is cut off"),
        (golden("dense") + b"junkjunk", "f.pbr, byte 112: no RecordIO record begins here"),
        (golden("dense") + golden("nolabel"), "the channel: some rows have a label and some have none"),
        (recordio.write([b"\xff\xff\xff"]), "f.pbr, byte 0: a number is cut off"),
        (recordio.write([b""]), 'f.pbr, byte 0: the record has no features["values"] tensor'),
        (
            records.write(np.ones((1, 2))) + records.write(np.ones((1, 3))),
            "f.pbr, before byte 68: records have 2 and 3 features",
        ),
    ],
)
def test_mistakes_are_named_with_their_byte(data, message):
    with pytest.raises(FormatError, match=f"^{re.escape(message)}"):
        read(data)


@given(st.binary(max_size=80), st.integers(0, 60), st.integers(0, 255))
def test_any_bytes_are_rows_or_an_error(data, place, byte):
    spoiled = bytearray(golden("sparse"))
    spoiled[place] = byte
    for candidate in (data, recordio.write([data]), bytes(spoiled)):
        try:
            batches = list(records.read(io.BytesIO(candidate), "f"))
        except FormatError:
            continue
        assert all(batch.rows > 0 for batch in batches)


@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=20))
def test_packed_numbers_survive_the_round_trip(numbers):
    packed = b"".join(protobuf.encode_varint(number) for number in numbers)
    assert protobuf.varints(packed).tolist() == numbers


def test_keys_outside_of_the_shape_are_refused():
    data = records.write(csr_matrix(np.array([[0, 0, 7]], dtype=np.float32))).replace(b"\x12\x01\x02", b"\x12\x01\x09")
    with pytest.raises(FormatError, match="key 9 is outside of 3 features"):
        read(data)
