"""The train program: channels in, log lines, `model/xgboost-model` out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from clary.algorithms.hosted import log
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.xgboost import artifact, evaluation, parameters
from clary.algorithms.hosted.xgboost.library_errors import explanation
from clary.algorithms.trees import boosting
from clary.catalog.builtin.xgboost import ALGORITHM
from clary.catalog.hyperparameters import Version
from clary.formats import tables
from clary.formats.batch import Batch
from clary.formats.channel import Reader
from clary.formats.errors import FormatError

_CSV = ("csv", "text/csv")
_LIBSVM = ("", "libsvm", "text/libsvm", "text/x-libsvm")  # also what a channel without a content type holds
_RECORDS = ("recordio-protobuf", "application/x-recordio-protobuf")
_PARQUET = ("parquet", "application/x-parquet")

WIDEST = 1 << 26
"""Columns that XGBoost is given at most: it keeps a few dozen bytes for each, and a stray libsvm index means billions."""


def train(opt_ml: Path) -> None:
    """Train as the job under `opt_ml` says. Raises `CustomerError` for the user's mistakes."""
    job = TrainingJob.read(opt_ml, default_tag="3.0-5")
    version = job.version(ALGORITHM)
    log.line(f"Running XGBoost in algorithm mode: image tag {job.tag}, trained by XGBoost {xgboost.__version__}")
    values = job.values(ALGORITHM)
    parameters.refuse_unsupported(values)
    job.require(ALGORITHM)
    if len(job.hosts) > 1:
        raise CustomerError(f"Training on {len(job.hosts)} hosts is not supported by Clary yet; set InstanceCount to 1")
    for name in parameters.ignored(values):
        log.line(f"Hyperparameter {name} has no effect in XGBoost {xgboost.__version__}", "WARNING")
    data: dict[str, list[Batch]] = {name: _read(job, name, values) for name in ("train", "validation") if name in job.channels}
    booster = _boost(values, version, data)
    artifact.save(booster, job.model_directory, version)
    log.line(f"Saved the model of {booster.num_boosted_rounds()} rounds")


def _read(job: TrainingJob, name: str, values: dict[str, Any]) -> list[Batch]:
    """All batches of a channel, checked."""
    channel = job.channel(name, _reader(job, name, weights=values.get("csv_weights") == 1))
    try:
        batches = list(channel.batches())
    except FormatError as error:
        raise CustomerError(f"Failed to load data of channel {name}: {error}") from error
    if not batches:
        raise CustomerError(f"No data in {name} channel: its files are empty")
    if any(batch.labels is None or batch.labels.ndim != 1 for batch in batches):
        raise CustomerError(f"Channel {name} must have one label per record")
    _check_labels(name, np.concatenate([batch.labels for batch in batches]), values)
    return batches


def _reader(job: TrainingJob, name: str, weights: bool) -> Reader:
    media_type, options = job.content_type(name)
    if media_type in _CSV:
        if options.get("label_size", "1") != "1":
            given = job.channels[name]["ContentType"]
            raise CustomerError(f"{given} is not an accepted csv ContentType. Optional parameter label_size must be equal to 1")
        return tables.csv_reader(weights=weights)
    if media_type in _LIBSVM:
        if job.input_mode(name) == "Pipe":
            raise CustomerError("Pipe mode not supported for LibSVM.")
        return tables.libsvm_reader()
    if media_type in _RECORDS:
        return tables.records_reader()
    if media_type in _PARQUET:
        raise CustomerError(f"Channel {name}: parquet is not supported by Clary yet; use text/csv")
    accepted = ", ".join(t for t in (*_CSV, *_LIBSVM, *_RECORDS) if t)
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


def _boost(values: dict[str, Any], version: Version, data: dict[str, list[Batch]]) -> xgboost.Booster:
    rows = sum(batch.rows for batch in data["train"])
    settings = parameters.library_parameters(values, version, rows)
    names = evaluation.chosen(values) or _listed(parameters.default_metric(settings["objective"], version))
    library = [evaluation.library_name(name, settings) for name in names if name not in evaluation.OWN_METRICS]
    if library:
        settings["eval_metric"] = library
    elif names:
        settings["disable_default_eval_metric"] = True
    try:
        watched = _matrices(data, settings)
        return xgboost.train(
            settings,
            watched[0][0],
            num_boost_round=values["num_round"],
            evals=watched,
            custom_metric=evaluation.own_metrics(names, settings["objective"]),
            callbacks=_callbacks(values, version, watched[-1][1]),
            verbose_eval=False,
        )
    except xgboost.core.XGBoostError as error:
        raise _explained(error, values) from error


def _matrices(data: dict[str, list[Batch]], settings: dict[str, Any]) -> list[tuple[xgboost.DMatrix, str]]:
    """The matrix of each channel, training first; the batches are released on the way."""
    columns = {name: max(batch.columns for batch in batches) for name, batches in data.items()}
    if columns["train"] > WIDEST:
        raise CustomerError(f"Channel train has feature index {columns['train'] - 1}; XGBoost takes indices below {WIDEST}")
    sparse = not isinstance(data["train"][0].features, np.ndarray)
    if not sparse and len(set(columns.values())) > 1:
        raise CustomerError(
            f"Channel validation has {columns['validation']} feature columns where train has {columns['train']}"
        )
    train: xgboost.DMatrix | None = None
    watched = []
    for name in list(data):
        # rows of sparse validation data may have columns that training has never seen: no tree asks for them
        matrix = boosting.matrix(_cut(data.pop(name), columns["train"]), settings, columns=columns["train"], like=train)
        train = train or matrix
        log.line(f"{name.capitalize()} matrix has {matrix.num_row()} rows and {matrix.num_col()} columns")
        watched.append((matrix, name))
    return watched


def _cut(batches: list[Batch], columns: int) -> list[Batch]:
    for batch in batches:
        if batch.columns > columns:
            batch.features = batch.features[:, :columns]
    return batches


def _callbacks(values: dict[str, Any], version: Version, watched: str) -> list[xgboost.callback.TrainingCallback]:
    callbacks: list[xgboost.callback.TrainingCallback] = [evaluation.MetricLines(version)]
    if stopping := evaluation.early_stopping(values, watched):
        callbacks.append(stopping)
    if values.get("save_model_on_termination") == "true":
        callbacks.append(evaluation.StopWhenTold())
    return callbacks


def _listed(name: str | None) -> list[str]:
    return [name] if name else []


def _explained(error: xgboost.core.XGBoostError, values: dict[str, Any]) -> Exception:
    """A `CustomerError` with the library's explanation; what it cannot explain is no mistake of the user's."""
    reason = explanation(error)
    if reason and "base_score must be in (0,1)" in reason and "base_score" not in values:
        return CustomerError("all labels of the train channel are the same; classification needs rows of both classes")
    return CustomerError(f"XGBoost: {reason}") if reason else error
