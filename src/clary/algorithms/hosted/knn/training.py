"""The train program of k-NN: a sample of the rows, an index of it, and what the index says of the test channel."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from clary.algorithms import metrics
from clary.algorithms.hosted import log, rows
from clary.algorithms.hosted.cluster import Cluster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.knn import artifact
from clary.algorithms.hosted.rows import Rows
from clary.algorithms.neighbors import reservoir
from clary.algorithms.neighbors.knn import KNN
from clary.algorithms.neighbors.reservoir import Reservoir, Sample
from clary.catalog.builtin.knn import ALGORITHM
from clary.catalog.hyperparameters import AUTO

DIMENSION = "AWS/KNN"
_SEED = 0


def train(opt_ml: Path) -> None:
    """Train as the job under `opt_ml` says. Raises `CustomerError` for the user's mistakes."""
    job = TrainingJob.read(opt_ml, default_tag="1")
    values = job.begin(ALGORITHM)
    columns = None if values["feature_dim"] == AUTO else values["feature_dim"]
    with Cluster.join(job) as cluster:
        sample = _gathered(_sample(job, columns, values), cluster, values["sample_size"])
    if sample is None:
        return
    model = _fit(sample, values, job.device)
    artifact.save(model, job.model_file)
    if "test" in job.channels:
        _test(job, model, values)


def _rows(job: TrainingJob, channel: str, columns: int | None) -> Rows:
    return rows.read(job, channel, ALGORITHM, columns=columns, labels="required")


def _sample(job: TrainingJob, columns: int | None, values: dict[str, Any]) -> Sample:
    """What this host keeps of its rows."""
    start = time.time()
    kept = Reservoir(values["sample_size"], np.random.SeedSequence((_SEED, job.rank)))
    for batch in _rows(job, "train", columns).batches(values["mini_batch_size"]):
        assert batch.labels is not None  # required
        kept.add(batch.features, batch.labels)
    sample = kept.sample()
    job.lines.progress(100.0)
    job.lines.throughput(sample.seen, time.time() - start)
    job.lines.metrics(DIMENSION, "training", {"Total Records Seen": sample.seen}, start=start, epoch=0)
    return sample


def _gathered(sample: Sample, cluster: Cluster, size: int) -> Sample | None:
    """A uniform sample of all hosts' rows, on the leader; None elsewhere. Only rows that it needs travel."""
    if cluster.size == 1:
        return sample
    rng = np.random.default_rng((_SEED, cluster.rank))
    parts = cluster.gather({"seen": np.array(sample.seen)})
    allotted = None
    if parts is not None:
        seen = [int(part["seen"]) for part in parts]
        allotted = {"rows": np.array(reservoir.allotments(seen, size, rng))}
    own = reservoir.thinned(sample, int(cluster.broadcast(allotted)["rows"][cluster.rank]), rng)
    pieces = cluster.gather({"features": own.features, "labels": own.labels})
    if pieces is None:
        return None
    if len({piece["features"].shape[1] for piece in pieces if len(piece["labels"])}) > 1:
        raise CustomerError("Channel train: the hosts were given rows of different feature_dim")
    pieces = [piece for piece in pieces if len(piece["labels"])]
    labels = np.concatenate([piece["labels"] for piece in pieces])
    features = np.concatenate([piece["features"] for piece in pieces])
    return Sample(features, labels, np.arange(len(labels)), len(labels))


def _fit(sample: Sample, values: dict[str, Any], device: str | None) -> KNN:
    model = KNN(
        values["k"],
        predictor_type=values["predictor_type"],
        dimension_reduction_type=values.get("dimension_reduction_type"),
        dimension_reduction_target=values.get("dimension_reduction_target"),
        index_type=values["index_type"].removeprefix("faiss."),
        index_metric=values["index_metric"],
        ivf_nlists=values["faiss_index_ivf_nlists"],
        nprobe=values["_faiss_index_nprobe"],
        pq_m=int(values.get("faiss_index_pq_m", 1)),
        seed=_SEED,
        device=device or "cpu",
    )
    log.first_party(f"Building a {values['index_type']} index of {len(sample)} rows")
    try:
        return model.fit(sample.features, sample.labels)
    except ValueError as error:
        raise CustomerError(f"Channel train: {error}") from error


def _test(job: TrainingJob, model: KNN, values: dict[str, Any]) -> None:
    """Predict the test channel batch by batch."""
    truths, predictions = [], []
    for batch in _rows(job, "test", model.n_features_in_).batches(values["mini_batch_size"]):
        assert batch.labels is not None  # required
        truths.append(batch.labels)
        predictions.append(model.predict(batch.features))
    truth, predicted = np.concatenate(truths), np.concatenate(predictions)
    if values["predictor_type"] == "regressor":
        error = metrics.mse(truth, predicted)
        job.lines.score("test", "mse", error)
        job.lines.quality("test", "mse", error, "loss")
        return
    accuracy = metrics.accuracy(truth, predicted)
    job.lines.score("test", "accuracy", accuracy)
    job.lines.score("test", "macro_f_1.000", metrics.f1(truth, predicted))
    job.lines.quality("test", "accuracy", accuracy, "score")
