"""CSV of numbers: rows of equal length, no header, blank cells are missing values (NaN)."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from clary.formats import blocks, short_cells
from clary.formats.errors import FormatError
from clary.formats.numbers import is_number

DELIMITERS = (",", "\t", ";", "|", " ")
_CELL = re.compile(rb"[^ \r\n]")
"""What a line must have to be a row; a line of tabs is one, of blank cells."""


def sniff_delimiter(line: str) -> str:
    """The delimiter that cuts `line` into most cells, a blank only where there is no other; `,` when none does."""
    counts = {delimiter: line.strip().count(delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS[:-1], key=lambda delimiter: counts[delimiter])
    if counts[best]:
        return best
    return " " if counts[" "] else ","  # a blank beside another delimiter is padding


def read(
    stream: BinaryIO, source: str, *, delimiter: str | None = None, block_bytes: int = blocks.BLOCK_BYTES
) -> Iterator[np.ndarray]:
    """Arrays (rows, columns) float32 of a few megabytes each; the delimiter is taken from the first line unless given.

    Raises `FormatError` with file, row and column (both from 1) for a header, a text cell or a row of another length.
    """
    rows = 0
    columns = None
    for block in blocks.of_lines(stream, source, block_bytes):
        if not _CELL.search(block):
            rows += block.count(b"\n")
            continue
        delimiter = delimiter or sniff_delimiter(_first_line(block))
        table = parse(block, delimiter, source=source, first_row=rows + 1, columns=columns)
        columns = table.shape[1]
        rows += block.count(b"\n")
        yield table


def parse(
    block: bytes, delimiter: str = ",", *, source: str = "", first_row: int = 1, columns: int | None = None
) -> np.ndarray:
    """(rows, columns) float32 of whole CSV lines; blank lines are skipped.

    `first_row` is the number of the first line, for messages; `columns` is how many there must be. Raises `FormatError`.
    """
    if not _CELL.search(block):
        return np.empty((0, columns or 0), dtype=np.float32)
    table = _first_table(block, delimiter)
    if table is None or (columns is not None and table.shape[1] != columns):
        raise FormatError(_explain(block, delimiter, source, first_row, columns) or f"{source} is not CSV")
    return table


def format_rows(table: np.ndarray, delimiter: str = ",") -> bytes:
    """CSV lines of a (rows, columns) array, shortest form that reads back the same; NaN is written blank."""
    lines = (delimiter.join("" if cell != cell else str(cell) for cell in row) for row in table)
    return "".join(f"{line}\n" for line in lines).encode()


def _first_table(block: bytes, delimiter: str) -> np.ndarray | None:
    """The table, read in the way that is likely the fastest, then with ever more care; None when a cell is text."""
    if delimiter == " ":  # blanks between numbers are only padding, there are no blank cells among them
        ways = [_table]
    elif short_cells.are_short(block, delimiter):
        ways = [short_cells.parse, _table, _without_padding]
    else:
        ways = [_table, short_cells.parse, _without_padding]
    for read_table in ways:
        try:
            return read_table(block, delimiter)
        except (ValueError, UserWarning):  # numpy warns when it finds no row
            continue
    return None


def _table(block: bytes, delimiter: str) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return np.loadtxt(
            io.BytesIO(block),
            dtype=np.float32,
            delimiter=None if delimiter == " " else delimiter,
            comments=None,
            quotechar='"' if b'"' in block else None,
            ndmin=2,
        )


def _without_padding(block: bytes, delimiter: str) -> np.ndarray:
    """The table, where cells that hold nothing but blanks or an empty pair of quotes are blank."""
    edge = re.escape(delimiter.encode())
    emptied = re.sub(rb"(^|%b)[ \t\"]+(?=%b|\r?$)" % (edge, edge), rb"\1", block, flags=re.MULTILINE)
    return short_cells.parse(emptied.replace(b'"', b""), delimiter)


def _first_line(block: bytes) -> str:
    return block.lstrip(b" \r\n").split(b"\n", 1)[0].decode("utf-8", "replace")


def _explain(block: bytes, delimiter: str, source: str, first_row: int, columns: int | None) -> str | None:
    """What is wrong with the first bad line of a block that the fast reader refused."""
    for number, line in enumerate(block.decode("utf-8", "replace").split("\n"), first_row):
        if not line.strip(" \r"):
            continue
        cells = [cell.strip().strip('"') for cell in line.split(None if delimiter == " " else delimiter)]
        if number == 1 and not any(is_number(cell) for cell in cells):
            shown = ", ".join(repr(cell) for cell in cells[:3])
            return f"{source} begins with a header row ({shown}, ...); remove it: every row must be numbers"
        columns = columns or len(cells)
        if len(cells) != columns:
            return f"{source}, row {number} has {len(cells)} columns where the rows before have {columns}"
        for column, cell in enumerate(cells, 1):
            if cell and not is_number(cell):
                return (
                    f"{source}, row {number}, column {column}: {cell[:40]!r} is not a number; "
                    "encode categories as numbers, and leave missing values blank"
                )
    return None
