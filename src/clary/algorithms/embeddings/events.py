"""Events (entity, IPv4 address) as numbers: a 64-bit hash and 32 bits."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from clary.algorithms.embeddings import kernels
from clary.formats import blocks
from clary.formats.errors import FormatError

_HOW = "write events as entity,10.0.0.9: a name, one comma, a dotted IPv4 address, and no header"


@dataclass(frozen=True, slots=True)
class Events:
    """hashes : (n,) uint64, FNV-1a of the entities' names; addresses : (n,) uint32."""

    hashes: np.ndarray
    addresses: np.ndarray

    def __len__(self) -> int:
        return len(self.addresses)

    def take(self, rows: Any) -> Events:
        return Events(self.hashes[rows], self.addresses[rows])


def join(parts: Sequence[Events]) -> Events:
    return Events(np.concatenate([part.hashes for part in parts]), np.concatenate([part.addresses for part in parts]))


def buckets(hashes: np.ndarray, number: int) -> np.ndarray:
    """(n,) int32 in [0, number): the bucket of each entity."""
    return (hashes % np.uint64(number)).astype(np.int32)


def hashes_of(names: Sequence[Any]) -> np.ndarray:
    """(n,) uint64. Blanks around a name do not count. Raises `ValueError` for one that is missing."""
    for row, name in enumerate(names):
        if name is None or name != name or not str(name).strip(" \t\r"):
            raise ValueError(f"row {row + 1} has no entity; leave out such rows")
    data, ends = _packed(names)
    hashes = np.empty(len(names), dtype=np.uint64)
    kernels.parse_texts(data, ends, hashes, np.empty(0, dtype=np.uint32), False)
    return hashes


def addresses_of(texts: Sequence[Any]) -> np.ndarray:
    """(n,) uint32. Raises `ValueError` that names the first text that is no dotted IPv4 address."""
    data, ends = _packed(texts)
    addresses = np.empty(len(texts), dtype=np.uint32)
    bad = kernels.parse_texts(data, ends, np.empty(0, dtype=np.uint64), addresses, True)
    if bad >= 0:
        raise ValueError(f"row {bad + 1}: {str(texts[bad])[:60]!r} is no IPv4 address; write it as 10.0.0.9")
    return addresses


def read(stream: BinaryIO, source: str) -> Iterator[Events]:
    """Events of a CSV file without header, some megabytes at a time. Raises `FormatError` with the row of a mistake."""
    lines = 0
    for block in blocks.of_lines(stream, source):
        yield parse(block, source, lines + 1)
        lines += block.count(b"\n")


def parse(block: bytes, source: str, first_row: int = 1) -> Events:
    """Events of whole CSV lines. Raises `FormatError`; `first_row` is the number of the first line, for its message."""
    if not block.endswith(b"\n"):
        block += b"\n"
    if b'"' in block:
        return _parse_quoted(block, source, first_row)
    lines = block.count(b"\n")
    hashes, addresses = np.empty(lines, dtype=np.uint64), np.empty(lines, dtype=np.uint32)
    events, bad = kernels.parse_events(np.frombuffer(block, dtype=np.uint8), hashes, addresses)
    if bad >= 0:
        shown = block.split(b"\n", bad + 1)[bad].decode("utf-8", "replace")
        raise FormatError(f"{source}, row {first_row + bad}: {shown[:80]!r} is no event; {_HOW}")
    return Events(hashes[:events], addresses[:events])


def _parse_quoted(block: bytes, source: str, first_row: int) -> Events:
    names, texts = [], []
    for row, cells in enumerate(csv.reader(io.StringIO(block.decode("utf-8", "replace")), skipinitialspace=True), first_row):
        if not cells:
            continue
        if len(cells) != 2:
            raise FormatError(f"{source}, row {row} has {len(cells)} columns; {_HOW}")
        names.append(cells[0])
        texts.append(cells[1])
    try:
        return Events(hashes_of(names), addresses_of(texts))
    except ValueError as error:
        raise FormatError(f"{source}: {error}") from error


def _packed(texts: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """All texts in one array of bytes, and where each ends."""
    encoded = [str(text).encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded) or b"\0", dtype=np.uint8), ends
