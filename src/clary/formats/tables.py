"""Readers of labelled rows by content type: which columns of a table are label, weight and features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from clary.formats import csv, libsvm, parquet, records
from clary.formats.batch import Batch
from clary.formats.channel import Reader
from clary.formats.errors import FormatError


def csv_reader(*, label_columns: int = 1, weights: bool = False) -> Reader:
    """CSV with `label_columns` labels first, then the weight of the row if `weights`, then the features."""

    def read(stream: BinaryIO, source: str) -> Iterator[Batch]:
        for table in csv.read(stream, source):
            yield split(table, source, label_columns=label_columns, weights=weights)

    return read


def parquet_reader(*, label_columns: int = 1) -> Reader:
    """Parquet whose first `label_columns` columns are labels."""

    def read(stream: BinaryIO, source: str) -> Iterator[Batch]:
        for table in parquet.read(stream, source):
            yield split(table, source, label_columns=label_columns)

    return read


def split(table: np.ndarray, source: str, *, label_columns: int = 1, weights: bool = False) -> Batch:
    """Label, weight and features of a (rows, columns) table; views, nothing is copied."""
    start = label_columns + weights
    if table.shape[1] <= start:
        raise FormatError(
            f"{source} has {table.shape[1]} column(s), too few for "
            f"{label_columns} label(s){', a weight' if weights else ''} and at least one feature"
        )
    labels = table[:, 0] if label_columns == 1 else table[:, :label_columns]
    return Batch(table[:, start:], labels if label_columns else None, table[:, label_columns] if weights else None)


def libsvm_reader() -> Reader:
    return libsvm.read


def records_reader() -> Reader:
    return records.read
