"""Parquet of numbers: every numeric type, nulls, batches, streams that cannot be sought, and what is no number."""

from __future__ import annotations

import decimal
import io
import subprocess
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.formats import parquet, tables
from clary.formats.channel import Channel
from clary.formats.errors import FormatError


class Pipe(io.BytesIO):
    """A stream that cannot be sought."""

    def seekable(self) -> bool:
        return False


def written(columns: dict, **options) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink, **options)
    return sink.getvalue()


def read(data: bytes, stream=io.BytesIO, **options) -> np.ndarray:
    return np.concatenate(list(parquet.read(stream(data), "a.parquet", **options)))


def test_every_kind_of_number_and_nulls():
    columns = {
        "int8": pyarrow.array([1, None, -3], pyarrow.int8()),
        "uint64": pyarrow.array([1, 2, 2**40], pyarrow.uint64()),
        "half": pyarrow.array(np.array([1, 2.5, 3], np.float16)),
        "double": [0.1, float("nan"), 1e300],
        "bool": [True, None, False],
        "decimal": [decimal.Decimal("1.25"), None, decimal.Decimal("-3.50")],
        "dictionary": pyarrow.array([5, 7, 5]).dictionary_encode(),
        "nothing": pyarrow.nulls(3),
    }
    nan, inf = np.nan, np.inf
    expected = [
        [1, 1, 1, 0.1, 1, 1.25, 5, nan],
        [nan, 2, 2.5, nan, nan, nan, 7, nan],
        [-3, 2**40, 3, inf, 0, -3.5, 5, nan],
    ]
    table = read(written(columns))
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table, np.array(expected, dtype=np.float64).astype(np.float32))


@pytest.mark.parametrize("stream", [io.BytesIO, Pipe])
def test_batches_are_as_large_as_asked(stream):
    numbers = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    data = written({name: numbers[:, at] for at, name in enumerate("abc")}, row_group_size=400)
    batches = list(parquet.read(stream(data), "a", batch_bytes=100 * 3 * 4))
    assert all(0 < len(batch) <= 100 for batch in batches)
    np.testing.assert_array_equal(np.concatenate(batches), numbers)


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=9), min_size=1, max_size=4))
def test_files_one_after_the_other_in_a_pipe(parts):
    data = b"".join(written({"x": pyarrow.array(part, pyarrow.float32())}, compression="none") for part in parts)
    np.testing.assert_array_equal(read(data, Pipe)[:, 0], np.concatenate([np.array(part, np.float32) for part in parts]))


def test_numbers_that_look_like_the_end_of_a_file_are_numbers():
    magic = np.frombuffer(b"PAR1PAR1" * 20, dtype="<f4")
    data = written({"x": magic}, compression="none", use_dictionary=False, write_statistics=False)
    assert b"PAR1PAR1PAR1PAR1" in data
    np.testing.assert_array_equal(read(data + data, Pipe)[:, 0], np.concatenate([magic, magic]))


def test_an_empty_pipe_has_no_rows():
    assert list(parquet.read(Pipe(b""), "a")) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"x": [1], "city": ["Bonn"]},
            "column 2 ('city'), row 1: 'Bonn' is string, not a number; encode categories as numbers",
        ),
        ({"city": pyarrow.array([None, "Bonn"]).dictionary_encode()}, "column 1 ('city'), row 2: 'Bonn' is string"),
        ({"list": [[1, 2]]}, "column 1 ('list'), row 1: [1, 2] is list<"),
        ({"time": pyarrow.array([0], pyarrow.timestamp("s"))}, "is timestamp[ms], not a number"),
    ],
)
def test_what_is_no_number_is_named(columns, message):
    with pytest.raises(FormatError) as caught:
        read(written(columns))
    assert message in str(caught.value)
    assert str(caught.value).startswith("a.parquet, column ")


@pytest.mark.parametrize("stream", [io.BytesIO, Pipe])
@pytest.mark.parametrize("data", [b"1,2,3\n4,5,6\n", b"PAR1", b"PAR1PAR1" * 4, written({"x": [1, 2]})[:-9]])
def test_what_is_no_parquet_is_refused(stream, data):
    with pytest.raises(FormatError, match=r"^a\.parquet cannot be read as Parquet: "):
        read(data, stream)


def test_labels_come_first():
    data = written({"label": [1, 0], "a": [2.5, 3.5], "b": [None, 4.0]})
    batch = Channel.of_bytes(data, tables.parquet_reader()).load()
    assert batch is not None
    assert batch.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(batch.features, [[2.5, np.nan], [3.5, 4]])
    with pytest.raises(FormatError, match="too few"):
        Channel.of_bytes(written({"label": [1]}), tables.parquet_reader()).load()


def test_pyarrow_is_imported_when_it_is_used():
    program = "import clary.formats.tables, sys; print('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"False\n"
