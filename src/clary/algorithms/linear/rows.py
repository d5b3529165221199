"""Rows in memory as mini-batches: shuffled anew for every epoch, without moving them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse

from clary.algorithms.linear.training import MiniBatch

LONGEST_RUN = 64
RUNS = 16_384
"""Rows stay next to their neighbours in runs, so that memory is read in order: as long as there are about so many of them."""


class ShuffledRows:
    """(n, columns) float32 features, dense or CSR, with (n,) labels and weights; `epoch()` gives them in mini-batches."""

    def __init__(self, features: Any, labels: np.ndarray, weights: np.ndarray | None, size: int, shuffle: bool, seed: int):
        self._features = _for_kernels(features) if issparse(features) else features
        self._labels, self._weights, self._size, self._shuffle = labels, weights, size, shuffle
        self._rng = np.random.default_rng(seed)

    def epoch(self) -> Iterator[MiniBatch]:
        order = self._order(len(self._labels))
        for start in range(0, len(order), self._size):
            yield self._features, self._labels, self._weights, order[start : start + self._size]

    def _order(self, rows: int) -> np.ndarray:
        if not self._shuffle:
            return np.arange(rows)
        run = int(np.clip(rows // RUNS, 1, LONGEST_RUN))
        starts = self._rng.permutation(np.arange(0, rows, run))
        order = (starts[:, None] + np.arange(run)).ravel()
        return order if rows % run == 0 else order[order < rows]


def spread(rows: int, wanted: int) -> np.ndarray:
    """Up to `wanted` row numbers, evenly spread over `rows`."""
    return np.arange(rows) if rows <= wanted else np.linspace(0, rows - 1, wanted).astype(np.int64)


def _for_kernels(features: Any) -> Any:
    """The same CSR matrix with the index types of the kernels, so that mini-batches need no conversion."""
    copy = csr_matrix(features.shape, dtype=np.float32)
    copy.data, copy.indices = features.data, features.indices.astype(np.int32, copy=False)
    copy.indptr = features.indptr.astype(np.int64)
    return copy
