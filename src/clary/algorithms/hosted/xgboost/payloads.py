"""Request bodies -> rows, as wide as the model; refusals carry the container's status and words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from clary.formats import csv, libsvm, records
from clary.formats.channel import widen

CSV = ("text/csv", "csv")
LIBSVM = ("text/libsvm", "text/x-libsvm", "libsvm")
RECORDS = ("application/x-recordio-protobuf", "recordio-protobuf")

Rows = Any
"""A C-contiguous float32 array or a CSR matrix, (rows, columns)."""


class Refusal(Exception):
    """A request that is answered with an error status."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


def rows(body: bytes, content_type: str, columns: int) -> Rows:
    """(rows, columns): dense C-contiguous float32 for CSV and dense records, CSR for libsvm and sparse records.

    Raises `Refusal` 415 for a type or body that cannot be read, 400 for rows that do not fit the model.
    """
    media_type = content_type.partition(";")[0].strip().lower() or "text/csv"
    if media_type in CSV:
        return _as_wide_as(_csv(body), columns, "csv")
    if media_type in LIBSVM:
        return _reconciled(_libsvm(body), columns)
    if media_type in RECORDS:
        return _as_wide_as(_records(body), columns, "recordio-protobuf")
    raise Refusal(415, f"{content_type} is not an accepted ContentType: {', '.join((*CSV, *LIBSVM, *RECORDS))}.")


def _csv(body: bytes) -> np.ndarray:
    text = body.strip()
    if b"\n" not in text:
        # one row of plain numbers, the usual request: several times faster than the general reader
        try:
            return np.array([text.split(b",")], dtype=np.float32)
        except ValueError:
            pass  # blank cells, another delimiter, or text, which the general reader names
    delimiter = csv.sniff_delimiter(text.split(b"\n", 1)[0].decode("utf-8", "replace"))
    try:
        return csv.parse(text, delimiter, source="the request")
    except ValueError as error:
        raise _undecodable("csv", error) from error


def _libsvm(body: bytes) -> csr_matrix:
    # a label is optional here, and read past; with one in front every line reads like training data
    labelled = re.sub(rb"^(?=[^\S\n]*[^\s:]+:)", b"0 ", body.strip(), flags=re.MULTILINE)
    try:
        return libsvm.parse(labelled, source="the request").features
    except ValueError as error:
        raise _undecodable("libsvm", error) from error


def _records(body: bytes) -> Rows:
    try:
        return records.parse(body, "the request").features
    except ValueError as error:
        raise _undecodable("recordio-protobuf", error) from error


def _undecodable(name: str, error: ValueError) -> Refusal:
    return Refusal(415, f"Loading {name} data failed with Exception, please ensure data is in {name} format:\n {error}")


def _as_wide_as(found: Rows, columns: int, name: str) -> Rows:
    """Rows may lack the last column: models trained on 1-based libsvm have one more than their data."""
    if found.shape[1] == columns:
        return found
    if found.shape[1] != columns - 1:
        raise Refusal(
            400,
            f"Unable to evaluate payload provided: Feature size of {name} inference data {found.shape[1]} is not "
            f"consistent with feature size of trained model {columns}.",
        )
    if not isinstance(found, np.ndarray):
        return widen(found, columns)
    return np.ascontiguousarray(np.pad(found, ((0, 0), (0, 1)), constant_values=np.nan))


def _reconciled(found: csr_matrix, columns: int) -> csr_matrix:
    """Sparse rows with the model's columns: narrower ones are widened, one column more is a 1-based numbering."""
    if found.shape[1] <= columns:
        return widen(found, columns)
    if found.shape[1] == columns + 1 and found.indices.min() > 0:
        return csr_matrix((found.data, found.indices - 1, found.indptr), shape=(found.shape[0], columns))
    raise Refusal(
        400,
        f"Unable to evaluate payload provided: Feature size of libsvm inference data {found.shape[1]} is larger than "
        f"feature size of trained model {columns}.",
    )
