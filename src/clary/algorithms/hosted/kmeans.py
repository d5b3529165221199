"""k-means as a hosted job: mini-batches stream by, the hosts' centres merge, k of them are left and served."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from clary.algorithms.cluster import streaming
from clary.algorithms.cluster.kmeans import EXTRA_CENTER_FACTOR, LOCAL_TRIALS
from clary.algorithms.cluster.nearest import assign, distances
from clary.algorithms.cluster.seeding import Method
from clary.algorithms.cluster.streaming import Shrinking, Stream
from clary.algorithms.hosted import log, rows
from clary.algorithms.hosted.cluster import Cluster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.rows import Rows
from clary.algorithms.hosted.serving import RecordModel
from clary.catalog.builtin.kmeans import ALGORITHM
from clary.catalog.hyperparameters import AUTO
from clary.formats import ndarray_list
from clary.formats.channel import join

DIMENSION = "AWS/KMeansWebscale"
WITHOUT_EFFECT = {"force_dense"}
_SEED = 1
_METHODS: dict[str, Method] = {"random": "random", "kmeans++": "k-means++"}
Values = Mapping[str, Any]


def train(opt_ml: Path) -> None:
    """Train as the job under `opt_ml` says. Raises `CustomerError` for the user's mistakes."""
    job = TrainingJob.read(opt_ml, default_tag="1")
    values = job.begin(ALGORITHM)
    for name in WITHOUT_EFFECT & job.hyperparameters.keys():
        log.first_party(f"Hyperparameter {name} has no effect", "WARNING")
    data = _rows(job, "train", values, values["epochs"])
    with Cluster.join(job) as cluster:
        states = cluster.gather(_arrays(_stream(job, data, values)))
    if states is None:
        return
    centers, msd = _shrink(streaming.merge([_of_arrays(state) for state in states]), values)
    job.model_file.write_bytes(ndarray_list.write([centers]))
    seen = sum(float(state["seen"][0]) for state in states)
    _report(job, "train", msd, msd * seen / values["epochs"], values["eval_metrics"])
    _test(job, centers, values)


def load(model_dir: Path, environment: dict[str, str]) -> RecordModel:
    """The model that `train`, or the hosted algorithm, left. Raises `CustomerError` when there is none."""
    centers = read_centers(model_dir)

    def answer(features: Any) -> dict[str, np.ndarray]:
        labels = assign(features, centers).labels
        apart = distances(features, centers, labels)
        return {"closest_cluster": labels.astype(np.float32), "distance_to_cluster": apart.astype(np.float32)}

    return RecordModel(answer, columns=centers.shape[1], sparse=True)


def read_centers(model_dir: Path) -> np.ndarray:
    """(k, columns) float32 of the artifact `model_algo-1`, a list of one array."""
    for path in sorted(model_dir.glob("model_algo-*")):
        arrays = ndarray_list.read(path.read_bytes(), path.name)
        values = list(arrays.values()) if isinstance(arrays, dict) else arrays
        if len(values) == 1 and values[0].ndim == 2:
            return np.ascontiguousarray(values[0], np.float32)
        raise CustomerError(f"{path.name} holds {len(values)} arrays where a k-means model is one of k x feature_dim")
    raise CustomerError("the archive of a k-means model holds a file model_algo-1; this one does not")


def _rows(job: TrainingJob, channel: str, values: Values, epochs: int = 1) -> Rows:
    return rows.read(job, channel, ALGORITHM, columns=values["feature_dim"], sparse=True, epochs=epochs)


def _stream(job: TrainingJob, data: Rows, values: Values) -> Stream:
    """What this host's rows say."""
    stream: Stream | None = None
    device = job.device
    for epoch in range(values["epochs"]):
        start, count = time.time(), 0
        for batch in _batches(data, values, enough=stream is None):
            if stream is None:
                stream = _begin(job, batch, values)
            stream.update(batch, half_life=values["half_life_time_size"], threads=os.cpu_count() or 1, device=device)
            count += batch.shape[0]
        job.lines.progress(100 * (epoch + 1) / values["epochs"])
        job.lines.metrics(DIMENSION, "training", {"Total Records Seen": (epoch + 1) * count}, start=start, epoch=epoch)
        job.lines.throughput(count, time.time() - start)
    assert stream is not None  # an empty channel was refused
    return stream


def _batches(data: Rows, values: Values, enough: bool) -> Iterator[Any]:
    """Features of the mini-batches; where `enough`, the first one has a row for each centre, if there are so many."""
    batches = data.batches(values["mini_batch_size"])
    if enough:
        parts = list(islice(batches, -(-_size(values) // values["mini_batch_size"])))
        batches = chain([join(parts)], batches)
    return (batch.features for batch in batches)


def _begin(job: TrainingJob, first: Any, values: Values) -> Stream:
    count = first.shape[0]
    if count < values["mini_batch_size"]:
        log.first_party(f"The first batch has {count} rows, fewer than mini_batch_size; they are used as one batch", "WARNING")
    if count < values["k"] and len(job.hosts) == 1:
        raise CustomerError(f"Channel train has {count} rows, fewer than the k={values['k']} centres; lower k or add data")
    rng = np.random.default_rng((_SEED, job.rank))
    return Stream.begin(first, _size(values), _METHODS[values["init_method"]], rng)


def _size(values: Values) -> int:
    factor = EXTRA_CENTER_FACTOR if values["extra_center_factor"] == AUTO else values["extra_center_factor"]
    return values["k"] * factor


def _shrink(stream: Stream, values: Values) -> tuple[np.ndarray, float]:
    """(k, columns) float32 and the mean squared distance."""
    trials = LOCAL_TRIALS if values["local_lloyd_num_trials"] == AUTO else values["local_lloyd_num_trials"]
    method = _METHODS[values["local_lloyd_init_method"]]
    how = Shrinking(values["k"], method, trials, values["local_lloyd_max_iter"], values["local_lloyd_tol"])
    log.first_party(f"shrinking {len(stream.centers)} centers into {values['k']}")
    try:
        centers, msd = streaming.shrink(stream, how, np.random.default_rng(_SEED), _say_attempt)
    except ValueError as error:
        raise CustomerError(f"Channel train: {error}; lower k or add data") from error
    log.first_party(f"finished shrinking process. Mean Square Distance = {msd}")
    return centers.astype(np.float32), msd


def _say_attempt(number: int, msd: float) -> None:
    log.first_party(f"local kmeans attempt #{number}. Current mean square distance {msd:f}")


def _test(job: TrainingJob, centers: np.ndarray, values: Values) -> None:
    """Distances of the test channel's rows, where there is one."""
    if "test" not in job.channels:
        log.first_party("Test data is not provided.")
        return
    count, total = 0, 0.0
    for batch in _rows(job, "test", values).batches(values["mini_batch_size"]):
        total += float(assign(batch.features, centers, threads=os.cpu_count() or 1).squares.sum())
        count += batch.rows
    _report(job, "test", total / count, total, values["eval_metrics"])
    for name, value in (("msd", total / count), ("ssd", total)):
        if name in values["eval_metrics"]:
            job.lines.score("test", name, value)


def _report(job: TrainingJob, channel: str, msd: float, ssd: float, metrics: list[str]) -> None:
    for name, value in (("msd", msd), ("ssd", ssd)):
        if name in metrics:
            job.lines.quality(channel, name, value, "loss")


def _arrays(stream: Stream) -> dict[str, np.ndarray]:
    return {
        "centers": stream.centers,
        "weights": stream.weights,
        "squares": stream.squares,
        "seen": np.array([stream.seen]),
    }


def _of_arrays(arrays: dict[str, np.ndarray]) -> Stream:
    return Stream(arrays["centers"], arrays["weights"], arrays["squares"], float(arrays["seen"][0]))
