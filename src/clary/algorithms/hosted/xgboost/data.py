"""Channels -> checked batches -> XGBoost's matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost
from scipy.sparse import issparse

from clary.algorithms.hosted import log
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.trees import boosting
from clary.formats import tables
from clary.formats.batch import Batch
from clary.formats.channel import Reader, data_files
from clary.formats.errors import FormatError
from clary.formats.spool import Spool

CSV = ("csv", "text/csv")
LIBSVM = ("", "libsvm", "text/libsvm", "text/x-libsvm")  # also what a channel without a content type holds
RECORDS = ("recordio-protobuf", "application/x-recordio-protobuf")
PARQUET = ("parquet", "application/x-parquet")

WIDEST = 1 << 26
"""Columns that XGBoost is given at most: it keeps a few dozen bytes for each, and a stray libsvm index means billions."""

IN_MEMORY_BYTES = 1 << 30
"""Features of a channel that are kept as they are read; of more, only the bins that trees are grown on stay in memory."""

Data = dict[str, list[Batch]]
"""Channel -> its batches, training first."""


def read(job: TrainingJob, values: dict[str, Any]) -> Data:
    """All rows of the channels of data that the job has, checked; no batches for a channel without rows on this host."""
    return {name: _read(job, name, values) for name in ("train", "validation") if name in job.channels}


def require_rows(data: Data) -> None:
    """Raise `CustomerError` for a channel without rows."""
    for name, batches in data.items():
        if not batches:
            raise CustomerError(
                f"No data in {name} channel: it holds no rows; files whose name begins with '.' or '_' are left out"
            )


def _read(job: TrainingJob, name: str, values: dict[str, Any]) -> list[Batch]:
    reader = _reader(job, name, weights=values.get("csv_weights") == 1)
    if job.input_mode(name) != "Pipe" and not any(True for _ in data_files(job.opt_ml / "input" / "data" / name)):
        return []
    try:
        spool = Spool(job.opt_ml, IN_MEMORY_BYTES)
        batches = [spool.keep(batch) for batch in job.channel(name, reader).batches()]
    except FormatError as error:
        raise CustomerError(f"Failed to load data of channel {name}: {error}") from error
    if any(batch.labels is None or batch.labels.ndim != 1 for batch in batches):
        raise CustomerError(f"Channel {name} must have one label per record")
    if batches:
        _check_labels(name, np.concatenate([batch.labels for batch in batches]), values)
    return batches


def _reader(job: TrainingJob, name: str, weights: bool) -> Reader:
    media_type, options = job.content_type(name)
    if media_type in CSV:
        if options.get("label_size", "1") != "1":
            given = job.channels[name]["ContentType"]
            raise CustomerError(f"{given} is not an accepted csv ContentType. Optional parameter label_size must be equal to 1")
        return tables.csv_reader(weights=weights)
    if media_type in LIBSVM:
        if job.input_mode(name) == "Pipe":
            raise CustomerError("Pipe mode not supported for LibSVM.")
        return tables.libsvm_reader()
    if media_type in RECORDS:
        return tables.records_reader()
    if media_type in PARQUET:
        return tables.parquet_reader()
    accepted = ", ".join(t for t in (*CSV, *LIBSVM, *RECORDS, *PARQUET) if t)
    raise CustomerError(f"{media_type} is not an accepted ContentType: {accepted}.")


def _check_labels(channel: str, labels: np.ndarray, values: dict[str, Any]) -> None:
    """Say what the library would say, before the work and with the label that is wrong."""
    objective = values.get("objective", "reg:squarederror")
    if not np.isfinite(labels).all():
        row = int(np.flatnonzero(~np.isfinite(labels))[0]) + 1
        raise CustomerError(f"Channel {channel}: row {row} has no finite label; the label is the first column")
    if objective.startswith("multi:"):
        classes = values["num_class"]
        _require(
            channel, labels, (labels >= 0) & (labels < classes), f"label must be in [0, num_class), num_class is {classes}"
        )
    elif objective in ("binary:logistic", "binary:logitraw", "binary:hinge", "reg:logistic"):
        _require(channel, labels, (labels >= 0) & (labels <= 1), "label must be in [0,1] for logistic regression")
    elif objective in ("count:poisson", "reg:tweedie"):
        _require(channel, labels, labels >= 0, f"label must be nonnegative for {objective}")


def _require(channel: str, labels: np.ndarray, right: np.ndarray, rule: str) -> None:
    if not right.all():
        row = int(right.argmin())
        raise CustomerError(f"Channel {channel}: {rule}; row {row + 1} has {labels[row]:g} (the label is the first column)")


def columns(data: Data) -> int:
    """Columns of the training rows. Raises `CustomerError` when dense channels disagree, or for more than `WIDEST`."""
    widths = {name: max(batch.columns for batch in batches) for name, batches in data.items()}
    if widths["train"] > WIDEST:
        raise CustomerError(f"Channel train has feature index {widths['train'] - 1}; XGBoost takes indices below {WIDEST}")
    if not issparse(data["train"][0].features) and len(set(widths.values())) > 1:
        raise CustomerError(f"Channel validation has {widths['validation']} feature columns where train has {widths['train']}")
    return widths["train"]


def matrices(data: Data, settings: dict[str, Any], columns: int) -> list[tuple[xgboost.DMatrix, str]]:
    """The matrix of each channel, training first; the batches are released on the way."""
    train: xgboost.DMatrix | None = None
    watched = []
    for name in list(data):
        # rows of sparse validation data may have columns that training has never seen: no tree asks for them
        matrix = boosting.matrix(_cut(data.pop(name), columns), settings, columns=columns, like=train)
        train = train or matrix
        log.line(f"{name.capitalize()} matrix has {matrix.num_row()} rows and {matrix.num_col()} columns")
        watched.append((matrix, name))
    return watched


def _cut(batches: list[Batch], columns: int) -> list[Batch]:
    for batch in batches:
        if batch.columns > columns:
            batch.features = batch.features[:, :columns]
    return batches
