"""An input channel: batches of rows, whether they come from files, FIFOs or memory.

Which objects a host sees (sharding) is decided before, by what is put into the channel's directory.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from scipy.sparse import csr_matrix, issparse, vstack

from clary.formats.batch import Batch
from clary.formats.errors import FormatError

Reader = Callable[[BinaryIO, str], Iterator[Batch]]
"""`reader(stream, source) -> batches`; `source` is the name that messages show."""

DEEPEST_FOLDER = 3


@dataclass(frozen=True, slots=True)
class Source:
    """A stream that can be opened, and the name that messages show."""

    name: str
    open: Callable[[], BinaryIO]


class Channel:
    """Rows of an input channel.

    `batches()` reads everything once. A channel of files or memory starts again with each call; a pipe goes on with
    the next epoch.
    """

    def __init__(self, sources: Callable[[], Iterable[Source]], reader: Reader):
        self._sources = sources
        self._reader = reader

    @classmethod
    def of_directory(cls, directory: Path, reader: Reader) -> Channel:
        """The files under `directory` (or the one file), in the order of their names.

        Files may be FIFOs (FastFile mode): they are opened and read, never measured and never sought.
        """
        return cls(lambda: (_file(path, directory) for path in data_files(directory)), reader)

    @classmethod
    def of_pipe(cls, path: Path, reader: Reader) -> Channel:
        """Pipe mode: the FIFO `<path>_0`, for the next epoch `<path>_1`, and so on."""
        epochs = iter(range(1 << 31))

        def next_epoch() -> list[Source]:
            pipe = path.with_name(f"{path.name}_{next(epochs)}")
            return [Source(pipe.name, lambda: pipe.open("rb"))]

        return cls(next_epoch, reader)

    @classmethod
    def of_bytes(cls, data: bytes, reader: Reader, name: str = "data") -> Channel:
        """One file in memory."""
        return cls(lambda: [Source(name, lambda: io.BytesIO(data))], reader)

    def batches(self) -> Iterator[Batch]:
        """All rows once. Raises `FormatError` when dense sources disagree in their number of columns."""
        first: tuple[str, int] | None = None
        for source in self._sources():
            with source.open() as stream:
                for batch in self._reader(stream, source.name):
                    first = first or (source.name, batch.columns)
                    if batch.columns != first[1] and not issparse(batch.features):
                        raise FormatError(
                            f"{source.name} has {batch.columns} feature columns where {first[0]} has {first[1]}; "
                            "all files of a channel must have the same columns"
                        )
                    yield batch

    def load(self) -> Batch | None:
        """All rows in one batch; None when there are none."""
        batches = list(self.batches())
        return join(batches) if batches else None


def data_files(directory: Path, depth: int = DEEPEST_FOLDER) -> Iterator[Path]:
    """The files that hold data: names beginning with `.` or `_` and folders deeper than `depth` are left out."""
    if not directory.is_dir():
        if directory.exists():
            yield directory
        return
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.is_dir():
            if depth > 0:
                yield from data_files(Path(entry.path), depth - 1)
        elif not entry.name.startswith((".", "_")):
            yield Path(entry.path)


def join(batches: list[Batch], source: str = "") -> Batch:
    """One batch of several. CSR features are widened to the widest; labels, weights and groups must be in all or none."""
    if len(batches) == 1:
        return batches[0]
    source = source or "the channel"
    return Batch(
        _join_features(batches, source),
        _join_optional([batch.labels for batch in batches], "label", source),
        _join_optional([batch.weights for batch in batches], "weight", source),
        _join_optional([batch.groups for batch in batches], "qid", source),
    )


def widen(features: csr_matrix, columns: int) -> csr_matrix:
    """`features` with empty columns added on the right, sharing its data."""
    return csr_matrix((features.data, features.indices, features.indptr), shape=(features.shape[0], columns))


def _join_features(batches: list[Batch], source: str) -> Any:
    sparse = {issparse(batch.features) for batch in batches}
    if len(sparse) > 1:
        raise FormatError(f"{source} mixes dense and sparse rows")
    columns = {batch.columns for batch in batches}
    if sparse.pop():
        return vstack([widen(batch.features, max(columns)) for batch in batches], format="csr")
    if len(columns) > 1:
        raise FormatError(f"{source} has rows with {' and '.join(map(str, sorted(columns)[:3]))} features")
    return np.concatenate([batch.features for batch in batches])


def _join_optional(parts: list[np.ndarray | None], what: str, source: str) -> np.ndarray | None:
    present = [part for part in parts if part is not None]
    if not present:
        return None
    if len(present) != len(parts):
        raise FormatError(f"{source}: some rows have a {what} and some have none")
    return np.concatenate(present)


def _file(path: Path, directory: Path) -> Source:
    name = str(path.relative_to(directory)) if path != directory else path.name
    return Source(name, lambda: path.open("rb"))
