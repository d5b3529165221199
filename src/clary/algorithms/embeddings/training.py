"""Epochs of the IP Insights network over events that come in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from clary.algorithms.embeddings.events import Events, buckets
from clary.algorithms.embeddings.network import Network, Progress

Exchange = Callable[[Mapping[str, np.ndarray] | None, float], tuple[Mapping[str, np.ndarray], float] | None]
"""From portable gradients (None: no events left) and the learning rate of one training to those of all together; None when
nobody has events left."""


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

    def __init__(
        self,
        network: Network,
        number_of_buckets: int,
        settings: Settings,
        rng: np.random.Generator,
        exchange: Exchange | None = None,
    ):
        """`exchange` makes this one of several trainings that take each step together, with equal networks."""
        self.network = network
        self._exchange = exchange
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
        while self._exchange is not None and (shared := self._exchange(None, 0.0)) is not None:
            self._apply(*shared)

    def _step(self, batch: Events, rate: float) -> Progress:
        ids = buckets(batch.hashes, self._buckets)
        gradients, progress = self.network.gradients(
            ids, batch.addresses, random=self._settings.random, shuffled=self._settings.shuffled
        )
        if self._exchange is None:
            self.network.apply(gradients, rate, self._settings.decay)
        else:
            shared = self._exchange(self.network.portable(gradients), rate)
            assert shared is not None  # it holds our own at least
            self._apply(*shared)
        return progress

    def _apply(self, arrays: Mapping[str, np.ndarray], rate: float) -> None:
        self.network.apply(self.network.adopted(arrays), rate, self._settings.decay)

    def _rate(self, epoch: int, seen: int) -> float:
        within = min(seen / self.events_per_epoch, 1.0) if self.events_per_epoch else 0.0
        return self._settings.rate * max(1 - (epoch + within) / self._settings.epochs, 0.0)


def discriminator_auc(real: np.ndarray, made_up: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a score of `real` (n,) is above one of `made_up` (m,), ties half."""
    ordered = np.sort(made_up)
    below = np.searchsorted(ordered, real, side="left") + np.searchsorted(ordered, real, side="right")
    return float(below.mean() / (2 * len(made_up)))
