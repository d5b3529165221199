"""Epochs of the IP Insights network over events that come in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from clary.algorithms.embeddings.events import Events, buckets
from clary.algorithms.embeddings.network import Network, Progress


@dataclass(frozen=True, slots=True)
class Settings:
    """How a network is trained. `random` and `shuffled` are negatives per event, `decay` the L2 penalty of weights."""

    epochs: int
    batch_size: int
    rate: float
    decay: float
    random: int
    shuffled: int


class Training:
    """Trains `network`. The learning rate falls linearly to zero over the epochs, whose length is known after the first one."""

    def __init__(self, network: Network, number_of_buckets: int, settings: Settings, rng: np.random.Generator):
        self.network = network
        self.events_per_epoch = 0
        """0 as long as it is not known: the rate then stays until the epoch ends."""
        self._buckets = number_of_buckets
        self._settings = settings
        self._rng = rng

    def epoch(self, number: int, blocks: Iterable[Events]) -> Iterator[Progress]:
        """Train on all `blocks` once, each in random order; what each batch has seen. `number` counts from 0."""
        seen = 0
        for block in blocks:
            order = self._rng.permutation(len(block))
            for start in range(0, len(block), self._settings.batch_size):
                batch = block.take(order[start : start + self._settings.batch_size])
                yield self._step(batch, self._rate(number, seen))
                seen += len(batch)
        self.events_per_epoch = seen

    def _step(self, batch: Events, rate: float) -> Progress:
        settings = self._settings
        return self.network.step(
            buckets(batch.hashes, self._buckets),
            batch.addresses,
            random=settings.random,
            shuffled=settings.shuffled,
            rate=rate,
            decay=settings.decay,
        )

    def _rate(self, epoch: int, seen: int) -> float:
        within = min(seen / self.events_per_epoch, 1.0) if self.events_per_epoch else 0.0
        return self._settings.rate * max(1 - (epoch + within) / self._settings.epochs, 0.0)


def discriminator_auc(real: np.ndarray, made_up: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a score of `real` (n,) is above one of `made_up` (m,), ties half."""
    ordered = np.sort(made_up)
    below = np.searchsorted(ordered, real, side="left") + np.searchsorted(ordered, real, side="right")
    return float(below.mean() / (2 * len(made_up)))
