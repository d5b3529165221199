"""Random cut forest as a hosted job: every host samples its rows, the leader merges the samples and grows the forest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from clary.algorithms.anomaly.random_cut_forest import RandomCutForest
from clary.algorithms.anomaly.reservoir import Reservoir
from clary.algorithms.hosted import log, rows
from clary.algorithms.hosted.cluster import Cluster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.serving import RecordModel
from clary.catalog.builtin.randomcutforest import ALGORITHM

DIMENSION = "RandomCutForest"
DISTRIBUTIONS = {"train": "ShardedByS3Key", "test": "FullyReplicated"}
"""How the algorithm wants each channel to be shared out among hosts."""
SIGMAS = 3.0
"""Test rows that score more than so many standard deviations above the mean count as anomalies."""
_SEED = 1
Values = Mapping[str, Any]


def train(opt_ml: Path) -> None:
    """Train as the job under `opt_ml` says. Raises `CustomerError` for the user's mistakes."""
    job = TrainingJob.read(opt_ml, default_tag="1")
    values = job.begin(ALGORITHM)
    _check_distributions(job)
    reservoir = _sample(job, values)
    with Cluster.join(job) as cluster:
        states = cluster.gather(reservoir.state())
    if states is None:
        return
    forest = _grow(reservoir.merge(states), values)
    forest.save(job.model_file)
    if "test" in job.channels:
        _test(job, forest, values)


def load(model_dir: Path, environment: dict[str, str]) -> RecordModel:
    """The model that `train` left. Raises `CustomerError` when there is none."""
    paths = sorted(model_dir.glob("model_algo-*"))
    if not paths:
        raise CustomerError("the archive of a random cut forest holds a file model_algo-1; this one does not")
    try:
        forest = RandomCutForest.load(paths[0]).set_params(n_jobs=-1)
    except ValueError as error:
        raise CustomerError(f"{paths[0].name} is no random cut forest of this platform: {error}") from error
    return RecordModel(lambda features: {"score": forest.anomaly_scores(features)}, columns=forest.n_features_in_, key="scores")


def _check_distributions(job: TrainingJob) -> None:
    for name, wanted in DISTRIBUTIONS.items():
        given = job.channels.get(name, {}).get("S3DistributionType") or wanted
        if given != wanted:
            raise CustomerError(
                f"Channel {name}: S3DataDistributionType {given} is not supported by {ALGORITHM.name}; set it to {wanted}"
            )


def _sample(job: TrainingJob, values: Values) -> Reservoir:
    """A sample of this host's rows, as large as the whole forest needs."""
    start = time.time()
    reservoir = Reservoir(values["num_trees"] * values["num_samples_per_tree"], _SEED, job.rank)
    data = rows.read(job, "train", ALGORITHM, columns=values["feature_dim"])
    for batch in data.batches(values["mini_batch_size"]):
        reservoir.add(batch.features)
    job.lines.progress(100)
    job.lines.metrics(DIMENSION, "training", {"Total Records Seen": reservoir.seen}, start=start, epoch=0)
    job.lines.throughput(reservoir.seen, time.time() - start)
    return reservoir


def _grow(reservoir: Reservoir, values: Values) -> RandomCutForest:
    forest = RandomCutForest(values["num_trees"], values["num_samples_per_tree"], threshold=SIGMAS, seed=_SEED, n_jobs=-1)
    start = time.time()
    forest.fit_reservoir(reservoir)
    points = int(forest.forest_.filled[0])
    log.first_party(
        f"{reservoir.seen} rows; {values['num_trees']} trees of {points} points each in {time.time() - start:.3f} s"
    )
    return forest


def _test(job: TrainingJob, forest: RandomCutForest, values: Values) -> None:
    """Judge the rule "mean + 3 standard deviations of the channel's scores" by the channel's labels."""
    parts, labels = [], []
    data = rows.read(job, "test", ALGORITHM, columns=values["feature_dim"], labels="required", classes=2)
    for batch in data.batches():
        parts.append(forest.anomaly_scores(batch.features))
        labels.append(batch.labels == 1)
    scores = np.concatenate(parts)
    found = scores > scores.mean() + SIGMAS * scores.std()
    for name, value in _judged(np.concatenate(labels), found, values["eval_metrics"]).items():
        job.lines.quality("test", name, value, "score")
        job.lines.score("test", name, value)


def _judged(truth: np.ndarray, found: np.ndarray, wanted: list[str]) -> dict[str, float]:
    """The metrics asked for; precision or recall of nothing is 0."""
    hits = int((truth & found).sum())
    judged: dict[str, float] = {}
    if "accuracy" in wanted:
        judged["accuracy"] = float((truth == found).mean())
    if "precision_recall_fscore" in wanted:
        judged["precision"] = hits / max(int(found.sum()), 1)
        judged["recall"] = hits / max(int(truth.sum()), 1)
        judged["f1"] = 2 * hits / max(int(found.sum() + truth.sum()), 1)
    return judged
