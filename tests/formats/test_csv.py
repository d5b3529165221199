"""CSV: agreement with numpy's reader, blank cells, blocks of any size, and errors that name the place."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from clary.formats import csv
from clary.formats.errors import FormatError

TABLES = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(width=32, allow_infinity=False) | st.just(np.float32("nan")),
)


def read(text, **options):
    return np.concatenate(list(csv.read(io.BytesIO(text), "f.csv", **options)))


@given(TABLES, st.sampled_from(csv.DELIMITERS[:-1]), st.integers(1, 64))
def test_a_table_survives_the_round_trip_in_blocks_of_any_size(table, delimiter, block_bytes):
    if table.shape[1] == 1:
        table = np.nan_to_num(table)  # a blank line is no row
    text = csv.format_rows(table, delimiter)
    np.testing.assert_array_equal(read(text, delimiter=delimiter, block_bytes=block_bytes), table)


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)))
def test_it_reads_what_numpy_writes(table):
    stream = io.BytesIO()
    np.savetxt(stream, table, delimiter=",")
    np.testing.assert_array_equal(read(stream.getvalue()), table)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1,2\r\n3,4\r\n", [[1, 2], [3, 4]]),
        (b"\xef\xbb\xbf1,2\n", [[1, 2]]),
        (b"1,2", [[1, 2]]),
        (b"\n1,2\n\n3,4\n\n", [[1, 2], [3, 4]]),
        (b"1,,3\n,,\n4,5,\n", [[1, np.nan, 3], [np.nan] * 3, [4, 5, np.nan]]),
        (b"1,  ,3\n4,5,6\n", [[1, np.nan, 3], [4, 5, 6]]),
        (b'"1","2"\n"",3\n', [[1, 2], [np.nan, 3]]),
        (b"1 , -2.5e3 , nan\n", [[1, -2500, np.nan]]),
        (b"1;2\n3;4\n", [[1, 2], [3, 4]]),
        (b"1\t2\n3\t\n", [[1, 2], [3, np.nan]]),
        (b"1  2\n3 4 \n", [[1, 2], [3, 4]]),
        (b"1\n2\n", [[1], [2]]),
    ],
)
def test_forms_that_occur(text, expected):
    np.testing.assert_array_equal(read(text), np.array(expected, dtype=np.float32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"label,age\n1,2\n", "f.csv begins with a header row ('label', 'age', ...); remove it"),
        (b"1,2\n3,high\n", "f.csv, row 2, column 2: 'high' is not a number; encode categories as numbers"),
        (b"1,2\n\n3,NA\n", "f.csv, row 3, column 2: 'NA' is not a number"),
        (b"1,2\n3\n", "f.csv, row 2 has 1 columns where the rows before have 2"),
        (b"1,2\n3,4,5\n", "f.csv, row 2 has 3 columns where the rows before have 2"),
        (b"1,2\n3,1_000\n", "f.csv, row 2, column 2: '1_000' is not a number"),
        (b"1,2\n3,\xff\n", "f.csv, row 2, column 2"),
        (b"\x1f\x8b\x08\x00", "f.csv is gzip-compressed"),
    ],
)
@pytest.mark.parametrize("block_bytes", [4, 1 << 20])
def test_mistakes_are_named_with_their_place_and_fix(text, message, block_bytes):
    with pytest.raises(FormatError, match=f"^{re.escape(message)}"):
        read(text, block_bytes=block_bytes)


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_an_error(data):
    try:
        tables = list(csv.read(io.BytesIO(data), "f.csv"))
    except FormatError:
        return
    assert len({table.shape[1] for table in tables}) <= 1


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [("1,2,3", ","), ("1, 2, 3", ","), ("1\t2", "\t"), ("1;2", ";"), ("1|2", "|"), ("1 2", " "), ("1", ",")],
)
def test_the_delimiter_is_seen_in_the_first_line(line, delimiter):
    assert csv.sniff_delimiter(line) == delimiter
