"""The network of IP Insights: two encoders whose vectors are multiplied, and its training step.

An entity is a row of a table. An IPv4 address is the sum of the vectors of its /8, /16 and /24 prefixes, which passes `layers`
fully connected layers with a skip, h + max(0, h W + b). The score of a pair is the dot product of its two vectors: the log-odds
of a real event against a made-up one. Losses are logistic; an event's own pair and its negatives weigh the same, together 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clary.algorithms.embeddings import kernels
from clary.algorithms.embeddings.known_networks import START_24, KnownNetworks

_COMMON = 0.3
_NOISE = 0.1
_LAYER_GAIN = 0.3
_PARAMETER = 0


@dataclass(slots=True)
class Progress:
    """What a stretch of training has seen. Losses and hits are sums over pairs."""

    events: int = 0
    pairs: int = 0
    loss: float = 0.0
    right: float = 0.0

    def add(self, other: Progress) -> None:
        self.events += other.events
        self.pairs += other.pairs
        self.loss += other.loss
        self.right += other.right

    @property
    def cross_entropy(self) -> float:
        return self.loss / max(self.pairs, 1)

    @property
    def accuracy(self) -> float:
        return self.right / max(self.pairs, 1)


@dataclass(frozen=True, slots=True)
class Weights:
    """Everything that is learned, float32.

    entities : (entity buckets, width)
    prefixes : (256 + 65536 + known networks, width): of /8, /16 and /24
    networks : (known networks,) uint32, address >> 8, in the order of their rows
    layers : (layers, width + 1, width): W, and b as the last row
    """

    entities: np.ndarray
    prefixes: np.ndarray
    networks: np.ndarray
    layers: np.ndarray


class Network:
    """The network with the state of its training: Adam's moments lie beside the parameters."""

    def __init__(self, buckets: int, width: int, layers: int, rng: np.random.Generator):
        """Entity vectors begin around a common one: what an address is to anybody is then learned at once, for all.

        `rng` draws the first weights and then the negatives.
        """
        self.width = width
        self._rng = rng
        self._known = KnownNetworks()
        self._entities = self._table(buckets, _COMMON)
        self._prefixes = self._table(START_24, 0)
        self._layers = [self._layer() for _ in range(layers)]
        self.steps = 0
        self._entity_numbers = np.full(buckets, -1, dtype=np.int32)
        self._prefix_numbers = np.full(START_24, -1, dtype=np.int32)

    @classmethod
    def of(cls, weights: Weights, rng: np.random.Generator) -> Network:
        """A network with these weights; Adam begins anew."""
        network = cls(len(weights.entities), weights.entities.shape[1], len(weights.layers), rng)
        network.replace(weights)
        return network

    def draw_from(self, rng: np.random.Generator) -> None:
        """Draw negatives, and first vectors of networks that are new, from `rng`."""
        self._rng = rng

    def replace(self, weights: Weights) -> None:
        """Take over `weights`, of the same shape but for the networks; moments stay where rows do."""
        before = self._known.networks()
        if not np.array_equal(weights.networks[: len(before)], before):
            self._prefixes[START_24:, 1:] = 0  # moments of rows that now are another network's
            self._known = KnownNetworks()
        self._know(weights.networks)
        self._entities[:, _PARAMETER] = weights.entities
        self._prefixes[: len(weights.prefixes), _PARAMETER] = weights.prefixes
        for layer, values in zip(self._layers, weights.layers, strict=True):
            layer[:, _PARAMETER] = values

    def weights(self) -> Weights:
        """A copy of what was learned."""
        rows = START_24 + len(self._known)
        layers = [layer[:, _PARAMETER] for layer in self._layers]
        return Weights(
            self._entities[:, _PARAMETER].copy(),
            self._prefixes[:rows, _PARAMETER].copy(),
            self._known.networks(),
            np.stack(layers) if layers else np.empty((0, self.width + 1, self.width), dtype=np.float32),
        )

    def entity_vectors(self, ids: np.ndarray) -> np.ndarray:
        """(n, width) of entity buckets `ids` (n,)."""
        return self._entities[ids, _PARAMETER]

    def address_vectors(self, addresses: np.ndarray) -> np.ndarray:
        """(n, width) of `addresses` (n,) uint32."""
        return self._encode(self._known.rows(addresses))[-1]

    def step(
        self, ids: np.ndarray, addresses: np.ndarray, *, random: int, shuffled: int, rate: float, decay: float
    ) -> Progress:
        """Learn from a batch of events: `ids` (n,) int32 buckets, `addresses` (n,) uint32.

        Each event gets `random` negatives with an address drawn from all of IPv4 and `shuffled` ones with that of another event
        of the batch, at random distances; a batch of one event has no other.
        """
        events = len(ids)
        self._know(addresses >> 8)
        drawn = self._rng.integers(0, 1 << 32, events * random, dtype=np.uint32)
        shifts = self._rng.integers(1, events, shuffled) if events > 1 else np.empty(0, dtype=np.int64)
        rows = self._known.rows(np.concatenate([addresses, drawn]))
        hidden = self._encode(rows)
        touched, numbers = _numbered(ids, self._entity_numbers)
        entity_gradients = np.zeros((len(touched), self.width), dtype=np.float32)
        gradients = np.zeros_like(hidden[-1])
        loss, right = kernels.pair_gradients(
            self._entities, ids, numbers, hidden[-1], random, shifts, entity_gradients, gradients
        )
        self.steps += 1
        gradients, layer_gradients = self._back(hidden, gradients)
        self._update(self._entities, touched, entity_gradients, rate, decay)
        self._update_prefixes(rows, gradients, rate, decay)
        every = np.arange(self.width + 1, dtype=np.int32)
        for layer, gradient in zip(self._layers, layer_gradients, strict=True):
            self._update(layer, every, gradient, rate, decay)
        return Progress(events, events * (1 + random + len(shifts)), loss, right)

    def _encode(self, rows: np.ndarray) -> list[np.ndarray]:
        """The sum of the prefixes' vectors and what each layer makes of it, (n, width) each."""
        hidden = [np.empty((len(rows), self.width), dtype=np.float32)]
        kernels.gather_sum(self._prefixes, rows, hidden[0])
        for layer in self._layers:
            inner = hidden[-1] @ layer[:-1, _PARAMETER]
            kernels.skip_forward(inner, hidden[-1], layer)
            hidden.append(inner)
        return hidden

    def _back(self, hidden: list[np.ndarray], gradients: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Gradients of the sums, and (width + 1, width) of each layer, from those of the last layer's output."""
        layers: list[np.ndarray] = []
        for depth in range(len(self._layers) - 1, -1, -1):
            inner, layer = np.empty_like(gradients), np.zeros((self.width + 1, self.width), dtype=np.float32)
            kernels.skip_backward(gradients, hidden[depth], hidden[depth + 1], inner, layer[-1])
            np.matmul(hidden[depth].T, inner, out=layer[:-1])
            gradients += inner @ self._layers[depth][:-1, _PARAMETER].T
            layers.append(layer)
        return gradients, layers[::-1]

    def _update_prefixes(self, rows: np.ndarray, gradients: np.ndarray, rate: float, decay: float) -> None:
        touched, numbers = _numbered(rows.ravel(), self._prefix_numbers)
        sums = np.zeros((len(touched), self.width), dtype=np.float32)
        kernels.scatter_add(numbers.reshape(rows.shape), gradients, sums)
        self._update(self._prefixes, touched, sums, rate, decay)

    def _update(self, table: np.ndarray, touched: np.ndarray, gradients: np.ndarray, rate: float, decay: float) -> None:
        first, second = (1 / (1 - float(beta) ** self.steps) for beta in (kernels.BETA1, kernels.BETA2))
        kernels.adam(table, touched, len(touched), gradients, rate, first, second, decay)

    def _know(self, networks: np.ndarray) -> None:
        """Number new networks and make room for them."""
        self._known.add(networks)
        rows = START_24 + len(self._known)
        if rows > len(self._prefixes):
            more = max(rows, 2 * len(self._prefixes)) - len(self._prefixes)
            self._prefixes = np.concatenate([self._prefixes, self._table(more, 0)])
            self._prefix_numbers = np.full(len(self._prefixes), -1, dtype=np.int32)

    def _table(self, rows: int, center: float) -> np.ndarray:
        table = np.zeros((rows, 3, self.width), dtype=np.float32)
        table[:, _PARAMETER] = center + _NOISE * self._rng.standard_normal((rows, self.width), dtype=np.float32)
        return table

    def _layer(self) -> np.ndarray:
        """W above b: (width + 1, 3, width)."""
        layer = np.zeros((self.width + 1, 3, self.width), dtype=np.float32)
        scale = np.float32(_LAYER_GAIN / np.sqrt(self.width))
        layer[:-1, _PARAMETER] = scale * self._rng.standard_normal((self.width, self.width), dtype=np.float32)
        return layer


def _numbered(rows: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ones of `rows` (n,), without -1, and the number of each row among them."""
    touched, out = np.empty(len(rows), dtype=np.int32), np.empty(len(rows), dtype=np.int32)
    count = kernels.number_rows(rows, numbers, touched, out)
    return touched[:count], out


def merge(base: Weights, parts: Sequence[Weights]) -> Weights:
    """One model of several that went on from `base`, each over its own events.

    A row moves by the mean of the moves of those parts that moved it: what only one part has seen is kept whole. Layers take
    the mean. The networks of all parts are known.
    """
    networks = np.concatenate([base.networks, *(part.networks for part in parts)])
    networks = networks[np.sort(np.unique(networks, return_index=True)[1])]
    aligned = [_aligned(part, networks) for part in [base, *parts]]
    return Weights(
        _merged(base.entities, [part.entities for part in parts]),
        _merged(aligned[0], aligned[1:]),
        networks,
        np.asarray(np.mean([part.layers for part in parts], axis=0, dtype=np.float32)),
    )


def _aligned(weights: Weights, networks: np.ndarray) -> np.ndarray:
    """Prefix vectors with the rows of `networks`, zeros for those that `weights` does not know."""
    rows = np.zeros((START_24 + len(networks), weights.prefixes.shape[1]), dtype=np.float32)
    rows[:START_24] = weights.prefixes[:START_24]
    order = np.argsort(networks)
    rows[START_24 + order[np.searchsorted(networks, weights.networks, sorter=order)]] = weights.prefixes[START_24:]
    return rows


def _merged(base: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    moves = np.zeros_like(base)
    movers = np.zeros((len(base), 1), dtype=np.float32)
    for part in parts:
        move = part - base
        moves += move
        movers += move.any(axis=1, keepdims=True)
    return base + moves / np.maximum(movers, 1)
