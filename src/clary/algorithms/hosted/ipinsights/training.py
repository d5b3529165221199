"""The train program of IP Insights: epochs over the events, steps that hosts take together, validation by made-up events."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from clary.algorithms.embeddings import network as networks
from clary.algorithms.embeddings.events import Events
from clary.algorithms.embeddings.ip_insights import IPInsights
from clary.algorithms.embeddings.network import Network, Progress
from clary.algorithms.embeddings.training import Exchange, Settings, Training, discriminator_auc
from clary.algorithms.hosted.cluster import Arrays, Cluster
from clary.algorithms.hosted.ipinsights.channel import EventChannel
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.stop_request import StopRequest
from clary.catalog.builtin.ipinsights import ALGORITHM

DIMENSION = "ipinsights"
_SEED = 0


def train(opt_ml: Path) -> None:
    """Train as the job under `opt_ml` says. Raises `CustomerError` for the user's mistakes."""
    job = TrainingJob.read(opt_ml, default_tag="1")
    values = job.share_of_batch(job.begin(ALGORITHM))
    channels = {name: EventChannel(job, name) for name in job.channels}
    rng = np.random.default_rng(_SEED)
    network = Network(values["num_entity_vectors"], values["vector_dim"], values["num_ip_encoder_layers"], rng)
    network.draw_from(np.random.default_rng((_SEED, job.rank)))
    model = IPInsights.of_network(
        network,
        num_entity_vectors=values["num_entity_vectors"],
        vector_dim=values["vector_dim"],
        num_ip_encoder_layers=values["num_ip_encoder_layers"],
    )
    stop_request = StopRequest()
    with Cluster.join(job) as cluster:
        training = _training(network, values, cluster)
        for epoch in range(values["epochs"]):
            _epoch(job, training, stop_request.until_told(channels["train"].blocks()), epoch, values)
            if "validation" in channels and job.is_leader:
                auc = _validate(model, channels["validation"])
                job.lines.quality("validation", "discriminator_auc", auc, "score", epoch=epoch)
            if stop_request.agreed(cluster):
                break
    if job.is_leader:
        model.save(job.model_file)


def _training(network: Network, values: dict[str, Any], cluster: Cluster) -> Training:
    """Hosts share each batch: all apply the sum of their gradients, so their networks stay equal."""
    settings = Settings(
        values["epochs"],
        values["mini_batch_size"],  # this host's share of it
        values["learning_rate"],
        values["weight_decay"],
        values["random_negative_sampling_rate"],
        values["shuffled_negative_sampling_rate"],
    )
    rng = np.random.default_rng((_SEED, cluster.rank, 1))
    exchange = _exchange(cluster) if cluster.size > 1 else None
    return Training(network, values["num_entity_vectors"], settings, rng, exchange)


def _exchange(cluster: Cluster) -> Exchange:
    def exchange(own: Arrays | None, rate: float) -> tuple[Arrays, float] | None:
        parts = cluster.gather({} if own is None else {**own, "rate": np.array(rate)})
        shared = cluster.broadcast(None if parts is None else _summed([part for part in parts if part]))
        return (shared, float(shared["rate"])) if shared else None

    return exchange


def _summed(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Empty when no host has events left. Hosts with fewer events are further in the epoch; the highest rate counts."""
    if not parts:
        return {}
    return {**networks.sum_portable(parts), "rate": np.array(max(float(part["rate"]) for part in parts))}


def _epoch(job: TrainingJob, training: Training, blocks: Iterable[Events], epoch: int, values: dict[str, Any]) -> None:
    start, total = time.time(), Progress()
    recent, interval = Progress(), values["batch_metrics_publish_interval"]
    for batch, progress in enumerate(training.epoch(epoch, blocks), 1):
        total.add(progress)
        recent.add(progress)
        if batch % interval == 0:
            _report(job, recent, epoch, batch)
            recent = Progress()
    _report(job, total, epoch)
    job.lines.progress(100 * (epoch + 1) / values["epochs"])
    job.lines.metrics(DIMENSION, "training", {"Total Records Seen": total.events * (epoch + 1)}, start=start, epoch=epoch)
    job.lines.throughput(total.events, time.time() - start)


def _report(job: TrainingJob, seen: Progress, epoch: int, batch: int | None = None) -> None:
    job.lines.quality("train", "binary_classification_accuracy", seen.accuracy, "score", epoch=epoch, batch=batch)
    job.lines.quality("train", "binary_classification_cross_entropy", seen.cross_entropy, "loss", epoch=epoch, batch=batch)


def _validate(model: IPInsights, channel: EventChannel) -> float:
    """Area under the ROC curve of the events against the same entities with random addresses, the same in each epoch."""
    rng = np.random.default_rng(_SEED)
    real: list[np.ndarray] = []
    made_up: list[np.ndarray] = []
    for block in channel.blocks():
        drawn = rng.integers(0, 1 << 32, len(block), dtype=np.uint32)
        for scores, addresses in ((real, block.addresses), (made_up, drawn)):
            scores.append(model.score_events(Events(block.hashes, addresses)))
    return discriminator_auc(np.concatenate(real), np.concatenate(made_up))
