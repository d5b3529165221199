"""The network of IP Insights: two encoders whose vectors are multiplied, and its training step.

An entity is a row of a table. An IPv4 address is the sum of the vectors of its /8, /16 and /24 prefixes, which passes `layers`
fully connected layers with a skip, h + max(0, h W + b). The score of a pair is the dot product of its two vectors: the log-odds
of a real event against a made-up one. Losses are logistic; an event's own pair and its negatives weigh the same, together 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
class Gradients:
    """What a batch says of the weights that it touches, float32; sums over events.

    entity_rows : (n,) int32; entities : (n, width)
    prefix_rows : (m,) int32; prefixes : (m, width)
    layers : (layers, width + 1, width)
    """

    entity_rows: np.ndarray
    entities: np.ndarray
    prefix_rows: np.ndarray
    prefixes: np.ndarray
    layers: np.ndarray


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
        self._layers = np.zeros((layers, width + 1, 3, width), dtype=np.float32)
        """W above b."""
        gain = np.float32(_LAYER_GAIN / np.sqrt(width))
        self._layers[:, :-1, _PARAMETER] = gain * rng.standard_normal((layers, width, width), dtype=np.float32)
        self.steps = 0
        self._entity_numbers = np.full(buckets, -1, dtype=np.int32)
        self._prefix_numbers = np.full(START_24, -1, dtype=np.int32)

    @classmethod
    def of(cls, weights: Weights, rng: np.random.Generator) -> Network:
        """A network with these weights; Adam begins anew."""
        network = cls(len(weights.entities), weights.entities.shape[1], len(weights.layers), rng)
        network._know(weights.networks)
        network._entities[:, _PARAMETER] = weights.entities
        network._prefixes[: len(weights.prefixes), _PARAMETER] = weights.prefixes
        network._layers[:, :, _PARAMETER] = weights.layers
        return network

    def draw_from(self, rng: np.random.Generator) -> None:
        """Draw negatives from `rng`."""
        self._rng = rng

    def weights(self) -> Weights:
        """A copy of what was learned."""
        rows = START_24 + len(self._known)
        return Weights(
            self._entities[:, _PARAMETER].copy(),
            self._prefixes[:rows, _PARAMETER].copy(),
            self._known.networks(),
            self._layers[:, :, _PARAMETER].copy(),
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
        gradients, progress = self.gradients(ids, addresses, random=random, shuffled=shuffled)
        self.apply(gradients, rate, decay)
        return progress

    def gradients(self, ids: np.ndarray, addresses: np.ndarray, *, random: int, shuffled: int) -> tuple[Gradients, Progress]:
        """The gradients of a batch of events, as in `step`, without a step."""
        events = len(ids)
        self._know(addresses >> 8)
        drawn = self._rng.integers(0, 1 << 32, events * random, dtype=np.uint32)
        shifts = self._rng.integers(1, events, shuffled) if events > 1 else np.empty(0, dtype=np.int64)
        rows = self._known.rows(np.concatenate([addresses, drawn]))
        hidden = self._encode(rows)
        entity_rows, numbers = _numbered(ids, self._entity_numbers)
        entities = np.zeros((len(entity_rows), self.width), dtype=np.float32)
        vectors = np.zeros_like(hidden[-1])
        loss, right = kernels.pair_gradients(self._entities, ids, numbers, hidden[-1], random, shifts, entities, vectors)
        layers = self._back(hidden, vectors)
        prefix_rows, numbers = _numbered(rows.ravel(), self._prefix_numbers)
        prefixes = np.zeros((len(prefix_rows), self.width), dtype=np.float32)
        kernels.scatter_add(numbers.reshape(rows.shape), vectors, prefixes)
        progress = Progress(events, events * (1 + random + len(shifts)), loss, right)
        return Gradients(entity_rows, entities, prefix_rows, prefixes, layers), progress

    def apply(self, gradients: Gradients, rate: float, decay: float) -> None:
        """A step of Adam."""
        self.steps += 1
        first, second = (1 / (1 - float(beta) ** self.steps) for beta in (kernels.BETA1, kernels.BETA2))
        every = np.arange(self.width + 1, dtype=np.int32)
        tables = [
            (self._entities, gradients.entity_rows, gradients.entities),
            (self._prefixes, gradients.prefix_rows, gradients.prefixes),
            *((layer, every, gradient) for layer, gradient in zip(self._layers, gradients.layers, strict=True)),
        ]
        for table, rows, values in tables:
            kernels.adam(table, rows, len(rows), values, rate, first, second, decay)

    def portable(self, gradients: Gradients) -> dict[str, np.ndarray]:
        """`gradients` as arrays that another `Network` understands: a /24's row, which is numbered here, by its address."""
        keys = gradients.prefix_rows.astype(np.int64)
        networks = keys >= START_24
        keys[networks] = START_24 + self._known.networks()[keys[networks] - START_24]
        return {
            "entity_rows": gradients.entity_rows,
            "entities": gradients.entities,
            "prefix_rows": keys,
            "prefixes": gradients.prefixes,
            "layers": gradients.layers,
        }

    def adopted(self, arrays: Mapping[str, np.ndarray]) -> Gradients:
        """The gradients that `portable` arrays stand for; their networks become known."""
        keys = arrays["prefix_rows"].copy()
        networks = (keys[keys >= START_24] - START_24).astype(np.uint32)
        self._know(networks)
        keys[keys >= START_24] = self._known.rows(networks << np.uint32(8))[:, 2]
        rows = keys.astype(np.int32)
        return Gradients(arrays["entity_rows"], arrays["entities"], rows, arrays["prefixes"], arrays["layers"])

    def _encode(self, rows: np.ndarray) -> list[np.ndarray]:
        """The sum of the prefixes' vectors and what each layer makes of it, (n, width) each."""
        hidden = [np.empty((len(rows), self.width), dtype=np.float32)]
        kernels.gather_sum(self._prefixes, rows, hidden[0])
        for layer in self._layers:
            inner = hidden[-1] @ layer[:-1, _PARAMETER]
            kernels.skip_forward(inner, hidden[-1], layer)
            hidden.append(inner)
        return hidden

    def _back(self, hidden: list[np.ndarray], gradients: np.ndarray) -> np.ndarray:
        """(layers, width + 1, width) from the gradients of the last layer's output, which become those of the sums."""
        layers = np.zeros((len(self._layers), self.width + 1, self.width), dtype=np.float32)
        inner = np.empty_like(gradients)
        for depth in range(len(self._layers) - 1, -1, -1):
            kernels.skip_backward(gradients, hidden[depth], hidden[depth + 1], inner, layers[depth, -1])
            np.matmul(hidden[depth].T, inner, out=layers[depth, :-1])
            gradients += inner @ self._layers[depth, :-1, _PARAMETER].T
        return layers

    def _know(self, networks: np.ndarray) -> None:
        """Number new networks and make room for their vectors, which begin at zero: a new network adds nothing yet."""
        self._known.add(networks)
        rows = START_24 + len(self._known)
        if rows > len(self._prefixes):
            more = max(rows, 2 * len(self._prefixes)) - len(self._prefixes)
            self._prefixes = np.concatenate([self._prefixes, np.zeros((more, 3, self.width), dtype=np.float32)])
            self._prefix_numbers = np.full(len(self._prefixes), -1, dtype=np.int32)

    def _table(self, rows: int, center: float) -> np.ndarray:
        table = np.zeros((rows, 3, self.width), dtype=np.float32)
        table[:, _PARAMETER] = center + _NOISE * self._rng.standard_normal((rows, self.width), dtype=np.float32)
        return table


def _numbered(rows: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ones of `rows` (n,), without -1, and the number of each row among them."""
    touched, out = np.empty(len(rows), dtype=np.int32), np.empty(len(rows), dtype=np.int32)
    count = kernels.number_rows(rows, numbers, touched, out)
    return touched[:count], out


def sum_portable(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The gradients of a batch of which several networks have a part each."""
    total = {"layers": np.asarray(np.sum([part["layers"] for part in parts], axis=0, dtype=np.float32))}
    for rows, values in (("entity_rows", "entities"), ("prefix_rows", "prefixes")):
        given = np.concatenate([part[values] for part in parts])
        keys, numbers = np.unique(np.concatenate([part[rows] for part in parts]), return_inverse=True)
        total[rows], total[values] = keys, np.zeros((len(keys), given.shape[1]), dtype=np.float32)
        kernels.scatter_add(numbers.astype(np.int32)[:, None], given, total[values])
    return total
