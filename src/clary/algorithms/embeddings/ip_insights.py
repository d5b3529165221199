"""IP Insights: which entity uses which IPv4 addresses, and how unusual an event is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from clary.algorithms.embeddings import events as events_of
from clary.algorithms.embeddings.events import Events, buckets
from clary.algorithms.embeddings.network import Network, Progress, Weights
from clary.algorithms.embeddings.training import Settings, Training, discriminator_auc
from clary.algorithms.estimator import Estimator
from clary.algorithms.parameters import require_number, require_whole

Report = Callable[[int, Progress], None]
"""Called after each epoch with its number, from 1, and what it has seen."""


class IPInsights(OutlierMixin, Estimator):
    """Vectors for entities (users, accounts, hosts) and IPv4 addresses whose dot product is high for usual pairs.

    Learned from events alone: a real pair is told from made-up ones, in which the address is random or another event's. The
    score of a pair is its log-odds of being real against made up; negative scores are unusual.

    Parameters
    ----------
    num_entity_vectors : int >= 1, default 100000
        Buckets of the hash of entities; twice the number of entities keeps collisions rare.
    vector_dim : int >= 1, default 128
        Length of the vectors.
    epochs : int >= 1, default 10
        Passes over the events of `fit`.
    learning_rate : float > 0, default 0.001
        Of Adam; falls linearly to zero in `fit`, stays in `partial_fit`.
    batch_size : int >= 1, default 10000
        Events of a step.
    num_ip_encoder_layers : int >= 0, default 1
        Fully connected layers between the prefixes of an address and its vector.
    random_negative_sampling_rate, shuffled_negative_sampling_rate : int >= 0, default 1
        Negatives per event with an address drawn from all of IPv4, and with that of another event of the batch. At least one
        of the two is above 0.
    weight_decay : float >= 0, default 1e-5
        L2 penalty on weights that a step touches, per step and not per event.
    seed : int, default 0
        Drives initial weights, order of events and negatives.

    Attributes
    ----------
    network_ : Network
        Both encoders.
    n_features_in_ : int
        2: entity and address.

    Examples
    --------
    >>> from clary.algorithms import IPInsights
    >>> events = [("ann", "10.0.0.7"), ("bob", "192.0.2.9")] * 200
    >>> model = IPInsights(100, 8, learning_rate=0.05, batch_size=100).fit(events)
    >>> model.predict([("ann", "10.0.0.8"), ("ann", "203.0.113.5")]).tolist()
    [1, -1]
    """

    def __init__(
        self,
        num_entity_vectors: int = 100_000,
        vector_dim: int = 128,
        *,
        epochs: int = 10,
        learning_rate: float = 0.001,
        batch_size: int = 10_000,
        num_ip_encoder_layers: int = 1,
        random_negative_sampling_rate: int = 1,
        shuffled_negative_sampling_rate: int = 1,
        weight_decay: float = 1e-5,
        seed: int = 0,
    ):
        self.num_entity_vectors = num_entity_vectors
        self.vector_dim = vector_dim
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.num_ip_encoder_layers = num_ip_encoder_layers
        self.random_negative_sampling_rate = random_negative_sampling_rate
        self.shuffled_negative_sampling_rate = shuffled_negative_sampling_rate
        self.weight_decay = weight_decay
        self.seed = seed

    def fit(self, X: Any, y: Any = None, *, report: Report | None = None) -> Self:
        """Learn from events `X` (rows, 2): entity and dotted IPv4 address, as text. `y` is ignored.

        `report` is told of each epoch: its `cross_entropy` and `accuracy` over all pairs.
        """
        self._check_parameters()
        given = self._events(X, reset=True)
        rng = np.random.default_rng(self.seed)
        self.network_ = Network(self.num_entity_vectors, self.vector_dim, self.num_ip_encoder_layers, rng)
        training = self._training(self.epochs, rng)
        training.events_per_epoch = len(given)
        for epoch in range(self.epochs):
            total = Progress()
            for progress in training.epoch(epoch, [given]):
                total.add(progress)
            if report is not None:
                report(epoch + 1, total)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from more events, passed over once in random order at the full learning rate."""
        self._check_parameters()
        fresh = not hasattr(self, "network_")
        given = self._events(X, reset=fresh)
        if fresh:
            rng = np.random.default_rng(self.seed)
            self.network_ = Network(self.num_entity_vectors, self.vector_dim, self.num_ip_encoder_layers, rng)
        # a training of one epoch, whose length it does not know, keeps the rate
        rng = np.random.default_rng((self.seed, self.network_.steps))
        for _ in self._training(1, rng).epoch(0, [given]):
            pass
        return self

    @classmethod
    def of_network(cls, network: Network, **parameters: Any) -> Self:
        """A fitted estimator around a network that was trained with these parameters."""
        model = cls(**parameters)
        model._check_parameters()
        model.n_features_in_, model.network_ = 2, network
        return model

    def score_samples(self, X: Any) -> np.ndarray:
        """(rows,) float32 the dot products of events `X` (rows, 2): the lower, the more unusual."""
        check_is_fitted(self, "network_")
        return self.score_events(self._events(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """`score_samples`: real and made-up pairs are equally likely at 0."""
        return self.score_samples(X)

    def predict(self, X: Any) -> np.ndarray:
        """(rows,) int64: 1 for usual events, -1 for those whose score is negative."""
        return np.where(self.score_samples(X) < 0, -1, 1)

    def entity_vectors(self, entities: Sequence[Any]) -> np.ndarray:
        """(n, vector_dim) float32."""
        check_is_fitted(self, "network_")
        return self.network_.entity_vectors(buckets(events_of.hashes_of(entities), self.num_entity_vectors))

    def ip_vectors(self, addresses: Sequence[str]) -> np.ndarray:
        """(n, vector_dim) float32 of dotted IPv4 addresses."""
        check_is_fitted(self, "network_")
        return self.network_.address_vectors(events_of.addresses_of(addresses))

    def discriminator_auc(self, X: Any, seed: int = 0) -> float:
        """How well events `X` are told from the same entities with random addresses: area under the ROC curve."""
        check_is_fitted(self, "network_")
        given = self._events(X)
        drawn = np.random.default_rng(seed).integers(0, 1 << 32, len(given), dtype=np.uint32)
        return discriminator_auc(self.score_events(given), self.score_events(Events(given.hashes, drawn)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # not of numbers
        tags.input_tags.string = True
        return tags

    def vectors(self, given: Events) -> tuple[np.ndarray, np.ndarray]:
        """(n, vector_dim) float32 of the entities of events, and of their addresses."""
        check_is_fitted(self, "network_")
        entities = self.network_.entity_vectors(buckets(given.hashes, self.num_entity_vectors))
        return entities, self.network_.address_vectors(given.addresses)

    def _events(self, X: Any, reset: bool = False) -> Events:
        table = validate_data(self, X, dtype=object, reset=reset)
        if table.shape[1] != 2:
            raise ValueError(f"X must have 2 columns, entity and IPv4 address; got shape {table.shape}")
        return Events(events_of.hashes_of(table[:, 0]), events_of.addresses_of(table[:, 1]))

    def score_events(self, given: Events) -> np.ndarray:
        """(n,) float32: as `score_samples`, of events that are numbers already."""
        return np.einsum("nd,nd->n", *self.vectors(given))

    def _training(self, epochs: int, rng: np.random.Generator) -> Training:
        settings = Settings(
            epochs,
            self.batch_size,
            self.learning_rate,
            self.weight_decay,
            self.random_negative_sampling_rate,
            self.shuffled_negative_sampling_rate,
        )
        return Training(self.network_, self.num_entity_vectors, settings, rng)

    def _check_parameters(self) -> None:
        for name in ("num_entity_vectors", "vector_dim", "epochs", "batch_size"):
            require_whole(name, getattr(self, name), 1)
        for name in ("num_ip_encoder_layers", "random_negative_sampling_rate", "shuffled_negative_sampling_rate"):
            require_whole(name, getattr(self, name), 0)
        for name in ("learning_rate", "weight_decay"):
            require_number(name, getattr(self, name), 0)
        if self.random_negative_sampling_rate + self.shuffled_negative_sampling_rate == 0:
            raise ValueError("random_negative_sampling_rate and shuffled_negative_sampling_rate are both 0: set one above 0")

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        document, arrays = super()._state()
        if "network_" in document:
            weights = document.pop("network_").weights()
            arrays |= {name: getattr(weights, name) for name in Weights.__slots__}
        return document, arrays

    def _restore(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        weights = Weights(**{name: arrays.pop(name) for name in Weights.__slots__})
        super()._restore(document, arrays)
        self.network_ = Network.of(weights, np.random.default_rng(self.seed))
