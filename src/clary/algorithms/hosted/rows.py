"""The rows of a channel as a first-party algorithm wants them: decoded, checked, cut into mini-batches.

Mistakes in the data raise `CustomerError` that names channel, file, row and fix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from scipy.sparse import csr_matrix, issparse

from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.catalog.algorithms import Algorithm
from clary.formats import tables
from clary.formats.batch import Batch
from clary.formats.channel import Channel, Reader, join, widen
from clary.formats.errors import FormatError
from clary.formats.spool import Spool

Labels = Literal["required", "optional", "ignored"]

CSV = ("text/csv", "csv")
RECORDS = ("application/x-recordio-protobuf", "recordio-protobuf", "application/x-labeled-vector-protobuf", "protobuf")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the rows of a channel must be.

    columns : features of a row; None takes what comes
    labels : `ignored` ones are dropped, `required` ones are one finite number a row
    classes : labels are the whole numbers from 0 to classes - 1; None for any
    sparse : whether CSR batches pass; otherwise sparse rows come out dense
    """

    columns: int | None = None
    labels: Labels = "ignored"
    classes: int | None = None
    sparse: bool = False


class Rows:
    """Rows of a channel. Each iteration reads them once more; in Pipe mode each is the next epoch's pipe.

    With a `keep` directory, what the first whole iteration decoded waits there, in an unnamed file, for those that follow;
    labels wait in memory.
    """

    def __init__(self, name: str, channel: Channel, keep: Path | None = None):
        self.name = name
        self._channel = channel
        self._keep = keep
        self._kept: list[Batch] | None = None

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        """Batches of `size` rows, the last one shorter; as they were read when None. Raises `CustomerError`."""
        read = self._read()
        return read if size is None else _cut(read, size)

    def load(self) -> Batch:
        """All rows in one batch."""
        return join(list(self.batches()), f"Channel {self.name}")

    def _read(self) -> Iterator[Batch]:
        if self._kept is not None:
            return (Batch(stored.features, stored.labels) for stored in self._kept)
        return self._decoded() if self._keep is None else self._keeping(self._keep)

    def _keeping(self, directory: Path) -> Iterator[Batch]:
        spool, kept = Spool(directory, in_memory=0), []
        for batch in self._decoded():
            kept.append(spool.keep(batch))
            yield batch
        self._kept = kept

    def _decoded(self) -> Iterator[Batch]:
        empty = True
        try:
            for batch in self._channel.batches():
                if batch.rows:
                    empty = False
                    yield batch
        except FormatError as error:
            raise CustomerError(f"Unable to read data channel '{self.name}': {error}") from error
        if empty:
            raise CustomerError(f"No data in {self.name} channel: its files are empty")


def read(
    job: TrainingJob,
    name: str,
    algorithm: Algorithm,
    *,
    columns: int | None = None,
    labels: Labels = "ignored",
    classes: int | None = None,
    sparse: bool = False,
    epochs: int = 1,
) -> Rows:
    """The rows of channel `name`, which must be `Wanted(columns, labels, classes, sparse)`.

    A channel without a content type holds RecordIO-protobuf. Text that is read for several `epochs` is decoded once and
    kept as numbers in an unnamed file on the disk of the job. Raises `CustomerError` for a type the algorithm does not read.
    """
    wanted = Wanted(columns, labels, classes, sparse)
    channel = job.channel(name, _checked(_reader(job, name, algorithm), wanted))
    again = epochs > 1 and job.content_type(name)[0] in CSV and job.input_mode(name) != "Pipe"
    return Rows(name, channel, keep=job.opt_ml if again else None)


def _reader(job: TrainingJob, name: str, algorithm: Algorithm) -> Reader:
    media_type, options = job.content_type(name)
    accepted = next(channel.content_types for channel in algorithm.channels if channel.name == name)
    if media_type in ("", *RECORDS) and RECORDS[0] in accepted:
        return tables.records_reader()
    if media_type in CSV and CSV[0] in accepted:
        return tables.csv_reader(label_columns=_label_size(name, options))
    given = media_type or "none"
    raise CustomerError(
        f"Channel {name}: content type {given} is not supported by {algorithm.name}; use {' or '.join(accepted)}"
    )


def _label_size(name: str, options: dict[str, str]) -> int:
    text = options.get("label_size", "1")
    if text not in ("0", "1"):
        raise CustomerError(f"Channel {name}: label_size={text} is not supported; use label_size=0 or label_size=1")
    return int(text)


def _checked(reader: Reader, wanted: Wanted) -> Reader:
    def check(stream: BinaryIO, source: str) -> Iterator[Batch]:
        row = 1
        for batch in reader(stream, source):
            yield _check(batch, wanted, source, row)
            row += batch.rows

    return check


def _check(batch: Batch, wanted: Wanted, source: str, row: int) -> Batch:
    features = _as_wide_as(batch.features, wanted.columns, source)
    if issparse(features) and not wanted.sparse:
        features = features.toarray()
    _require_finite(features, source, row)
    return Batch(features, _labels(batch.labels, wanted, source, row))


def _as_wide_as(features: Any, columns: int | None, source: str) -> Any:
    found = features.shape[1]
    if columns is None or found == columns:
        return features
    if issparse(features) and found < columns:
        return widen(features, columns)
    hint = ""
    if found + 1 == columns:
        hint = "; if the CSV holds no label, its content type is text/csv;label_size=0"
    raise FormatError(f"{source} has rows of {found} features where feature_dim is {columns}{hint}")


def _require_finite(features: Any, source: str, row: int) -> None:
    values = features.data if issparse(features) else features
    if np.isfinite(np.add.reduce(values, axis=None)) or np.isfinite(values).all():  # one NaN spoils the sum
        return
    if issparse(features):
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        found, column = int(np.searchsorted(features.indptr, place, side="right")) - 1, int(features.indices[place])
    else:
        found, column = (int(index[0]) for index in np.nonzero(~np.isfinite(values)))
    raise FormatError(
        f"{source}, row {row + found}: feature {column} is missing or not a finite number; fill in or leave out such rows"
    )


def _labels(labels: np.ndarray | None, wanted: Wanted, source: str, row: int) -> np.ndarray | None:
    if wanted.labels == "ignored":
        return None
    if labels is None:
        if wanted.labels == "required":
            raise FormatError(f"{source} has no labels; every record needs one (in CSV the first column, label_size=1)")
        return None
    if labels.ndim != 1:
        raise FormatError(f"{source} has {labels.shape[1]} labels a record where one is expected")
    bad = ~np.isfinite(labels)
    rule = "a finite number"
    if wanted.classes is not None:
        bad |= (labels < 0) | (labels >= wanted.classes) | (labels != np.floor(labels))
        rule = f"a whole number from 0 to {wanted.classes - 1}"
    if bad.any():
        first = int(bad.argmax())
        raise FormatError(f"{source}, row {row + first}: the label is {labels[first]:g}; it must be {rule}")
    return labels


def _cut(batches: Iterator[Batch], size: int) -> Iterator[Batch]:
    """The same rows in batches of `size`; views where a batch lies within one that was read."""
    waiting: list[Batch] = []
    rows = 0
    for batch in batches:
        start = 0
        while rows + batch.rows - start >= size:
            end = start + size - rows
            yield join([*waiting, _slice(batch, start, end)])
            waiting, rows, start = [], 0, end
        if start < batch.rows:
            waiting.append(_slice(batch, start, batch.rows))
            rows += batch.rows - start
    if waiting:
        yield join(waiting)


def _slice(batch: Batch, start: int, end: int) -> Batch:
    if start == 0 and end == batch.rows:
        return batch
    labels = None if batch.labels is None else batch.labels[start:end]
    return Batch(_rows_of(batch.features, start, end), labels)


def _rows_of(features: Any, start: int, end: int) -> Any:
    if not issparse(features):
        return features[start:end]
    first, last = features.indptr[start], features.indptr[end]
    return csr_matrix(
        (features.data[first:last], features.indices[first:last], features.indptr[start : end + 1] - first),
        shape=(end - start, features.shape[1]),
    )
