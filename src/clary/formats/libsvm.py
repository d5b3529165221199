"""libsvm text: `label[:weight] [qid:group] index:value index:value ...`, one sparse row a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from scipy.sparse import csr_matrix

from clary.formats import blocks
from clary.formats.batch import Batch
from clary.formats.errors import FormatError
from clary.formats.numbers import is_number

_COLONS_TO_BLANKS = bytes.maketrans(b":", b" ")
LARGEST_INDEX = (1 << 31) - 2
_QID = -9
"""Stands for `qid` among the indices while a block is parsed; no real index is negative."""


def read(stream: BinaryIO, source: str, *, block_bytes: int = blocks.BLOCK_BYTES) -> Iterator[Batch]:
    """Batches of CSR features; indices are taken as they are (0-based), so a 1-based file has an empty first column.

    The width of a batch is its own highest index + 1: who joins batches widens them. Raises `FormatError` with file and row.
    """
    rows = 0
    for block in blocks.of_lines(stream, source, block_bytes):
        batch = parse(block, source=source, first_row=rows + 1)
        rows += block.count(b"\n")
        if batch.rows:
            yield batch


def parse(block: bytes, *, source: str = "", first_row: int = 1) -> Batch:
    """The rows of whole libsvm lines; blank lines and comments (`# ...`) are skipped. Raises `FormatError`."""
    text = re.sub(rb"#[^\n]*", b"", block) if b"#" in block else block
    try:
        return _parse(text)
    except (ValueError, IndexError, DeprecationWarning) as error:
        raise FormatError(_explain(text, source, first_row) or f"{source}: {error}") from error


def _parse(text: bytes) -> Batch:
    text = text.replace(b"qid:", b"%d:" % _QID)
    characters = np.frombuffer(text, dtype=np.uint8)
    blank = (characters <= 32) | (characters == ord(":"))
    starts = np.flatnonzero(~blank & np.concatenate(([True], blank[:-1]))) if len(blank) else np.empty(0, np.int64)
    _check_colons(characters, blank)
    numbers = _numbers(text, len(starts))
    line = np.searchsorted(np.flatnonzero(characters == ord("\n")), starts)  # (tokens,)
    after_colon = (starts > 0) & (characters[starts - 1] == ord(":"))
    first = np.concatenate(([True], line[1:] != line[:-1]))[: len(starts)]
    return _assemble(numbers, first, after_colon)


def _check_colons(characters: np.ndarray, blank: np.ndarray) -> None:
    """Every colon stands directly between two tokens."""
    colons = np.flatnonzero(characters == ord(":"))
    if len(colons) and (colons[0] == 0 or colons[-1] == len(blank) - 1 or (blank[colons - 1] | blank[colons + 1]).any()):
        raise ValueError("a colon is out of place")


def _numbers(text: bytes, expected: int) -> np.ndarray:
    """All numbers of the text, (tokens,) float64."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        numbers = np.fromstring(text.translate(_COLONS_TO_BLANKS), sep=" ", dtype=np.float64) if expected else np.empty(0)
    if len(numbers) != expected:
        raise ValueError("something is not a number")
    return numbers


def _assemble(numbers: np.ndarray, first: np.ndarray, after_colon: np.ndarray) -> Batch:
    """Rows from tokens. `first` marks labels; a token `after_colon` belongs to the token before it."""
    if after_colon[first].any() or (after_colon[1:] & after_colon[:-1]).any():
        raise ValueError("a colon is out of place")
    row = np.cumsum(first) - 1  # (tokens,)
    follows_label = np.concatenate(([False], first[:-1])) & after_colon
    value = after_colon & ~follows_label
    index = np.flatnonzero(value) - 1
    if (~first & ~after_colon).sum() != len(index):
        raise ValueError("a feature has no value")
    columns = numbers[index]
    is_group = columns == _QID
    feature = index[~is_group]
    columns = columns[~is_group].astype(np.int64)
    if (columns < 0).any() or (columns > LARGEST_INDEX).any() or (columns != numbers[feature]).any():
        raise ValueError("a feature index is not a whole number from 0")
    labels = numbers[first].astype(np.float32)
    rows = len(labels)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(row[feature], minlength=rows)))) if rows else np.zeros(1, np.int64)
    width = int(columns.max()) + 1 if len(columns) else 0
    features = csr_matrix((numbers[feature + 1].astype(np.float32), columns, indptr), shape=(rows, width))
    return Batch(
        features,
        labels,
        weights=_optional(numbers, row, np.flatnonzero(follows_label), rows, np.float32, "weight"),
        groups=_optional(numbers, row, index[is_group] + 1, rows, np.int64, "qid"),
    )


def _optional(numbers: np.ndarray, row: np.ndarray, where: np.ndarray, rows: int, dtype: type, what: str) -> np.ndarray | None:
    """One value per row at the tokens `where`, or None when there are none; all rows or no row must have one."""
    if not len(where):
        return None
    if len(where) != rows or (np.diff(row[where]) != 1).any():
        raise ValueError(f"some rows have a {what} and some have none")
    return numbers[where].astype(dtype)


def _explain(text: bytes, source: str, first_row: int) -> str | None:
    """What is wrong with the first bad line of a block that the fast reader refused."""
    for number, line in enumerate(text.decode("utf-8", "replace").split("\n"), first_row):
        cells = line.split()
        if not cells:
            continue
        label, *features = cells
        if not all(is_number(part) for part in label.split(":", 1)):
            return f"{source}, row {number}: {label[:40]!r} is not a label; libsvm lines read `label index:value ...`"
        for feature in features:
            index, colon, value = feature.partition(":")
            whole = (index.isdigit() and int(index) <= LARGEST_INDEX) or index == "qid"
            if not (colon and whole and is_number(value)):
                return (
                    f"{source}, row {number}: {feature[:40]!r} is not `index:value`; libsvm lines read `label index:value ...`"
                )
    return f"{source}: some rows have a weight or qid and some have none" if text.strip() else None
