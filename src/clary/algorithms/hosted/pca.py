"""Principal component analysis as a hosted job: the hosts' states add up, the leader writes mean, directions and lengths."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse

from clary.algorithms.decomposition import scatter, sketch
from clary.algorithms.decomposition.pca import sketch_width
from clary.algorithms.decomposition.scatter import Scatter
from clary.algorithms.decomposition.sketch import Sketch
from clary.algorithms.hosted import log, rows
from clary.algorithms.hosted.cluster import Cluster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.rows import Rows
from clary.algorithms.hosted.serving import RecordModel
from clary.catalog.builtin.pca import ALGORITHM
from clary.formats import ndarray_list

DIMENSION = "PCA"
WITHOUT_EFFECT = {"epochs", "force_dense"}
_SEED = 1
Values = Mapping[str, Any]
Model = dict[str, np.ndarray]
"""mean (1, columns), absent where rows are not centred; v (columns, components); s (components,): float32, ascending."""


def train(opt_ml: Path) -> None:
    """Train as the job under `opt_ml` says. Raises `CustomerError` for the user's mistakes."""
    job = TrainingJob.read(opt_ml, default_tag="1")
    values = job.begin(ALGORITHM)
    for name in WITHOUT_EFFECT & job.hyperparameters.keys():
        log.first_party(f"Hyperparameter {name} has no effect", "WARNING")
    with Cluster.join(job) as cluster:
        state = (_regular if values["algorithm_mode"] == "regular" else _randomized)(job, values, cluster)
    if state is None:
        return
    model = _model(state, values)
    job.model_file.write_bytes(ndarray_list.write(model))
    if "test" in job.channels:
        _test(job, model, values)


def load(model_dir: Path, environment: dict[str, str]) -> RecordModel:
    """The model that `train`, or the hosted algorithm, left. Raises `CustomerError` when there is none."""
    model = read_model(model_dir)
    return RecordModel(
        lambda features: {"projection": project(features, model)}, columns=len(model["v"]), key="projections", sparse=True
    )


def read_model(model_dir: Path) -> Model:
    """The arrays of the artifact `model_algo-1`."""
    for path in sorted(model_dir.glob("model_algo-*")):
        arrays = ndarray_list.read(path.read_bytes(), path.name)
        if isinstance(arrays, dict) and {"v", "s"} <= arrays.keys() and arrays["v"].ndim == 2:
            return {name: np.asarray(array, np.float32) for name, array in arrays.items()}
        raise CustomerError(f"{path.name} is no PCA model: that holds the arrays v, s and, of centred rows, mean")
    raise CustomerError("the archive of a PCA model holds a file model_algo-1; this one does not")


def project(features: Any, model: Model) -> np.ndarray:
    """(rows, components) float32 of dense or CSR rows, smallest component first."""
    mean = model.get("mean")
    if mean is None:
        return features @ model["v"]
    if issparse(features):
        return features @ model["v"] - mean.reshape(1, -1) @ model["v"]
    return (features - mean.reshape(1, -1)) @ model["v"]


def _rows(job: TrainingJob, channel: str, values: Values, passes: int = 1) -> Rows:
    return rows.read(job, channel, ALGORITHM, columns=values["feature_dim"], sparse=True, epochs=passes)


def _regular(job: TrainingJob, values: Values, cluster: Cluster) -> Scatter | None:
    """The scatter matrix of the rows of all hosts; None where this host does not lead."""
    state = Scatter(values["feature_dim"], job.device)
    _feed(job, _rows(job, "train", values), values, state)
    parts = cluster.gather(state.arrays())
    return None if parts is None else scatter.merge([Scatter.of_arrays(part) for part in parts])


def _randomized(job: TrainingJob, values: Values, cluster: Cluster) -> Sketch | None:
    """The sketch of the rows of all hosts, from a second pass where the channel can be read twice."""
    passes = 1 if job.input_mode("train") == "Pipe" else 2
    data = _rows(job, "train", values, passes)
    width = sketch_width(values["num_components"], values["extra_components"])
    device = job.device
    state = Sketch.random(values["feature_dim"], width, _SEED, device)
    _feed(job, data, values, state, 1, passes)
    first = _together(cluster, state)
    if passes == 1:
        return first
    second = Sketch(cluster.broadcast(None if first is None else {"test": first.again().test})["test"], device)
    _feed(job, data, values, second, 2, passes)
    whole = _together(cluster, second)
    return None if whole is None or first is None else whole.combined(first)


def _together(cluster: Cluster, state: Sketch) -> Sketch | None:
    """The sketch of all hosts on the leader, None elsewhere."""
    parts = cluster.gather(state.arrays())
    return None if parts is None else sketch.merge([Sketch.of_arrays(part) for part in parts])


def _feed(job: TrainingJob, data: Rows, values: Values, state: Scatter | Sketch, number: int = 1, passes: int = 1) -> None:
    """One pass over this host's rows."""
    start, count = time.time(), 0
    for batch in data.batches(values["mini_batch_size"]):
        state.update(batch.features)
        count += batch.rows
    job.lines.progress(100 * number / passes)
    job.lines.metrics(DIMENSION, "training", {"Total Records Seen": count}, start=start, epoch=number - 1)
    job.lines.throughput(count, time.time() - start)


def _model(state: Scatter | Sketch, values: Values) -> Model:
    centered = values["subtract_mean"]
    if isinstance(state, Scatter):
        state.flush()
    found = state.spectrum(values["num_components"], centered)
    log.first_party(f"{state.rows} rows; the components keep {found.squares.sum() / (found.total or 1):.6f} of the variance")
    model = {"v": found.vectors[::-1].T, "s": np.sqrt(found.squares[::-1])}
    if centered:
        model = {"mean": state.mean[None, :]} | model
    return {name: array.astype(np.float32) for name, array in model.items()}


def _test(job: TrainingJob, model: Model, values: Values) -> None:
    """The share of the test rows' squares, about the training mean, that the components keep."""
    kept = total = 0.0
    mean = model.get("mean", np.zeros((1, values["feature_dim"]), np.float32))
    for batch in _rows(job, "test", values).batches(values["mini_batch_size"]):
        features = batch.features.toarray() if issparse(batch.features) else batch.features
        kept += float(np.square(project(features, model), dtype=np.float64).sum())
        total += float(np.square(features - mean, dtype=np.float64).sum())
    job.lines.score("test", "captured_variance", kept / total if total else 1.0)
