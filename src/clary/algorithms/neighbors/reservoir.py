"""A uniform sample of a stream in bounded memory, and the merge of several.

J. S. Vitter (1985), "Random sampling with a reservoir", ACM TOMS 11(1): Algorithm R, a batch at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FIRST_CAPACITY = 1024


@dataclass(slots=True)
class Sample:
    """Rows drawn from a stream without replacement, each subset of their number equally likely.

    features : (n, columns) float32
    labels : (n,) float64
    positions : (n,) int64, which row of the stream each one was
    seen : rows of the stream
    """

    features: np.ndarray
    labels: np.ndarray
    positions: np.ndarray
    seen: int

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Sample:
        return Sample(self.features[rows], self.labels[rows], self.positions[rows], self.seen)


class Reservoir:
    """Keeps `size` rows of what it is given; all of them, in order, when there are not more."""

    def __init__(self, size: int, seed: int | np.random.SeedSequence = 0):
        self._size = size
        self._rng = np.random.default_rng(seed)
        self._seen = 0
        self._features = np.empty((0, 0), dtype=np.float32)
        self._labels = np.empty(0)
        self._positions = np.empty(0, dtype=np.int64)

    def add(self, features: np.ndarray, labels: np.ndarray) -> None:
        """More rows of the stream: `features` (rows, columns), `labels` (rows,)."""
        free = min(self._size - min(self._seen, self._size), len(labels))
        if free:
            self._append(features[:free], labels[:free])
        if free < len(labels):
            self._replace(features[free:], labels[free:])

    def sample(self) -> Sample:
        """What is kept. It shares memory with the reservoir."""
        kept = min(self._seen, self._size)
        return Sample(self._features[:kept], self._labels[:kept], self._positions[:kept], self._seen)

    def _append(self, features: np.ndarray, labels: np.ndarray) -> None:
        start, end = self._seen, self._seen + len(labels)
        if end > len(self._labels):
            self._grow(max(end, min(2 * len(self._labels), self._size)), features.shape[1])
        self._features[start:end], self._labels[start:end] = features, labels
        self._positions[start:end] = np.arange(start, end)
        self._seen = end

    def _grow(self, capacity: int, columns: int) -> None:
        """Room for `capacity` rows. `resize` moves pages instead of copying them where the system can."""
        capacity = max(capacity, min(_FIRST_CAPACITY, self._size))
        self._features.resize((capacity, columns), refcheck=False)
        self._labels.resize(capacity, refcheck=False)
        self._positions.resize(capacity, refcheck=False)

    def _replace(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Row number i of the stream (from 0) takes a random one of i + 1 places, and is lost when that is none of ours."""
        numbers = np.arange(self._seen, self._seen + len(labels))
        places = self._rng.integers(0, numbers + 1)
        taken = np.flatnonzero(places < self._size)
        # of several rows for one place the last stays: numpy assigns in order
        kept, places = features[taken], places[taken]
        self._features[places], self._labels[places], self._positions[places] = kept, labels[taken], numbers[taken]
        self._seen += len(labels)


def allotments(seen: Sequence[int], size: int, rng: np.random.Generator) -> list[int]:
    """How many of `size` rows come from each of several streams of `seen` rows, as if they were drawn from all at once."""
    drawn = min(size, sum(seen))
    return rng.multivariate_hypergeometric(np.asarray(seen, dtype=np.int64), drawn, method="marginals").tolist()


def thinned(sample: Sample, size: int, rng: np.random.Generator) -> Sample:
    """`size` random rows of `sample`, in its order."""
    if size >= len(sample):
        return sample
    return sample.take(np.sort(rng.choice(len(sample), size, replace=False)))


def merge(samples: Sequence[Sample], size: int, rng: np.random.Generator) -> Sample:
    """A uniform sample of `size` rows of all streams together, from a sample of `size` (or all) rows of each."""
    counts = allotments([sample.seen for sample in samples], size, rng)
    parts = [thinned(sample, count, rng) for sample, count in zip(samples, counts, strict=True)]
    starts = np.concatenate([[0], np.cumsum([sample.seen for sample in samples])])
    return Sample(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.positions + start for part, start in zip(parts, starts, strict=False)]),
        int(starts[-1]),
    )
