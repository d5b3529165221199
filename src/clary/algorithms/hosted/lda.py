"""LDA as a hosted job: documents in, `alpha` and `beta` out as MXNet arrays, topic mixtures served."""

from __future__ import annotations

import math
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, vstack

from clary.algorithms.hosted import log, rows
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.rows import CSV
from clary.algorithms.hosted.serving import RecordModel
from clary.algorithms.text.lda import LDA, MORE_TOPICS
from clary.algorithms.text.topics import Topics
from clary.catalog.builtin.lda import ALGORITHM
from clary.formats import ndarray_list


def train(opt_ml: Path) -> None:
    """Train as the job under `opt_ml` says. Raises `CustomerError` for the user's mistakes."""
    job = TrainingJob.read(opt_ml, default_tag="1")
    values = job.begin(ALGORITHM)
    for name in sorted({"allow_svd_init", "epochs"} & job.hyperparameters.keys()):
        log.first_party(f"Hyperparameter {name} has no effect", "WARNING")
    start = time.time()
    counts = _documents(job, "train", values)
    if counts.shape[0] != values["mini_batch_size"]:
        log.first_party(
            f"The train channel has {counts.shape[0]} documents where mini_batch_size is {values['mini_batch_size']}; "
            "all of them are used",
            "WARNING",
        )
    model = _fitted(counts, values)
    job.model_file.write_bytes(ndarray_list.write([model.alpha_, model.components_]))
    job.lines.progress(100)
    job.lines.metrics("LDA", "training", {"Total Records Seen": counts.shape[0]}, start=start)
    job.lines.throughput(counts.shape[0], time.time() - start)
    if "test" in job.channels:
        _test(job, model, values)


def load(model_dir: Path, environment: dict[str, str]) -> RecordModel:
    """The model that `train`, the hosted algorithm or a user's notebook left. Raises `ValueError` when there is none."""
    topics = read_topics(model_dir)

    def answer(features: Any) -> dict[str, np.ndarray]:
        weights = topics.weights(_checked(csr_matrix(features)))
        return {"topic_mixture": weights / weights.sum(axis=1, keepdims=True)}

    return RecordModel(answer, columns=len(topics.words), sparse=True)


def read_topics(model_dir: Path) -> Topics:
    """The artifact: a list of alpha (topics,) and beta (topics, words), whose rows are made to sum to 1."""
    for path in sorted(model_dir.glob("model_*")):
        arrays = ndarray_list.read(path.read_bytes(), path.name)
        parts = list(arrays.values()) if isinstance(arrays, dict) else arrays
        shapes = [part.shape for part in parts]
        if len(parts) != 2 or parts[0].ndim != 1 or parts[1].ndim != 2 or len(parts[0]) != len(parts[1]):
            raise ValueError(
                f"{path.name} holds arrays of shapes {shapes} where an LDA model is alpha (k,) and beta (k, words)"
            )
        alpha, beta = (np.asarray(part, np.float32) for part in parts)
        if not (alpha > 0).all() or not (beta >= 0).all() or not beta.sum(axis=1).all():
            raise ValueError(f"{path.name}: alpha must be above 0, and beta not negative with a word in every topic")
        return Topics(np.ascontiguousarray(beta.T / beta.sum(axis=1)), np.ascontiguousarray(alpha))
    raise ValueError("the model archive holds no model file; an LDA model is model_algo-1 at its root")


def _documents(job: TrainingJob, channel: str, values: dict[str, Any]) -> csr_matrix:
    """All documents of a channel; dense ones become sparse as they are read."""
    if job.content_type(channel)[0] in CSV and job.input_mode(channel) == "Pipe":
        raise CustomerError(f"Channel {channel}: Pipe mode needs application/x-recordio-protobuf; use File mode for CSV")
    batches = rows.read(job, channel, ALGORITHM, columns=values["feature_dim"], sparse=True).batches()
    counts = vstack([csr_matrix(batch.features) for batch in batches], format="csr")
    negative = np.flatnonzero(counts.data < 0)
    if len(negative):
        row = int(np.searchsorted(counts.indptr, negative[0], side="right"))
        raise CustomerError(
            f"Channel {channel}, document {row}: word {counts.indices[negative[0]]} has a count of "
            f"{counts.data[negative[0]]:g}; counts of words are not negative"
        )
    if not counts.sum():
        raise CustomerError(f"Channel {channel}: every count is zero; its rows hold how often each word occurs in a document")
    return counts


def _fitted(counts: csr_matrix, values: dict[str, Any]) -> LDA:
    topics = values["num_topics"]
    log.first_party(f"Running LDA for {math.ceil(topics * MORE_TOPICS)} topics ({topics} requested)")
    if values["alpha0"] >= 1:
        log.first_party(f"alpha0 is {values['alpha0']:g}: documents are taken to mix several topics", "WARNING")
    model = LDA(
        topics,
        alpha0=values["alpha0"],
        max_restarts=values["max_restarts"],
        max_iterations=values["max_iterations"],
        tol=values["tol"],
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit(counts)
    for warning in told:
        log.first_party(str(warning.message), "WARNING")
    log.first_party(f"alpha: {model.alpha_.tolist()}")
    return model


def _test(job: TrainingJob, model: LDA, values: dict[str, Any]) -> None:
    try:
        likelihood = model.score(_documents(job, "test", values))
    except ValueError as error:
        raise CustomerError(f"Channel test: {error}") from error
    job.lines.quality("test", "pwll", likelihood, "score")
    job.lines.score("test", "pwll", likelihood)


def _checked(counts: csr_matrix) -> csr_matrix:
    """Counts that a request sends: what is below zero counts as nothing."""
    counts.data = np.maximum(counts.data, 0)
    return counts
