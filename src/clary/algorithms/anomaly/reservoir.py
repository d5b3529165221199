"""A uniform sample without replacement of rows that come in batches, in memory that does not grow with them.

Every row draws a key, and the rows with the smallest keys are the sample (Park, Ostrouchov and Samatova, Reservoir-based
random sampling with replacement from data stream, 2004, in its form without replacement). So samples of parts of the data,
taken on several hosts, merge into a sample of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np


class Reservoir:
    """At most `capacity` rows; `seen` is how many there were. Every host uses the same seed and its own rank."""

    def __init__(self, capacity: int, seed: int, rank: int = 0):
        self.capacity = capacity
        self.seen = 0
        self._random = np.random.default_rng((seed, rank))
        self._keys: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []
        self._bound = 1.0
        """Rows with larger keys are not among the smallest so far."""

    def add(self, rows: Any) -> Self:
        """Offer a batch of rows, (n, columns) float32."""
        keys = self._random.random(len(rows))
        self.seen += len(rows)
        kept = np.flatnonzero(keys < self._bound)
        if len(kept):
            self._keys.append(keys[kept])
            self._rows.append(rows[kept])
        if sum(map(len, self._keys)) > 2 * self.capacity:
            self._shrink()
        return self

    def sample(self) -> np.ndarray:
        """The sampled rows in random order, (at most capacity, columns)."""
        self._shrink()
        return self._rows[0]

    def state(self) -> dict[str, np.ndarray]:
        """What `merge` needs of this host."""
        self._shrink()
        return {"keys": self._keys[0], "rows": self._rows[0], "seen": np.array(self.seen)}

    def merge(self, states: Iterable[dict[str, np.ndarray]]) -> Self:
        """Make this the sample of the rows that all of `states` have seen."""
        states = list(states)
        self.seen = sum(int(state["seen"]) for state in states)
        self._keys, self._rows = [state["keys"] for state in states], [state["rows"] for state in states]
        self._shrink()
        return self

    def _shrink(self) -> None:
        """Keep the rows with the smallest keys, ordered by them, as one part."""
        keys = np.concatenate(self._keys)
        order = np.argsort(keys)[: self.capacity]
        self._rows = [np.concatenate(self._rows)[order]]
        self._keys = [keys[order]]
        if len(order) == self.capacity:
            self._bound = float(self._keys[0][-1])
