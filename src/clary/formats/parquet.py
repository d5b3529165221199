"""Parquet tables of numbers, read in batches with pyarrow, which is imported when the first table is.

A Parquet file lists its contents at its end. A stream that cannot be sought, such as a FIFO, is therefore read into memory
first; it may hold several files one after the other.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from clary.formats.errors import FormatError

if TYPE_CHECKING:
    import pyarrow

MAGIC = b"PAR1"
BATCH_BYTES = 8 << 20
_FOOTER = struct.Struct("<I")
"""Length of the list of contents, between it and the last magic."""


def read(stream: BinaryIO, source: str, *, batch_bytes: int = BATCH_BYTES) -> Iterator[np.ndarray]:
    """Arrays (rows, columns) float32 of about `batch_bytes`; nulls are NaN, booleans 0 and 1.

    Raises `FormatError` with the name of a column that is no number, and for a stream that is no Parquet.
    """
    import pyarrow
    import pyarrow.parquet

    rows = 0
    try:
        for piece in [stream] if stream.seekable() else _files(stream.read()):
            file = pyarrow.parquet.ParquetFile(piece)
            size = max(batch_bytes // (4 * max(len(file.schema_arrow), 1)), 1)
            for batch in file.iter_batches(batch_size=size, use_threads=False):
                yield _table(batch, source, rows)
                rows += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        raise FormatError(f"{source} cannot be read as Parquet: {error}") from error


def _files(data: bytes) -> list[BinaryIO]:
    """The files in a stream of several: each begins and ends with the magic, and lists its contents before the last one."""
    if not data:
        return []
    starts = [0]
    at = data.find(2 * MAGIC)
    while at >= 0:
        (length,) = _FOOTER.unpack_from(data, max(at - _FOOTER.size, 0))
        if length < at - starts[-1]:  # else the eight bytes are some number of the file
            starts.append(at + len(MAGIC))
        at = data.find(2 * MAGIC, at + 1)
    ends = [*starts[1:], len(data)]
    return [io.BytesIO(data[start:end]) for start, end in zip(starts, ends, strict=True)]


def _table(batch: pyarrow.RecordBatch, source: str, first_row: int) -> np.ndarray:
    table = np.empty((batch.num_rows, batch.num_columns), dtype=np.float32)
    for number, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
        table[:, number] = _numbers(column, f"{source}, column {number + 1} ({name!r})", first_row)
    return table


def _numbers(column: pyarrow.Array, place: str, first_row: int) -> np.ndarray:
    """(rows,) float32 of a column. Raises `FormatError` with the first row of a column of text."""
    import pyarrow

    kind: Any = column.type
    if pyarrow.types.is_dictionary(kind):
        return _numbers(column.dictionary_decode(), place, first_row)
    numeric = (pyarrow.types.is_integer, pyarrow.types.is_floating, pyarrow.types.is_boolean, pyarrow.types.is_decimal)
    if pyarrow.types.is_null(kind) or any(is_one(kind) for is_one in numeric):
        numbers = column.cast(pyarrow.float32(), safe=False)
        return numbers.to_numpy(zero_copy_only=False)
    shown = next(
        (f", row {first_row + row + 1}: {value.as_py()!r:.40}" for row, value in enumerate(column) if value.is_valid), ""
    )
    raise FormatError(f"{place}{shown} is {kind}, not a number; encode categories as numbers")
